"""The pure core of the delivery worker: what happened goes in, what to do comes out."""

"""The pure core of the delivery worker: events go in, commands come out."""

"""The edges of the delivery worker: one module per neighbour, each with its own client and errors."""

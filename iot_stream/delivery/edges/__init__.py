"""The edges of the delivery worker: one module for each neighbour, with its client and its errors."""

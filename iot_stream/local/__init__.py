"""The same diagram on one machine: one module per AWS box."""

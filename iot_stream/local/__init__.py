"""Stand-ins for AWS on one machine: one module for each service, and how they start and stop together."""

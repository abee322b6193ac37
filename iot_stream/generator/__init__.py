"""Send: seeded device readings into the Kinesis data stream."""

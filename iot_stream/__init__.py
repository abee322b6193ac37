"""Real-time device monitoring: a Kinesis stream to a live OpenSearch dashboard, on AWS and on one machine."""

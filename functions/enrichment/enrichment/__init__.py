"""Transform: device readings in, documents for OpenSearch out, one Firehose batch at a time.

handler      what Lambda calls: settings, clock and logger meet the pure parts here, and only here
├── firehose     the envelope: records in, the answer out, within Lambda's limit
│   └── reading      one reading → one document, or a named reason why not (pure)
│       ├── lenient      the same for readings that are not in canonical form (pure)
│       ├── timestamps   device times and arrival times → UTC text (pure)
│       └── reasons      the closed set of reasons
├── metrics      a batch's figures in CloudWatch's embedded metric format (pure)
└── settings     the environment, read once
"""

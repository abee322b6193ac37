"""Transform: turn device readings into documents for OpenSearch, one Firehose batch at a time.

handler      the entry point that Lambda calls; the only module with settings, clock and logger
├── firehose     Firehose's request and response, within Lambda's limit
│   └── reading      one reading → one document, or the reason why not (pure)
│       ├── lenient      the same for readings in other than canonical form (pure)
│       ├── timestamps   device times and arrival times → UTC text (pure)
│       └── reasons      the closed set of reasons
├── metrics      a batch's figures in CloudWatch's embedded metric format (pure)
└── settings     the environment, read once
"""

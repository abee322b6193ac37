"""Transform: turn device readings into documents for OpenSearch, one Firehose batch at a time.

handler      the entry point that Lambda calls; the only module with settings, clock and logger
├── firehose     Firehose's request and response, within Lambda's limit
│   └── reading      one batch of readings → documents, or the reasons why not (pure)
│       ├── description  what readings.toml says, as objects (pure)
│       ├── compiled     the description as structs and conversions, made once at import (pure)
│       ├── lenient      readings that are not in canonical form; values converts each one (pure)
│       ├── timestamps   device times and arrival times → UTC text (pure)
│       ├── foreign      data that is not one reading in UTF-8 JSON, but well known (pure)
│       ├── undescribed  fields that the description does not have (pure)
│       └── reasons      the closed set of reasons
├── description_file  reads readings.toml; description_check, _relations and _tables name its mistakes
├── metrics      a batch's figures in CloudWatch's embedded metric format (pure)
├── settings     the environment, read once
└── logs         JSON lines for CloudWatch Logs
"""

"""The local domain's endpoint: HTTPS that accepts SigV4, as a domain of Amazon OpenSearch Service does."""

"""The metrics that AWS documents for a delivery stream from Kinesis to OpenSearch Service, by name, with their units.

"Monitor Amazon Data Firehose with CloudWatch metrics": the tables "Delivery to OpenSearch Service", "Data ingestion
through Kinesis Data Streams" and "Data Transformation CloudWatch Metrics". The worker and the template are held to it.
"""

__all__ = ["ALWAYS", "FIREHOSE", "ONLY_WITH_ALL_DOCUMENTS"]

ALWAYS = {
    "DeliveryToAmazonOpenSearchService.AuthFailure": "Count",
    "DeliveryToAmazonOpenSearchService.Bytes": "Bytes",
    "DeliveryToAmazonOpenSearchService.DataFreshness": "Seconds",
    "DeliveryToAmazonOpenSearchService.DeliveryRejected": "Count",
    "DeliveryToAmazonOpenSearchService.Records": "Count",
    "DeliveryToAmazonOpenSearchService.Success": "Count",
    "DeliveryToS3.Success": "Count",
    "DataReadFromKinesisStream.Bytes": "Bytes",
    "DataReadFromKinesisStream.Records": "Count",
    "KinesisMillisBehindLatest": "Milliseconds",
    "ThrottledDescribeStream": "Count",
    "ThrottledGetRecords": "Count",
    "ThrottledGetShardIterator": "Count",
    "ExecuteProcessing.Duration": "Milliseconds",
    "ExecuteProcessing.Success": "Count",
    "SucceedProcessing.Bytes": "Bytes",
    "SucceedProcessing.Records": "Count",
}

# "Amazon Data Firehose emits this metric only when you enable backup for all documents."
ONLY_WITH_ALL_DOCUMENTS = {
    "DeliveryToS3.Bytes": "Bytes",
    "DeliveryToS3.DataFreshness": "Seconds",
    "DeliveryToS3.Records": "Count",
}

FIREHOSE = ALWAYS | ONLY_WITH_ALL_DOCUMENTS

"""The metrics that AWS documents: of a delivery stream from Kinesis to OpenSearch Service, and of its neighbours.

"Monitor Amazon Data Firehose with CloudWatch metrics": the tables "Delivery to OpenSearch Service", "Data ingestion
through Kinesis Data Streams" and "Data Transformation CloudWatch Metrics". The worker and the template are held to it.
"""

__all__ = ["ALWAYS", "DOCUMENTED", "FIREHOSE", "ONLY_WITH_ALL_DOCUMENTS"]

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

DOCUMENTED: dict[tuple[str, tuple[str, ...]], set[str]] = {
    ("AWS/Firehose", ("DeliveryStreamName",)): set(FIREHOSE),
    # Monitor the Amazon Kinesis Data Streams service with Amazon CloudWatch, "Basic stream-level metrics"
    ("AWS/Kinesis", ("StreamName",)): {
        "GetRecords.Bytes",
        "GetRecords.IteratorAgeMilliseconds",
        "GetRecords.Latency",
        "GetRecords.Records",
        "GetRecords.Success",
        "IncomingBytes",
        "IncomingRecords",
        "PutRecord.Bytes",
        "PutRecord.Latency",
        "PutRecord.Success",
        "PutRecords.Bytes",
        "PutRecords.FailedRecords",
        "PutRecords.Latency",
        "PutRecords.Success",
        "PutRecords.SuccessfulRecords",
        "PutRecords.ThrottledRecords",
        "PutRecords.TotalRecords",
        "ReadProvisionedThroughputExceeded",
        "WriteProvisionedThroughputExceeded",
    },
    # Types of metrics for Lambda functions
    ("AWS/Lambda", ("FunctionName",)): {
        "AsyncEventAge",
        "AsyncEventsDropped",
        "AsyncEventsReceived",
        "ConcurrentExecutions",
        "DeadLetterErrors",
        "Duration",
        "Errors",
        "Invocations",
        "ProvisionedConcurrencySpilloverInvocations",
        "Throttles",
    },
    # Working with Lambda function metrics: "By Executed Version: metrics for a combination of alias and version"
    ("AWS/Lambda", ("ExecutedVersion", "FunctionName", "Resource")): {"Duration", "Errors", "Invocations", "Throttles"},
    # Monitoring Amazon EventBridge, "EventBridge metrics"
    ("AWS/Events", ("RuleName",)): {
        "DeadLetterInvocations",
        "FailedInvocations",
        "InvocationAttempts",
        "Invocations",
        "MatchedEvents",
        "RetryInvocationAttempts",
        "SuccessfulInvocationAttempts",
        "ThrottledRules",
        "TriggeredRules",
    },
    # Monitoring OpenSearch cluster metrics with Amazon CloudWatch
    # Recommended CloudWatch alarms for Amazon OpenSearch Service
    (
        "AWS/ES",
        (
            "ClientId",
            "DomainName",
        ),
    ): {
        "2xx",
        "4xx",
        "5xx",
        "AutomatedSnapshotFailure",
        "CPUCreditBalance",
        "CPUUtilization",
        "ClusterIndexWritesBlocked",
        "ClusterStatus.green",
        "ClusterStatus.red",
        "ClusterStatus.yellow",
        "ClusterUsedSpace",
        "FreeStorageSpace",
        "JVMMemoryPressure",
        "KMSKeyError",
        "KMSKeyInaccessible",
        "MasterCPUUtilization",
        "MasterJVMMemoryPressure",
        "MasterReachableFromNode",
        "Nodes",
        "OldGenJVMMemoryPressure",
        "OpenSearchDashboardsHealthyNodes",
        "ThreadpoolWriteQueue",
        "ThreadpoolWriteRejected",
    },
}
"""Metric names by namespace and sorted dimension names."""

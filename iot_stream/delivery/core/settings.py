"""A delivery stream's settings: one frozen object, parsed from the response of DescribeDeliveryStream.

Every setting is applied; one that the worker does not support is an error that names it. Both AWS's spelling and
ministack's (which returns the destination as it was created) are accepted.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from iot_stream.delivery.core.buffer import Bounds
from iot_stream.delivery.core.naming import IndexNaming, Rotation, check_prefixes
from iot_stream.delivery.errors import SettingsError

__all__ = ["Bucket", "Function", "LogTarget", "Settings", "parse_settings"]

_MB = 1024 * 1024
_DESTINATIONS = (
    "AmazonopensearchserviceDestinationDescription",  # AWS
    "AmazonOpenSearchDestinationDescription",  # ministack
)
_DESTINATION_KEYS = {
    "RoleARN", "DomainARN", "ClusterEndpoint", "IndexName", "TypeName", "IndexRotationPeriod", "BufferingHints",
    "RetryOptions", "S3BackupMode", "S3DestinationDescription", "S3Configuration", "ProcessingConfiguration",
    "CloudWatchLoggingOptions", "DocumentIdOptions",
}  # fmt: skip
_BUCKET_KEYS = {
    "RoleARN", "BucketARN", "Prefix", "ErrorOutputPrefix", "BufferingHints", "CompressionFormat",
    "EncryptionConfiguration", "CloudWatchLoggingOptions",
}  # fmt: skip
_PARAMETERS = {"LambdaArn", "NumberOfRetries", "RoleArn", "BufferSizeInMBs", "BufferIntervalInSeconds"}
_EXTENSIONS = {"UNCOMPRESSED": "", "GZIP": ".gz", "ZIP": ".zip"}


@dataclass(frozen=True)
class LogTarget:
    """`CloudWatchLoggingOptions`: where error log entries are written."""

    group: str
    stream: str


@dataclass(frozen=True)
class Function:
    """The Lambda processor. `retries` counts the attempts after the first."""

    arn: str
    role_arn: str
    retries: int
    bounds: Bounds


@dataclass(frozen=True)
class Bucket:
    """Where failed documents, failed records and (with `all_documents`) source records are stored."""

    name: str
    role_arn: str
    prefix: str
    error_prefix: str
    bounds: Bounds
    compression: str
    extension: str
    kms_key: str | None
    all_documents: bool
    log: LogTarget | None


@dataclass(frozen=True)
class Settings:
    """A delivery stream from Kinesis to OpenSearch.

    Attributes:
        version: its `VersionId`, one higher after each update.
        created: epoch seconds; distinguishes it from an earlier delivery stream of the same name.
        start: epoch seconds; records that arrived from then on are delivered (`DeliveryStartTimestamp`).
        retry_duration: milliseconds after a document's first attempt during which it is retried.
        domain_arn: the domain, or None where `endpoint` is set (`ClusterEndpoint`).
    """

    name: str
    arn: str
    version: str
    status: str
    created: float
    start: float
    source_arn: str
    source_role_arn: str
    role_arn: str
    domain_arn: str | None
    endpoint: str | None
    index: str
    rotation: Rotation
    bounds: Bounds
    retry_duration: int
    with_ids: bool
    function: Function | None
    bucket: Bucket
    log: LogTarget | None

    @property
    def naming(self) -> IndexNaming:
        """Return what decides a document's index."""
        return IndexNaming(self.index, self.rotation)

    @property
    def region(self) -> str:
        """Return the region of the ARN."""
        return self.arn.split(":")[3]

    @property
    def account(self) -> str:
        """Return the account id of the ARN, which is AWS's sts:ExternalId when it assumes the role."""
        return self.arn.split(":")[4]


def parse_settings(response: Mapping[str, Any]) -> Settings:
    """Return the settings in a raw response of DescribeDeliveryStream.

    Raises:
        SettingsError: a setting is missing, out of bounds or not supported.
    """
    try:
        return _parse(response["DeliveryStreamDescription"])
    except KeyError as error:
        raise SettingsError(f"DescribeDeliveryStream returned no {error}: the delivery stream is incomplete") from error


def _parse(stream: Mapping[str, Any]) -> Settings:
    if stream["DeliveryStreamType"] != "KinesisStreamAsSource":
        raise _unsupported("DeliveryStreamType", stream["DeliveryStreamType"], "KinesisStreamAsSource")
    source = stream["Source"]["KinesisStreamSourceDescription"]
    destination = _destination(stream["Destinations"])
    _check_keys(destination, _DESTINATION_KEYS, "the OpenSearch destination")
    if destination.get("TypeName"):
        raise _unsupported("TypeName", destination["TypeName"], "none: OpenSearch has no types")
    index = str(destination["IndexName"])
    if not 1 <= len(index) <= 80:  # noqa: PLR2004 - the API's bounds
        raise SettingsError(f"IndexName must have 1 to 80 characters, not {len(index)}")
    hints = destination.get("BufferingHints") or {}
    identity = (destination.get("DocumentIdOptions") or {}).get("DefaultDocumentIdFormat", "FIREHOSE_DEFAULT")
    role = destination["RoleARN"]
    return Settings(
        name=stream["DeliveryStreamName"],
        arn=stream["DeliveryStreamARN"],
        version=str(stream["VersionId"]),
        status=stream["DeliveryStreamStatus"],
        created=float(stream["CreateTimestamp"]),
        start=float(source.get("DeliveryStartTimestamp") or stream["CreateTimestamp"]),
        source_arn=source["KinesisStreamARN"],
        source_role_arn=source.get("RoleARN") or role,
        role_arn=role,
        domain_arn=destination.get("DomainARN"),
        endpoint=destination.get("ClusterEndpoint"),
        index=index,
        rotation=Rotation(
            _choice("IndexRotationPeriod", destination.get("IndexRotationPeriod", "OneDay"), [*Rotation])
        ),
        bounds=Bounds(
            _number("SizeInMBs", hints.get("SizeInMBs", 5), 1, 100) * _MB,
            _number("IntervalInSeconds", hints.get("IntervalInSeconds", 300), 0, 900) * 1000,
        ),
        retry_duration=1000
        * _number("DurationInSeconds", (destination.get("RetryOptions") or {}).get("DurationInSeconds", 300), 0, 7200),
        with_ids=_choice("DefaultDocumentIdFormat", identity, ["FIREHOSE_DEFAULT", "NO_DOCUMENT_ID"])
        == "FIREHOSE_DEFAULT",
        function=_function(destination.get("ProcessingConfiguration") or {}, role),
        bucket=_bucket(destination, role),
        log=_log_target(destination),
    )


def _destination(destinations: list[Mapping[str, Any]]) -> Mapping[str, Any]:
    for destination in destinations:
        for key in _DESTINATIONS:
            if key in destination:
                found: Mapping[str, Any] = destination[key]
                return found
    kinds = [key for destination in destinations for key in destination if key != "DestinationId"]
    raise _unsupported("destination", ", ".join(kinds) or "none", "Amazon OpenSearch Service")


def _function(processing: Mapping[str, Any], role: str) -> Function | None:
    if not _boolean(processing.get("Enabled", False)):
        return None
    processors = processing.get("Processors") or []
    for processor in processors:
        _choice("a processor's Type", processor["Type"], ["Lambda"])
    if len(processors) != 1:
        raise _unsupported("Processors", f"{len(processors)} of them", "one Lambda processor")
    parameters = {p["ParameterName"]: p["ParameterValue"] for p in processors[0].get("Parameters") or []}
    _check_keys(parameters, _PARAMETERS, "the Lambda processor")
    return Function(
        arn=parameters["LambdaArn"],
        role_arn=parameters.get("RoleArn") or role,
        retries=_number("NumberOfRetries", parameters.get("NumberOfRetries", 3), 0, 300),
        bounds=Bounds(
            int(_decimal("BufferSizeInMBs", parameters.get("BufferSizeInMBs", 1), 0.2, 3) * _MB),
            _number("BufferIntervalInSeconds", parameters.get("BufferIntervalInSeconds", 60), 0, 900) * 1000,
        ),
    )


def _bucket(destination: Mapping[str, Any], role: str) -> Bucket:
    bucket = destination.get("S3DestinationDescription") or destination["S3Configuration"]
    _check_keys(bucket, _BUCKET_KEYS, "the S3 backup")
    hints = bucket.get("BufferingHints") or {}
    prefix, error_prefix = bucket.get("Prefix") or "", bucket.get("ErrorOutputPrefix") or ""
    if wrong := check_prefixes(prefix, error_prefix):
        raise SettingsError(f"the S3 backup's prefixes: {wrong}")
    compression = _choice("CompressionFormat", bucket.get("CompressionFormat") or "UNCOMPRESSED", [*_EXTENSIONS])
    mode = _choice(
        "S3BackupMode", destination.get("S3BackupMode", "FailedDocumentsOnly"), ["FailedDocumentsOnly", "AllDocuments"]
    )
    encryption = (bucket.get("EncryptionConfiguration") or {}).get("KMSEncryptionConfig") or {}
    return Bucket(
        name=bucket["BucketARN"].rpartition(":")[2],
        role_arn=bucket.get("RoleARN") or role,
        prefix=prefix,
        error_prefix=error_prefix,
        bounds=Bounds(
            _number("S3 SizeInMBs", hints.get("SizeInMBs", 5), 1, 128) * _MB,
            _number("S3 IntervalInSeconds", hints.get("IntervalInSeconds", 300), 0, 900) * 1000,
        ),
        compression=compression,
        extension=_EXTENSIONS[compression],
        kms_key=encryption.get("AWSKMSKeyARN"),
        all_documents=mode == "AllDocuments",
        log=_log_target(bucket),
    )


def _log_target(part: Mapping[str, Any]) -> LogTarget | None:
    options = part.get("CloudWatchLoggingOptions") or {}
    if not _boolean(options.get("Enabled", False)):
        return None
    return LogTarget(options["LogGroupName"], options["LogStreamName"])


def _check_keys(part: Mapping[str, Any], known: set[str], where: str) -> None:
    for key, value in part.items():
        if key not in known and value not in (None, "", {}, []):
            raise SettingsError(f"{key} of {where} is not supported by this worker: remove it, or use AWS")


def _unsupported(name: str, value: object, instead: str) -> SettingsError:
    return SettingsError(f"{name} {value!r} is not supported by this worker; supported: {instead}")


def _choice(name: str, value: str, choices: list[str]) -> str:
    if value not in choices:
        raise _unsupported(name, value, ", ".join(choices))
    return value


def _decimal(name: str, value: object, lowest: float, highest: float) -> float:
    try:
        number = float(str(value))
    except ValueError as error:
        raise SettingsError(f"{name} must be a number, not {value!r}") from error
    if not lowest <= number <= highest:
        raise SettingsError(f"{name} must be {lowest:g} to {highest:g}, not {value}")
    return number


def _number(name: str, value: object, lowest: int, highest: int) -> int:
    return int(_decimal(name, value, lowest, highest))


def _boolean(value: object) -> bool:
    return value is True or str(value).lower() == "true"

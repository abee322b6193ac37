"""What the template's parameters must not contradict, where CloudFormation's own rules can't say it (pure).

Rules compare strings for equality: they know no arithmetic, no patterns and no earlier values.
"""

import re
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Final

from role_mapper.instance_limits import LIMITS, largest_buffer, most_nodes

__all__ = ["WHOLE", "derived", "problems", "remembered"]

_KEPT: Final = (
    "BackupMode",
    "CustomerManagedKey",
    "DeliveryStreamName",
    "DomainName",
    "ShardCount",
    "StreamName",
    "SubnetIds",
    "VpcId",
)
"""Parameters whose earlier values decide what an update may do."""

WHOLE: Final = (
    "AlarmDelaySeconds",
    "AvailabilityZones",
    "BackupExpirationDays",
    "ChangeOverSeconds",
    "DeliveryBufferIntervalInSeconds",
    "DeliveryBufferSizeInMBs",
    "DeliveryRetrySeconds",
    "DeviceAlertsDays",
    "EnrichmentMemorySize",
    "EnrichmentReservedConcurrency",
    "InstanceCount",
    "NumberOfReplicas",
    "NumberOfShards",
    "RetentionDays",
    "ShardCount",
    "StreamRetentionHours",
    "StreamWarmThroughputMiBps",
    "TransformBufferIntervalInSeconds",
    "TransformRetries",
    "VolumeIops",
    "VolumeSizeGiB",
    "VolumeThroughput",
)
"""Parameters that are whole numbers; CloudFormation's type Number lets 1.5, 2.0 and 1e2 through."""

_MOST_DATA_NODES_OF_T3_MASTERS: Final = 10  # "Domain and instance quotas"
_LEAST_OF_GP3: Final = {"VolumeIops": 3000, "VolumeThroughput": 125}  # Amazon EBS, "General Purpose SSD volumes"
_ZONES_OF_STANDBY: Final = 3  # "expected total copies needs to be a multiple of total awareness attributes [3]"
# "Index rotation for the OpenSearch Service destination": the first and the last name that can come.
_ROTATED: Final = {
    "NoRotation": ("", ""),
    "OneHour": ("-1970-01-01-00", "-2999-12-31-23"),
    "OneDay": ("-1970-01-01", "-2999-12-31"),
    "OneWeek": ("-1970-w01", "-2999-w52"),
    "OneMonth": ("-1970-01", "-2999-12"),
}


def problems(parameters: Mapping[str, str], before: Mapping[str, str]) -> Iterator[str]:
    """Yield each problem of a deployment as a sentence that says what to do.

    Args:
        parameters: the template's parameters by name.
        before: what `remembered` returned for the last successful deployment; empty for the first one.
    """
    wrong = [name for name in WHOLE if not re.fullmatch("0|[1-9][0-9]*", parameters[name])]
    if wrong:
        yield from (
            f"{name}={parameters[name]} must be a whole number, written in digits only (2, not 2.0 or 2e0)"
            for name in wrong
        )
        return  # the checks below calculate with these numbers
    yield from _sizes(parameters)
    yield from _names(parameters)
    yield from _access(parameters, before)
    yield from _changes(parameters, before)


def remembered(parameters: Mapping[str, str]) -> dict[str, str]:
    """Return the parameters that the next deployment is compared with."""
    return {name: parameters[name] for name in _KEPT if name in parameters}


def derived(parameters: Mapping[str, str]) -> dict[str, str]:
    """Return alarm limits that the template can't calculate, for `Fn::GetAtt`.

    `DeliveryPeriods` is the number of five-minute periods within which a record must be delivered after it was read: a
    record read at the end of the first period has left both buffers by the end of the last.
    """
    masters = 3 if parameters["DedicatedMasters"] == "true" else 0
    buffered = sum(
        int(parameters[name]) for name in ("TransformBufferIntervalInSeconds", "DeliveryBufferIntervalInSeconds")
    )
    return {
        "Nodes": str(int(parameters["InstanceCount"]) + masters),
        "DeliveryPeriods": str(buffered // 300 + 2),
        "LowStorageMiB": str(int(parameters["VolumeSizeGiB"]) * 1024 // 4),
    }


def _sizes(parameters: Mapping[str, str]) -> Iterator[str]:
    transform, deliver, delay = (
        int(parameters[name])
        for name in ("TransformBufferIntervalInSeconds", "DeliveryBufferIntervalInSeconds", "AlarmDelaySeconds")
    )
    if delay <= transform + deliver:
        yield (
            f"AlarmDelaySeconds={delay} would raise an alarm permanently, because records may wait "
            f"{transform + deliver} s in the two buffers: use a value above that"
        )
    retention = int(parameters["StreamRetentionHours"]) * 3600
    if delay > retention // 2:
        yield (
            f"AlarmDelaySeconds={delay} would leave less than half of the stream's retention ({retention} s) to fix "
            f"the cause of a delay: use {retention // 2} or less, or increase StreamRetentionHours"
        )
    nodes, replicas = int(parameters["InstanceCount"]), int(parameters["NumberOfReplicas"])
    if replicas >= nodes:
        yield (
            f"NumberOfReplicas={replicas} needs {replicas + 1} nodes, but InstanceCount is {nodes}: the domain would "
            "stay yellow, so use fewer replicas or more nodes"
        )
    zones = int(parameters["AvailabilityZones"])
    if nodes % zones:
        yield f"InstanceCount={nodes} must be a multiple of AvailabilityZones={zones}"
    if (
        parameters["DedicatedMasters"] == "true"
        and parameters["DedicatedMasterType"].startswith("t3.")
        and nodes > _MOST_DATA_NODES_OF_T3_MASTERS
    ):
        yield (
            f"DedicatedMasterType={parameters['DedicatedMasterType']} can manage at most "
            f"{_MOST_DATA_NODES_OF_T3_MASTERS} data nodes: choose a larger one"
        )
    if parameters["Standby"] == "true" and (replicas + 1) % _ZONES_OF_STANDBY:
        yield (
            f"NumberOfReplicas={replicas} makes {replicas + 1} copies, but with Standby the number of copies must be a "
            "multiple of three, the number of zones: use 2, 5 or 8"
        )
    if parameters["Standby"] == "true" and parameters["InstanceType"].startswith("t3."):
        yield f"Standby is not available for {parameters['InstanceType']}: choose another InstanceType"
    yield from _nodes(parameters)
    for name, least in _LEAST_OF_GP3.items():
        if 0 < int(parameters[name]) < least:
            yield f"{name}={parameters[name]} is below the baseline of gp3 volumes: use 0, or {least} or more"


def _nodes(parameters: Mapping[str, str]) -> Iterator[str]:
    """Yield each setting that exceeds the limits of the instance type."""
    kind, nodes = parameters["InstanceType"], int(parameters["InstanceCount"])
    if nodes > most_nodes(kind):
        yield f"InstanceCount={nodes} is too many: a domain can have at most {most_nodes(kind)} nodes of type {kind}"
    buffer, limit = int(parameters["DeliveryBufferSizeInMBs"]), largest_buffer(kind)
    if buffer > limit:
        yield f"DeliveryBufferSizeInMBs={buffer} makes requests that are too large for {kind}: use {limit} or less"
    volume, limits = int(parameters["VolumeSizeGiB"]), LIMITS.get(kind)
    if limits and volume > limits.most_gib:
        yield f"VolumeSizeGiB={volume} is too large: the maximum for {kind} is {limits.most_gib} GiB"
    if limits and volume < limits.least_gib:
        yield f"VolumeSizeGiB={volume} is too small: the minimum for {kind} is {limits.least_gib} GiB"


def _names(parameters: Mapping[str, str]) -> Iterator[str]:
    index = parameters["IndexName"]
    if f"device-alerts-{index}".startswith(index):
        yield (
            f"IndexName={index} is a prefix of the name of the alerts index, device-alerts-{index}: choose another name"
        )
    pattern = parameters["OpenSearchRoleIndexPattern"]
    rotation = parameters["IndexRotationPeriod"]
    rolls_over = rotation == "NoRotation" and int(parameters["RetentionDays"])
    for suffix in ("", "-000001") if rolls_over else _ROTATED[rotation]:
        index = parameters["IndexName"] + suffix
        if pattern and not fnmatchcase(index, pattern):
            yield (
                f"OpenSearchRoleIndexPattern={pattern} does not cover the index {index} (IndexRotationPeriod="
                f"{rotation}), so every document would be rejected: leave it empty or use {parameters['IndexName']}*"
            )
            return


def _access(parameters: Mapping[str, str], before: Mapping[str, str]) -> Iterator[str]:
    zones = int(parameters["AvailabilityZones"])
    subnets = [each for each in parameters["SubnetIds"].split(",") if each]
    if parameters["VpcId"] and len(set(subnets)) != zones:
        yield (f"SubnetIds={','.join(subnets)} must contain one subnet per zone (AvailabilityZones={zones})")
    if parameters["SamlEntityId"] and before.get("DomainName") != parameters["DomainName"]:
        yield (
            "SamlEntityId can be set only for an existing domain, because the identity provider needs its URL: deploy "
            "without it first"
        )


def _changes(parameters: Mapping[str, str], before: Mapping[str, str]) -> Iterator[str]:
    if not before.items() >= {name: before.get(name) for name in _KEPT}.items():
        return  # this version of the template has not been deployed before
    if before["DeliveryStreamName"] == parameters["DeliveryStreamName"]:
        if before["BackupMode"] != parameters["BackupMode"]:
            yield (
                f"BackupMode can't be changed from {before['BackupMode']} to {parameters['BackupMode']} on an existing "
                "delivery stream (UpdateDestination has no S3BackupMode): change DeliveryStreamName too"
            )
        if before["StreamName"] != parameters["StreamName"]:
            yield (
                f"StreamName can't be changed to {parameters['StreamName']} alone, because the source of a delivery "
                "stream can't be changed: change DeliveryStreamName too"
            )
        if before["VpcId"] == parameters["VpcId"] and before["SubnetIds"] != parameters["SubnetIds"]:
            yield (
                "SubnetIds can't be changed on an existing delivery stream (its VpcConfiguration is create-only): "
                "change DeliveryStreamName too"
            )
    if before["DomainName"] == parameters["DomainName"]:
        if before["CustomerManagedKey"] != parameters["CustomerManagedKey"]:
            yield (
                f"CustomerManagedKey can't be changed to {parameters['CustomerManagedKey']} on an existing domain (its "
                "KmsKeyId is create-only): change DomainName too, and move the indices with a snapshot"
            )
        if before["VpcId"] != parameters["VpcId"]:
            yield (
                f"VpcId can't be changed from {before['VpcId'] or 'none'} to {parameters['VpcId'] or 'none'} on an "
                "existing domain: change DomainName and DeliveryStreamName too, and move the indices with a snapshot"
            )
    elif before["VpcId"] != parameters["VpcId"] and before["DeliveryStreamName"] == parameters["DeliveryStreamName"]:
        yield (
            "VpcId can't be changed on an existing delivery stream (its VpcConfiguration is create-only): change "
            "DeliveryStreamName too"
        )
    shards, old = int(parameters["ShardCount"]), int(float(before["ShardCount"]))
    if before["StreamName"] == parameters["StreamName"] and shards and old and not old <= 2 * shards <= 4 * old:
        step = 2 * old if shards > old else -(-old // 2)
        yield (
            f"ShardCount={shards} is too far from {old}, because one update can at most double or halve it: deploy "
            f"ShardCount={step} first, or use 0 (on-demand)"
        )

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
    """Yield what is wrong with a deployment, each as a sentence that says what to do.

    Args:
        parameters: the template's, by their names.
        before: those that `remembered` kept of the last deployment that succeeded; empty for the first one.
    """
    wrong = [name for name in WHOLE if not re.fullmatch("0|[1-9][0-9]*", parameters[name])]
    if wrong:
        yield from (
            f"{name}={parameters[name]} must be a whole number, written in digits only (2, not 2.0 or 2e0)"
            for name in wrong
        )
        return  # what follows calculates
    yield from _sizes(parameters)
    yield from _names(parameters)
    yield from _access(parameters, before)
    yield from _changes(parameters, before)


def remembered(parameters: Mapping[str, str]) -> dict[str, str]:
    """Return the parameters that the next deployment is compared with."""
    return {name: parameters[name] for name in _KEPT if name in parameters}


def derived(parameters: Mapping[str, str]) -> dict[str, str]:
    """Return the numbers that the template can't calculate, for `Fn::GetAtt`: limits of its alarms.

    `DeliveryPeriods` is the least number of periods of five minutes in which a record that is read must be delivered:
    what is read at the end of the first one has waited for longer than both buffers hold it at the end of the last.
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
            f"AlarmDelaySeconds={delay} would ring without end, because records wait up to {transform + deliver} s in "
            "the two buffers: use more than both together"
        )
    retention = int(parameters["StreamRetentionHours"]) * 3600
    if delay > retention // 2:
        yield (
            f"AlarmDelaySeconds={delay} would leave less than half of the stream's retention ({retention} s) to mend "
            f"what delays the records: use {retention // 2} or less, or raise StreamRetentionHours"
        )
    nodes, replicas = int(parameters["InstanceCount"]), int(parameters["NumberOfReplicas"])
    if replicas >= nodes:
        yield (
            f"NumberOfReplicas={replicas} needs {replicas + 1} nodes, and InstanceCount is {nodes}: the domain would "
            "stay yellow"
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
            f"DedicatedMasterType={parameters['DedicatedMasterType']} manages {_MOST_DATA_NODES_OF_T3_MASTERS} data "
            "nodes at most: choose a larger one"
        )
    if parameters["Standby"] == "true" and (replicas + 1) % _ZONES_OF_STANDBY:
        yield (
            f"NumberOfReplicas={replicas} makes {replicas + 1} copies, and with Standby the domain refuses an index "
            "whose copies are no multiple of its three zones: use 2, 5 or 8"
        )
    if parameters["Standby"] == "true" and parameters["InstanceType"].startswith("t3."):
        yield f"Standby is not available for {parameters['InstanceType']}: choose another InstanceType"
    yield from _nodes(parameters)
    for name, least in _LEAST_OF_GP3.items():
        if 0 < int(parameters[name]) < least:
            yield f"{name}={parameters[name]} is less than every gp3 volume has: use 0, or {least} or more"


def _nodes(parameters: Mapping[str, str]) -> Iterator[str]:
    """Yield what one instance type can't do."""
    kind, nodes = parameters["InstanceType"], int(parameters["InstanceCount"])
    if nodes > most_nodes(kind):
        yield f"InstanceCount={nodes} is too many: a domain takes {most_nodes(kind)} of {kind} at most"
    buffer, limit = int(parameters["DeliveryBufferSizeInMBs"]), largest_buffer(kind)
    if buffer > limit:
        yield f"DeliveryBufferSizeInMBs={buffer} makes requests that {kind} refuses: use {limit} or less"
    volume, limits = int(parameters["VolumeSizeGiB"]), LIMITS.get(kind)
    if limits and volume > limits.most_gib:
        yield f"VolumeSizeGiB={volume} is too large: {kind} takes {limits.most_gib} GiB at most"
    if limits and volume < limits.least_gib:
        yield f"VolumeSizeGiB={volume} is too small: {kind} takes {limits.least_gib} GiB at least"


def _names(parameters: Mapping[str, str]) -> Iterator[str]:
    index = parameters["IndexName"]
    if f"device-alerts-{index}".startswith(index):
        yield (
            f"IndexName={index} covers the index of the alerts, device-alerts-{index}: choose a name that is not the "
            "beginning of it"
        )
    pattern = parameters["OpenSearchRoleIndexPattern"]
    rotation = parameters["IndexRotationPeriod"]
    rolls_over = rotation == "NoRotation" and int(parameters["RetentionDays"])
    for suffix in ("", "-000001") if rolls_over else _ROTATED[rotation]:
        index = parameters["IndexName"] + suffix
        if pattern and not fnmatchcase(index, pattern):
            yield (
                f"OpenSearchRoleIndexPattern={pattern} does not cover the index {index} (IndexRotationPeriod="
                f"{rotation}): every document would be refused; leave it empty or use {parameters['IndexName']}*"
            )
            return


def _access(parameters: Mapping[str, str], before: Mapping[str, str]) -> Iterator[str]:
    zones = int(parameters["AvailabilityZones"])
    subnets = [each for each in parameters["SubnetIds"].split(",") if each]
    if parameters["VpcId"] and len(set(subnets)) != zones:
        yield (
            f"SubnetIds={','.join(subnets)} must be one subnet in each of as many zones as AvailabilityZones={zones} "
            "says"
        )
    if parameters["SamlEntityId"] and before.get("DomainName") != parameters["DomainName"]:
        yield (
            "SamlEntityId is for a domain that exists, because the identity provider needs its address: deploy without "
            "it first"
        )


def _changes(parameters: Mapping[str, str], before: Mapping[str, str]) -> Iterator[str]:
    if not before.items() >= {name: before.get(name) for name in _KEPT}.items():
        return  # nothing was deployed by this version of the template
    if before["DeliveryStreamName"] == parameters["DeliveryStreamName"]:
        if before["BackupMode"] != parameters["BackupMode"]:
            yield (
                f"BackupMode can't be changed from {before['BackupMode']} to {parameters['BackupMode']} on a delivery "
                "stream that exists (UpdateDestination has no S3BackupMode): change DeliveryStreamName with it"
            )
        if before["StreamName"] != parameters["StreamName"]:
            yield (
                f"StreamName can't be changed to {parameters['StreamName']} alone, because a delivery stream keeps its "
                "source: change DeliveryStreamName with it"
            )
        if before["VpcId"] == parameters["VpcId"] and before["SubnetIds"] != parameters["SubnetIds"]:
            yield (
                "SubnetIds can't be changed on a delivery stream that exists (its VpcConfiguration is create-only): "
                "change DeliveryStreamName with it"
            )
    if before["DomainName"] == parameters["DomainName"]:
        if before["CustomerManagedKey"] != parameters["CustomerManagedKey"]:
            yield (
                f"CustomerManagedKey can't be changed to {parameters['CustomerManagedKey']} on a domain that exists "
                "(its KmsKeyId is create-only): change DomainName with it, and move the indices by a snapshot"
            )
        if before["VpcId"] != parameters["VpcId"]:
            yield (
                f"VpcId can't be changed from {before['VpcId'] or 'none'} to {parameters['VpcId'] or 'none'} on a "
                "domain that exists: change DomainName and DeliveryStreamName with it, and move the indices by a "
                "snapshot"
            )
    elif before["VpcId"] != parameters["VpcId"] and before["DeliveryStreamName"] == parameters["DeliveryStreamName"]:
        yield (
            "VpcId can't be changed on a delivery stream that exists (its VpcConfiguration is create-only): change "
            "DeliveryStreamName with it"
        )
    shards, old = int(parameters["ShardCount"]), int(float(before["ShardCount"]))
    if before["StreamName"] == parameters["StreamName"] and shards and old and not old <= 2 * shards <= 4 * old:
        step = 2 * old if shards > old else -(-old // 2)
        yield (
            f"ShardCount={shards} is too far from {old}: UpdateShardCount at most doubles or halves; deploy "
            f"ShardCount={step} first, or use 0 (on demand)"
        )

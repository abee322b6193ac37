"""Check the layers from the domain to the alarms: gather the facts of each layer and judge them."""

import contextlib
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from typing import Final

from iot_stream.alarms import stack_alarms
from iot_stream.dashboards.index_template import index_template
from iot_stream.doctor import aws_facts, domain_facts, index, watch
from iot_stream.doctor.case import Case
from iot_stream.doctor.finding import Finding, State
from iot_stream.failure_objects import FailureObjects, FailureReadError

__all__ = [
    "access_policy",
    "alarms",
    "cluster",
    "dashboards",
    "device_alerts",
    "domain",
    "failures",
    "live_index",
    "retention",
    "role_mapping",
    "sign_in",
]

_COUNTED: Final = 1000  # failure objects
type _Findings = Iterator[Finding]


def domain(case: Case) -> _Findings:
    """Examine the domain: is it there, and does it respond?"""
    name, client, endpoint = (
        case.parameter("DomainName"),
        case.place.client("opensearch"),
        case.output("DomainEndpoint"),
    )
    found = aws_facts.unless_missing(lambda: client.describe_domain(DomainName=name))
    yield from index.judge_domain(found and found["DomainStatus"], name)
    if why := domain_facts.reach(case.place, endpoint):
        text, cure = (
            f"https://{endpoint} does not respond: {why}",
            "check your network and proxy, then the domain's health",
        )
        yield Finding("domain", State.REFUSES, text, cure, "domainredalarm")
    account = case.target.stack.stack_id.split(":")[4]
    if case.parameter("InstanceType").startswith("t3."):
        source = ("AWS/ES", "CPUCreditBalance", {"DomainName": name, "ClientId": account}, "Minimum")
        yield from case.metric("domain", source)


def sign_in(case: Case) -> _Findings:
    """Examine whether the master user of the stack's secret signs in."""
    if case.parameter("MasterUserMode") == "IamRole":
        yield Finding("sign-in", State.OK, "only IAM roles can sign in (MasterUserMode=IamRole)")
        return
    user = case.target.master_user()
    yield from index.judge_sign_in(domain_facts.sign_in(case.place, case.output("DomainEndpoint"), user), user[0])


def access_policy(case: Case) -> _Findings:
    """Examine the domain's access policy for the delivery role."""
    status = case.place.client("opensearch").describe_domain(DomainName=case.parameter("DomainName"))["DomainStatus"]
    yield from index.judge_access_policy(
        status.get("AccessPolicies", ""), case.output("DeliveryRoleArn"), status["ARN"]
    )


def role_mapping(case: Case) -> _Findings:
    """Examine the security plugin's role and its mapping, as the role mapper sees them."""
    yield from index.judge_objects(case.objects, "role and mapping")


def cluster(case: Case) -> _Findings:
    """Examine the cluster's health, nodes and queues."""
    health, nodes, pools = domain_facts.cluster(case.target.search_client())
    wanted = None if case.place.on_this_machine else int(case.parameter("InstanceCount"))
    yield from index.judge_cluster(health, wanted)
    # On one machine, CPU and disk usage include whatever else runs there.
    yield from index.judge_nodes([] if case.place.on_this_machine else nodes, pools)


def live_index(case: Case) -> _Findings:
    """Examine index template and live index."""
    yield from index.judge_objects(case.objects, "live index")
    name = case.output("IndexName")
    pattern = name if case.parameter("IndexRotationPeriod") == "NoRotation" else f"{name}-*"
    template = index_template(case.description)["template"]["mappings"]["properties"]
    wanted = {field: str(mapping["type"]) for field, mapping in template.items()}
    mappings, blocks = domain_facts.index_facts(case.target.search_client(), pattern)
    yield from index.judge_index(mappings, blocks, wanted, pattern)


def retention(case: Case) -> _Findings:
    """Examine the retention policy."""
    yield from index.judge_objects(case.objects, "retention")


def dashboards(case: Case) -> _Findings:
    """Examine the dashboards."""
    yield from index.judge_objects(case.objects, "dashboards")


def device_alerts(case: Case) -> Iterator[Finding]:
    """Examine the function that watches the devices, and the rule that invokes it, where the stack has them."""
    if case.parameter("DeviceAlerts") != "true":
        return
    yield from index.judge_objects(case.objects, "device alerts")
    client, rule = case.place.client, case.resources["DeviceAlertsRule"]
    name = case.resources["DeviceAlertsFunction"]
    counts = {
        metric: aws_facts.highest(client("cloudwatch"), "AWS/Lambda", metric, {"FunctionName": name}, "Sum") or 0.0
        for metric in ("Errors", "Throttles")
    }
    yield from watch.judge_device_alerts(
        rule,
        aws_facts.unless_missing(lambda: client("events").describe_rule(Name=rule)),
        aws_facts.unless_missing(lambda: client("lambda").get_function_configuration(FunctionName=name)),
        counts,
    )


def alarms(case: Case) -> _Findings:
    """Examine the alarms and who is notified."""
    client = case.place.client
    found = stack_alarms(client("cloudformation"), client("cloudwatch"), case.target.stack)
    left = True
    if any(each.state == "ALARM" and each.alarm in watch.FAILED_RECORDS for each in found):
        with contextlib.suppress(FailureReadError):  # who may not look has no reason to be calm
            left = _failure_objects(case).any_left()
    yield from watch.judge_alarms(found, failures_left=left)
    topic, sns = case.output("AlarmTopicArn"), client("sns")
    policy = aws_facts.topic_policy(sns, topic)
    yield from watch.judge_topic(topic, policy, aws_facts.subscriptions(sns, topic) if policy is not None else [])


def failures(case: Case) -> _Findings:
    """Count the failure objects in the bucket."""
    found = list(islice(_failure_objects(case).objects(), _COUNTED))
    counts = Counter(each.kind.value for each in found)
    yield from watch.judge_failures(counts, more=len(found) == _COUNTED)


def _failure_objects(case: Case) -> FailureObjects:
    return FailureObjects.of(case.target.stack, case.place.client("s3"))

"""Retention, against a fake held to captured responses of the plugin (tests/fixtures/index-management.json)."""

import copy
import json
import re
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import pytest

from iot_stream.paths import PROJECT
from role_mapper.domain import Domain
from role_mapper.errors import PropertiesError
from role_mapper.objects.retention_policy import RetentionPolicy
from role_mapper.ownership import Owner
from role_mapper.properties import Properties
from role_mapper.report import Change, Outcome
from tests.builders import DOMAIN_ENDPOINT, STACK_ID, mapping_properties
from tests.fake_domain import Call, FakeDomain, FakeResponse, error

pytestmark = pytest.mark.secrets

CAPTURED: list[dict[str, Any]] = json.loads(
    (PROJECT / "tests" / "fixtures" / "index-management.json").read_text(encoding="utf-8")
)["captured"]
OTHER_USERS = [pair for pair in CAPTURED if pair["status"] in {401, 403}]
OWNER = Owner.of(STACK_ID, "RoleMapping", DOMAIN_ENDPOINT)
WEEK = Properties.of(mapping_properties(IndexRotationPeriod="OneDay", RetentionDays="7"))
DAY, OTHER_DAY = "iot-stream-2026-11-22", "iot-stream-2026-11-23"


@pytest.fixture
def domain(fake_domain: FakeDomain) -> FakeDomain:
    """A domain with Index State Management."""
    fake_domain.installed = {"ism"}
    return fake_domain


def ensure(domain: FakeDomain, properties: Properties = WEEK) -> Change:
    """Ensure the policy, with retries as a deployment has them; what became of it."""
    client = domain.client()
    (change,) = client.deadline.retry(RetentionPolicy(client, OWNER, properties).ensure)
    return change


def remove(domain: FakeDomain, properties: Properties = WEEK) -> Change:
    """Remove it."""
    client = domain.client()
    (change,) = client.deadline.retry(RetentionPolicy(client, OWNER, properties).remove)
    return change


def age(domain: FakeDomain, index: str) -> str:
    """Return at which age this index's own copy of the policy deletes it."""
    found: str = domain.copies[index]["states"][0]["transitions"][0]["conditions"]["min_index_age"]
    return found


# ---- the fake is held to the captured pairs ----


def _given(pair: dict[str, Any]) -> FakeDomain:
    """Return a domain in the state in which the pair was captured, as far as the pair tells it."""
    domain = FakeDomain(installed={"ism"})
    url = urlsplit(pair["path"])
    verb, _, name = url.path.removeprefix("/_plugins/_ism/").partition("/")
    names, response, body = unquote(name).split(","), pair["response"], pair["body"] or {}
    reason = str(response.get("error", {}).get("reason", ""))
    if verb == "explain":
        domain.indices = {
            index: each["index.plugins.index_state_management.policy_id"]
            for index, each in response.items()
            if isinstance(each, dict) and index != "error"
        }
        domain.copies = (
            {index: each["policy"] for index, each in response.items() if isinstance(each, dict)}
            if ("show_policy" in url.query)
            else {}
        )
    elif verb == "policies" and pair["method"] == "PUT":
        sequence = re.search(r"if_seq_no=(\d+)", url.query)
        at = re.search(r"current document has seqNo \[(\d+)\]", reason)
        if "no document was found" not in reason and (sequence or "already exists" in reason):
            number = int(at[1]) if at else int(sequence[1]) if sequence else 1
            domain.policies[name] = _stored(name, {"states": [], "ism_template": []}, number)
        if "matching existing" in reason:
            domain.policies["another"] = _stored("another", copy.deepcopy(body["policy"]), 1)
    elif verb == "policies":
        listed = response.get("policies", [response] if "policy" in response else [])
        domain.policies = {each["_id"]: copy.deepcopy(each) for each in listed}
        if response.get("result") == "deleted":
            domain.policies[name] = _stored(name, {"states": [], "ism_template": []}, 1)
    else:
        missing = re.findall(r"no such index \[([^\]]+)\]", reason)
        reasons = {each["index_name"]: each["reason"] for each in response.get("failed_indices", ())}
        # `add` ignores what is missing, so of its names only as many exist as were put on the policy or refused.
        existing = [index for index in names if index not in missing]
        if verb == "add" and pair["status"] == 200:
            existing = existing[: response["updated_indices"] + len(reasons)]
        unmanaged = {"This index is not being managed", "This index does not have a policy to remove"}
        domain.indices = {
            index: None if verb == "add" or reasons.get(index) in unmanaged else "some" for index in existing
        }
        domain.closed = {index for index, why in reasons.items() if why == "This index is closed"}
        domain.transitioning = {index for index, why in reasons.items() if "transitioning" in why}
        if "Could not find policy" not in reason and body.get("policy_id"):
            domain.policies[body["policy_id"]] = _stored(body["policy_id"], {"states": [], "ism_template": []}, 1)
    return domain


def _stored(name: str, policy: dict[str, Any], number: int) -> dict[str, Any]:
    return {"_id": name, "_version": 1, "_seq_no": number, "_primary_term": 1, "policy": policy}


VOLATILE = {
    "_seq_no", "_version", "_shards", "forced_refresh", "last_updated_time", "index_uuid", "root_cause", "caused_by",
    "index", "resource.id", "resource.type", "shard", "policy_primary_term", "policy_seq_no", "index_creation_date",
    "state", "action", "step", "retry_info", "info", "transition_to", "rolled_over", "rolled_over_index_name",
}  # fmt: skip


def _essence(value: Any) -> Any:
    """Return a response without what differs from run to run, and what only jobs that run can have."""
    if isinstance(value, dict):
        essence = {key: _essence(each) for key, each in value.items() if key not in VOLATILE}
        if "failed_indices" in essence:
            essence["failed_indices"].sort(key=json.dumps)
        if "reason" in essence and "no such index [.opendistro-ism-config]" in essence["reason"]:
            return {
                "type": "status_exception",
                "reason": "Policy not found",
            }  # before any policy
        if "reason" in essence and "version conflict" in essence["reason"]:
            essence["reason"] = "version conflict"
        if str(essence.get("reason", "")).startswith("Policy ") and essence["reason"].endswith("is not found"):
            essence["reason"] = "Policy not found"
        return essence
    return [_essence(each) for each in value] if isinstance(value, list) else value


@pytest.mark.parametrize(
    "pair",
    [
        pytest.param(pair, id=f"{number}-{pair['method']}")
        for number, pair in enumerate(CAPTURED)
        if pair not in OTHER_USERS
    ],
)
def test_the_fake_responds_as_the_captured_plugin(pair: dict[str, Any]) -> None:
    """Every captured request gets the captured status and body, but for what differs from run to run."""
    url = urlsplit(pair["path"])
    query = {key: values[0] for key, values in parse_qs(url.query).items()}
    call = Call(pair["method"], url.path, query, pair["body"], {})
    parts = [unquote(part) for part in url.path.split("/")[3:]]
    response = (
        _given(pair)._ism(call, *parts) if parts != ["explain"] else FakeResponse(200, {"total_managed_indices": 0})
    )
    assert response.status == pair["status"]
    assert _essence(json.loads(response.text)) == _essence(pair["response"])


def test_what_other_users_are_told_is_a_refused_sign_in(domain: FakeDomain) -> None:
    """Captured 401s and 403s, of the delivery role and of masters without rights: retried, and never an absence."""
    assert len(OTHER_USERS) > 5
    for pair in OTHER_USERS:
        body = pair["response"]
        domain.always = FakeResponse(
            pair["status"], body, "text/plain" if isinstance(body, str) else "application/json"
        )
        with pytest.raises(Exception, match="gave up after 60 s"):
            ensure(domain)


# ---- a row of the reference's table each ----


def test_the_first_deployment_works_while_no_index_exists(domain: FakeDomain) -> None:
    """Explain of a pattern that matches nothing is a 400: nothing to do."""
    assert ensure(domain) == Change("RetentionPolicy", "iot-stream", Outcome.CREATED)
    assert ensure(domain).outcome is Outcome.UNCHANGED
    assert remove(domain).outcome is Outcome.REMOVED
    assert not domain.policies


@pytest.mark.parametrize(
    "reason", ["no such index [.opendistro-ism-config]", "Policy not found"], ids=["before any policy", "later"]
)
def test_both_ways_to_say_that_there_is_no_policy_are_an_absence(domain: FakeDomain, reason: str) -> None:
    """Before the plugin's own index exists, and afterwards."""
    kind = "status_exception" if "Policy" in reason else "index_not_found_exception"
    body = {"error": {"type": kind, "reason": reason}, "status": 404}
    serve = domain._policy
    domain._policy = lambda call, name: (  # type: ignore[method-assign]
        FakeResponse(404, body) if call.method == "GET" and not domain.policies else serve(call, name)
    )
    assert ensure(domain).outcome is Outcome.CREATED


@pytest.mark.parametrize(
    ("period", "days", "expected"),
    [("OneHour", 7, "169h"), ("OneDay", 7, "8d"), ("OneWeek", 7, "14d"), ("OneMonth", 7, "38d")],
)
def test_a_reading_lives_at_least_the_retention(domain: FakeDomain, period: str, days: int, expected: str) -> None:
    """Age counts from the index's creation, and the last reading comes a whole period later."""
    domain.indices = {DAY: None}
    ensure(domain, replace(WEEK, index_rotation_period=period, retention_days=days))
    assert age(domain, DAY) == expected


@pytest.mark.parametrize("transitioning", [set(), {DAY}], ids=["at rest", "in transition"])
def test_an_index_gets_its_own_copy_of_a_changed_policy_at_once(domain: FakeDomain, transitioning: set[str]) -> None:
    """Taken off and put on again, which has effect in transition too; `change_policy` would not."""
    domain.indices = {DAY: None}
    ensure(domain)
    domain.transitioning = transitioning
    change = ensure(domain, replace(WEEK, retention_days=30))
    assert (change.outcome, change.detail) == (Outcome.CHANGED, "1 existing indices now follow it")
    assert age(domain, DAY) == "31d"


def test_an_index_with_an_old_copy_is_not_unchanged(domain: FakeDomain) -> None:
    """The policy document is as wanted, but an index deletes at the old age."""
    domain.indices = {DAY: None, OTHER_DAY: None}
    ensure(domain)
    domain.copies[DAY]["states"][0]["transitions"][0]["conditions"]["min_index_age"] = "1d"
    client = domain.client()
    looking = Domain(domain.host, client.master_user, client.deadline, read_only=True)
    with pytest.raises(Exception, match=f"POST /_plugins/_ism/remove/{DAY}"):
        RetentionPolicy(looking, OWNER, WEEK).ensure()
    assert ensure(domain).outcome is Outcome.CHANGED
    assert age(domain, DAY) == "8d"


def test_a_closed_index_keeps_what_it_has_and_is_named(domain: FakeDomain) -> None:
    """It blocks nothing: the others follow."""
    domain.indices = {DAY: None, OTHER_DAY: None}
    ensure(domain)
    domain.closed = {DAY}
    change = ensure(domain, replace(WEEK, retention_days=30))
    assert change.outcome is Outcome.CHANGED
    assert change.detail.endswith(f"closed, so not updated until they are opened: {DAY}")
    assert (age(domain, DAY), age(domain, OTHER_DAY)) == ("8d", "31d")
    assert remove(domain).outcome is Outcome.REMOVED
    assert domain.indices == {DAY: "iot-stream", OTHER_DAY: None}


def test_a_closed_index_that_follows_nothing_is_named(domain: FakeDomain) -> None:
    """`add` on it returns 200 and names it."""
    domain.indices, domain.closed = {DAY: None}, {DAY}
    assert DAY in ensure(domain).detail
    assert domain.indices == {DAY: None}


@pytest.mark.parametrize("verb", ["remove", "add"])
def test_an_index_that_vanishes_meanwhile_costs_the_others_nothing(domain: FakeDomain, verb: str) -> None:
    """`remove` is refused as a whole (404), `add` ignores it: the rest follows in the end."""
    domain.indices = {DAY: None, OTHER_DAY: None}
    ensure(domain)
    serve, gone = domain._ism, iter([True])

    def ism(call: Call, told: str, name: str = "") -> FakeResponse:
        if told == verb and next(gone, False):
            domain.indices.pop(DAY, None)
        return serve(call, told, name)

    domain._ism = ism  # type: ignore[method-assign]
    ensure(domain, replace(WEEK, retention_days=30))
    assert age(domain, OTHER_DAY) == "31d"
    assert DAY not in domain.indices


def test_an_explanation_that_comes_late_is_waited_for(domain: FakeDomain) -> None:
    """Up to a second after add: the step is repeated, and reports a success only then."""
    domain.indices = {DAY: None}
    serve, stale = domain._explain, iter(range(2))

    def explain(call: Call, name: str) -> FakeResponse:
        response = serve(call, name)
        if domain.indices[DAY] and next(stale, None) is not None:
            told = "index.{}.index_state_management.policy_id"
            entry = {told.format(plugin): None for plugin in ("plugins", "opendistro")} | {"enabled": None}
            return FakeResponse(200, {DAY: entry, "total_managed_indices": 0})
        return response

    domain._explain = explain  # type: ignore[method-assign]
    ensure(domain)
    assert domain.indices == {DAY: "iot-stream"}


def test_zero_days_take_off_indices_whose_policy_is_gone(domain: FakeDomain) -> None:
    """They would go on being deleted by their copy; one with somebody's copy of that name is left alone."""
    domain.indices = {DAY: None, OTHER_DAY: None}
    ensure(domain)
    domain.policies.clear()
    domain.copies[OTHER_DAY]["description"] = "by hand"
    change = ensure(domain, replace(WEEK, retention_days=0))
    assert (change.outcome, change.detail) == (
        Outcome.REMOVED,
        "detached from indices that still followed the deleted policy: 1",
    )
    assert domain.indices == {DAY: None, OTHER_DAY: "iot-stream"}


def test_a_policy_that_was_taken_over_deletes_nothing_once_the_stack_is_gone(domain: FakeDomain) -> None:
    """It stays, for somebody made it; our content does not go on deleting."""
    theirs = {"description": "by hand", "default_state": "a", "states": [{"name": "a"}], "ism_template": None}
    domain.policies["iot-stream"] = _stored("iot-stream", theirs, 0)
    domain.indices = {DAY: None}
    adopting = replace(WEEK, take_over=True)
    ensure(domain, adopting)
    change = remove(domain, adopting)
    assert (change.outcome, change.detail) == (Outcome.KEPT, "it was adopted; it no longer deletes anything")
    policy = domain.policies["iot-stream"]["policy"]
    assert [state["transitions"] for state in policy["states"]] == [[]]
    assert policy["ism_template"] == []
    assert domain.indices == {DAY: None}


def test_an_overlapping_policy_of_the_same_priority_is_told(domain: FakeDomain) -> None:
    """With the plugin's own words, at once."""
    ensure(domain)
    domain.policies["theirs"] = domain.policies.pop("iot-stream")
    with pytest.raises(Exception, match=r"returned 400: .*please use a different priority than 210"):
        ensure(domain)


def test_more_shards_than_the_nodes_hold_are_refused_with_the_arithmetic(domain: FakeDomain) -> None:
    """Before the policy is written; on more nodes, or with fewer days, it fits."""
    hourly = replace(WEEK, index_rotation_period="OneHour", retention_days=42, number_of_replicas=0)
    with pytest.raises(PropertiesError, match=r"keeps 1010 indices of 1 shards with 0 replicas: 1010 shards"):
        ensure(domain, hourly)
    assert not domain.policies
    assert ensure(domain, replace(hourly, retention_days=41)).outcome is Outcome.CREATED
    domain.nodes = 2
    assert ensure(domain, hourly).outcome is Outcome.CHANGED


def test_a_policy_that_cannot_be_read_is_not_replaced(domain: FakeDomain) -> None:
    """A busy plugin is waited for."""
    domain.faults = {2: error(503), 3: FakeResponse(200, {}), 4: FakeResponse(404, "<html>", "text/html")}
    assert ensure(domain).outcome is Outcome.CREATED


@pytest.mark.parametrize("part", ["action", "retry_info", "info", "policy"])
def test_an_explanation_of_the_wrong_shape_is_asked_for_again(domain: FakeDomain, part: str) -> None:
    """Each of them is an object, as captured, or not there."""
    domain.indices = {DAY: None}
    ensure(domain)
    serve, lies = domain._explain, iter(range(2))

    def explain(call: Call, name: str) -> FakeResponse:
        response = serve(call, name)
        if next(lies, None) is not None:
            response.body[DAY][part] = "x"
        return response

    domain._explain = explain  # type: ignore[method-assign]
    assert ensure(domain).outcome is Outcome.UNCHANGED
    assert next(lies, None) is None

"""The effect on the indices: a template that wins, fields that are missing or different, closed and blocked indices."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from role_mapper import files, provision
from role_mapper.domain import Domain
from role_mapper.errors import DeadlineExceededError, EffectError, ReadOnlyError
from role_mapper.objects.index_documents import difference, different_settings, matches, trouble
from role_mapper.objects.index_template import IndexTemplate
from role_mapper.objects.indices import Indices
from role_mapper.ownership import Owner
from role_mapper.properties import Properties
from role_mapper.report import Change, Outcome
from tests.builders import mapping_properties
from tests.fake_domain import FakeDomain, FakeResponse

pytestmark = pytest.mark.secrets

WANTED = Properties.of(mapping_properties())
DAILY = replace(WANTED, index_rotation_period="OneDay")
LIVE, DAY, OTHER_DAY = "iot-stream", "iot-stream-2026-11-22", "iot-stream-2026-11-23"
MAPPING: dict[str, Any] = files.index_template(WANTED, "")["template"]["mappings"]


@pytest.fixture
def domain(fake_domain: FakeDomain) -> FakeDomain:
    """A domain that has the stream's index template."""
    fake_domain.index_templates[LIVE] = files.index_template(WANTED, "")
    return fake_domain


def ensure(domain: FakeDomain, properties: Properties = WANTED) -> Change:
    """Ensure the effect, with retries as a deployment has them; what became of it."""
    client = domain.client()
    (change,) = client.deadline.retry(Indices(client, properties).ensure)
    return change


def without(*fields: str) -> dict[str, Any]:
    """Return the mapping of an index from before these fields."""
    return MAPPING | {"properties": {key: each for key, each in MAPPING["properties"].items() if key not in fields}}


def test_indices_that_are_as_wanted_are_left_alone(domain: FakeDomain) -> None:
    """None yet, then one that the template has shaped."""
    assert ensure(domain) == Change("Indices", LIVE, Outcome.UNCHANGED)
    domain.indices = {LIVE: None}
    assert ensure(domain) == Change("Indices", LIVE, Outcome.UNCHANGED)
    assert "PUT" not in {call.method for call in domain.calls}


def test_a_field_that_the_live_index_lacks_is_added_to_it(domain: FakeDomain) -> None:
    """Without a reindex, once; somebody's own field stays."""
    domain.indices = {LIVE: None}
    domain.fields[LIVE] = without("activity_type", "temp_celsius")
    domain.fields[LIVE]["properties"]["theirs"] = {"type": "ip"}
    change = ensure(domain)
    assert change == Change("Indices", LIVE, Outcome.CHANGED, "activity_type, temp_celsius added to iot-stream")
    assert domain.fields[LIVE]["properties"] == MAPPING["properties"] | {"theirs": {"type": "ip"}}
    assert ensure(domain).outcome is Outcome.UNCHANGED


def test_every_index_that_lacks_a_field_gets_it_in_few_calls(domain: FakeDomain) -> None:
    """Those that lack the same share a call; another stream's index and an archive are not touched."""
    days = [f"iot-stream-2026-10-{day:02}" for day in range(1, 26)]
    foreign = ["iot-stream-2", "iot-stream-2026-archive", "iot"]
    domain.indices = dict.fromkeys([*days, DAY, *foreign])
    domain.fields = {index: without("uuid") for index in [*days, *foreign]} | {DAY: without("track_id")}
    change = ensure(domain, DAILY)
    assert change.detail == "track_id, uuid added to iot-stream-2026-11-22 and 25 more"
    assert sum(call.method == "PUT" for call in domain.calls) == 3
    assert all("uuid" in domain.fields[index]["properties"] for index in days)
    assert all("uuid" not in domain.fields[index]["properties"] for index in foreign)


def test_a_field_of_another_type_is_named_with_the_way_out(domain: FakeDomain) -> None:
    """An index without rotation stays so: no success. What can be added was added."""
    domain.indices = {LIVE: None}
    domain.fields[LIVE] = without("uuid")
    domain.fields[LIVE]["properties"] |= {
        "device_id": {"type": "text", "fields": {"keyword": {"type": "keyword"}}},
        "timestamp": {"type": "date", "format": "epoch_millis"},
    }
    told = (
        "uuid added to iot-stream; in iot-stream timestamp is date format epoch_millis, not date format "
        "strict_date_optional_time, device_id is text, not long, which can't be changed in an existing index: see "
        "docs/domain.md#existing-indices"
    )
    with pytest.raises(EffectError) as raised:
        ensure(domain)
    assert str(raised.value) == told
    assert domain.fields[LIVE]["properties"]["uuid"] == {"type": "keyword"}


def test_what_was_wrong_before_is_told_and_fails_neither_an_update_nor_its_rollback(domain: FakeDomain) -> None:
    """Only a conflict that the request brings is a failure: the earlier template can't be less wrong."""
    domain.indices = {LIVE: None}
    domain.fields[LIVE] = MAPPING | {"properties": MAPPING["properties"] | {"device_id": {"type": "text"}}}
    client = domain.client()
    template = IndexTemplate(client, Owner("stack", domain.host), WANTED)
    template.before = files.index_template(WANTED, "")
    (change,) = Indices(client, WANTED, template).ensure()
    assert (change.outcome, "device_id is text, not long" in change.detail) == (Outcome.DIFFERS, True)
    earlier = files.index_template(WANTED, "")
    earlier["template"]["mappings"]["properties"]["device_id"] = {"type": "text"}
    template.before = earlier
    with pytest.raises(EffectError, match="device_id is text, not long"):
        Indices(client, WANTED, template).ensure()
    domain.fields.clear()
    domain.index_templates["logs"] = {"index_patterns": ["*"], "priority": 500}
    (change,) = Indices(client, WANTED, template).ensure()
    assert (change.outcome, "logs (priority 500) overrides" in change.detail) == (Outcome.DIFFERS, True)


def test_with_rotation_the_next_index_is_right_so_an_old_one_is_only_named(domain: FakeDomain) -> None:
    """A deployment is not held up by what was."""
    domain.indices = {LIVE: None, DAY: None}
    for index in domain.indices:
        domain.fields[index] = MAPPING | {"properties": MAPPING["properties"] | {"device_id": {"type": "keyword"}}}
    change = ensure(domain, DAILY)
    assert change.outcome is Outcome.UNCHANGED
    assert change.detail.startswith("in iot-stream-2026-11-22, iot-stream device_id is keyword, not long, which can't")


def test_dynamic_mapping_of_an_older_index_is_switched_off(domain: FakeDomain) -> None:
    """An index from before the template would take every unknown field into its mapping."""
    domain.indices = {LIVE: None}
    domain.fields[LIVE] = {"properties": MAPPING["properties"]}
    assert ensure(domain).detail == "dynamic false added to iot-stream"
    assert domain.fields[LIVE]["dynamic"] is False


@pytest.mark.parametrize("block", ["closed", "write", "read_only_allow_delete"])
def test_closed_and_blocked_indices_are_named_and_get_the_fields_that_they_take(domain: FakeDomain, block: str) -> None:
    """A full disk blocks an index, and the deployment that enlarges it must not fail for that."""
    domain.indices = {DAY: None, OTHER_DAY: None}
    domain.fields = {DAY: without("uuid"), OTHER_DAY: without("uuid")}
    if block == "closed":
        domain.closed = {DAY}
    else:
        domain.blocks = {DAY: block}
    why = "closed" if block == "closed" else f"blocked by index.blocks.{block}"
    change = ensure(domain, DAILY)
    assert change.outcome is Outcome.CHANGED
    if block == "read_only_allow_delete":
        told = f"uuid added to {OTHER_DAY}; uuid can't be added to {DAY}"
    else:
        told = f"uuid added to {OTHER_DAY}, {DAY}"
    assert change.detail == f"{told}; {why}, so documents are rejected: {DAY}"
    assert ("uuid" in domain.fields[DAY]["properties"]) is (block != "read_only_allow_delete")


def test_a_template_that_wins_over_ours_is_named(domain: FakeDomain) -> None:
    """No index would be as wanted: no success, and the fields are added all the same."""
    domain.index_templates["logs"] = {"index_patterns": ["iot*"], "priority": 500, "template": {"settings": {}}}
    domain.index_templates["other"] = {"index_patterns": ["*-x"], "priority": 900}
    domain.indices = {LIVE: None}
    domain.fields[LIVE] = without("uuid")
    with pytest.raises(
        EffectError, match=r"index template logs \(priority 500\) overrides it \(priority 210\)"
    ) as raised:
        ensure(domain)
    assert "uuid is missing" in str(raised.value)
    assert "index.number_of_shards is the default, not 1" in str(raised.value)
    assert "uuid" in domain.fields[LIVE]["properties"]


def test_a_template_that_wins_and_says_the_same_does_no_harm(domain: FakeDomain) -> None:
    """The effect counts."""
    domain.index_templates["logs"] = files.index_template(WANTED, "") | {"priority": 500}
    assert ensure(domain).outcome is Outcome.UNCHANGED


def test_a_template_that_is_gone_is_told(domain: FakeDomain) -> None:
    """Where it is only looked at."""
    domain.index_templates.clear()
    with pytest.raises(EffectError, match="because it is missing"):
        ensure(domain)


@pytest.mark.parametrize("reader", ["apply", "show"])
def test_an_empty_simulation_is_not_believed_while_a_template_matches(domain: FakeDomain, reader: str) -> None:
    """`200 {}` says that no template shapes the index: the list of templates must agree, or both are asked again."""
    serve, lies = domain._simulate_index, iter([FakeResponse(200, {})] * 2)
    domain._simulate_index = lambda *call: next(lies, None) or serve(*call)  # type: ignore[method-assign]
    if reader == "apply":
        assert ensure(domain).outcome is Outcome.UNCHANGED
    else:
        client = domain.client()
        looking = Domain(domain.host, client.master_user, client.deadline, read_only=True)
        assert looking.deadline.retry(Indices(looking, WANTED).ensure)[0].outcome is Outcome.UNCHANGED
    assert next(lies, None) is None


_DAY: dict[str, Any] = {"aliases": {}, "mappings": {}, "settings": {}}
MALFORMED: dict[str, tuple[str, dict[str, Any]]] = {
    "a field that is no object": ("_get_index", _DAY | {"mappings": {"properties": {"device_id": 7}}}),
    "fields as a list": ("_get_index", _DAY | {"mappings": {"properties": [1]}}),
    "an inner field": ("_get_index", _DAY | {"mappings": {"properties": {"a": {"properties": {"b": None}}}}}),
    "an alias that is no object": ("_get_index", _DAY | {"aliases": {LIVE: None}}),
    "a simulated field": ("_simulate_index", {"mappings": {"properties": {"device_id": 7}}}),
    "simulated settings": ("_simulate_index", {"settings": "x"}),
}


@pytest.mark.parametrize(("which", "body"), MALFORMED.values(), ids=MALFORMED.keys())
def test_a_description_of_the_wrong_shape_is_asked_for_again(
    domain: FakeDomain, which: str, body: dict[str, Any]
) -> None:
    """It is no conflict, and no fault of the function's own."""
    domain.indices = {LIVE: None}
    serve, lies = getattr(domain, which), iter([FakeResponse(200, {"template" if "sim" in which else LIVE: body})] * 2)
    setattr(domain, which, lambda *call: next(lies, None) or serve(*call))
    assert ensure(domain).outcome is Outcome.UNCHANGED
    assert next(lies, None) is None


def test_an_empty_simulation_that_stays_is_no_reason_to_roll_back(domain: FakeDomain) -> None:
    """It ends with the time, and names the template that says otherwise."""
    domain._simulate_index = lambda *_: FakeResponse(200, {})  # type: ignore[method-assign]
    with pytest.raises(DeadlineExceededError, match="no template, although iot-stream shapes it"):
        ensure(domain)


def test_a_domain_that_does_not_offer_the_simulation_says_so(domain: FakeDomain) -> None:
    """Amazon's 401 of a call that is not in its list of supported operations, as beats' users quote it."""
    serve = domain._simulate_index
    refused = {"Message": "Your request: '/_index_template/_simulate_index/iot-stream' is not allowed."}
    domain._simulate_index = lambda *_: FakeResponse(401, refused)  # type: ignore[method-assign]
    change = ensure(domain)
    assert (change.outcome, "is not checked" in change.detail) == (Outcome.UNCHANGED, True)
    domain._simulate_index = serve  # type: ignore[method-assign]


@pytest.mark.parametrize("lie", [FakeResponse(200, {}), FakeResponse(200, [])], ids=["{}", "[]"])
@pytest.mark.parametrize("which", ["_cat_indices", "_get_index"])
def test_one_call_that_tells_of_no_index_proves_nothing(domain: FakeDomain, which: str, lie: FakeResponse) -> None:
    """The other one must agree, or it is asked again."""
    domain.indices = {LIVE: None}
    domain.fields[LIVE] = without("uuid")
    serve, lies = getattr(domain, which), iter([lie, lie])
    setattr(domain, which, lambda *call: next(lies, None) or serve(*call))
    assert ensure(domain).outcome is Outcome.CHANGED


def test_a_field_that_does_not_read_back_is_no_success(domain: FakeDomain) -> None:
    """The call returns 200 all the same."""
    domain.indices = {LIVE: None}
    domain.fields[LIVE] = without("uuid")
    domain._put_mapping = lambda *_: FakeResponse(200, {"acknowledged": True})  # type: ignore[method-assign]
    with pytest.raises(Exception, match=r"still lack the added fields: iot-stream \(gave up"):
        ensure(domain)


def test_an_index_that_vanishes_meanwhile_costs_the_others_nothing(domain: FakeDomain) -> None:
    """Retention deletes one between the look and the call."""
    domain.indices = {DAY: None, OTHER_DAY: None}
    domain.fields = {DAY: without("uuid"), OTHER_DAY: without("uuid")}
    domain.meanwhile["PUT"] = lambda: domain.indices.pop(DAY)
    assert ensure(domain, DAILY).outcome is Outcome.CHANGED
    assert "uuid" in domain.fields[OTHER_DAY]["properties"]


def test_looking_names_what_is_missing_and_adds_nothing(domain: FakeDomain) -> None:
    """`iot-stream domain show`."""
    domain.indices = {LIVE: None}
    domain.fields[LIVE] = without("uuid")
    client = domain.client()
    looking = Domain(domain.host, client.master_user, client.deadline, read_only=True)
    with pytest.raises(ReadOnlyError, match="PUT /iot-stream/_mapping; uuid missing in iot-stream"):
        Indices(looking, WANTED).ensure()
    assert "uuid" not in domain.fields[LIVE]["properties"]


# ---- the documents ----

TYPES = st.sampled_from(
    [
        {"type": "keyword"},
        {"type": "long"},
        {"type": "date", "format": "epoch_millis"},
        {"type": "scaled_float", "scaling_factor": 10},
        {"type": "object", "enabled": False},
    ]
)
FIELDS = st.recursive(
    TYPES,
    lambda inner: st.dictionaries(st.sampled_from("abc"), inner, min_size=1).map(lambda each: {"properties": each}),
)
MAPPINGS = st.fixed_dictionaries(
    {"properties": st.dictionaries(st.sampled_from("abcd"), FIELDS), "dynamic": st.sampled_from([True, False])}
)


@given(MAPPINGS, MAPPINGS)
def test_what_is_added_leaves_only_conflicts(found: dict[str, Any], wanted: dict[str, Any]) -> None:
    """The domain takes the update as it is, and then nothing is missing; what was there is still there."""
    domain = FakeDomain(indices={"x": None}, fields={"x": found})
    first = difference(found, wanted)
    call = type("Call", (), {"method": "PUT", "body": first.update})
    assert domain._put_mapping(call, "x").status == 200  # type: ignore[arg-type]
    second = difference(domain.fields["x"], wanted)
    assert (second.update, second.missing) == ({}, ())
    assert second.conflicts == first.conflicts
    assert difference(domain.fields["x"], {"properties": found["properties"]}) == difference({}, {})
    assert difference(wanted, wanted) == difference({}, {})


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"index.verified_before_close": "true"}, "closed"),
        ({"index.blocks.read_only_allow_delete": "true"}, "blocked by index.blocks.read_only_allow_delete"),
        ({"index.blocks.write": "false"}, ""),
        ({}, ""),
    ],
)
def test_settings_tell_why_an_index_takes_nothing(settings: dict[str, str], expected: str) -> None:
    """Closed, or blocked."""
    assert trouble(settings) == expected


def test_settings_are_compared_as_text() -> None:
    """OpenSearch returns every setting as text; one that is not wanted is no difference."""
    wanted = {"index": {"number_of_shards": "2", "refresh_interval": "1s"}}
    assert different_settings({"index": {"number_of_shards": 2, "refresh_interval": "1s", "x": "y"}}, wanted) == []
    assert different_settings({"index": {"refresh_interval": "5s"}}, wanted) == [
        "index.number_of_shards is the default, not 2",
        "index.refresh_interval is 5s, not 1s",
    ]


@pytest.mark.parametrize(
    ("pattern", "index", "expected"),
    [
        ("iot*", "iot-stream", True),
        ("*", "x", True),
        ("*-x", "a-y", False),
        ("a.b", "a-b", False),
        ("a*c*", "abcd", True),
    ],
)
def test_patterns_know_only_the_star(pattern: str, index: str, *, expected: bool) -> None:
    """A point is a point."""
    assert matches(pattern, index) is expected


@pytest.mark.parametrize(
    ("period", "name"),
    [
        ("NoRotation", LIVE),
        ("OneHour", r"-\d{4}-\d\d-\d\d-\d\d"),
        ("OneWeek", r"-\d{4}-w\d\d"),
        ("OneMonth", r"-\d{4}-\d\d"),
    ],
)
def test_the_next_index_is_asked_for_by_a_name_that_firehose_makes(domain: FakeDomain, period: str, name: str) -> None:
    """A foreign template may match rotated names only."""
    ensure(domain, replace(WANTED, index_rotation_period=period))
    (asked,) = [call.path.rsplit("/", 1)[1] for call in domain.calls if "_simulate_index" in call.path]
    assert asked == name if period == "NoRotation" else files.is_rotated(asked, LIVE)


def test_an_update_of_a_stack_whose_index_was_wrong_already_succeeds(fake_domain: FakeDomain) -> None:
    """And so does its rollback; the first deployment onto such an index does not."""
    owner = Owner("stack", fake_domain.host)
    fake_domain.indices = {LIVE: None}
    fake_domain.fields[LIVE] = MAPPING | {"properties": MAPPING["properties"] | {"device_id": {"type": "text"}}}
    with pytest.raises(EffectError):
        provision.apply(fake_domain.client(), WANTED, owner)
    for wanted in (replace(WANTED, refresh_interval="5s"), WANTED):
        *_, indices = provision.apply(fake_domain.client(), wanted, owner)
        assert (indices.kind, indices.outcome) == ("Indices", Outcome.DIFFERS)

"""Retention without rotation: the policy that rolls over, the alias it needs, and how an existing index gets behind it.

What the plugin does is in tests/fixtures/index-management.json (case "A: alias and rollover"): the fake is held to it
in test_role_mapper_retention.py, and to OpenSearch's own APIs in tests/integration/test_role_mapper_access.py.
"""

import json
from dataclasses import replace
from typing import Any

import pytest

from iot_stream.paths import PROJECT
from role_mapper import files, provision
from role_mapper.domain import Domain
from role_mapper.errors import DeadlineExceededError, EffectError, PropertiesError, RoleMapperError
from role_mapper.objects.migration import migrate
from role_mapper.objects.retention_policy import RetentionPolicy
from role_mapper.objects.write_alias import WriteAlias
from role_mapper.ownership import Owner
from role_mapper.properties import Properties
from role_mapper.report import Change, Outcome
from tests.builders import DOMAIN_ENDPOINT, STACK_ID, mapping_properties
from tests.fake_domain import FakeDomain, FakeResponse, error

pytestmark = pytest.mark.secrets

OWNER = Owner.of(STACK_ID, "RoleMapping", DOMAIN_ENDPOINT)
MONTH = Properties.of(mapping_properties(RetentionDays="30"))
FOREVER = replace(MONTH, retention_days=0)
DAILY = replace(MONTH, index_rotation_period="OneDay")
NAME, FIRST, SECOND = "iot-stream", "iot-stream-000001", "iot-stream-000002"
SETTING = "index.plugins.index_state_management.rollover_alias"
WRITER, READER = {NAME: {"is_write_index": True}}, {NAME: {"is_write_index": False}}


@pytest.fixture
def domain(fake_domain: FakeDomain) -> FakeDomain:
    """A domain with Index State Management."""
    fake_domain.installed = {"ism"}
    return fake_domain


def apply(domain: FakeDomain, wanted: Properties = MONTH) -> dict[str, Change]:
    """Apply the properties; what became of each kind."""
    return {change.kind: change for change in provision.apply(domain.client(), wanted, OWNER)}


def show(domain: FakeDomain, wanted: Properties = MONTH) -> dict[str, Change]:
    """Only look."""
    client = domain.client()
    looking = Domain(domain.host, client.master_user, client.deadline, read_only=True)
    return {change.kind: change for change in provision.preview(looking, wanted, OWNER)}


def rolled(domain: FakeDomain) -> None:
    """Do what the plugin does at a rollover: the alias writes to a new index, and leads to both."""
    domain._make(SECOND)
    domain.aliases |= {FIRST: dict(READER), SECOND: dict(WRITER)}


# ---- the policy ----


@pytest.mark.parametrize(("days", "written"), [(1, "1d"), (30, "1d"), (31, "2d"), (365, "13d"), (36500, "1217d")])
def test_an_index_is_deleted_by_its_age_since_it_was_written_to(days: int, written: str) -> None:
    """A reading lives at least RetentionDays, and at most a thirtieth of them (or a day) longer."""
    policy = files.retention_policy(replace(MONTH, retention_days=days), "why")["policy"]
    write, delete = policy["states"]
    assert write["actions"] == [{"rollover": {"min_primary_shard_size": "30gb", "min_index_age": written}}]
    assert write["transitions"] == [{"state_name": "delete", "conditions": {"min_rollover_age": f"{days}d"}}]
    assert delete["actions"] == [{"delete": {}}]
    assert policy["ism_template"] == [{"index_patterns": ["iot-stream-0*"], "priority": 210}]


def test_the_policy_has_the_shape_that_the_plugin_took(domain: FakeDomain) -> None:
    """The captured PUT of a rollover policy (201), key by key; its values are the stream's own."""
    captured = json.loads((PROJECT / "tests" / "fixtures" / "index-management.json").read_text(encoding="utf-8"))
    [pair] = [
        each for each in captured["captured"] if each["case"] == "A: alias and rollover" and each["method"] == "PUT"
    ]
    assert pair["status"] == 201
    theirs = pair["body"]["policy"]
    ours = files.retention_policy(MONTH, "why")["policy"]
    assert ours.keys() == theirs.keys()
    assert [each["name"] for each in ours["states"]] == [each["name"] for each in theirs["states"]]
    for mine, other in zip(ours["states"], theirs["states"], strict=True):
        assert mine.keys() == other.keys()
        assert [each.keys() for each in mine["actions"]] == [each.keys() for each in other["actions"]]
    asked, told = (each["states"][0]["actions"][0]["rollover"] for each in (ours, theirs))
    assert asked.keys() <= told.keys()
    apply(domain)
    assert show(domain)["RetentionPolicy"].outcome is Outcome.UNCHANGED, "the defaults that it adds are no difference"


def test_shards_are_counted_for_rollover_too(domain: FakeDomain) -> None:
    """31 indices at least, of 40 shards."""
    with pytest.raises(PropertiesError, match=r"keeps 32 indices of 40 shards with 0 replicas: 1280 shards"):
        apply(domain, replace(MONTH, number_of_shards=40, number_of_replicas=0))


# ---- the alias ----


def test_the_first_index_is_made_behind_the_alias_before_anything_is_delivered(domain: FakeDomain) -> None:
    """With the stream's fields, the plugin's setting, and the policy at once; then nothing is left to do."""
    changes = apply(domain)
    assert changes["WriteAlias"] == Change("WriteAlias", NAME, Outcome.CREATED, f"writes to {FIRST}")
    assert domain.indices == {FIRST: NAME}
    assert domain.aliases == {FIRST: WRITER}
    assert domain.index_settings[FIRST] == {SETTING: NAME}
    assert (
        domain.fields[FIRST]["properties"].keys()
        == files.index_template(MONTH, "")["template"]["mappings"]["properties"].keys()
    )
    assert {change.outcome for change in apply(domain).values()} <= {Outcome.UNCHANGED, Outcome.SKIPPED}
    rolled(domain)
    assert apply(domain)["WriteAlias"] == Change("WriteAlias", NAME, Outcome.UNCHANGED, f"writes to {SECOND}")


def test_without_index_state_management_the_index_is_not_given_its_setting(fake_domain: FakeDomain) -> None:
    """OpenSearch refuses a setting that no plugin has registered."""
    assert apply(fake_domain)["WriteAlias"].outcome is Outcome.CREATED
    assert fake_domain.index_settings == {}
    assert apply(fake_domain)["WriteAlias"].outcome is Outcome.UNCHANGED


BROKEN: dict[str, tuple[dict[str, Any], str]] = {
    "no write index": ({FIRST: dict(READER), SECOND: dict(READER)}, "has 0 write indices"),
    "one index, not said to be written to": ({FIRST: {NAME: {}}, SECOND: dict(READER)}, "has 0 write indices"),
    "no alias": ({}, f"alias {NAME} lacks these indices: {FIRST}, {SECOND}"),
    "an index outside": ({SECOND: dict(WRITER)}, f"alias {NAME} lacks these indices: {FIRST}"),
}


@pytest.mark.parametrize(("aliases", "told"), BROKEN.values(), ids=BROKEN.keys())
def test_a_broken_alias_is_named_and_repaired(domain: FakeDomain, aliases: dict[str, Any], told: str) -> None:
    """The newest index is the one that is written to."""
    apply(domain)
    rolled(domain)
    domain.aliases = dict(aliases)
    looked = show(domain)["WriteAlias"]
    assert (looked.outcome, told in looked.detail) == (Outcome.DIFFERS, True), looked
    assert domain.aliases == aliases
    assert apply(domain)["WriteAlias"] == Change("WriteAlias", NAME, Outcome.CHANGED, f"writes to {SECOND}")
    assert domain.aliases == {FIRST: READER, SECOND: WRITER}


def test_an_index_that_the_plugin_would_never_roll_over_is_named_and_gets_its_setting(domain: FakeDomain) -> None:
    """It was made while the stream kept everything."""
    apply(domain)
    domain.index_settings.clear()
    assert f"they lack {SETTING}" in show(domain)["WriteAlias"].detail
    assert apply(domain)["WriteAlias"].outcome is Outcome.CHANGED
    assert domain.index_settings == {FIRST: {SETTING: NAME}}


def test_an_index_in_the_way_is_named_with_the_command(domain: FakeDomain) -> None:
    """No success: nothing would ever be deleted."""
    apply(domain, FOREVER)
    domain._make(NAME)
    with pytest.raises(EffectError, match=r"iot-stream is an index, .* run `iot-stream domain migrate`"):
        apply(domain)
    assert show(domain)["WriteAlias"].outcome is Outcome.DIFFERS
    assert NAME in domain.indices


def test_a_lost_alias_fails_no_deployment_and_is_told(domain: FakeDomain) -> None:
    """An update that has nothing to do with it, and its rollback, both succeed; the readings are safe."""
    apply(domain)
    domain.aliases = {}
    domain._make(NAME)
    change = apply(domain)["WriteAlias"]
    assert (change.outcome, "iot-stream domain migrate" in change.detail) == (Outcome.DIFFERS, True)


@pytest.mark.parametrize("wanted", [FOREVER, DAILY], ids=["no retention", "rotation"])
def test_nobody_else_gets_an_alias(domain: FakeDomain, wanted: Properties) -> None:
    """Firehose makes their indices itself."""
    assert "WriteAlias" not in apply(domain, wanted)
    assert domain.aliases == {}


def test_an_index_that_a_delivery_makes_meanwhile_is_told(domain: FakeDomain) -> None:
    """Between the look and the PUT, whose 400 it explains."""
    domain.meanwhile["PUT"] = lambda: None

    def create(call: Any, name: str) -> FakeResponse:
        domain._make(NAME)
        return serve(call, name)

    serve = domain._create_index
    domain._create_index = create  # type: ignore[method-assign]
    with pytest.raises(EffectError, match="domain migrate"):
        apply(domain)


def test_an_alias_that_reads_back_otherwise_is_no_success(domain: FakeDomain) -> None:
    """The call returns 200 all the same."""
    apply(domain)
    domain.aliases = {}
    domain._update_aliases = lambda _: FakeResponse(200, {"acknowledged": True})  # type: ignore[method-assign]
    with pytest.raises(DeadlineExceededError, match="alias iot-stream does not read back"):
        apply(domain)


@pytest.mark.parametrize("wanted", [MONTH, FOREVER], ids=["retention", "no retention"])
def test_a_field_of_another_type_starts_a_new_index_behind_the_alias(domain: FakeDomain, wanted: Properties) -> None:
    """And its rollback another one: without it documents would be refused until the next rollover."""
    apply(domain)
    apply(domain, wanted)
    domain.fields[FIRST]["properties"]["device_id"] = {"type": "text"}
    looked = show(domain, wanted)["Indices"]
    assert looked.outcome is Outcome.DIFFERS
    assert "POST /iot-stream/_rollover; in iot-stream-000001 device_id is text, not long" in looked.detail
    change = apply(domain, wanted)["Indices"]
    assert change.outcome is Outcome.CHANGED
    assert change.detail.startswith(f"rolled over to {SECOND}; in {FIRST} device_id is text, not long")
    assert domain.aliases == {FIRST: READER, SECOND: WRITER}
    assert apply(domain, wanted)["Indices"].outcome is Outcome.UNCHANGED


# ---- from one to the other ----


def test_rotation_after_rollover_leaves_no_index_to_an_old_copy(domain: FakeDomain) -> None:
    """What rollover made is taken off the policy and named: its age says nothing of its last reading."""
    apply(domain)
    domain.indices["iot-stream-2026-11-22"] = None
    change = apply(domain, DAILY)["RetentionPolicy"]
    assert domain.indices == {FIRST: None, "iot-stream-2026-11-22": NAME}
    assert change.detail == (
        f"1 existing indices now follow it; created with another IndexRotationPeriod, so never deleted: {FIRST}"
    )
    again = apply(domain, DAILY)["RetentionPolicy"]
    assert again.outcome is Outcome.UNCHANGED
    assert again.detail.endswith(FIRST)


def test_rollover_after_rotation_names_what_rotation_made(domain: FakeDomain) -> None:
    """And the other way round."""
    domain.indices["iot-stream-2026-11-22"] = None
    apply(domain, DAILY)
    change = apply(domain)["RetentionPolicy"]
    assert (change.outcome, "so never deleted: iot-stream-2026-11-22" in change.detail) == (Outcome.CHANGED, True)
    assert domain.indices == {"iot-stream-2026-11-22": None, FIRST: NAME}


def test_no_retention_after_rollover_keeps_the_alias_and_deletes_nothing_more(domain: FakeDomain) -> None:
    """The delivery stream writes on through it; a broken one is still repaired, for without it nothing is delivered."""
    apply(domain)
    changes = apply(domain, FOREVER)
    assert changes["WriteAlias"].outcome is Outcome.UNCHANGED
    assert domain.indices == {FIRST: None}
    assert not domain.policies
    domain.aliases = {FIRST: dict(READER)}
    assert apply(domain, FOREVER)["WriteAlias"].outcome is Outcome.CHANGED


def test_removing_the_stack_leaves_index_and_alias(domain: FakeDomain) -> None:
    """They hold the readings."""
    apply(domain)
    provision.remove(domain.client(), MONTH, OWNER)
    assert domain.aliases == {FIRST: WRITER}
    assert domain.indices == {FIRST: None}
    client = domain.client()
    assert client.deadline.retry(RetentionPolicy(client, OWNER, MONTH).remove)[0].outcome is Outcome.ABSENT


# ---- the migration ----


@pytest.fixture
def before(domain: FakeDomain) -> FakeDomain:
    """A domain whose stream keeps everything, in an index with ten documents and an alias of somebody's."""
    apply(domain, FOREVER)
    domain._make(NAME)
    domain.documents[NAME] = 10
    domain.aliases[NAME] = {"readings": {}}
    return domain


def test_an_index_gets_behind_the_alias_with_all_its_documents(before: FakeDomain) -> None:
    """Then retention works; the second time there is nothing to do."""
    [change] = migrate(before.client(), NAME)
    told = f"its readings are in {FIRST}, its write index"
    assert change == Change("WriteAlias", NAME, Outcome.CREATED, told)
    assert before.documents == {FIRST: 10}
    assert before.aliases == {FIRST: WRITER | {"readings": {}}}
    assert not before.blocks
    assert migrate(before.client(), NAME)[0].outcome is Outcome.UNCHANGED
    changes = apply(before)
    assert (changes["WriteAlias"].outcome, changes["RetentionPolicy"].outcome) == (Outcome.CHANGED, Outcome.CREATED)
    assert before.indices == {FIRST: NAME}
    assert before.index_settings[FIRST][SETTING] == NAME


def test_nothing_to_migrate_is_said(domain: FakeDomain) -> None:
    """There is no index yet."""
    assert migrate(domain.client(), NAME)[0].detail == "there is no index of that name"


def test_an_index_that_took_a_lost_alias_s_name_is_put_behind_it_again(domain: FakeDomain) -> None:
    """When the alias is gone, the next bulk request makes an index of its name, and rollover stalls."""
    apply(domain)
    domain.documents[FIRST] = 5
    domain.aliases = {}
    domain._make(NAME)
    domain.documents[NAME] = 2
    migrate(domain.client(), NAME)
    assert domain.aliases == {FIRST: READER, SECOND: WRITER}
    assert domain.documents == {FIRST: 5, SECOND: 2}


@pytest.mark.parametrize("step", ["_block", "_clone", "_count", "_update_aliases"])
@pytest.mark.parametrize("trouble", [error(400), error(503)], ids=["400", "503"])
def test_a_migration_that_fails_lets_the_index_take_documents_again(
    before: FakeDomain, step: str, trouble: FakeResponse
) -> None:
    """At every step: nothing is lost, and the next try succeeds."""
    serve = getattr(before, step)
    setattr(before, step, lambda *_: trouble)
    with pytest.raises(RoleMapperError):
        migrate(before.client(), NAME)
    assert before.documents[NAME] == 10
    assert not before.blocks
    setattr(before, step, serve)
    before.documents[NAME] = 12  # written meanwhile
    migrate(before.client(), NAME)
    assert before.documents == {before.indices and next(iter(before.aliases)): 12}


def test_a_copy_that_lacks_a_document_is_never_put_in_place(before: FakeDomain) -> None:
    """The index keeps what it has and takes more."""
    serve = before._count
    short = FakeResponse(200, {"count": 9, "_shards": {"total": 1, "successful": 1, "failed": 0}})
    before._count = lambda call, name: short if name == FIRST else serve(call, name)  # type: ignore[method-assign]
    with pytest.raises(DeadlineExceededError, match=f"{FIRST} has 9 of the 10 documents of iot-stream"):
        migrate(before.client(), NAME)
    assert before.documents[NAME] == 10
    assert not before.blocks


@pytest.mark.parametrize("state", ["closed", "read_only"])
def test_an_index_that_is_closed_or_blocked_otherwise_is_refused(before: FakeDomain, state: str) -> None:
    """By a person, for a reason."""
    if state == "closed":
        before.closed = {NAME}
    else:
        before.blocks = {NAME: state}
    with pytest.raises(EffectError, match="open or unblock it"):
        migrate(before.client(), NAME)


@pytest.mark.parametrize("number", range(14))
@pytest.mark.parametrize(
    "odd",
    [FakeResponse(200, {}), FakeResponse(200, []), FakeResponse(404, "<html>", "text/html"), FakeResponse(503, 7)],
    ids=["{}", "[]", "html", "7"],
)
def test_an_odd_response_at_any_step_of_a_migration_loses_nothing(
    before: FakeDomain, number: int, odd: FakeResponse
) -> None:
    """The same end, or the index as it was."""
    before.calls.clear()
    before.faults = {number: odd}
    migrate(before.client(), NAME)
    assert before.documents == {FIRST: 10}
    assert before.aliases == {FIRST: WRITER | {"readings": {}}}
    assert not before.blocks


def test_looking_finds_a_migration_that_was_cut_off(before: FakeDomain) -> None:
    """Lambda has ended the function: the block is named, and another try takes it up."""
    before.blocks[NAME] = "write"
    assert "blocked by index.blocks.write" in show(before, FOREVER)["Indices"].detail
    migrate(before.client(), NAME)
    assert before.documents == {FIRST: 10}


def test_the_alias_is_only_looked_at_for_a_stream_that_rolls_over(domain: FakeDomain) -> None:
    """A first look at an empty domain names it."""
    client = domain.client()
    looking = Domain(domain.host, client.master_user, client.deadline, read_only=True)
    with pytest.raises(RoleMapperError, match="alias iot-stream and its first index are missing"):
        WriteAlias(looking, MONTH).ensure()

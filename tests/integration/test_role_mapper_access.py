"""Access: what the role mapper does to a real security plugin, and what the plugin then lets the delivery role do."""

import json
import re
import threading
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
import requests

from iot_stream.local.opensearch import OpenSearch
from role_mapper import files, provision
from role_mapper.deadline import Deadline
from role_mapper.domain import Domain
from role_mapper.errors import EffectError, OwnershipError, ResponseError
from role_mapper.master_user import InternalUser
from role_mapper.objects.access import RoleMapping
from role_mapper.objects.access_documents import role as role_document
from role_mapper.objects.migration import migrate
from role_mapper.ownership import Owner
from role_mapper.properties import Properties
from role_mapper.report import Outcome
from tests.fake_domain import FakeDomain
from tests.secrets import make_secret

pytestmark = pytest.mark.secrets

API = "/_plugins/_security/api"
# Every kind of character that a password may have: quotes, a colon, shell and URL signs, blanks, beyond Latin-1.
PASSWORD = make_secret("aA1:\"'\\ %&?#@/$`{}[]|^~ äß€ 漢字 🙂")
FOREIGNERS = {"backend_roles": ["arn:aws:iam::1:role/other"], "users": ["ann"], "hosts": ["*.example.org"]}


@pytest.fixture(scope="module")
def master_secret(opensearch: OpenSearch) -> Iterator[str]:
    """The secret of an internal master user of the domain."""
    with opensearch.admin_session() as admin:
        user = f"master-{uuid.uuid4().hex[:8]}"
        path = f"{opensearch.url}{API}/internalusers/{user}"
        response = admin.put(path, json={"password": PASSWORD, "opendistro_security_roles": ["all_access"]})
        assert response.status_code == 201, response.text
        yield json.dumps({"username": user, "password": PASSWORD})
        admin.delete(path)


@pytest.fixture(autouse=True)
def _authority(opensearch: OpenSearch, monkeypatch: pytest.MonkeyPatch) -> None:
    """Verify the domain by its authority, as functions on this machine do: through the environment."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(opensearch.ca_file))


@pytest.fixture
def domain(opensearch: OpenSearch, master_secret: str) -> Iterator[Domain]:
    """The domain as the function sees it, as its master user."""
    domain = Domain(f"127.0.0.1:{opensearch.port}", InternalUser(lambda: master_secret), Deadline(120))
    yield domain
    domain.close()


@pytest.fixture
def wanted(opensearch: OpenSearch) -> Iterator[Properties]:
    """Properties with names of this test's own; their objects are gone afterwards."""
    name = f"t-{uuid.uuid4().hex[:8]}"
    yield Properties(
        domain_endpoint=f"127.0.0.1:{opensearch.port}",
        delivery_role_arn=f"arn:aws:iam::000000000000:role/{name}",
        index_name=name,
        role_name=name,
        index_pattern=f"{name}*",
    )
    with opensearch.admin_session() as admin:
        for role in (name, f"{name}-2"):
            admin.delete(f"{opensearch.url}{API}/rolesmapping/{role}")
            admin.delete(f"{opensearch.url}{API}/roles/{role}")
        for template in (name, f"{name}-foreign"):
            admin.delete(f"{opensearch.url}/_index_template/{template}")
        admin.delete(f"{opensearch.url}/{name}*?expand_wildcards=open,closed")


@pytest.fixture
def owner(wanted: Properties) -> Owner:
    """The custom resource that the properties are those of."""
    stack = f"arn:aws:cloudformation:us-east-1:000000000000:stack/{wanted.role_name}/unique"
    return Owner.of(stack, "RoleMapping", wanted.domain_endpoint)


@pytest.fixture
def read(opensearch: OpenSearch) -> Iterator[Callable[[str, str], Any]]:
    """Read one object of the security plugin, or None: `read("roles", name)`."""
    with opensearch.admin_session() as admin:

        def read(kind: str, name: str) -> Any:
            response = admin.get(f"{opensearch.url}{API}/{kind}/{name}")
            return response.json()[name] if response.status_code == 200 else None

        yield read


def index_one(opensearch: OpenSearch, arn: str, index: str, document: str = '{"uuid":"u"}') -> int:
    """Write one document with a bulk request as the IAM role `arn`; its status."""
    with requests.Session() as session:
        session.trust_env = False
        response = session.post(
            f"{opensearch.url}/_bulk",
            data=f'{{"index":{{"_index":"{index}"}}}}\n{document}\n',
            headers={"Content-Type": "application/x-ndjson", "Authorization": f"Bearer {opensearch.token(arn)}"},
            verify=str(opensearch.ca_file),
            timeout=20,
        )
    if response.status_code != 200:
        return response.status_code
    status: int = response.json()["items"][0]["index"]["status"]
    return status


def test_the_delivery_role_writes_only_after_it_is_mapped_and_only_to_its_indices(
    opensearch: OpenSearch, domain: Domain, wanted: Properties, owner: Owner
) -> None:
    """403 before, 201 after, 403 for another index, 403 again once it is removed."""
    arn, index = wanted.delivery_role_arn, wanted.index_name
    assert index_one(opensearch, arn, index) == 403
    changes = provision.apply(domain, wanted, owner)
    outcomes = {change.kind: change.outcome for change in changes}
    assert outcomes["Role"] is outcomes["RoleMapping"] is Outcome.CREATED
    assert domain.deadline.retry(lambda: index_one(opensearch, arn, index)) == 201
    assert index_one(opensearch, arn, f"other-{index}") == 403
    provision.remove(domain, wanted, owner)
    assert index_one(opensearch, arn, index) == 403


def test_applying_twice_changes_nothing_the_second_time(
    domain: Domain, wanted: Properties, owner: Owner, read: Callable[[str, str], Any]
) -> None:
    """Apply is idempotent, and says so."""
    provision.apply(domain, wanted, owner)
    before = read("roles", wanted.role_name), read("rolesmapping", wanted.role_name)
    changes = provision.apply(domain, wanted, owner)
    assert not {Outcome.CREATED, Outcome.CHANGED} & {change.outcome for change in changes}
    assert (read("roles", wanted.role_name), read("rolesmapping", wanted.role_name)) == before


def test_a_reserved_role_is_refused_by_name(domain: Domain, wanted: Properties, owner: Owner) -> None:
    """OpenSearch's own roles are not written to."""
    with pytest.raises(OwnershipError, match="role all_access is reserved"):
        provision.apply(domain, replace(wanted, role_name="all_access"), owner)


def _writers(domain: Domain, count: int) -> list[Domain]:
    """Clients of their own for `count` writers at the same time."""
    return [Domain(domain.endpoint, domain.master_user, Deadline(120)) for _ in range(count)]


def test_concurrent_writers_all_stay_mapped(
    domain: Domain, wanted: Properties, owner: Owner, read: Callable[[str, str], Any]
) -> None:
    """409 under load: every mapper's ARN and everybody else's entries are there in the end, and nobody fails."""
    provision.apply(domain, wanted, owner)
    arns = [f"arn:aws:iam::000000000000:role/writer-{number}" for number in range(6)]
    writers = _writers(domain, len(arns))

    def add(client: Domain, arn: str) -> None:
        client.deadline.retry(lambda: RoleMapping(client, owner, wanted.role_name, arn).ensure())

    with ThreadPoolExecutor(len(arns)) as threads:
        list(threads.map(add, writers, arns))
    assert set(read("rolesmapping", wanted.role_name)["backend_roles"]) == {wanted.delivery_role_arn, *arns}

    def leave(client: Domain, arn: str) -> None:
        client.deadline.retry(lambda: RoleMapping(client, owner, wanted.role_name, arn).remove())

    with ThreadPoolExecutor(2) as threads:  # some leave while others join
        leaving = [threads.submit(leave, writers[0], arns[0])]
        joining = [threads.submit(add, writers[1], "arn:aws:iam::000000000000:role/late")]
        for future in leaving + joining:
            future.result()
    members = set(read("rolesmapping", wanted.role_name)["backend_roles"])
    assert members == {wanted.delivery_role_arn, *arns[1:], "arn:aws:iam::000000000000:role/late"}
    for client in writers:
        client.close()


def test_others_in_the_mapping_survive_and_keep_the_role(
    opensearch: OpenSearch, domain: Domain, wanted: Properties, owner: Owner, read: Callable[[str, str], Any]
) -> None:
    """Backend roles, users and hosts, through apply, move and remove."""
    provision.apply(domain, wanted, owner)
    with opensearch.admin_session() as admin:
        mine = {**FOREIGNERS, "backend_roles": [*FOREIGNERS["backend_roles"], wanted.delivery_role_arn]}
        admin.put(f"{opensearch.url}{API}/rolesmapping/{wanted.role_name}", json=mine)
    moved = replace(wanted, delivery_role_arn=f"{wanted.delivery_role_arn}-new")
    provision.apply(domain, moved, owner)
    provision.withdraw(domain, wanted, moved, owner)
    assert set(read("rolesmapping", wanted.role_name)["backend_roles"]) == {
        *FOREIGNERS["backend_roles"],
        moved.delivery_role_arn,
    }
    provision.remove(domain, moved, owner)
    left = read("rolesmapping", wanted.role_name)
    assert {kind: left[kind] for kind in FOREIGNERS} == FOREIGNERS
    assert read("roles", wanted.role_name) is not None


def test_a_role_made_by_somebody_else_is_taken_over_only_on_request(
    opensearch: OpenSearch, domain: Domain, wanted: Properties, owner: Owner, read: Callable[[str, str], Any]
) -> None:
    """And stays, without our entry, when the stack goes."""
    with opensearch.admin_session() as admin:
        body = {"description": "by hand", "cluster_permissions": ["cluster_monitor"]}
        admin.put(f"{opensearch.url}{API}/roles/{wanted.role_name}", json=body)
    with pytest.raises(OwnershipError, match="was not made by this stack"):
        provision.apply(domain, wanted, owner)
    assert read("roles", wanted.role_name)["description"] == "by hand"
    provision.apply(domain, replace(wanted, take_over=True), owner)
    provision.remove(domain, wanted, owner)
    assert read("roles", wanted.role_name) is not None
    assert read("rolesmapping", wanted.role_name) is None


def test_a_renamed_role_moves_and_leaves_nothing_behind(
    domain: Domain, wanted: Properties, owner: Owner, read: Callable[[str, str], Any]
) -> None:
    """The update of the role's name, and its rollback."""
    provision.apply(domain, wanted, owner)
    before = read("roles", wanted.role_name), read("rolesmapping", wanted.role_name)
    renamed = replace(wanted, role_name=f"{wanted.role_name}-2")
    for old, new in ((wanted, renamed), (renamed, wanted)):
        provision.apply(domain, new, owner)
        provision.withdraw(domain, old, new, owner)
        assert read("roles", old.role_name) is None
        assert read("rolesmapping", old.role_name) is None
    assert (read("roles", wanted.role_name), read("rolesmapping", wanted.role_name)) == before


def test_a_rotated_secret_is_picked_up(opensearch: OpenSearch, wanted: Properties, owner: Owner) -> None:
    """The domain's password changes first, the secret a moment later: the 401s in between are waited out."""
    user = f"rotated-{uuid.uuid4().hex[:8]}"
    old, new = make_secret("Old-Pa55word.rotated"), make_secret("New-Pa55word.rotated")
    passwords = [old, old, new]
    with opensearch.admin_session() as admin:
        path = f"{opensearch.url}{API}/internalusers/{user}"
        admin.put(path, json={"password": new, "opendistro_security_roles": ["all_access"]})
        reader = InternalUser(lambda: json.dumps({"username": user, "password": passwords.pop(0)}))
        client = Domain(wanted.domain_endpoint, reader, Deadline(120))
        provision.apply(client, wanted, owner)
        assert passwords == []
        provision.remove(client, wanted, owner)
        client.close()
        admin.delete(path)


def test_documents_are_indexed_with_the_template_s_types(
    opensearch: OpenSearch, domain: Domain, wanted: Properties, owner: Owner
) -> None:
    """A known document through the delivery role: typed fields, an unknown field kept and not mapped."""
    provision.apply(domain, wanted, owner)
    arn, index = wanted.delivery_role_arn, wanted.index_name
    document = (
        '{"uuid":"u","timestamp":"2026-11-22T10:15:30.123","device_id":9007199254740993,"temp_celsius":32.25,'
        '"temp_fahrenheit":90.05,"track_id":4,"activity_type":"Walking","ingested_at":"2026-11-22T10:15:30.456",'
        '"unknown":{"a":1}}'
    )
    assert domain.deadline.retry(lambda: index_one(opensearch, arn, index, document)) == 201
    with opensearch.admin_session() as admin:
        mappings = admin.get(f"{opensearch.url}/{index}/_mapping").json()[index]["mappings"]
        admin.post(f"{opensearch.url}/{index}/_refresh")
        query = {
            "query": {
                "bool": {
                    "filter": [
                        {"term": {"device_id": 9007199254740993}},
                        {"range": {"timestamp": {"gte": "2026-11-22T10:15:30.123", "lte": "2026-11-22T10:15:30.123"}}},
                        {"range": {"temp_celsius": {"gt": 32.24, "lt": 32.26}}},
                        {"term": {"activity_type": "Walking"}},
                    ]
                }
            }
        }
        hits = admin.get(f"{opensearch.url}/{index}/_search", json=query).json()["hits"]["hits"]
    assert mappings["dynamic"] == "false"
    assert "unknown" not in mappings["properties"]
    assert [hit["_source"]["unknown"] for hit in hits] == [{"a": 1}]


def _script(role: str) -> list[tuple[str, str, Any]]:
    """Make one call of every kind that the mapper makes, and some that are refused; return the responses."""
    mapping_, role_ = f"{API}/rolesmapping/{role}", f"{API}/roles/{role}"
    template, component = f"/_index_template/{role}", f"/_component_template/{role}"
    add_last = [{"op": "add", "path": "/backend_roles/-", "value": "a"}]
    shorter = [{"op": "add", "path": "/backend_roles/9", "value": "a"}, {"op": "remove", "path": "/backend_roles/9"}]
    body = role_document(["x*"], "why")
    pattern = {"index_patterns": [f"{role}*"], "priority": 900, "_meta": {"description": "x"}, "template": {}}
    return [
        ("GET", role_, None), ("DELETE", role_, None), ("PUT", mapping_, {"backend_roles": ["a"]}),
        ("PUT", role_, body), ("GET", role_, None), ("PUT", role_, body),
        ("GET", mapping_, None), ("PATCH", mapping_, add_last),
        ("PUT", mapping_, {"users": ["u"], "backend_roles": [], "description": "d"}), ("PATCH", mapping_, add_last),
        ("PATCH", mapping_, [{"op": "add", "path": "/backend_roles", "value": ["a"]}]), ("PATCH", mapping_, add_last),
        ("PATCH", mapping_, shorter), ("GET", mapping_, None),
        ("PATCH", mapping_, [{"op": "test", "path": "/backend_roles", "value": ["a"]}]),
        ("PATCH", mapping_, [{"op": "remove", "path": "/backend_roles/0"}]),
        ("PUT", mapping_, {"backend_roles": ["a"], "reserved": False}),
        ("DELETE", role_, None), ("GET", mapping_, None), ("PATCH", mapping_, add_last),
        ("DELETE", mapping_, None), ("DELETE", mapping_, None),
        ("GET", template, None), ("PUT", template, pattern), ("GET", template, None), ("DELETE", template, None),
        ("GET", component, None), ("PUT", component, {"template": {}, "_meta": {"a": {"b": "c"}}}),
        ("GET", component, None), ("DELETE", component, None),
        ("GET", "/_plugins/_ism/policies", None), ("GET", "/_dashboards/api/status", None),
        *_index_script(role),
    ]  # fmt: skip


def _index_script(name: str) -> list[tuple[str, str, Any]]:
    """What is asked of indices, templates and aliases, where the responses hold nothing of one server."""
    fields = {
        "dynamic": False,
        "properties": {"a": {"type": "long"}, "b": {"type": "scaled_float", "scaling_factor": 10}},
    }
    settings = {"index": {"number_of_shards": "1", "number_of_replicas": "0"}}
    template = {"index_patterns": [f"{name}*"], "priority": 901, "template": {"settings": settings, "mappings": fields}}
    simulate, first, second = f"/_index_template/_simulate_index/{name}", f"/{name}-000001", f"/{name}-000002"
    alias = {"aliases": {name: {"is_write_index": True}}}
    move = [{"remove_index": {"index": name}}, {"add": {"index": second[1:], "alias": name, "is_write_index": False}}]
    return [
        ("POST", simulate, None), ("PUT", f"/_index_template/{name}", template), ("POST", simulate, None),
        ("GET", f"/_cat/indices/{name}*?format=json&h=index", None),
        ("PUT", f"/{name}", {}), ("PUT", first, alias), ("PUT", f"/{name}", {}),
        ("PUT", f"/{name}/_mapping", {"properties": {"a": {"type": "keyword"}}}),
        ("PUT", f"/{name}/_mapping", {"properties": {"c": {"type": "ip"}}}),
        ("PUT", "/not-there/_mapping", {"properties": {"c": {"type": "ip"}}}),
        ("POST", f"/{name}/_clone{second}", {"settings": {"index.blocks.write": None}}),
        ("PUT", f"/{name}/_block/write", None), ("PUT", f"/{name}/_mapping", {"properties": {"d": {"type": "ip"}}}),
        ("POST", f"/{name}/_clone{second}", {"settings": {"index.blocks.write": None}}),
        ("GET", f"{second}/_count", None), ("POST", "/_aliases", {"actions": move}),
        ("PUT", first, alias), ("GET", f"/_cat/indices/{name}*?format=json&h=index", None),
        ("DELETE", second, None), ("DELETE", f"/_index_template/{name}", None),
    ]  # fmt: skip


def test_the_domain_in_memory_responds_as_the_real_one(domain: Domain, wanted: Properties) -> None:
    """What unit tests rely on: the same statuses and the same bodies, call by call."""
    fake = FakeDomain(host="127.0.0.1")
    real_client = domain

    def play(client: Domain) -> list[Any]:
        responses: list[Any] = []
        for method, path, body in _script(wanted.role_name):
            try:
                response = client.call(method, path, body)
                responses.append((method, path, sorted(response, key=str) if isinstance(response, list) else response))
            except ResponseError as refusal:
                responses.append((method, path, refusal.status, _comparable(str(refusal))))
        return responses

    expected = play(real_client)
    with pytest.MonkeyPatch.context() as patch:
        fake.install(patch)
        responses = play(fake.client())
    assert responses == expected


def _comparable(words: str) -> str:
    """Return the words without what differs from one OpenSearch to the next.

    A patch's errors are the JSON Patch library's words, but for an unknown operation; a UUID is an index's own; the
    operations are a Java `Set.of`, whose order is another one in each process.
    """
    words = re.sub(r"(?<=Supported are: )\S+", lambda match: ",".join(sorted(match[0].split(","))), words)
    words = re.sub(r"\[([^\]/]+)/[^\]]+\]", r"[\1]", words)
    return (
        words.split(" returned 400: ", maxsplit=1)[0]
        if "PATCH" in words and " 400: " in words and "Unsupported" not in words
        else words
    )


# ---- the effect on indices ----


def read_index(admin: requests.Session, opensearch: OpenSearch, name: str) -> Any:
    """Return what OpenSearch has of an index, or of those behind an alias."""
    return admin.get(f"{opensearch.url}/{name}?expand_wildcards=open,closed").json()


def changed(domain: Domain, wanted: Properties, owner: Owner) -> dict[str, Any]:
    """Apply; what became of each kind."""
    return {change.kind: change for change in provision.apply(domain, wanted, owner)}


def test_a_live_index_from_before_a_field_gets_it_and_finds_by_it(
    opensearch: OpenSearch, domain: Domain, wanted: Properties, owner: Owner
) -> None:
    """No reindex: the next document is found; a rollback, which no longer wants the field, leaves it there."""
    provision.apply(domain, wanted, owner)
    name = wanted.index_name
    with opensearch.admin_session() as admin:
        mapping = read_index_template(admin, opensearch, name)["template"]["mappings"]
        older = {key: each for key, each in mapping["properties"].items() if key not in {"track_id", "temp_celsius"}}
        body = {"mappings": mapping | {"properties": older}}
        assert admin.put(
            f"{opensearch.url}/_index_template/{name}-foreign",
            json={
                "index_patterns": [name],
                "priority": 950,
                "template": body,
            },
        ).ok
        admin.put(f"{opensearch.url}/{name}").raise_for_status()
        admin.delete(f"{opensearch.url}/_index_template/{name}-foreign").raise_for_status()
        assert "track_id" not in read_index(admin, opensearch, name)[name]["mappings"]["properties"]
        change = changed(domain, wanted, owner)["Indices"]
        assert change.outcome is Outcome.CHANGED
        assert change.detail == f"temp_celsius, track_id added to {name}"
        document = '{"uuid":"u","track_id":4}'
        assert domain.deadline.retry(lambda: index_one(opensearch, wanted.delivery_role_arn, name, document)) == 201
        admin.post(f"{opensearch.url}/{name}/_refresh")
        found = admin.get(f"{opensearch.url}/{name}/_count", json={"query": {"term": {"track_id": 4}}}).json()
        assert found["count"] == 1
        with pytest.MonkeyPatch.context() as patch:
            template = files.index_template
            patch.setattr(files, "index_template", lambda *args: _without(template(*args), "track_id"))
            assert changed(domain, wanted, owner)["Indices"].outcome is Outcome.UNCHANGED
        assert "track_id" in read_index(admin, opensearch, name)[name]["mappings"]["properties"]


def read_index_template(admin: requests.Session, opensearch: OpenSearch, name: str) -> Any:
    """Return an index template."""
    [found] = admin.get(f"{opensearch.url}/_index_template/{name}").json()["index_templates"]
    return found["index_template"]


def _without(document: dict[str, Any], field: str) -> dict[str, Any]:
    del document["template"]["mappings"]["properties"][field]
    return document


def test_broken_indices_and_templates_are_named_by_the_real_domain(
    opensearch: OpenSearch, domain: Domain, wanted: Properties, owner: Owner
) -> None:
    """A template that wins, a closed and a blocked index, fields of other types: each by name, in one look."""
    provision.apply(domain, wanted, owner)
    name, daily = wanted.index_name, replace(wanted, index_rotation_period="OneDay")
    closed, blocked, typed = (f"{name}-2026-11-{day}" for day in (21, 22, 23))
    with opensearch.admin_session() as admin:
        for index in (closed, blocked):
            admin.put(f"{opensearch.url}/{index}").raise_for_status()
        admin.post(f"{opensearch.url}/{closed}/_close").raise_for_status()
        admin.put(f"{opensearch.url}/{blocked}/_settings", json={"index.blocks.read_only_allow_delete": True})
        foreign = {"index_patterns": [f"{name}*"], "priority": 950, "template": {"mappings": {"dynamic": True}}}
        admin.put(f"{opensearch.url}/_index_template/{name}-foreign", json=foreign).raise_for_status()
        body = {"mappings": {"properties": {"device_id": {"type": "text"}, "timestamp": {"type": "date"}}}}
        admin.put(f"{opensearch.url}/{typed}", json=body).raise_for_status()
        looking = Domain(domain.endpoint, domain.master_user, Deadline(60), read_only=True)
        changes = {change.kind: change for change in provision.preview(looking, daily, owner)}
        looking.close()
        indices = changes["Indices"]
        assert indices.outcome is Outcome.DIFFERS
        for words in (
            f"index template {name}-foreign (priority 950) overrides it (priority",
            f"closed, so documents are rejected: {closed}",
            f"blocked by index.blocks.read_only_allow_delete, so documents are rejected: {blocked}",
            f"in {typed} timestamp is date, not date format strict_date_optional_time, device_id is text, not long",
            f"missing in {typed}",
        ):
            assert words in indices.detail
        change = changed(domain, daily, owner)["Indices"]  # the template was there before: told, and no failure
        assert (change.outcome, f"{name}-foreign (priority 950) overrides" in change.detail) == (Outcome.DIFFERS, True)
        assert "track_id" in read_index(admin, opensearch, typed)[typed]["mappings"]["properties"]
        admin.delete(f"{opensearch.url}/_index_template/{name}-foreign").raise_for_status()
        change = changed(domain, daily, owner)["Indices"]
        assert change.outcome is Outcome.UNCHANGED
        assert "device_id is text, not long" in change.detail
        admin.put(f"{opensearch.url}/{blocked}/_settings", json={"index.blocks.read_only_allow_delete": None})


def test_readings_go_through_the_write_alias_and_over_a_rollover(
    opensearch: OpenSearch, domain: Domain, wanted: Properties, owner: Owner
) -> None:
    """As the delivery role, with Firehose's action `index`; the same id after a rollover is a second document."""
    month = replace(wanted, retention_days=30)
    name, first = wanted.index_name, f"{wanted.index_name}-000001"
    assert changed(domain, month, owner)["WriteAlias"].detail == f"writes to {first}"
    arn, document = wanted.delivery_role_arn, '{"uuid":"u","device_id":1}'
    assert domain.deadline.retry(lambda: index_one(opensearch, arn, name, document)) == 201
    with opensearch.admin_session() as admin:
        assert admin.post(f"{opensearch.url}/{name}/_rollover").json()["new_index"] == f"{name}-000002"
        second = read_index(admin, opensearch, f"{name}-000002")[f"{name}-000002"]
        assert second["mappings"] == read_index(admin, opensearch, first)[first]["mappings"]
        assert index_one(opensearch, arn, name, document) == 201
        for _ in range(2):  # a retry that comes after a rollover
            bulk = f'{{"index":{{"_index":"{name}","_id":"same"}}}}\n{document}\n'
            headers = {"Content-Type": "application/x-ndjson"}
            assert not admin.post(f"{opensearch.url}/_bulk", data=bulk, headers=headers).json()["errors"]
            admin.post(f"{opensearch.url}/{name}/_rollover").raise_for_status()
        admin.post(f"{opensearch.url}/{name}/_refresh")
        assert admin.get(f"{opensearch.url}/{name}/_count").json()["count"] == 4
        change = changed(domain, month, owner)["WriteAlias"]
        assert (change.outcome, change.detail) == (Outcome.UNCHANGED, f"writes to {name}-000004")
        # Without the alias the next bulk request makes an index of its name: named, and put behind it again.
        admin.post(f"{opensearch.url}/_aliases", json={"actions": [{"remove": {"index": f"{name}-*", "alias": name}}]})
        assert index_one(opensearch, arn, name, document) == 201
        lost = changed(domain, month, owner)["WriteAlias"]
        assert (lost.outcome, f"{name} is an index" in lost.detail) == (Outcome.DIFFERS, True)
        migrate(domain, name)
        assert changed(domain, month, owner)["WriteAlias"].detail == f"writes to {name}-000005"
        admin.post(f"{opensearch.url}/{name}/_refresh")
        assert admin.get(f"{opensearch.url}/{name}/_count").json()["count"] == 5


def test_a_data_stream_refuses_the_action_that_firehose_sends(opensearch: OpenSearch, wanted: Properties) -> None:
    """Why the indices that roll over are behind an alias: a data stream takes `create` only."""
    name = f"{wanted.index_name}-stream"
    with opensearch.admin_session() as admin:
        template = {"index_patterns": [name], "data_stream": {}, "priority": 980}
        admin.put(f"{opensearch.url}/_index_template/{wanted.index_name}-foreign", json=template).raise_for_status()
        admin.put(f"{opensearch.url}/_data_stream/{name}").raise_for_status()
        statuses = {}
        for action in ("index", "create"):
            lines = f'{{"{action}":{{"_index":"{name}"}}}}\n{{"@timestamp":"2026-11-22T10:15:30Z"}}\n'
            headers = {"Content-Type": "application/x-ndjson"}
            [item] = admin.post(f"{opensearch.url}/_bulk", data=lines, headers=headers).json()["items"]
            statuses[action] = item[action]["status"]
        assert statuses == {"index": 400, "create": 201}
        admin.delete(f"{opensearch.url}/_data_stream/{name}").raise_for_status()


def test_a_field_of_another_type_behind_the_alias_starts_a_new_index(
    opensearch: OpenSearch, domain: Domain, wanted: Properties, owner: Owner
) -> None:
    """The next document is taken, with the type that the stream wants; without an alias it is no success."""
    name, first = wanted.index_name, f"{wanted.index_name}-000001"
    with opensearch.admin_session() as admin:
        body = {"mappings": {"dynamic": False, "properties": {"device_id": {"type": "boolean"}}}}
        alias = {"aliases": {name: {"is_write_index": True}}}
        admin.put(f"{opensearch.url}/{first}", json=body | alias).raise_for_status()
        change = changed(domain, wanted, owner)["Indices"]
        assert (change.outcome, f"rolled over to {name}-000002" in change.detail) == (Outcome.CHANGED, True)
        document = '{"uuid":"u","device_id":4}'
        arn = wanted.delivery_role_arn
        assert domain.deadline.retry(lambda: index_one(opensearch, arn, name, document)) == 201
        mapping = read_index(admin, opensearch, f"{name}-000002")[f"{name}-000002"]["mappings"]
        assert mapping["properties"]["device_id"] == {"type": "long"}
        admin.delete(f"{opensearch.url}/{name}-0*").raise_for_status()
        admin.put(f"{opensearch.url}/{name}", json=body).raise_for_status()
        admin.delete(f"{opensearch.url}/_index_template/{name}").raise_for_status()
        with pytest.raises(EffectError, match="device_id is boolean, not long"):
            provision.apply(domain, wanted, owner)
        assert changed(domain, wanted, owner)["Indices"].outcome is Outcome.DIFFERS, "now it was so before"


def test_an_index_is_migrated_behind_the_alias_while_it_is_written_to(
    opensearch: OpenSearch, domain: Domain, wanted: Properties, owner: Owner
) -> None:
    """Every document that was accepted is found afterwards, once; those of the short block are refused, not lost."""
    provision.apply(domain, wanted, owner)
    name, arn = wanted.index_name, wanted.delivery_role_arn
    assert domain.deadline.retry(lambda: index_one(opensearch, arn, name)) == 201
    with opensearch.admin_session() as admin:
        admin.post(f"{opensearch.url}/_aliases", json={"actions": [{"add": {"index": name, "alias": f"{name}-also"}}]})
        statuses: list[int] = []
        running = threading.Event()

        def write() -> None:
            while not running.is_set():
                statuses.append(index_one(opensearch, arn, name))

        with ThreadPoolExecutor(1) as threads:
            writer = threads.submit(write)
            [change] = migrate(domain, name)
            running.set()
            writer.result()
        assert change.detail == f"its readings are in {name}-000001, its write index"
        assert set(statuses) <= {201, 403, 404}  # 404: it found the index, which was gone when it got there
        admin.post(f"{opensearch.url}/{name}/_refresh")
        assert admin.get(f"{opensearch.url}/{name}/_count").json()["count"] == 1 + statuses.count(201)
        found = read_index(admin, opensearch, name)
        assert list(found) == [f"{name}-000001"]
        assert found[f"{name}-000001"]["aliases"] == {name: {"is_write_index": True}, f"{name}-also": {}}
        index = found[f"{name}-000001"]["settings"]["index"]
        assert (index["number_of_replicas"], index["refresh_interval"]) == (str(wanted.number_of_replicas), "1s")
        assert migrate(domain, name)[0].outcome is Outcome.UNCHANGED
    changes = changed(domain, replace(wanted, retention_days=30), owner)
    assert changes["WriteAlias"].outcome is Outcome.UNCHANGED
    assert changes["Indices"].outcome is Outcome.UNCHANGED

"""A domain in memory that responds as real ones were seen to: the statuses and texts are recorded.

Roles, mappings and templates: OpenSearch 3.4 with its security plugin, as `tests/integration` runs it. Index State
Management: captured responses of the plugin (`tests/fixtures/index-management.json`), each of which
`test_role_mapper_retention.py` replays. Dashboards: its source. Neither of the two can be had where these tests run.
"""

import copy
import json
import re
from base64 import b64decode
from collections.abc import Callable
from dataclasses import dataclass, field
from http.cookies import SimpleCookie
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import jsonpatch
import pytest
import requests

from role_mapper.deadline import Deadline
from role_mapper.domain import Domain
from role_mapper.master_user import InternalUser
from tests.secrets import make_secret

PASSWORD = make_secret("Correct-Horse.Battery+Staple=7")
JSON = "application/json; charset=UTF-8"
TEXT = "text/plain; charset=UTF-8"

PLAIN_TEXT = {
    401: "Unauthorized",
    503: "OpenSearch Security not initialized.",
}
"""Responses of the security plugin that are not JSON."""


@dataclass(frozen=True)
class Call:
    """One request as the domain got it."""

    method: str
    path: str
    query: dict[str, str]
    body: Any
    headers: dict[str, str]


@dataclass(frozen=True)
class FakeResponse:
    """One response."""

    status: int
    body: Any
    content_type: str = JSON

    @property
    def text(self) -> str:
        """The bytes on the wire, as text."""
        return self.body if isinstance(self.body, str) else json.dumps(self.body)


@dataclass
class Clock:
    """Seconds that pass when somebody waits."""

    now: float = 0.0

    def __call__(self) -> float:
        """The time."""
        return self.now

    def wait(self, seconds: float) -> None:
        """Let time pass; a wait of nothing still takes a moment, as every call does."""
        self.now += max(seconds, 0.001)


def error(status: int, words: str = "the domain's own words") -> FakeResponse:
    """Return an error in the form that this status has."""
    if status in PLAIN_TEXT:
        return FakeResponse(status, PLAIN_TEXT[status], TEXT)
    return FakeResponse(status, {"status": "ERROR", "message": words})


@dataclass
class FakeDomain:
    """The state of a domain, what it was asked, and what is to go wrong.

    Attributes:
        users: names and passwords of those who may do everything.
        indices: existing indices, each with the name of the policy that it follows.
        copies: the copy of that policy that each of them was given.
        closed: those of the indices that are closed.
        transitioning: those on their way from one state of their policy to the next.
        fields: the mappings of those indices that the index template did not shape.
        blocks: the blocks of those indices that have one: `write`, `read_only_allow_delete`.
        aliases: the aliases of each index that has one.
        index_settings: settings of an index beyond what every one has, flat.
        documents: how many documents an index has.
        nodes: how many data nodes there are.
        faults: the response, or the exception, that the n-th call (from 0) gets instead of its own.
        always: the same for every call.
        meanwhile: what somebody else does just before the first call of that method gets its response; the action may
            return what that call gets instead of its own response.
    """

    host: str = "search-builders.us-east-1.es.amazonaws.com"
    users: dict[str, str] = field(default_factory=lambda: {"admin": PASSWORD})
    installed: set[str] = field(default_factory=set)
    roles: dict[str, dict[str, Any]] = field(default_factory=dict)
    mappings: dict[str, dict[str, Any]] = field(default_factory=dict)
    index_templates: dict[str, dict[str, Any]] = field(default_factory=dict)
    component_templates: dict[str, dict[str, Any]] = field(default_factory=dict)
    policies: dict[str, dict[str, Any]] = field(default_factory=dict)
    indices: dict[str, str | None] = field(default_factory=dict)
    copies: dict[str, dict[str, Any]] = field(default_factory=dict)
    closed: set[str] = field(default_factory=set)
    transitioning: set[str] = field(default_factory=set)
    fields: dict[str, dict[str, Any]] = field(default_factory=dict)
    blocks: dict[str, str] = field(default_factory=dict)
    aliases: dict[str, dict[str, dict[str, Any]]] = field(default_factory=dict)
    index_settings: dict[str, dict[str, str]] = field(default_factory=dict)
    documents: dict[str, int] = field(default_factory=dict)
    nodes: int = 1
    saved_objects: dict[str, dict[str, Any]] = field(default_factory=dict)
    calls: list[Call] = field(default_factory=list)
    faults: dict[int, FakeResponse | Exception] = field(default_factory=dict)
    always: FakeResponse | Exception | None = None
    meanwhile: dict[str, Callable[[], FakeResponse | None]] = field(default_factory=dict)
    form_login: bool = True
    tenant: str | None = ""  # which one Dashboards takes at the sign-in; None: it has none
    _sequence: int = 0

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:  # noqa: ARG002  # IPython's protocol, which Hypothesis follows
        """Print next to nothing: a whole domain is no help in a failed test, and Hypothesis warns of so long a text."""
        printer.text("FakeDomain(...)")

    def install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Respond to every request of the `requests` library that goes to this host; others are refused."""

        def send(_: Any, request: requests.PreparedRequest, **__: Any) -> requests.Response:
            assert urlsplit(request.url or "").hostname == self.host, f"unexpected request to {request.url}"
            return self._respond(request)

        monkeypatch.setattr(requests.adapters.HTTPAdapter, "send", send)
        # To look for proxies in the environment takes as long as the response, and none would be asked.
        monkeypatch.setattr(requests.sessions, "get_environ_proxies", lambda *_, **__: {})

    def client(self, seconds: float = 60) -> Domain:
        """Return the function's own client, signed in as this domain's user, whose seconds pass only in waits."""
        clock = Clock()
        user, password = next(iter(self.users.items()))
        secret = json.dumps({"username": user, "password": password})
        master = InternalUser(lambda: secret)
        return Domain(self.host, master, Deadline(seconds, clock=clock, wait=clock.wait))

    def state(self) -> dict[str, Any]:
        """Return everything that a client can change, to compare."""
        parts = (
            "roles",
            "mappings",
            "index_templates",
            "component_templates",
            "indices",
            "fields",
            "aliases",
            "saved_objects",
        )
        state = {part: copy.deepcopy(getattr(self, part)) for part in parts}
        state["policies"] = {name: found["policy"] for name, found in copy.deepcopy(self.policies).items()}
        return state

    # ---- one request ----

    def _respond(self, request: requests.PreparedRequest) -> requests.Response:
        call = _call(request)
        number = len(self.calls)
        self.calls.append(call)
        action = self.meanwhile.pop(call.method, None)
        fault = (action() if action else None) or self.faults.get(number, self.always)
        if isinstance(fault, Exception):
            raise fault
        sender = fault or self._serve(call)
        response = requests.Response()
        response.status_code = sender.status
        response._content = sender.text.encode()
        response.headers["Content-Type"] = sender.content_type
        response.request, response.url = request, request.url or ""
        return response

    def _serve(self, call: Call) -> FakeResponse:
        if not self._signed_in(call) and not call.path.endswith("/auth/login"):
            return error(401)
        for pattern, serve in (
            (r"/", lambda *_: FakeResponse(200, {"version": {"number": "3.4.0"}})),
            (r"/_cluster/health", lambda *_: FakeResponse(200, {"number_of_data_nodes": self.nodes})),
            (r"/_plugins/_security/api/roles/([^/]+)", self._role),
            (r"/_plugins/_security/api/rolesmapping/([^/]+)", self._mapping),
            (r"/_index_template", self._index_templates),
            (r"/_index_template/_simulate_index/([^/]+)", self._simulate_index),
            (r"/_index_template/([^/]+)", self._index_template),
            (r"/_cat/indices/([^/]+)", self._cat_indices),
            (r"/([^/_][^/]*)/_mapping", self._put_mapping),
            (r"/([^/_][^/]*)/_settings", self._put_settings),
            (r"/([^/_][^/]*)/_block/write", self._block),
            (r"/([^/_][^/]*)/_clone/([^/]+)", self._clone),
            (r"/([^/_][^/]*)/_count", self._count),
            (r"/([^/_][^/]*)/_refresh", lambda *_: FakeResponse(200, {"_shards": {"failed": 0}})),
            (r"/([^/_][^/]*)/_rollover", self._rollover),
            (r"/_aliases", self._update_aliases),
            (r"/([^/_][^/]*)", self._index),
            (r"/_component_template/([^/]+)", self._component_template),
        ):
            if match := re.fullmatch(pattern, call.path):
                return serve(call, *map(unquote, match.groups()))
        if "ism" in self.installed and call.path.startswith("/_plugins/_ism/"):
            return self._ism(call, *map(unquote, call.path.split("/")[3:]))
        if "dashboards" in self.installed and call.path.startswith("/_dashboards/"):
            return self._dashboards(call)
        return FakeResponse(400, {"error": f"no handler found for uri [{call.path}] and method [{call.method}]"})

    def _signed_in(self, call: Call) -> bool:
        kind, _, value = call.headers.get("Authorization", "").partition(" ")
        if kind != "Basic":
            return kind == "AWS4-HMAC-SHA256"
        user, _, password = b64decode(value).decode().partition(":")
        return user in self.users and self.users[user] == password

    # ---- the security plugin ----

    def _role(self, call: Call, name: str) -> FakeResponse:
        found = self.roles.get(name)
        if call.method == "GET" or (found is None and call.method == "DELETE"):
            return FakeResponse(200, {name: found}) if found else _missing("role", name)
        if refusal := _protected(name, found):
            return refusal
        if call.method == "DELETE":
            del self.roles[name]
            return FakeResponse(200, {"status": "OK", "message": f"'{name}' deleted."})
        flags = {"reserved": False, "hidden": False, "static": False}
        if flags.keys() & call.body.keys():
            return FakeResponse(
                400, {"status": "error", "reason": "Invalid configuration", "invalid_keys": {"keys": "reserved"}}
            )
        grants = [{"fls": [], "masked_fields": []} | grant for grant in call.body["index_permissions"]]
        self.roles[name] = flags | call.body | {"index_permissions": grants}
        return _written(name, found)

    def _mapping(self, call: Call, name: str) -> FakeResponse:
        found = self.mappings.get(name)
        if call.method == "GET" or (found is None and call.method == "DELETE"):
            return FakeResponse(200, {name: found}) if found else _missing("rolesmapping", name)
        if refusal := _protected(name, found):
            return refusal
        if call.method == "DELETE":
            del self.mappings[name]
            return FakeResponse(200, {"status": "OK", "message": f"'{name}' deleted."})
        if name not in self.roles:
            return _missing("role", name)
        if call.method == "PATCH":
            if found is None:
                return _missing("rolesmapping", name)
            unknown = [each["op"] for each in call.body if each["op"] not in {"replace", "remove", "add"}]
            if unknown:
                words = f"Unsupported patch operation: {unknown[0]}. Supported are: replace,remove,add"
                return FakeResponse(400, {"status": "BAD_REQUEST", "message": words})
            # Empty lists are not stored, so there is no such field to patch inside.
            stored = {key: value for key, value in found.items() if value != []}
            try:
                found = jsonpatch.apply_patch(stored, call.body)
            except (jsonpatch.JsonPatchException, jsonpatch.JsonPointerException) as failure:
                return FakeResponse(400, {"status": "BAD_REQUEST", "message": str(failure)})
            self.mappings[name] = _whole_mapping(found)
            return FakeResponse(200, {"status": "OK", "message": f"'{name}' updated."})
        if {"reserved", "hidden", "static"} & call.body.keys():
            return FakeResponse(
                400, {"status": "error", "reason": "Invalid configuration", "invalid_keys": {"keys": "reserved"}}
            )
        self.mappings[name] = _whole_mapping(call.body)
        return _written(name, found)

    # ---- templates ----

    def _index_template(self, call: Call, name: str) -> FakeResponse:
        if call.method == "PUT":
            self.index_templates[name] = copy.deepcopy(call.body) | {"composed_of": []}
            return FakeResponse(200, {"acknowledged": True})
        found = self.index_templates.get(name)
        if found is None:
            return _missing_template(f"index template matching [{name}] not found")
        if call.method == "DELETE":
            del self.index_templates[name]
            return FakeResponse(200, {"acknowledged": True})
        return FakeResponse(200, {"index_templates": [{"name": name, "index_template": found}]})

    def _component_template(self, call: Call, name: str) -> FakeResponse:
        if call.method == "PUT":
            self.component_templates[name] = copy.deepcopy(call.body)
            return FakeResponse(200, {"acknowledged": True})
        found = self.component_templates.get(name)
        if found is None:
            return _missing_template(f"component template matching [{name}] not found")
        if call.method == "DELETE":
            del self.component_templates[name]
            return FakeResponse(200, {"acknowledged": True})
        return FakeResponse(200, {"component_templates": [{"name": name, "component_template": found}]})

    def _index_templates(self, _: Call) -> FakeResponse:
        listed = [{"name": name, "index_template": each} for name, each in self.index_templates.items()]
        return FakeResponse(200, {"index_templates": listed})

    def _simulate_index(self, _: Call, name: str) -> FakeResponse:
        if any(name in each for each in self.aliases.values()):
            reason = "index, alias, and data stream names need to be unique, but the following duplicates were found"
            return _core_error(500, "illegal_state_exception", f"{reason} [{name} (alias of [x]) conflicts with index]")
        matching = [
            each
            for each in self.index_templates.values()
            if any(_expands(pattern, name) for pattern in each["index_patterns"])
        ]
        if not matching:
            return FakeResponse(200, {})
        template = max(matching, key=lambda each: each.get("priority") or 0).get("template", {})
        told = {key: _as_text(template.get(key, {})) for key in ("settings", "mappings")} | {"aliases": {}}
        return FakeResponse(200, {"template": told, "overlapping": []})

    # ---- indices ----

    def _mapping_of(self, index: str) -> dict[str, Any]:
        shaped = self._simulate_index(None, index).body.get("template", {}).get("mappings", {})  # type: ignore[arg-type]
        mapping: dict[str, Any] = self.fields.get(index, shaped)
        return mapping

    def _matching(self, expression: str) -> list[str]:
        """Return the indices that an expression means, by their names or their aliases."""
        return [
            index
            for index in self.indices
            if any(
                _expands(part, name) for part in expression.split(",") for name in (index, *self.aliases.get(index, {}))
            )
        ]

    def _cat_indices(self, call: Call, pattern: str) -> FakeResponse:
        assert call.query == {"format": "json", "h": "index"}
        return FakeResponse(200, [{"index": index} for index in self._matching(pattern)])

    def _index(self, call: Call, name: str) -> FakeResponse:
        return {"GET": self._get_index, "PUT": self._create_index, "DELETE": self._delete_index}[call.method](
            call, name
        )

    def _get_index(self, call: Call, expression: str) -> FakeResponse:
        assert call.query["expand_wildcards"] == "open,closed"
        told = {}
        for index in self._matching(expression):
            settings = {"index.number_of_shards": "1", "index.uuid": f"uuid-{index}"}
            if index in self.closed:
                settings["index.verified_before_close"] = "true"
            if index in self.blocks:
                settings[f"index.blocks.{self.blocks[index]}"] = "true"
            told[index] = {
                "aliases": copy.deepcopy(self.aliases.get(index, {})),
                "mappings": _as_text(self._mapping_of(index)),
                "settings": settings | self.index_settings.get(index, {}),
            }
        return FakeResponse(200, told)

    def _create_index(self, call: Call, name: str) -> FakeResponse:
        if name in self.indices:
            return _core_error(400, "resource_already_exists_exception", f"index [{name}/u] already exists")
        for alias in call.body.get("aliases", {}):
            if alias in self.indices:
                reason = f"Invalid alias name [{alias}], an index exists with the same name as the alias"
                return _core_error(400, "invalid_alias_name_exception", reason)
            if any(each.get(alias, {}).get("is_write_index") for each in self.aliases.values()):
                reason = f"alias [{alias}] has more than one write index [{name},other]"
                return _core_error(500, "illegal_state_exception", reason)
        self._make(name)
        if call.body.get("aliases"):
            self.aliases[name] = copy.deepcopy(call.body["aliases"])
        return FakeResponse(200, {"acknowledged": True, "shards_acknowledged": True, "index": name})

    def _make(self, name: str) -> None:
        """Make an index as the templates shape it: Index State Management gives it the policy whose pattern matches."""
        self.indices[name] = None
        template = self._simulate_index(None, name).body.get("template", {})  # type: ignore[arg-type]
        self.fields[name] = copy.deepcopy(template.get("mappings", {}))
        plugins = template.get("settings", {}).get("index", {}).get("plugins", {})
        if alias := plugins.get("index_state_management", {}).get("rollover_alias"):
            self.index_settings[name] = {"index.plugins.index_state_management.rollover_alias": alias}
        for policy, found in self.policies.items():
            patterns = [each["index_patterns"] for each in found["policy"].get("ism_template") or ()]
            if any(_expands(pattern, name) for some in patterns for pattern in some):
                self.indices[name] = policy
                self.copies[name] = copy.deepcopy(found["policy"])

    def _delete_index(self, _: Call, name: str) -> FakeResponse:
        self._forget(name)
        return FakeResponse(200, {"acknowledged": True})

    def _forget(self, name: str) -> None:
        for part in (self.indices, self.fields, self.aliases, self.index_settings, self.blocks, self.documents):
            part.pop(name, None)

    def _put_settings(self, call: Call, name: str) -> FakeResponse:
        assert call.method == "PUT"
        for key, value in call.body.items():
            if key == "index.blocks.write" and value is None:
                self.blocks.pop(name, None)
            else:
                self.index_settings.setdefault(name, {})[key] = value
        return FakeResponse(200, {"acknowledged": True})

    def _block(self, call: Call, name: str) -> FakeResponse:
        assert call.method == "PUT"
        self.blocks[name] = "write"
        return FakeResponse(
            200, {"acknowledged": True, "shards_acknowledged": True, "indices": [{"name": name, "blocked": True}]}
        )

    def _clone(self, call: Call, source: str, target: str) -> FakeResponse:
        if self.blocks.get(source) != "write":
            reason = f'index {source} must block write operations to resize index. use "index.blocks.write=true"'
            return _core_error(500, "illegal_state_exception", reason)
        if target in self.indices:
            return _core_error(400, "resource_already_exists_exception", f"index [{target}/u] already exists")
        assert call.body["settings"]["index.blocks.write"] is None
        self._make(target)
        self.fields[target] = copy.deepcopy(self._mapping_of(source))
        self.documents[target] = self.documents.get(source, 0)
        self.index_settings.setdefault(target, {})["index.resize.source.uuid"] = f"uuid-{source}"
        return FakeResponse(200, {"acknowledged": True, "shards_acknowledged": True, "index": target})

    def _count(self, _: Call, name: str) -> FakeResponse:
        shards = {"total": 1, "successful": 1, "skipped": 0, "failed": 0}
        return FakeResponse(200, {"count": self.documents.get(name, 0), "_shards": shards})

    def _rollover(self, _: Call, alias: str) -> FakeResponse:
        [old] = [index for index, each in self.aliases.items() if each.get(alias, {}).get("is_write_index")]
        stem, _dash, number = old.rpartition("-")
        new = f"{stem}-{int(number) + 1:06}"
        self._make(new)
        self.aliases[old][alias], self.aliases[new] = {"is_write_index": False}, {alias: {"is_write_index": True}}
        told = {"old_index": old, "new_index": new, "rolled_over": True, "dry_run": False, "conditions": {}}
        return FakeResponse(200, {"acknowledged": True, "shards_acknowledged": True} | told)

    def _update_aliases(self, call: Call) -> FakeResponse:
        for action in call.body["actions"]:
            for verb, told in action.items():
                if verb == "remove_index":
                    self._forget(told["index"])
                else:
                    properties = {key: told[key] for key in ("is_write_index",) if key in told}
                    self.aliases.setdefault(told["index"], {})[told["alias"]] = properties
        return FakeResponse(200, {"acknowledged": True})

    def _put_mapping(self, call: Call, names: str) -> FakeResponse:
        assert call.method == "PUT"
        indices = names.split(",")
        for index in indices:
            if index not in self.indices:
                return _core_error(404, "index_not_found_exception", f"no such index [{index}]")
            if self.blocks.get(index, "write") != "write":  # a closed or write-blocked index takes fields
                return _core_error(403, "cluster_block_exception", f"index [{index}] blocked by: [FORBIDDEN/8/x];")
        for index in indices:
            mapping = copy.deepcopy(self._mapping_of(index))
            if refusal := _merge(mapping.setdefault("properties", {}), call.body.get("properties", {})):
                return refusal
            self.fields[index] = mapping | {key: call.body[key] for key in call.body.keys() & {"dynamic"}}
        return FakeResponse(200, {"acknowledged": True})

    # ---- Index State Management ----

    def _ism(self, call: Call, verb: str, name: str = "") -> FakeResponse:
        if verb == "policies" and not name:
            listed = [
                {key: value for key, value in each.items() if key != "_version"} for each in self.policies.values()
            ]
            return FakeResponse(200, {"policies": listed, "total_policies": len(listed)})
        if verb == "policies":
            return self._policy(call, name)
        if verb == "explain":
            return self._explain(call, name)
        names = name.split(",")
        missing = [index for index in names if index not in self.indices]
        if missing and verb != "add":
            return _core_error(404, "index_not_found_exception", f"no such index [{missing[0]}]")
        policy = self.policies.get((call.body or {}).get("policy_id", ""))
        if verb != "remove" and policy is None:
            return _core_error(404, "status_exception", f"Could not find policy={call.body['policy_id']}")
        failed, updated = [], 0
        for index in (each for each in names if each not in missing):
            reason = self._refusal(verb, index)
            if reason:
                failed.append({"index_name": index, "index_uuid": index, "reason": reason})
                continue
            updated += 1
            if verb == "change_policy":  # the copy stays as it is until the job's next run
                self.indices[index] = call.body["policy_id"]
                continue
            self.indices[index] = call.body["policy_id"] if verb == "add" else None
            self.copies.pop(index, None)
            if policy is not None:
                self.copies[index] = copy.deepcopy(policy["policy"])
        return FakeResponse(200, {"updated_indices": updated, "failures": bool(failed), "failed_indices": failed})

    def _refusal(self, verb: str, index: str) -> str:
        """Return why an index takes no policy, or keeps the one it has, in the plugin's own words."""
        if verb == "change_policy" and not self.indices[index]:
            return "This index is not being managed"
        if verb == "change_policy" and index in self.transitioning:
            return "Cannot change policy while transitioning to new state"
        if verb != "change_policy" and index in self.closed:
            return "This index is closed"
        if verb == "add" and self.indices[index]:
            return "This index already has a policy, use the update policy API to update index policies"
        if verb == "remove" and not self.indices[index]:
            return "This index does not have a policy to remove"
        return ""

    def _explain(self, call: Call, name: str) -> FakeResponse:
        patterns = [re.compile(re.escape(each).replace(r"\*", ".*")) for each in name.split(",")]
        matching = [index for index in self.indices if any(pattern.fullmatch(index) for pattern in patterns)]
        if not matching:
            reason = "Validation Failed: 1: no documents to get;"
            return _core_error(400, "action_request_validation_exception", reason)
        told: dict[str, Any] = {}
        for index in matching:
            of = self.indices[index]
            told[index] = {
                f"index.{plugin}.index_state_management.policy_id": of for plugin in ("plugins", "opendistro")
            }
            told[index] |= (
                {"index": index, "index_uuid": index, "policy_id": of, "enabled": True} if of else {"enabled": None}
            )
            if of and call.query.get("show_policy") == "true":
                told[index]["policy"] = copy.deepcopy(self.copies.get(index))
        managed = sum(1 for index in matching if self.indices[index])
        return FakeResponse(200, told | {"total_managed_indices": managed})

    def _overlap(self, name: str, template: dict[str, Any]) -> FakeResponse | None:
        """Refuse a template of the same priority as another policy's whose patterns have an index in common."""
        for other, each in self.policies.items():
            for theirs in each["policy"].get("ism_template") or ():
                begins = [
                    pattern.rstrip("*-") for pattern in (theirs["index_patterns"][0], template["index_patterns"][0])
                ]
                if other != name and theirs["priority"] == template["priority"] and begins[0][:4] == begins[1][:4]:
                    reason = (
                        f"New policy {name} has an ISM template with index pattern {template['index_patterns']} "
                        f"matching existing policy templates, please use a different priority than "
                        f"{template['priority']}"
                    ).replace("'", "")
                    return _core_error(400, "index_management_exception", reason)
        return None

    def _policy(self, call: Call, name: str) -> FakeResponse:
        found = self.policies.get(name)
        if call.method == "PUT":
            at = (call.query.get("if_seq_no"), call.query.get("if_primary_term"))
            if at != ((str(found["_seq_no"]), "1") if found else (None, None)):
                return FakeResponse(
                    409,
                    {
                        "error": {"type": "version_conflict_engine_exception", "reason": f"[{name}]: version conflict"},
                        "status": 409,
                    },
                )
            for template in call.body["policy"].get("ism_template") or ():
                if refusal := self._overlap(name, template):
                    return refusal
            self._sequence += 1
            policy = copy.deepcopy(call.body["policy"]) | {
                "policy_id": name,
                "schema_version": 24,
                "last_updated_time": 1_577_990_761_311,
                "error_notification": None,
            }
            for state in policy["states"]:
                state["actions"] = [
                    {"retry": {"count": 3, "backoff": "exponential", "delay": "1m"}} | action
                    for action in state["actions"]
                ]
            for action in (action for state in policy["states"] for action in state["actions"] if "rollover" in action):
                action["rollover"].setdefault("copy_alias", False)
            policy.setdefault("ism_template", None)
            for template in policy["ism_template"] or ():
                template["last_updated_time"] = 1_577_990_761_311
            self.policies[name] = {
                "_id": name,
                "_version": 1,
                "_seq_no": self._sequence,
                "_primary_term": 1,
                "policy": policy,
            }
            written = copy.deepcopy(self.policies[name])
            written["policy"] = {"policy": written["policy"] | {"schema_version": 1}}
            return FakeResponse(200 if found else 201, written)
        if found is None:
            reason = f"Policy {name} is not found" if call.method == "DELETE" else "Policy not found"
            return _core_error(404, "status_exception", reason)
        if call.method == "DELETE":
            del self.policies[name]
            return FakeResponse(
                200, {"_index": ".opendistro-ism-config", "_id": name, "_primary_term": 1, "result": "deleted"}
            )
        return FakeResponse(200, found)

    # ---- Dashboards ----

    def _dashboards(self, call: Call) -> FakeResponse:
        if call.path == "/_dashboards/api/status":
            return FakeResponse(200, {"status": {"overall": {"state": "green"}}})
        if call.headers.get("osd-xsrf") != "true":
            return FakeResponse(
                400, {"statusCode": 400, "error": "Bad Request", "message": "Request must contain a osd-xsrf header."}
            )
        if call.path == "/_dashboards/auth/login":
            if not self.form_login:
                return FakeResponse(404, {"statusCode": 404, "error": "Not Found", "message": "Not Found"})
            if self.users.get(call.body["username"]) != call.body["password"]:
                return FakeResponse(
                    401, {"statusCode": 401, "error": "Unauthorized", "message": "Authentication Exception"}
                )
            tenant = {} if self.tenant is None else {"selectedTenants": self.tenant}
            return FakeResponse(200, {"username": call.body["username"], "tenants": {}} | tenant)
        assert call.headers.get("securitytenant") == "global"
        action = call.path.removeprefix("/_dashboards/api/saved_objects/")
        if action == "_bulk_get":
            return FakeResponse(200, {"saved_objects": [self._saved(asked) for asked in call.body]})
        if action == "_import":
            return self._import(call)
        key = unquote(action)
        if key not in self.saved_objects:
            return FakeResponse(
                404, {"statusCode": 404, "error": "Not Found", "message": f"Saved object [{key}] not found"}
            )
        assert call.method == "DELETE"
        del self.saved_objects[key]
        return FakeResponse(200, {})

    def _saved(self, asked: dict[str, str]) -> dict[str, Any]:
        found = self.saved_objects.get(f"{asked['type']}/{asked['id']}")
        return copy.deepcopy(found) if found else asked | {"error": {"statusCode": 404, "error": "Not Found"}}

    def _import(self, call: Call) -> FakeResponse:
        assert call.query == {"overwrite": "true"}
        boundary = SimpleCookie(call.headers["Content-Type"].split(";", 1)[1])["boundary"].value
        _, part, end = call.body.split(f"--{boundary}")
        head, _, lines = part.partition("\r\n\r\n")
        assert 'name="file"; filename="saved_objects.ndjson"' in head
        assert end == "--\r\n"
        for each in map(json.loads, lines.strip().splitlines()):
            stored = copy.deepcopy(each)
            if each["type"] == "dashboard":  # as the migrations of a newer Dashboards do
                stored["attributes"]["migrated"] = True
            self.saved_objects[f"{each['type']}/{each['id']}"] = stored
        return FakeResponse(200, {"success": True, "successCount": len(lines.strip().splitlines())})


def _call(request: requests.PreparedRequest) -> Call:
    url = urlsplit(request.url or "")
    text = request.body.decode() if isinstance(request.body, bytes) else request.body
    headers = {str(name).title(): str(value) for name, value in request.headers.items()}
    headers |= {name.lower(): value for name, value in headers.items()}
    json_body = text and "json" in headers.get("Content-Type", "json")
    query = {key: values[0] for key, values in parse_qs(url.query).items()}
    return Call(str(request.method), url.path, query, json.loads(text) if json_body else text, headers)


def _expands(pattern: str, index: str) -> bool:
    return re.fullmatch(re.escape(pattern).replace(r"\*", ".*"), index) is not None


def _as_text(value: Any) -> Any:
    """Return a mapping or settings as OpenSearch returns them: `dynamic` as text, a scaling factor as a fraction."""
    if not isinstance(value, dict):
        return value
    texts = {key: _as_text(each) for key, each in value.items()}
    if isinstance(texts.get("dynamic"), bool):
        texts["dynamic"] = str(texts["dynamic"]).lower()
    if isinstance(texts.get("scaling_factor"), int):
        texts["scaling_factor"] = float(texts["scaling_factor"])
    return texts


def _merge(properties: dict[str, Any], more: dict[str, Any], prefix: str = "") -> FakeResponse | None:
    """Add fields to a mapping; return the refusal of one that is there with another type."""
    for name, field_ in more.items():
        have = properties.setdefault(name, copy.deepcopy(field_))
        if "properties" in have and "properties" in field_:
            if refusal := _merge(have["properties"], field_["properties"], f"{prefix}{name}."):
                return refusal
        elif _as_text(have) != _as_text(field_):
            reason = f"mapper [{prefix}{name}] cannot be changed from type [{have['type']}] to [{field_['type']}]"
            return _core_error(400, "illegal_argument_exception", reason)
    return None


def _whole_mapping(body: dict[str, Any]) -> dict[str, Any]:
    members: dict[str, Any] = {kind: [] for kind in ("hosts", "users", "backend_roles", "and_backend_roles")}
    return {"reserved": False, "hidden": False} | members | body


def _written(name: str, found: object) -> FakeResponse:
    if found:
        return FakeResponse(200, {"status": "OK", "message": f"'{name}' updated."})
    return FakeResponse(201, {"status": "CREATED", "message": f"'{name}' created."})


def _missing(kind: str, name: str) -> FakeResponse:
    return FakeResponse(404, {"status": "NOT_FOUND", "message": f"{kind} '{name}' not found."})


def _missing_template(reason: str) -> FakeResponse:
    return _core_error(404, "resource_not_found_exception", reason)


def _core_error(status: int, kind: str, reason: str) -> FakeResponse:
    return FakeResponse(status, {"error": {"type": kind, "reason": reason}, "status": status})


def _protected(name: str, found: dict[str, Any] | None) -> FakeResponse | None:
    for flag in ("static", "reserved"):
        if found and found.get(flag):
            return FakeResponse(403, {"status": "FORBIDDEN", "message": f"Resource '{name}' is {flag}."})
    return None

"""What the local stack does in the domain as its administrator: the master user and the reader's role.

Stubber holds the AWS calls against botocore's models. OpenSearch is a session that keeps what it gets; that the
security plugin does what is asked here is tested with the real one (tests/integration, tests/e2e).
"""

import json
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import pytest
import requests
from botocore.stub import Stubber

from iot_stream.errors import SetupError
from iot_stream.local import reader_role
from iot_stream.local.master_user import create_master_user
from iot_stream.local.reader_role import READER_ROLE, create_reader_role
from tests.aws_clients import aws_client

STACK, SECRET = "iot-stream", "arn:aws:secretsmanager:us-east-1:000000000000:secret:m"
ROLE = "arn:aws:iam::000000000000:role/path/mapper"
API = "https://127.0.0.1:1/_plugins/_security/api"
TIMES = {"LastUpdatedTimestamp": "2026-11-27T00:00:00Z"}


@dataclass
class Session(requests.Session):
    """Keeps every PUT; `statuses` are those of the responses, the last one for ever."""

    statuses: list[int]
    found: dict[str, Any] = field(default_factory=dict)
    puts: list[tuple[str, Any]] = field(default_factory=list)

    def put(self, url: str, **options: Any) -> requests.Response:  # type: ignore[override]
        """Keep it."""
        assert options["timeout"] > 0
        self.puts.append((url, options["json"]))
        response = requests.Response()
        response.status_code = self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]
        response._content = b'{"status": "CREATED"}'
        return response

    def get(self, url: str, **_: Any) -> requests.Response:  # type: ignore[override]
        """Return the mapping that is there ("Get role mapping", security plugin)."""
        assert url == f"{API}/rolesmapping/all_access"
        response = requests.Response()
        response.status_code = 200
        response._content = json.dumps(self.found).encode()
        return response

    def __exit__(self, *_: object) -> None:
        """Stay usable."""


@dataclass
class Server:
    """The domain, as far as an administrator uses it."""

    session: Session
    url: str = "https://127.0.0.1:1"

    def admin_session(self) -> Session:
        """Return the administrator's session."""
        return self.session


def make(server: Server, mode: str, *, made: str = "", status: str = "CREATE_COMPLETE", version: str = "v" * 32) -> str:
    """Create the master user of a stack whose domain has this status."""
    names = ("cloudformation", "secretsmanager", "iam")
    clients = {name: aws_client(name) for name in names}
    with ExitStack() as stack:
        stubs = {name: stack.enter_context(Stubber(clients[name])) for name in names}
        physical = {"Domain": "domain", "MasterUserSecret": SECRET, "RoleMapperRole": "mapper"}

        def resource(name: str, status: str) -> None:
            detail = {
                "LogicalResourceId": name, "PhysicalResourceId": physical[name], "ResourceStatus": status,
                "ResourceType": "AWS::X::Y", **TIMES,
            }  # fmt: skip
            stubs["cloudformation"].add_response(
                "describe_stack_resource",
                {"StackResourceDetail": detail},
                {"StackName": STACK, "LogicalResourceId": name},
            )

        resource("Domain", status)
        if status in {"CREATE_COMPLETE", "UPDATE_COMPLETE"}:
            parameters = [{"ParameterKey": "Other", "ParameterValue": "x"}]
            parameters += [{"ParameterKey": "MasterUserMode", "ParameterValue": mode}] if mode else []
            described = {
                "StackName": STACK, "CreationTime": TIMES["LastUpdatedTimestamp"], "StackStatus": "CREATE_IN_PROGRESS",
                "Parameters": parameters,
            }  # fmt: skip
            stubs["cloudformation"].add_response("describe_stacks", {"Stacks": [described]}, {"StackName": STACK})
            if mode == "IamRole":
                resource("RoleMapperRole", "CREATE_COMPLETE")
                role = {
                    "Path": "/path/", "RoleName": "mapper", "RoleId": "A" * 20, "Arn": ROLE,
                    "CreateDate": TIMES["LastUpdatedTimestamp"],
                }  # fmt: skip
                stubs["iam"].add_response("get_role", {"Role": role}, {"RoleName": "mapper"})
            else:
                resource("MasterUserSecret", "UPDATE_COMPLETE")
                text = json.dumps({"username": "admin", "password": "Pa55.word"})
                value = {"ARN": SECRET, "Name": "m-name", "VersionId": version, "SecretString": text}
                stubs["secretsmanager"].add_response("get_secret_value", value, {"SecretId": SECRET})
        return create_master_user(clients.__getitem__, STACK, server, made)  # type: ignore[arg-type]


@pytest.mark.parametrize("mode", ["InternalUser", ""], ids=["internal user", "a template without modes"])
@pytest.mark.parametrize("status", ["CREATE_COMPLETE", "UPDATE_COMPLETE"])
def test_the_secrets_user_gets_every_right(mode: str, status: str) -> None:
    """Once the domain is there; the secret's version is what it was made from."""
    server = Server(Session([201]))
    assert make(server, mode, status=status) == "v" * 32
    wanted = {"password": "Pa55.word", "opendistro_security_roles": ["all_access"]}
    assert server.session.puts == [(f"{API}/internalusers/admin", wanted)]


def test_the_user_is_made_once_for_a_version_of_the_secret() -> None:
    """And again when it is rotated."""
    server = Server(Session([200]))
    assert make(server, "InternalUser", made="v" * 32) == "v" * 32
    assert server.session.puts == []
    assert make(server, "InternalUser", made="v" * 32, version="w" * 32) == "w" * 32
    assert len(server.session.puts) == 1


@pytest.mark.parametrize("status", ["CREATE_IN_PROGRESS", "DELETE_COMPLETE"])
def test_without_a_domain_nothing_is_made(status: str) -> None:
    """What was made before is still true."""
    server = Server(Session([200]))
    assert make(server, "InternalUser", made="before", status=status) == "before"
    assert server.session.puts == []


def test_the_role_is_added_to_those_with_every_right() -> None:
    """Entries of others stay; where it is among them, or a second time, there is nothing to do."""
    found = {"all_access": {"backend_roles": ["z"], "users": ["ann"], "hosts": ["h"], "reserved": False}}
    server = Server(Session([200], found))
    assert make(server, "IamRole") == ROLE
    wanted = {"backend_roles": [ROLE, "z"], "users": ["ann"], "hosts": ["h"]}
    assert server.session.puts == [(f"{API}/rolesmapping/all_access", wanted)]
    assert make(server, "IamRole", made=ROLE) == ROLE
    server.session.found = {"all_access": wanted}
    assert make(server, "IamRole") == ROLE
    assert len(server.session.puts) == 1


def test_a_conflict_with_another_change_is_tried_again_by_the_next_call() -> None:
    """409: the plugin keeps all entries of a kind in one document, so that other stacks' changes collide."""
    server = Server(Session([409, 200]))
    assert make(server, "InternalUser", made="before") == "before"
    assert make(server, "InternalUser", made="before") == "v" * 32
    assert len(server.session.puts) == 2


def test_a_refused_user_ends_the_deployment() -> None:
    """With the status and what OpenSearch says."""
    with pytest.raises(SetupError, match=r"refused the master user \(400\): .*CREATED"):
        make(Server(Session([400])), "InternalUser")


def test_the_reader_may_search_its_pattern_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    """The role, then its mapping to its own name; a conflict with another change is tried again (409)."""
    monkeypatch.setattr(reader_role, "_CONFLICT_SECONDS", 0)
    server = Server(Session([409, 409, 201]))
    create_reader_role(server, "iot-*")  # type: ignore[arg-type]
    role = {
        "cluster_permissions": ["indices:data/read/msearch"],
        "index_permissions": [{"index_patterns": ["iot-*"], "allowed_actions": ["read"]}],
    }
    assert server.session.puts == [
        *[(f"{API}/roles/{READER_ROLE}", role)] * 3,
        (f"{API}/rolesmapping/{READER_ROLE}", {"backend_roles": [READER_ROLE]}),
    ]


def test_a_refused_role_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """At once; and a conflict that lasts, after a while."""
    with pytest.raises(SetupError, match="did not create the live page's role: 403"):
        create_reader_role(Server(Session([403])), "iot-*")  # type: ignore[arg-type]
    monkeypatch.setattr(reader_role, "_SECONDS", 0.05)
    monkeypatch.setattr(reader_role, "_CONFLICT_SECONDS", 0.01)
    with pytest.raises(SetupError, match="409"):
        create_reader_role(Server(Session([409])), "iot-*")  # type: ignore[arg-type]

"""One outage of OpenSearch amid everything: delivery, the alerts function and the role mapper outlast it."""

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from time import time_ns
from typing import Any

import pytest
import requests

from iot_stream.local.alarm_messages import read_messages, subscribe_queue
from iot_stream.local.local_stack import LocalStack
from iot_stream.local.opensearch import OpenSearch
from role_mapper import provision
from role_mapper.deadline import Deadline
from role_mapper.domain import Domain
from role_mapper.master_user import InternalUser
from role_mapper.ownership import Owner
from role_mapper.properties import Properties
from tests.alerts_function import MINUTE, put, remember, run, schedule_paused
from tests.builders import STACK_ID, mapping_properties
from tests.delivery import World
from tests.outages import Outages
from tests.polling import until
from tests.secrets import make_secret

pytestmark = pytest.mark.secrets

API = "/_plugins/_security/api"
PASSWORD = make_secret("Restarted-Pa55word.of-the-master")
NAME = "away-and-back"
HOT = 990_201


@dataclass
class Witnesses:
    """What was at work during the outage."""

    world: World
    alerts_said: str
    mapped: Properties


@pytest.fixture(scope="module")
def witnesses(
    local_stack: LocalStack, outages: Outages, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Witnesses]:
    """OpenSearch ends when the role mapper has put its role, and is back when everybody has noticed."""
    stack, server = local_stack.stack(), outages.server
    subscribe_queue(local_stack.aws, stack.output("AlarmTopicArn"))
    world = World(local_stack.aws, server, tmp_path_factory.mktemp("outage"))
    world.make()
    world.start()
    world.send([{"n": n} for n in range(500)])
    until(lambda: world.status.delivered == 500, what="the records before")
    said: list[str] = []
    restart = threading.Thread(target=outages.start)

    def go_away() -> None:
        outages.stop()
        world.send([{"n": n} for n in range(500, 1500)])
        invoked = local_stack.aws.client("lambda").invoke(FunctionName=stack.output("DeviceAlertsFunctionArn"))
        said.append(invoked["Payload"].read().decode())
        until(lambda: "OS.ServiceException" in (world.status.last_error or ""), what="the outage")
        restart.start()

    with schedule_paused(local_stack, stack):
        run(local_stack, stack)
        now = time_ns() // 1_000_000
        remember(local_stack, stack, on_time_since=now - 10 * MINUTE, horizon=now - 10 * MINUTE)
        put(local_stack, stack, HOT, 45.5, iter([now - 3 * MINUTE, now]))
        with server.admin_session() as admin:
            try:
                mapped = prepare_domain(server, admin, go_away)
            finally:
                if restart.ident:
                    restart.join()
            yield Witnesses(world, said[0], mapped)
            admin.delete(f"{server.url}/_index_template/{NAME}").raise_for_status()
            for kind in ("rolesmapping", "roles", "internalusers"):
                admin.delete(f"{server.url}{API}/{kind}/{NAME}").raise_for_status()
    world.close()
    query = {"query": {"term": {"device_id": HOT}}}
    server.admin_client().delete_by_query(index=f"{stack.output('IndexName')}*", body=query)


def prepare_domain(server: OpenSearch, admin: requests.Session, go_away: Callable[[], None]) -> Properties:
    """Let the role mapper prepare the domain, which goes away between the role and its mapping; return what it made."""
    endpoint = f"127.0.0.1:{server.port}"
    wanted = Properties.of(
        mapping_properties(DomainEndpoint=endpoint, RoleName=NAME, IndexPattern=NAME, IndexName=NAME)
    )
    user = {"password": PASSWORD, "opendistro_security_roles": ["all_access"]}
    admin.put(f"{server.url}{API}/internalusers/{NAME}", json=user).raise_for_status()
    secret = json.dumps({"username": NAME, "password": PASSWORD})
    client = Domain(endpoint, InternalUser(lambda: secret), Deadline(240))
    call, went = client.call, False

    def call_and_go(method: str, path: str, *args: Any, **more: Any) -> Any:
        nonlocal went
        response = call(method, path, *args, **more)
        if method == "PUT" and path.endswith(f"/roles/{NAME}") and not went:
            went = True
            go_away()
        return response

    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("REQUESTS_CA_BUNDLE", str(server.ca_file))
        patched.setattr(client, "call", call_and_go)
        provision.apply(client, wanted, Owner.of(STACK_ID, "RoleMapping", endpoint))
        client.close()
    assert went, "it never came to the outage"
    return wanted


def test_nothing_is_lost_and_nobody_needs_help(local_stack: LocalStack, witnesses: Witnesses, outages: Outages) -> None:
    """One test for all three, because none may run beside an outage."""
    _role_mapper_went_on(witnesses, outages.server)
    _delivery_lost_and_repeated_nothing(witnesses.world)
    _alerts_went_on(witnesses, local_stack)


def _role_mapper_went_on(witnesses: Witnesses, server: OpenSearch) -> None:
    """Refused, 503, then done, all by itself."""
    with server.admin_session() as admin:
        found = admin.get(f"{server.url}{API}/rolesmapping/{NAME}").json()
    assert found[NAME]["backend_roles"] == [witnesses.mapped.delivery_role_arn]


def _delivery_lost_and_repeated_nothing(world: World) -> None:
    """What was sent before, meanwhile and afterwards is searchable, once."""
    world.send([{"n": n} for n in range(1500, 2000)])
    world.accounted(2000)
    assert not world.failures()


def _alerts_went_on(witnesses: Witnesses, local_stack: LocalStack) -> None:
    """The run during the outage fails, the next one opens the alert that was due, and tells it once."""
    assert "OpenSearch does not respond" in witnesses.alerts_said
    stack = local_stack.stack()
    run(local_stack, stack)
    run(local_stack, stack)
    told = [each for each in read_messages(local_stack.aws) if str(HOT) in each.text]
    assert [each.text.count(f"Device {HOT}: ") for each in told] == [1], told

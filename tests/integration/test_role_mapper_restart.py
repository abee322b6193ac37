"""A domain that restarts while it is being prepared."""

import json
import threading
from pathlib import Path
from typing import Any

import pytest

from iot_stream.local import opensearch as local_opensearch
from iot_stream.local.distribution import assemble
from iot_stream.local.processes import Process, free_port
from role_mapper import provision
from role_mapper.domain import Domain
from role_mapper.master_user import InternalUser
from role_mapper.ownership import Owner
from role_mapper.patience import Patience
from role_mapper.properties import Properties
from tests.builders import STACK_ID, mapping_properties
from tests.secrets import make_secret

PASSWORD = make_secret("Restarted-Pa55word.of-the-master")


def test_a_restart_in_the_middle_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """OpenSearch ends between the role and its mapping and comes back: refused, 503, then done, all by itself."""
    server = local_opensearch.prepare(tmp_path / "opensearch", assemble(), free_port())
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(server.ca_file))
    running: list[Process] = [server.start()]
    restart = threading.Thread(target=lambda: running.append(server.start()))
    try:
        with server.admin_session() as admin:
            user = {"password": PASSWORD, "opendistro_security_roles": ["all_access"]}
            admin.put(f"{server.url}/_plugins/_security/api/internalusers/master", json=user)
        secret = json.dumps({"username": "master", "password": PASSWORD})
        endpoint = f"127.0.0.1:{server.port}"
        wanted = Properties.of(mapping_properties(DomainEndpoint=endpoint))
        client = Domain(endpoint, InternalUser(lambda: secret), Patience(240))
        call = client.call

        def call_and_restart(method: str, path: str, *args: Any, **more: Any) -> Any:
            answer = call(method, path, *args, **more)
            if method == "PUT" and path.endswith("/roles/kinesis-firehose") and len(running) == 1:
                running[0].stop()
                restart.start()
            return answer

        monkeypatch.setattr(client, "call", call_and_restart)
        provision.apply(client, wanted, Owner.of(STACK_ID, "RoleMapping", endpoint))
        restart.join()
        with server.admin_session() as admin:
            found = admin.get(f"{server.url}/_plugins/_security/api/rolesmapping/kinesis-firehose").json()
        assert found["kinesis-firehose"]["backend_roles"] == [wanted.delivery_role_arn]
        assert len(running) == 2
        client.close()
    finally:
        if restart.is_alive():
            restart.join()
        for process in running:
            process.stop()

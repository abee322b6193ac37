"""A domain that restarts while it is being prepared."""

import json
import threading
from typing import Any

import pytest

from role_mapper import provision
from role_mapper.deadline import Deadline
from role_mapper.domain import Domain
from role_mapper.master_user import InternalUser
from role_mapper.ownership import Owner
from role_mapper.properties import Properties
from tests.builders import STACK_ID, mapping_properties
from tests.outages import Outages
from tests.secrets import make_secret

pytestmark = pytest.mark.secrets

PASSWORD = make_secret("Restarted-Pa55word.of-the-master")
NAME = "away-and-back"


def test_a_restart_in_the_middle_is_waited_for(outages: Outages, monkeypatch: pytest.MonkeyPatch) -> None:
    """OpenSearch ends between the role and its mapping and comes back: refused, 503, then done, all by itself."""
    server = outages.server
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(server.ca_file))
    endpoint = f"127.0.0.1:{server.port}"
    wanted = Properties.of(
        mapping_properties(DomainEndpoint=endpoint, RoleName=NAME, IndexPattern=NAME, IndexName=NAME)
    )
    secret = json.dumps({"username": NAME, "password": PASSWORD})
    client = Domain(endpoint, InternalUser(lambda: secret), Deadline(240))
    call, restart = client.call, threading.Thread(target=outages.start)

    def call_and_restart(method: str, path: str, *args: Any, **more: Any) -> Any:
        response = call(method, path, *args, **more)
        if method == "PUT" and path.endswith(f"/roles/{NAME}") and not restart.ident:
            outages.stop()
            restart.start()
        return response

    monkeypatch.setattr(client, "call", call_and_restart)
    with server.admin_session() as admin:
        api = f"{server.url}/_plugins/_security/api"
        user = {"password": PASSWORD, "opendistro_security_roles": ["all_access"]}
        admin.put(f"{api}/internalusers/{NAME}", json=user).raise_for_status()
        try:
            provision.apply(client, wanted, Owner.of(STACK_ID, "RoleMapping", endpoint))
        finally:
            client.close()
            if restart.ident:
                restart.join()
        assert restart.ident, "it never came to the restart"
        found = admin.get(f"{api}/rolesmapping/{NAME}").json()
        assert found[NAME]["backend_roles"] == [wanted.delivery_role_arn]
        admin.delete(f"{server.url}/_index_template/{NAME}").raise_for_status()
        for path in (f"rolesmapping/{NAME}", f"roles/{NAME}", f"internalusers/{NAME}"):
            admin.delete(f"{api}/{path}").raise_for_status()

"""The gateway with the real OpenSearch behind it and ministack to prove signatures: who signs is who calls."""

import gzip
import hashlib
import io
import json
import zipfile
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from iot_stream.delivery.core.record import Document, Record
from iot_stream.delivery.edges.aws import AwsClients
from iot_stream.delivery.edges.opensearch import Domain, sign_in
from iot_stream.local.ministack import ACCOUNT, Ministack
from iot_stream.local.opensearch import OpenSearch

ROLE = "signs-in"
ROLE_ARN = f"arn:aws:iam::{ACCOUNT}:role/of/path/{ROLE}"
WHOAMI = "/_plugins/_security/authinfo"

type Send = Callable[..., requests.Response]


@pytest.fixture
def send(opensearch: OpenSearch, ministack: Ministack, domain_port: int) -> Send:
    """Send a request to the domain's endpoint, signed when credentials are given, then changed by `spoil`."""

    def send(
        credentials: Credentials | None = None,
        method: str = "GET",
        path: str = WHOAMI,
        body: bytes = b"",
        spoil: Callable[[dict[str, str]], None] = lambda _: None,
        **options: Any,
    ) -> requests.Response:
        url = f"https://127.0.0.1:{domain_port}{path}"
        request = AWSRequest(method, url, headers={"Content-Type": "application/json"}, data=body)
        if credentials:
            SigV4Auth(credentials, "es", ministack.region).add_auth(request)
        headers = dict(request.headers.items())
        spoil(headers)
        with requests.Session() as session:
            session.trust_env = False
            return session.request(
                method, url, headers=headers, data=body, verify=str(opensearch.ca_file), timeout=30, **options
            )

    return send


def make_role(ministack: Ministack) -> None:
    """Create the role, whose path its sessions' ARNs lack."""
    iam = ministack.client("iam")
    trust = {"Effect": "Allow", "Principal": {"AWS": ACCOUNT}, "Action": "sts:AssumeRole"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    try:
        iam.create_role(RoleName=ROLE, Path="/of/path/", AssumeRolePolicyDocument=policy)
    except iam.exceptions.EntityAlreadyExistsException:
        return


@pytest.fixture
def session(ministack: Ministack) -> Credentials:
    """Credentials of a session of the role."""
    make_role(ministack)
    issued = ministack.client("sts").assume_role(RoleArn=ROLE_ARN, RoleSessionName="anyone")["Credentials"]
    return Credentials(issued["AccessKeyId"], issued["SecretAccessKey"], issued["SessionToken"])


def test_who_signs_is_who_calls(send: Send, session: Credentials, ministack: Ministack) -> None:
    """A session is its role, an IAM user itself, the root credentials the root."""
    asked = send(session).json()
    assert (asked["user_name"], asked["backend_roles"]) == (ROLE_ARN, [ROLE_ARN])
    iam = ministack.client("iam")
    user = iam.create_user(UserName="signs-in-user")["User"]["Arn"]
    key = iam.create_access_key(UserName="signs-in-user")["AccessKey"]
    assert send(Credentials(key["AccessKeyId"], key["SecretAccessKey"])).json()["user_name"] == user
    iam.update_access_key(UserName="signs-in-user", AccessKeyId=key["AccessKeyId"], Status="Inactive")
    assert send(Credentials(key["AccessKeyId"], key["SecretAccessKey"])).status_code == 403
    root = ministack.environment()
    credentials = Credentials(root["AWS_ACCESS_KEY_ID"], root["AWS_SECRET_ACCESS_KEY"])
    assert send(credentials).json()["user_name"] == f"arn:aws:iam::{ACCOUNT}:root"


def test_nobody_is_taken_at_their_word(send: Send, session: Credentials, monkeypatch: pytest.MonkeyPatch) -> None:
    """A known access key with another secret, or with another or no token, is refused; so is a deleted role."""
    wrong = Credentials(session.access_key, "x" * 40, session.token)
    refused = send(wrong)
    assert refused.status_code == 403
    assert refused.json()["message"].startswith("The request signature we calculated does not match")
    for token in ("", "another"):
        refused = send(Credentials(session.access_key, session.secret_key, token))
        assert (refused.status_code, "token" in refused.json()["message"]) == (403, True)
    assert send(Credentials("ASIAUNKNOWNUNKNOWN00", "x" * 40, "token")).status_code == 403
    late = datetime.now(UTC) - timedelta(minutes=6)
    monkeypatch.setattr("botocore.auth.get_current_datetime", lambda *_, **__: late.replace(tzinfo=None))
    refused = send(session)
    assert (refused.status_code, refused.json()["message"][:18]) == (403, "Signature expired:")


def test_a_deleted_role_is_nobody(send: Send, ministack: Ministack, session: Credentials) -> None:
    """Its sessions' keys prove nothing once it is gone."""
    assert send(session).status_code == 200
    ministack.client("iam").delete_role(RoleName=ROLE)
    refused = send(session)
    assert (refused.status_code, "invalid" in refused.json()["message"]) == (403, True)


def test_other_requests_pass_as_they_are(send: Send, opensearch: OpenSearch) -> None:
    """No credentials: OpenSearch's own 401. Name and password, and tokens: as if sent to OpenSearch itself."""
    anonymous = send()
    assert (anonymous.status_code, "Basic" in anonymous.headers["WWW-Authenticate"]) == (401, True)
    with opensearch.admin_session() as admin:
        user = f"{opensearch.url}/_plugins/_security/api/internalusers/gateway-user"
        assert admin.put(user, json={"password": "Gateway-9-user-Gateway"}).status_code == 201
    found = send(auth=("gateway-user", "Gateway-9-user-Gateway")).json()
    assert found["user_name"] == "gateway-user"

    def bear(headers: dict[str, str]) -> None:
        headers["Authorization"] = f"Bearer {opensearch.token('arn:some-role')}"

    assert send(spoil=bear).json()["backend_roles"] == ["arn:some-role"]
    forged = send(spoil=lambda headers: headers.update(Authorization=headers.get("Authorization", "") + "Bearer x.y.z"))
    assert forged.status_code == 401


def test_methods_bodies_and_compression_pass(send: Send, opensearch: OpenSearch) -> None:
    """PUT of a compressed body, HEAD with its length, an absent document, a query."""

    def as_admin(headers: dict[str, str]) -> None:
        headers["Authorization"] = f"Bearer {opensearch.token('gateway-admin')}"

    with opensearch.admin_session() as admin:
        mapping = f"{opensearch.url}/_plugins/_security/api/rolesmapping/gateway-reader"
        role = f"{opensearch.url}/_plugins/_security/api/roles/gateway-reader"
        allowed = {"index_patterns": ["gateway*"], "allowed_actions": ["indices:*"]}
        admin.put(role, json={"cluster_permissions": ["*"], "index_permissions": [allowed]})
        admin.put(mapping, json={"backend_roles": ["gateway-admin"]})

    def compressed(headers: dict[str, str]) -> None:
        as_admin(headers)
        headers["Content-Encoding"] = "gzip"

    body = gzip.compress(b'{"a": 1}')
    put = send(method="PUT", path="/gateway-index/_doc/a%2Fb?refresh=true", body=body, spoil=compressed)
    assert (put.status_code, put.json()["_id"]) == (201, "a/b")
    head = send(method="HEAD", path="/gateway-index/_doc/a%2Fb", spoil=as_admin)
    assert (head.status_code, head.content, int(head.headers["Content-Length"]) > 0) == (200, b"", True)
    assert send(method="HEAD", path="/gateway-index/_doc/none", spoil=as_admin).status_code == 404
    found = send(path="/gateway-index/_search?q=a:1&filter_path=hits.total.value", spoil=as_admin)
    assert found.json() == {"hits": {"total": {"value": 1}}}


FUNCTION = """
import os, urllib.request
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.session import Session

def handler(event, context):
    request = AWSRequest("GET", event["url"])
    SigV4Auth(Session().get_credentials(), "es", os.environ["AWS_REGION"]).add_auth(request)
    with urllib.request.urlopen(urllib.request.Request(event["url"], headers=dict(request.headers))) as response:
        return response.read().decode()
"""


def test_a_function_signs_in_with_its_own_role(
    ministack: Ministack, session: Credentials, domain_port: int, send: Send
) -> None:
    """Its environment's credentials and authority are enough, its code knows of no local stack, and nobody can guess.

    Whoever could compute its credentials from its name would have its rights.
    """
    assert session.token
    package = io.BytesIO()
    with zipfile.ZipFile(package, "w") as archive:
        archive.writestr("code.py", FUNCTION)
    client = ministack.client("lambda")
    client.create_function(
        FunctionName="signs-in",
        Runtime="python3.13",
        Role=ROLE_ARN,
        Handler="code.handler",
        Code={"ZipFile": package.getvalue()},
        Timeout=30,
    )
    payload = json.dumps({"url": f"https://127.0.0.1:{domain_port}{WHOAMI}"})
    response = client.invoke(FunctionName="signs-in", Payload=payload)
    assert "FunctionError" not in response, response["Payload"].read()
    assert json.loads(json.loads(response["Payload"].read()))["backend_roles"] == [ROLE_ARN]
    # ministack alone derives a function's keys from its ARN and its role's (core/lambda_runtime.py).
    arn = client.get_function(FunctionName="signs-in")["Configuration"]["FunctionArn"]
    digest = hashlib.sha256(f"{arn}:{ROLE_ARN}".encode()).hexdigest()
    secret, token = (hashlib.sha256(f"{kind}:{digest}".encode()).hexdigest() for kind in ("secret", "token"))
    guessed = send(Credentials(f"ASIA{digest[:16].upper()}", secret, token))
    assert (guessed.status_code, guessed.json()["message"]) == (
        403,
        "The security token included in the request is invalid.",
    )
    client.delete_function(FunctionName="signs-in")


def test_the_delivery_worker_signs_in_with_its_role(
    ministack: Ministack, opensearch: OpenSearch, domain_port: int, session: Credentials
) -> None:
    """`--sign-in sigv4`: refused (403) as the role while that is not mapped, and indexed once it is."""
    assert session.token
    with pytest.MonkeyPatch.context() as patched:
        for name, value in ministack.environment().items():
            patched.setenv(name, value)
        clients = AwsClients(ministack.region, ministack.url, ACCOUNT)
        auth = sign_in("sigv4", clients, ROLE_ARN, ministack.region)
        domain = Domain(f"https://127.0.0.1:{domain_port}", auth, opensearch.ca_file, with_ids=True)
        record = Record("shardId-000000000000", "9", None, "key", 1000, "e30=", "0.9", 2)
        document = Document(record, b'{"a":1}', "gateway-bulk")
        [refused] = domain.index([document])
        assert refused is not None
        assert (refused.status, ROLE_ARN in refused.message) == (403, True)
        with opensearch.admin_session() as admin:
            api = f"{opensearch.url}/_plugins/_security/api"
            allowed = {"index_patterns": ["gateway-bulk"], "allowed_actions": ["indices:*"]}
            role = {"cluster_permissions": ["cluster_composite_ops"], "index_permissions": [allowed]}
            assert admin.put(f"{api}/roles/gateway-bulk", json=role).ok
            assert admin.put(f"{api}/rolesmapping/gateway-bulk", json={"backend_roles": [ROLE_ARN]}).ok
        assert domain.index([document]) == [None]

"""The local stand-ins behave as the parts of AWS that the pipeline relies on."""

import requests

from iot_stream.local.ministack import ACCOUNT, Ministack
from iot_stream.local.opensearch import OpenSearch

ROLE = f"arn:aws:iam::{ACCOUNT}:role/neighbours-test"


def _session(opensearch: OpenSearch) -> requests.Session:
    session = requests.Session()
    session.trust_env = False
    session.verify = str(opensearch.ca_file)
    return session


def test_a_token_makes_its_sender_an_iam_role_without_rights(opensearch: OpenSearch) -> None:
    """An unmapped role is known, as its own backend role, and refused (403)."""
    with _session(opensearch) as session:
        session.headers["Authorization"] = f"Bearer {opensearch.token(ROLE)}"
        who = session.get(f"{opensearch.url}/_plugins/_security/authinfo").json()
        assert who["backend_roles"] == [ROLE]
        response = session.put(f"{opensearch.url}/neighbours-test/_doc/1", json={"a": 1})
        assert response.status_code == 403
        assert ROLE in response.text


def test_no_sign_in_and_a_forged_token_are_refused(opensearch: OpenSearch) -> None:
    """Without credentials, and with a token somebody else signed, the status is 401."""
    header, claims, _ = opensearch.token(ROLE).split(".")
    with _session(opensearch) as session:
        assert session.get(opensearch.url).status_code == 401
        session.headers["Authorization"] = f"Bearer {header}.{claims}.{'A' * 43}"
        assert session.get(opensearch.url).status_code == 401


def test_ministack_responds_to_aws_clients(ministack: Ministack) -> None:
    """A boto3 client reaches it, as the local account."""
    assert ministack.client("sts").get_caller_identity()["Account"] == ACCOUNT

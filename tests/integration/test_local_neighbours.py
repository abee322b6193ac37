"""The local stand-ins behave as the parts of AWS that the pipeline relies on, and serve nobody but their owner."""

import json
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import boto3
import pytest
import requests
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import ClientError

from iot_stream.local import ministack as ministack_module
from iot_stream.local.ministack import ACCOUNT, Ministack
from iot_stream.local.opensearch import OpenSearch
from iot_stream.local.processes import clean_environment
from iot_stream.paths import MINISTACK_PYTHON

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


def test_changes_of_access_at_the_same_time_all_take_effect(opensearch: OpenSearch) -> None:
    """The security plugin refuses all but one with 409, whatever they change; an administrator's are sent again."""

    def change(number: int) -> list[int]:
        url = f"{opensearch.url}/_plugins/_security/api/roles/neighbours-{number}"
        with opensearch.admin_session() as session:
            return [
                session.put(url, json={"cluster_permissions": ["cluster_monitor"]}).status_code,
                session.delete(url).status_code,
            ]

    with ThreadPoolExecutor(6) as threads:
        assert list(threads.map(change, range(6))) == [[201, 200]] * 6


def test_ministack_responds_to_aws_clients(ministack: Ministack) -> None:
    """A boto3 client reaches it, as the local account."""
    assert ministack.client("sts").get_caller_identity()["Account"] == ACCOUNT


def _calls(client: Callable[[str], Any], bucket: str) -> list[Callable[[], Any]]:
    """Return what nobody else may do: run code, read a document, read the master password, put a record."""
    code = {"ZipFile": b"PK\x05\x06" + bytes(18)}
    role = f"arn:aws:iam::{ACCOUNT}:role/any"
    return [
        lambda: client("lambda").create_function(
            FunctionName="foreign", Role=role, Code=code, Runtime="python3.13", Handler="a.b"
        ),
        lambda: client("s3").get_object(Bucket=bucket, Key="document"),
        lambda: client("s3").list_objects_v2(Bucket=bucket),
        lambda: client("secretsmanager").get_secret_value(SecretId=bucket),
        lambda: client("kinesis").list_streams(),
        lambda: client("cloudformation").describe_stacks(),
        lambda: client("sts").get_caller_identity(),
        lambda: client("iam").list_roles(),
    ]


@pytest.fixture(scope="module")
def treasure(ministack: Ministack) -> str:
    """Name of a bucket with an object, and of a secret."""
    s3, name = ministack.client("s3"), "treasure"
    s3.create_bucket(Bucket=name)
    s3.put_object(Bucket=name, Key="document", Body=b"a document")
    ministack.client("secretsmanager").create_secret(Name=name, SecretString="a password")
    return name


# What AWS calls it when a key is unknown, a signature wrong or missing, service by service (API references, "Common
# Errors"; S3: "Error responses").
REFUSALS = {
    "AccessDenied", "AccessDeniedException", "IncompleteSignature", "InvalidAccessKeyId", "InvalidClientTokenId",
    "InvalidSignatureException", "InvalidToken", "MissingAuthenticationToken", "MissingAuthenticationTokenException",
    "SignatureDoesNotMatch", "UnrecognizedClientException", "AuthorizationHeaderMalformed",
}  # fmt: skip


@pytest.mark.parametrize("who", ["unsigned", "test", "account", "another account", "made up", "wrong secret"])
def test_another_user_of_the_machine_gets_nothing(ministack: Ministack, treasure: str, who: str) -> None:
    """Whoever has not the stack's own secret key is refused by every service, in AWS's words; ministack alone is not.

    To ministack the keys `test`, none and any twelve digits are the account's root, whatever the signature.
    """
    key, secret = {
        "unsigned": ("x", "x"),
        "test": ("test", "test"),
        "account": (ACCOUNT, "test"),
        "another account": ("123456789012", "test"),
        "made up": ("AKIAIOSFODNN7EXAMPLE", "x" * 40),
        "wrong secret": (ministack.environment()["AWS_ACCESS_KEY_ID"], "x" * 40),
    }[who]

    def client(service: str) -> Any:
        return boto3.client(
            service,
            ministack.region,
            endpoint_url=ministack.url,
            aws_access_key_id=key,
            aws_secret_access_key=secret,
            config=Config(
                signature_version=UNSIGNED if who == "unsigned" else None,
                s3={"addressing_style": "path"},
                proxies={},
                retries={"total_max_attempts": 1},
            ),
        )

    for call in _calls(client, treasure):
        with pytest.raises(ClientError) as refused:
            call()
        response = refused.value.response
        assert response["Error"]["Code"] in REFUSALS, response
        assert response["ResponseMetadata"]["HTTPStatusCode"] in {400, 403}


def test_no_way_around_the_signature(ministack: Ministack, treasure: str) -> None:
    """An empty key, SigV2, presigned URLs, credentials in two places, ministack's own pages: refused too."""
    own = ministack.environment()
    signed = ministack.client("s3").generate_presigned_url("get_object", Params={"Bucket": treasure, "Key": "document"})
    scope = f"20261126/{ministack.region}/s3/aws4_request, SignedHeaders=host, Signature={'0' * 64}"
    mine = {"Authorization": f"AWS4-HMAC-SHA256 Credential={own['AWS_ACCESS_KEY_ID']}/{scope}"}
    empty = {"Authorization": f"AWS4-HMAC-SHA256 Credential=/{scope}", "X-Amz-Date": "20261126T000000Z"}
    with requests.Session() as session:
        session.trust_env = False

        def status(method: str, path: str, headers: dict[str, str] | None = None) -> int:
            url = path if path.startswith("http") else f"{ministack.url}{path}"
            return session.request(method, url, headers=headers, timeout=30).status_code

        refused = {
            "empty key": status("GET", f"/{treasure}/document", empty),
            "no date": status("GET", f"/{treasure}/document", mine),
            "SigV2": status("GET", f"/{treasure}/document", {"Authorization": f"AWS {own['AWS_ACCESS_KEY_ID']}:x"}),
            "presigned": status("GET", signed),
            "twice": status("GET", f"/{treasure}/document?X-Amz-Credential={own['AWS_ACCESS_KEY_ID']}/x", mine),
            "code": status("GET", f"/_ministack/lambda-code/{ACCOUNT}/us-east-1/any"),
            "reset": status("POST", "/_ministack/reset"),
            "config": status("POST", "/_ministack/config"),
            "health": status("GET", "/health"),
            "options": status("OPTIONS", f"/{treasure}/document"),
            "function's URL": status("POST", "/2015-03-31/functions/any/invocations"),
        }
        assert {name: code for name, code in refused.items() if code not in {400, 403}} == {}
        assert status("HEAD", f"/{treasure}/document") == 403
        # Where a custom resource responds: an unknown token changes nothing, and a body of any size is not kept.
        response = f"{ministack.url}/_ministack/cfn-response/00000000-0000-4000-8000-000000000000"
        assert session.put(response, b"{}", timeout=30).status_code == 200
        assert session.put(response, bytes(2 * 2**20), timeout=30).status_code == 413
        assert status("GET", "/_ministack/ready") == 200
    stored = ministack.client("s3").get_object(Bucket=treasure, Key="document")["Body"].read()
    assert stored == b"a document"


def test_an_alarm_is_about_the_metric_with_its_dimensions(ministack: Ministack) -> None:
    """CloudWatch "treats each unique combination of dimensions as a separate metric" ("Metrics concepts")."""
    cloudwatch = ministack.client("cloudwatch")

    def dimensions(queue: str) -> list[dict[str, str]]:
        return [{"Name": "Queue", "Value": queue}] if queue else []

    for queue in ("full", "idle", ""):
        cloudwatch.put_metric_alarm(
            AlarmName=f"neighbours-{queue}", Namespace="Neighbours", MetricName="Depth", Dimensions=dimensions(queue),
            Statistic="Sum", Period=60, EvaluationPeriods=1, Threshold=1, ComparisonOperator="GreaterThanThreshold",
        )  # fmt: skip
    for queue, value in (("full", 9), ("idle", 0)):
        data = {"MetricName": "Depth", "Value": value, "Dimensions": dimensions(queue)}
        cloudwatch.put_metric_data(Namespace="Neighbours", MetricData=[data])
    alarms = cloudwatch.describe_alarms(AlarmNamePrefix="neighbours-")["MetricAlarms"]
    states = {alarm["AlarmName"]: alarm["StateValue"] for alarm in alarms}
    assert states == {"neighbours-full": "ALARM", "neighbours-idle": "OK", "neighbours-": "INSUFFICIENT_DATA"}


# A record and a read every hour for three days, in ministack's own interpreter, where the hours take no time.
_THREE_DAYS = """
import base64, json, runpy, sys, time
hours = 0
began, time.time = time.time(), lambda: began + hours * 3600
runpy.run_path(sys.argv[1])
from ministack.services import kinesis

def call(operation, **parameters):
    status, _, body = operation(parameters)
    assert status == 200, body
    return json.loads(body or "{}")

shard = "shardId-000000000000"
call(kinesis._create_stream, StreamName="s", ShardCount=1)
kinesis._streams["s"]["StreamStatus"] = "ACTIVE"
start = dict(StreamName="s", ShardId=shard, ShardIteratorType="TRIM_HORIZON")
iterator = call(kinesis._get_shard_iterator, **start)["ShardIterator"]
read = []
for hours in range(72):
    sent = base64.b64encode(str(hours).encode()).decode()
    call(kinesis._put_record, StreamName="s", PartitionKey="k", Data=sent)
    response = call(kinesis._get_records, ShardIterator=iterator)
    kinesis._shard_iterators[response["NextShardIterator"]]["created_at"] += 3600
    iterator = response["NextShardIterator"]
    read += [int(base64.b64decode(record["Data"])) for record in response["Records"]]
kept = [record["Data"] for record in kinesis._streams["s"]["shards"][shard]["records"]]
print(json.dumps({"read": read, "kept": len(kept)}))
"""


def test_a_stream_is_read_on_while_old_records_expire() -> None:
    """Each record is read once, however long the local stack runs; the stream keeps those of 24 hours."""
    done = subprocess.run(
        [str(MINISTACK_PYTHON), "-P", "-c", _THREE_DAYS, str(ministack_module._SERVER)],
        env=clean_environment(AWS_ACCESS_KEY_ID="AKIATEST"),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["read"] == list(range(72))
    assert found["kept"] in {24, 25}  # one is just 24 hours old, and fractions of a second are rounded

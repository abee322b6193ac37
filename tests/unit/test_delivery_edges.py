"""The edges, as far as they can be tested without a neighbour: state folder, sign-in, configuration, log entries."""

import base64
import json
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import jwt
import msgspec
import pytest
import requests
from botocore.exceptions import ClientError, EndpointConnectionError
from hypothesis import HealthCheck, given
from hypothesis import strategies as st
from requests.auth import AuthBase

from iot_stream.delivery.core.commands import ErrorLogEntry
from iot_stream.delivery.core.object_kind import ObjectKind
from iot_stream.delivery.core.progress import Intent, Progress, ShardProgress
from iot_stream.delivery.core.record import Document, Outcome, Record
from iot_stream.delivery.core.settings import Function
from iot_stream.delivery.core.status import DeliveryStatus
from iot_stream.delivery.edges.aws import AwsClients, JsonApi, _parse_error, error_code
from iot_stream.delivery.edges.cloudwatch import log_fields
from iot_stream.delivery.edges.describe import describe_delivery_stream, find_endpoint
from iot_stream.delivery.edges.opensearch import BearerAuth, Domain, check_sign_in, sign_in
from iot_stream.delivery.edges.state_folder import StateFolder, read_status
from iot_stream.delivery.errors import DeliveryError
from tests.delivery_settings import make_settings
from tests.examples import examples

ROLE = "arn:aws:iam::000000000000:role/delivery"


def test_progress_is_saved_whole(tmp_path: Path) -> None:
    """The next worker loads every field that was saved."""
    kept = Progress(
        "arn",
        1.5,
        {"shardId-1": ShardProgress("12", ended=True, backed_up=("12", 3))},
        {Outcome.INDEXED: 5},
        {"1.13.0": Outcome.DOCUMENT_FAILED},
        {
            "key": Intent(ObjectKind.PROCESSING_FAILURE, ["1.14.0"]),
            "other": Intent(ObjectKind.SOURCE, backed_up={"shardId-1": ("15", 0)}),
        },
    )
    with closing(StateFolder(tmp_path)) as state:
        state.save_progress(kept)
    with closing(StateFolder(tmp_path)) as state:
        assert state.load("arn", 1.5) == kept


def test_a_later_delivery_stream_of_the_same_name_starts_over(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The old positions do not apply to another creation time or another ARN, and a line says so."""
    with closing(StateFolder(tmp_path)) as state:
        state.save_progress(Progress("arn", 1.0, outcomes={Outcome.INDEXED: 5}))
        assert state.load("arn", 2.0) == Progress("arn", 2.0)
        assert state.load("other", 1.0) == Progress("other", 1.0)
        assert all("of another delivery stream" in line for line in caplog.messages)
        assert len(caplog.messages) == 2


GOOD = Progress("arn", 1.0, {"shardId-1": ShardProgress("12")}, {Outcome.INDEXED: 5})
NEWER = Progress("arn", 1.0, {"shardId-1": ShardProgress("13")}, {Outcome.INDEXED: 6})
DAMAGED = {
    "empty": b"",
    "cut": b'{"stream":"arn","created":1.0,"shards":{"shardId-1":{"posi',
    "garbage": b"\x00\xff\xfe" * 100,
    "nested": b"[" * 100_000,
    "another shape": b'{"stream":"arn","created":1.0,"shards":[]}',
    "no stream": b"{}",
    "a position that is none": b'{"stream":"arn","created":1.0,"shards":{"shardId-1":{"position":"LATEST"}}}',
    "a position that no stream has": b'{"stream":"arn","created":1.0,"shards":{"shardId-1":{"position":"%s"}}}'
    % (b"9" * 5000),
    "a backup that is none": b'{"stream":"arn","created":1.0,"shards":{"shardId-1":{"backed_up":["x",0]}}}',
}


@pytest.mark.parametrize("content", [*DAMAGED.values(), None], ids=[*DAMAGED, "missing"])
def test_a_damaged_file_is_replaced_by_its_copy(
    tmp_path: Path, content: bytes | None, caplog: pytest.LogCaptureFixture
) -> None:
    """The last good copy is used, which one line says; the damaged file is kept, and never becomes the copy."""
    with closing(StateFolder(tmp_path)) as state:
        state.save_progress(GOOD)
        state.save_progress(NEWER)
        path = tmp_path / "progress.json"
        path.unlink() if content is None else path.write_bytes(content)
        assert state.load("arn", 1.0) == GOOD
        assert len(caplog.messages) == 1
        assert "continuing with its copy" in caplog.messages[0]
        state.save_progress(NEWER)
        assert state.load("arn", 1.0) == NEWER
        path.unlink()
        assert state.load("arn", 1.0) == GOOD  # still: the damaged file did not take its place
    if content is not None:
        assert (tmp_path / "progress.damaged.json").read_bytes() == content


def test_a_damaged_file_that_can_t_be_set_aside_is_named(tmp_path: Path) -> None:
    """A folder stands where the file is kept: delivery does not go on, since the next save would lose the copy."""
    with closing(StateFolder(tmp_path)) as state:
        state.save_progress(GOOD)
        state.save_progress(NEWER)
        (tmp_path / "progress.json").write_bytes(b"")
        (tmp_path / "progress.damaged.json").mkdir()
        with pytest.raises(DeliveryError, match=r"progress\.json can't be set aside .*: remove it"):
            state.load("arn", 1.0)


def test_a_progress_file_of_another_delivery_stream_is_not_called_missing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Its copy is this one's: that is continued, and the lines say why."""
    with closing(StateFolder(tmp_path)) as state:
        state.save_progress(GOOD)
        state.save_progress(Progress("arn:another", 1.0))
        assert state.load("arn", 1.0) == GOOD
    assert "is of another delivery stream: continuing with its copy" in caplog.text
    assert "missing" not in caplog.text


def _cut(content: bytes, at: int, _: int) -> bytes:
    return content[: at % len(content)]


def _flipped(content: bytes, at: int, bit: int) -> bytes:
    at %= len(content)
    return content[:at] + bytes([content[at] ^ 1 << bit % 8]) + content[at + 1 :]


def _other_digit(content: bytes, at: int, by: int) -> bytes:
    """Return the file with one digit that is another: of a position, a shard, a count or the digest."""
    digits = [index for index, byte in enumerate(content) if chr(byte).isdigit()]
    at = digits[at % len(digits)]
    digit = (content[at] - ord("0") + 1 + by % 9) % 10
    return content[:at] + str(digit).encode() + content[at + 1 :]


def _swapped_positions(content: bytes, *_: int) -> bytes:
    return content.replace(b'"12"', b'"?"').replace(b'"13"', b'"12"').replace(b'"?"', b'"13"')


def _swapped_shards(content: bytes, *_: int) -> bytes:
    return content.replace(b"shardId-1", b"?").replace(b"shardId-2", b"shardId-1").replace(b"?", b"shardId-2")


def _ended(content: bytes, *_: int) -> bytes:
    return content.replace(b'"ended":false', b'"ended":true ')


def _zeros(content: bytes, at: int, length: int) -> bytes:
    """Return the file with a hole, as a file system leaves it after a power failure."""
    at %= len(content)
    return content[:at] + b"\0" * (length % 200 + 1) + content[at + length % 200 + 1 :]


@given(
    damage=st.sampled_from([_cut, _flipped, _other_digit, _swapped_positions, _swapped_shards, _ended, _zeros]),
    at=st.integers(0, 10_000),
    more=st.integers(0, 10_000),
)
@examples(150, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_change_of_the_file_passes_for_progress(
    damage: Callable[[bytes, int, int], bytes],
    at: int,
    more: int,
    tmp_path_factory: pytest.TempPathFactory,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Whatever became of the file, what is loaded was saved: it, or its copy with one line that says so."""
    older = Progress("arn", 1.0, {"shardId-1": ShardProgress("12"), "shardId-2": ShardProgress("7")})
    newer = Progress("arn", 1.0, {"shardId-1": ShardProgress("12"), "shardId-2": ShardProgress("13")}, gaps=1)
    caplog.clear()
    folder = tmp_path_factory.mktemp("state")
    with closing(StateFolder(folder)) as state:
        state.save_progress(older)
        state.save_progress(newer)
        path = folder / "progress.json"
        saved = path.read_bytes()
        path.write_bytes(damage(saved, at, more))
        assert path.read_bytes() != saved
        assert state.load("arn", 1.0) == older
        assert len(caplog.messages) == 1
        assert "continuing with its copy" in caplog.messages[0]


def test_progress_of_an_earlier_version_is_continued(tmp_path: Path) -> None:
    """Its file had no digest."""
    (tmp_path / "progress.json").write_bytes(msgspec.json.encode(GOOD))
    with closing(StateFolder(tmp_path)) as state:
        assert state.load("arn", 1.0) == GOOD


@pytest.mark.parametrize("content", DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_file_without_a_copy_is_an_error(tmp_path: Path, content: bytes) -> None:
    """Starting over silently would deliver everything twice."""
    (tmp_path / "progress.json").write_bytes(content)
    with closing(StateFolder(tmp_path)) as state, pytest.raises(DeliveryError, match=r"is damaged .*remove it"):
        state.load("arn", 1.0)


def test_a_file_that_cannot_be_read_is_replaced_by_its_copy(tmp_path: Path) -> None:
    """Whatever stands in its place is set aside, like a damaged file."""
    with closing(StateFolder(tmp_path)) as state:
        state.save_progress(GOOD)
        state.save_progress(NEWER)
        (tmp_path / "progress.json").unlink()
        (tmp_path / "progress.json").mkdir()
        assert state.load("arn", 1.0) == GOOD
        state.save_progress(NEWER)
        assert state.load("arn", 1.0) == NEWER


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b'{"read":"x"}', b"\xff"])
def test_a_damaged_status_is_an_error_with_one_line(tmp_path: Path, content: bytes) -> None:
    """It names the file and says what helps."""
    (tmp_path / "status.json").write_bytes(content)
    with pytest.raises(DeliveryError, match=r"status\.json is damaged .*a running worker writes it anew"):
        read_status(tmp_path)


def test_a_state_folder_has_one_worker(tmp_path: Path) -> None:
    """A second worker is refused while the first one uses the folder, and accepted afterwards."""
    with closing(StateFolder(tmp_path)), pytest.raises(DeliveryError, match="stop it first"):
        StateFolder(tmp_path)
    StateFolder(tmp_path).close()


def test_a_state_folder_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    """Below a file, for one."""
    (tmp_path / "file").touch()
    with pytest.raises(DeliveryError, match=r"can't be written: .*Choose another with --state"):
        StateFolder(tmp_path / "file" / "state")


def test_missing_credentials_are_a_retryable_error() -> None:
    """The delivery role's credentials are fetched when a request is signed: STS may be down or deny for now."""

    class NoRole(AuthBase):
        def __call__(self, _: requests.PreparedRequest) -> requests.PreparedRequest:
            raise ClientError({"Error": {"Code": "AccessDenied"}}, "AssumeRole")

    document = Document(Record("shardId-1", "9", None, "key", 1000, "e30=", "1.9.0", 2), b"{}", "i")
    [error] = Domain("https://127.0.0.1:9", NoRole(), None, with_ids=True).index([document])
    assert error
    assert error.retryable
    assert error.message == "no credentials to sign in with (AccessDenied)"


def test_no_credentials_at_all_are_reported(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The first call fails with one line."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    with pytest.raises(DeliveryError, match=r"NoCredentialsError.*: check the endpoint and the credentials"):
        describe_delivery_stream(JsonApi(AwsClients("eu-west-1", "http://127.0.0.1:9"), "firehose"), "d")


def test_status_is_read_as_it_was_saved(tmp_path: Path) -> None:
    """Before any worker ran, it is all zeros."""
    assert read_status(tmp_path) == DeliveryStatus(state="stopped")
    status = DeliveryStatus(read=3, delivered=2, pending=1, last_error="OS.429: busy", oldest_undelivered=5)
    with closing(StateFolder(tmp_path)) as state:
        state.save_status(status)
    assert read_status(tmp_path) == status


def test_a_token_makes_the_worker_the_delivery_role(tmp_path: Path) -> None:
    """The token is signed (HS256) with the key, names the role's ARN, has not expired, and serves many requests."""
    key = tmp_path / "jwt.key"
    key.write_text(base64.b64encode(b"k" * 64).decode(), encoding="ascii")
    auth = sign_in("jwt", AwsClients("eu-west-1", None), ROLE, "eu-west-1", key)
    assert isinstance(auth, BearerAuth)
    requested = [auth(requests.Request("POST", "https://domain").prepare()).headers["Authorization"] for _ in range(2)]
    assert requested[0] == requested[1]
    claims = jwt.decode(requested[0].removeprefix("Bearer "), b"k" * 64, algorithms=["HS256"])
    assert (claims["sub"], claims["roles"]) == (ROLE, [ROLE])


def test_sign_in_reports_what_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A missing key file or variable is named; with both variables, basic authentication is used."""
    access = AwsClients("eu-west-1", None)
    monkeypatch.delenv("OPENSEARCH_USER", raising=False)
    monkeypatch.setenv("OPENSEARCH_PASSWORD", "secret")
    with pytest.raises(DeliveryError, match="--jwt-key"):
        sign_in("jwt", access, ROLE, "eu-west-1")
    with pytest.raises(DeliveryError, match="holds no base64 key"):
        sign_in("jwt", access, ROLE, "eu-west-1", tmp_path / "nothing")
    with pytest.raises(DeliveryError, match="OPENSEARCH_USER"):
        sign_in("basic", access, ROLE, "eu-west-1")
    monkeypatch.setenv("OPENSEARCH_USER", "writer")
    assert sign_in("basic", access, ROLE, "eu-west-1") == ("writer", "secret")
    assert sign_in("none", access, ROLE, "eu-west-1") is None


@pytest.mark.parametrize("method", ["basic", "jwt"])
def test_no_password_goes_to_whichever_server_the_delivery_stream_names(method: str) -> None:
    """The caller names the domain, or the authority of its certificate; a signature is of no use to others."""
    with pytest.raises(DeliveryError, match=f"--sign-in {method} needs --domain-url or --ca"):
        check_sign_in(method, None, None)
    check_sign_in(method, "https://domain", None)
    check_sign_in(method, None, Path("ca.pem"))
    check_sign_in("sigv4", None, None)


def test_an_endpoint_without_tls_is_refused() -> None:
    """Anyone on the way could read the documents, and the password."""
    response = described()
    [destination] = response["DeliveryStreamDescription"]["Destinations"]
    destination["AmazonOpenSearchDestinationDescription"]["ClusterEndpoint"] = "http://domain"
    with pytest.raises(DeliveryError, match=r"'http://domain' is not https://…: pass --domain-url"):
        find_endpoint(AwsClients("eu-west-1", None), describe(response))


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(status: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """No document goes to the host that it names; the request counts as one without a response, and is retried."""
    asked: list[str] = []

    def send(_: object, request: requests.PreparedRequest, **__: object) -> requests.Response:
        asked.append(request.url or "")
        response = requests.Response()
        response.status_code, response.request, response.url = status, request, request.url or ""
        response.headers["Location"] = "https://elsewhere.example/_bulk"
        response._content = b""
        return response

    monkeypatch.setattr(requests.adapters.HTTPAdapter, "send", send)
    document = Document(Record("shardId-1", "9", None, "key", 1000, "e30=", "1.9.0", 2), b"{}", "i")
    [error] = Domain("https://domain", ("user", "password"), None, with_ids=True).index([document])
    assert [urlsplit(url).hostname for url in asked] == ["domain"]
    assert error
    assert error.retryable
    assert error.message == f"the domain redirects ({status})"


class FakeFirehose:
    """DescribeDeliveryStream with one response."""

    def __init__(self, response: dict[str, Any] | Exception) -> None:
        self.response = response

    def call(self, operation: str, parameters: dict[str, Any], parse: Callable[[bytes], Any]) -> Any:
        """Return the response, or raise it."""
        assert (operation, parameters) == ("DescribeDeliveryStream", {"DeliveryStreamName": "d"})
        if isinstance(self.response, Exception):
            raise self.response
        return parse(json.dumps(self.response).encode())


def described(**changes: Any) -> dict[str, Any]:
    """Return a response of DescribeDeliveryStream in ministack's spelling."""
    return {
        "DeliveryStreamDescription": {
            "DeliveryStreamName": "d",
            "DeliveryStreamARN": "arn:aws:firehose:eu-west-1:000000000000:deliverystream/d",
            "DeliveryStreamStatus": "ACTIVE",
            "DeliveryStreamType": "KinesisStreamAsSource",
            "VersionId": "1",
            "CreateTimestamp": 1.5,
            "Source": {"KinesisStreamSourceDescription": {"KinesisStreamARN": "arn:stream"}},
            "Destinations": [
                {
                    "AmazonOpenSearchDestinationDescription": {
                        "RoleARN": ROLE,
                        "ClusterEndpoint": "https://domain/",
                        "IndexName": "i",
                        "S3Configuration": {"BucketARN": "arn:aws:s3:::b"},
                    }
                }
            ],
        }
        | changes
    }


def describe(response: dict[str, Any] | Exception, **arguments: Any) -> Any:
    """Call `describe_delivery_stream` with a fake."""
    return describe_delivery_stream(FakeFirehose(response), "d", **arguments)  # type: ignore[arg-type]


def test_a_delivery_stream_that_cannot_be_served_is_reported() -> None:
    """Missing, not ACTIVE, unreachable, or created again while a worker is running: one line each."""
    settings = describe(described())
    assert find_endpoint(AwsClients("eu-west-1", None), settings) == "https://domain"
    absent = ClientError({"Error": {"Code": "ResourceNotFoundException"}}, "DescribeDeliveryStream")
    with pytest.raises(DeliveryError, match="the delivery stream 'd' does not exist") as raised:
        describe(absent)
    assert raised.value.final
    with pytest.raises(DeliveryError, match="EndpointConnectionError") as raised:
        describe(EndpointConnectionError(endpoint_url="http://x"))
    assert not raised.value.final
    for code in ("AccessDeniedException", "ThrottlingException", "ServiceUnavailableException"):
        with pytest.raises(DeliveryError, match=rf"failed \({code}\): check the endpoint") as raised:
            describe(ClientError({"Error": {"Code": code}}, "DescribeDeliveryStream"))
        assert not raised.value.final, "it may work in a moment"
    with pytest.raises(DeliveryError, match="is CREATING"):
        describe(described(DeliveryStreamStatus="CREATING"))
    with pytest.raises(DeliveryError, match="created again") as raised:
        describe(described(), created=1.0)
    assert raised.value.final


def test_log_entries_have_awss_fields() -> None:
    """Stream, destination, version, message and code; the function too when the entry is about it."""
    settings = make_settings(function=Function("arn:function", "role", 1, make_settings().bounds))
    common = {"deliveryStreamARN": settings.arn, "deliveryStreamVersionId": 1}
    assert log_fields(ErrorLogEntry("OS.429", "busy"), settings, "https://domain") == common | {
        "destination": "https://domain",
        "message": "busy",
        "errorCode": "OS.429",
    }
    assert log_fields(ErrorLogEntry("S3.AccessDenied", "no", of_bucket=True), settings, "x")["destination"] == (
        "arn:aws:s3:::bucket"
    )
    entry = ErrorLogEntry("Lambda.FunctionError", "no", of_function=True)
    assert log_fields(entry, settings, "x")["processor"] == "arn:function"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b'{"__type":"com.amazonaws.kinesis#ExpiredIteratorException","message":"m"}', "ExpiredIteratorException"),
        (b'{"__type":"ThrottlingException"}', "ThrottlingException"),
        (b"<html>", "502"),
        (b"[]", "502"),
    ],
)
def test_aws_errors_are_identified_by_their_code(body: bytes, code: str) -> None:
    """The code may have a namespace before it; when the response is not AWS's, it is the HTTP status."""
    assert error_code(ClientError(_parse_error(body, 502), "GetRecords")) == code


@pytest.mark.parametrize("key", ["message", "Message"])
def test_aws_errors_keep_their_message(key: str) -> None:
    """Services spell its key either way (botocore's `BaseJSONParser._do_error_parse` takes both)."""
    body = json.dumps({"__type": "AccessDeniedException", key: "not authorized"}).encode()
    assert "not authorized" in str(ClientError(_parse_error(body, 400), "GetRecords"))


@pytest.mark.parametrize(
    ("endpoint", "url"),
    [("http://127.0.0.1:9", "http://127.0.0.1:9/bucket/k?"), (None, "https://bucket.s3.amazonaws.com/k?")],
    ids=["a fake AWS", "AWS"],
)
def test_a_bucket_is_addressed_as_its_endpoint_knows_it(
    endpoint: str | None, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By path where one host name serves all buckets; by host name at AWS ("Virtual hosting", S3 user guide)."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "id")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    for name in ("AWS_ENDPOINT_URL", "AWS_PROFILE", "AWS_CONFIG_FILE"):
        monkeypatch.delenv(name, raising=False)
    client = AwsClients("us-east-1", endpoint).client("s3")
    assert client.generate_presigned_url("get_object", Params={"Bucket": "bucket", "Key": "k"}).startswith(url)

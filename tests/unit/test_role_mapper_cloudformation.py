"""CloudFormation's side: requests as they come, responses as they must be, and how hard they are sent."""

import email.message
import http.client
import json
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from role_mapper import cloudformation
from role_mapper.cloudformation import MOST_BYTES, Request, Response, ResponseNotSentError, encode
from tests.builders import custom_resource_event, mapping_properties
from tests.examples import examples

texts = st.text(max_size=200)
times = st.sampled_from([1, 1, 30, 2000])


@examples(40)
@given(
    status=st.sampled_from(["SUCCESS", "FAILED"]),
    reason=texts,
    physical_id=texts,
    data=st.dictionaries(texts, texts, max_size=3),
    request_id=texts,
    repeated=times,
)
def test_a_response_fits_as_bytes_and_keeps_what_cloudformation_needs(
    *, status: Any, reason: str, physical_id: str, data: dict[str, str], request_id: str, repeated: int
) -> None:
    """4,096 bytes of UTF-8, however long and whatever the characters; short texts are never cut."""
    request = Request.of(custom_resource_event("Create", RequestId=request_id))
    long = {key[:9]: value * repeated for key, value in data.items()}
    document = Response(status, physical_id, reason * repeated, long).document(request)
    sent = encode(document)
    assert len(sent) <= MOST_BYTES
    assert json.loads(sent)["Status"] == status
    assert document["Reason"]
    assert document["StackId"] == request.stack_id


def test_a_long_reason_is_cut_at_its_end_and_marked() -> None:
    """What happened stands at the beginning."""
    request = Request.of(custom_resource_event("Create"))
    document = Response("FAILED", "id", "PUT returned 400: " + "€" * 5000).document(request)
    assert document["Reason"].startswith("PUT returned 400: €")
    assert document["Reason"].endswith("€…")
    assert MOST_BYTES - 8 < len(encode(document)) <= MOST_BYTES


def test_a_failed_response_always_has_a_reason() -> None:
    """CloudFormation refuses one without."""
    assert Response("FAILED", "id").document(Request.of({}))["Reason"]


@pytest.mark.parametrize(
    ("given_", "expected"),
    [("660", 660), ("1", 1), ("3600", 3600), ("99999", 3600), ("0", 1), ("", 3600), (None, 3600), ("x", 3600), (7, 7)],
)
def test_the_time_that_cloudformation_waits_is_read_from_the_resource(given_: Any, expected: float) -> None:
    """ServiceTimeout: 1 to 3,600 s, 3,600 by default."""
    properties = mapping_properties() | {"ServiceTimeout": given_}
    assert Request.of(custom_resource_event("Create", properties)).service_timeout == expected


def test_properties_are_not_part_of_a_requests_repr() -> None:
    """Nor of any log line or traceback that shows it."""
    assert "DomainEndpoint" not in repr(Request.of(custom_resource_event("Create")))


class Url:
    """The presigned URL, which fails with each of `failures` before it takes an response."""

    def __init__(self, *failures: Callable[[], Exception]) -> None:
        self.failures = list(failures)
        self.bodies: list[Any] = []

    def __call__(self, request: urllib.request.Request, timeout: float) -> Any:
        """Take or refuse an response."""
        assert timeout > 0
        if self.failures:
            failure = self.failures.pop(0)()
            raise failure
        self.bodies.append(request.data)
        return open("/dev/null", "rb")  # noqa: PTH123  # an empty response, closed by its reader


def status(code: int) -> Callable[[], Exception]:
    """Return what makes an error status, as urllib raises it."""
    url = "https://signed?X-Amz-Signature=abc"
    return lambda: urllib.error.HTTPError(url, code, "no", email.message.Message(), None)


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cloudformation.time, "sleep", lambda _: None)


def install(monkeypatch: pytest.MonkeyPatch, url: Url) -> Url:
    """Have the URL response."""
    monkeypatch.setattr(urllib.request, "urlopen", url)
    return url


@pytest.mark.parametrize(
    "failure",
    [
        pytest.param(status(500), id="500"),
        pytest.param(status(503), id="503"),
        pytest.param(status(429), id="429"),
        pytest.param(lambda: urllib.error.URLError(ConnectionRefusedError()), id="refused"),
        pytest.param(TimeoutError, id="timeout"),
        pytest.param(http.client.RemoteDisconnected, id="cut off"),
    ],
)
def test_sending_is_tried_again_where_that_can_help(
    monkeypatch: pytest.MonkeyPatch, failure: Callable[[], Exception]
) -> None:
    """The response arrives once."""
    url = install(monkeypatch, Url(failure, failure))
    cloudformation.send("https://signed", {"Status": "SUCCESS"}, seconds=60)
    assert url.bodies == [b'{"Status": "SUCCESS"}']


@pytest.mark.parametrize("code", [400, 403, 404])
def test_an_expired_or_wrong_url_is_not_tried_again(monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    """It will not become a right one; the URL itself is not shown, for it is signed."""
    url = install(monkeypatch, Url(*[status(code)] * 3))
    with pytest.raises(ResponseNotSentError, match=f"status {code}") as raised:
        cloudformation.send("https://signed?X-Amz-Signature=abc", {}, seconds=60)
    assert len(url.failures) == 2
    assert "Signature" not in str(raised.value)


def test_sending_ends_after_a_few_tries(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is bounded by number, and says what the last error was."""
    url = install(monkeypatch, Url(*[status(503)] * 100))
    with pytest.raises(ResponseNotSentError, match="status 503"):
        cloudformation.send("https://signed", {}, seconds=600)
    assert len(url.failures) == 94


def test_sending_ends_with_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is bounded by time as well; one try is always made."""
    url = install(monkeypatch, Url(*[status(503)] * 100))
    with pytest.raises(ResponseNotSentError):
        cloudformation.send("https://signed", {}, seconds=0)
    assert len(url.failures) == 99


@pytest.mark.parametrize("url", ["no url: token", "file:///etc/hosts", "http://[x", "http://host:port/", "http://a b/"])
def test_a_response_url_that_is_no_url_is_told_without_it(url: str) -> None:
    """A malformed event may have put anything there, a file of the machine too."""
    with pytest.raises(ResponseNotSentError, match=r"^the ResponseURL is not a URL$"):
        cloudformation.send(url, {}, seconds=1)

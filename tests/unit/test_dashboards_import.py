"""The import of the saved objects against a Dashboards that responds in every documented way.

Contract: OpenSearch Dashboards' saved objects API, `POST /api/saved_objects/_import`: 200 with `success`, also when it
failed; 400 for a bad request, 413 for a file above `savedObjects.maxImportPayloadBytes`, 422 for an object from a newer
version; 401 or a redirect to the log-in page without a session.
"""

from typing import Any

import pytest

from iot_stream.dashboards.definition import load
from iot_stream.dashboards.devices import build_devices
from iot_stream.dashboards.saved_objects import build
from iot_stream.description import load as load_description
from role_mapper.errors import CallError, DeadlineExceededError
from role_mapper.objects.dashboards import Dashboards
from role_mapper.ownership import Owner
from role_mapper.properties import Properties
from tests.builders import DOMAIN_ENDPOINT, STACK_ID, mapping_properties
from tests.fake_domain import Call, FakeDomain, FakeResponse
from tests.walkthrough import PROJECT_FILE

OWNER = Owner.of(STACK_ID, "RoleMapping", DOMAIN_ENDPOINT)
PROPERTIES = Properties.of(mapping_properties())


@pytest.fixture
def domain(fake_domain: FakeDomain) -> FakeDomain:
    """A domain with Dashboards."""
    fake_domain.installed = {"dashboards"}
    return fake_domain


def ship(domain: FakeDomain) -> None:
    """Import the saved objects, as the role mapper does."""
    Dashboards(domain.client(), OWNER, PROPERTIES).ensure()


def importing_with(domain: FakeDomain, reply: FakeResponse) -> list[Call]:
    """Have the import respond so; return the requests it gets."""
    asked: list[Call] = []

    def respond(call: Call) -> FakeResponse:
        asked.append(call)
        return reply

    domain._import = respond  # type: ignore[method-assign]
    return asked


def failed(kind: str, **more: Any) -> FakeResponse:
    """200, though one object failed."""
    error = {"type": "dashboard", "id": "iot-stream-live", "title": "IoT", "error": {"type": kind} | more}
    return FakeResponse(200, {"success": False, "successCount": 11, "errors": [error]})


def test_success_brings_what_was_built(domain: FakeDomain) -> None:
    """Every object of the built file arrives, with the attributes that the build gave it."""
    ship(domain)
    arrived = {(item["type"], item["id"]): item["attributes"] for item in domain.saved_objects.values()}
    dashboard = load(reading=load_description(PROJECT_FILE))
    shipped = [*build(dashboard), *build_devices(dashboard)]
    for item in shipped:
        assert item["attributes"].items() <= arrived[item["type"], item["id"]].items()
    assert len(arrived) == len(shipped)


@pytest.mark.parametrize(
    "reply",
    [
        failed("conflict"),
        failed("ambiguous_conflict", destinations=[{"id": "x"}]),
        failed("unsupported_type"),
        failed("missing_references", references=[{"type": "index-pattern", "id": "gone"}]),
        failed("unknown", message="strict_dynamic_mapping_exception", statusCode=400),
    ],
    ids=["conflict", "ambiguous", "unsupported", "missing-references", "unknown"],
)
def test_a_failed_object_fails_the_import_whatever_the_status(domain: FakeDomain, reply: FakeResponse) -> None:
    """It is named with Dashboards' reason, and trying again would not help."""
    importing_with(domain, reply)
    kind = reply.body["errors"][0]["error"]["type"]
    with pytest.raises(CallError, match=f"dashboard/iot-stream-live: {kind}") as raised:
        ship(domain)
    assert not raised.value.retryable


@pytest.mark.parametrize(
    ("status", "message", "retryable"),
    [
        (400, "Unexpected token in JSON at position 0", False),
        (413, "Payload content length greater than maximum allowed: 26214400", False),
        (422, "Document has property which belongs to a more recent version", False),
        (401, "Authentication required", True),
        (500, "An internal server error occurred", True),
        (503, "OpenSearch Dashboards server is not ready yet", True),
    ],
)
def test_a_refusal_is_said_with_its_reason(domain: FakeDomain, status: int, message: str, retryable: bool) -> None:
    """What may pass by itself is told from what will not."""
    asked = importing_with(domain, FakeResponse(status, {"statusCode": status, "error": "Refused", "message": message}))
    with pytest.raises(
        DeadlineExceededError if retryable else CallError, match=f"_import returned {status}: {message}"
    ):
        ship(domain)
    assert (len(asked) > 1) is retryable
    logins = [call for call in domain.calls if call.path.endswith("/auth/login")]
    assert len(logins) > len(asked), "signed in before each try"


def test_a_redirect_to_the_login_page_is_no_success(domain: FakeDomain) -> None:
    """Without a session Dashboards sends browsers to its log-in page; that page is not a response."""
    importing_with(domain, FakeResponse(302, "", "text/html"))
    with pytest.raises(CallError):
        ship(domain)


def test_the_request_is_the_documented_one(domain: FakeDomain) -> None:
    """After signing in: overwriting, in the global tenant, with the header that Dashboards wants."""
    ship(domain)
    paths = [call.path for call in domain.calls]
    (imported,) = [call for call in domain.calls if call.path.endswith("/_import")]
    assert paths.index("/_dashboards/auth/login") < paths.index(imported.path)
    assert imported.query == {"overwrite": "true"}
    assert imported.headers["osd-xsrf"] == "true"
    assert imported.headers["securitytenant"] == "global"

"""Every response that a domain may give, at every step: refusals, outages, and what makes no sense."""

import copy
import functools
import socket
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import requests
from hypothesis import HealthCheck, given
from hypothesis import strategies as st

from role_mapper import files, provision
from role_mapper.deadline import Deadline
from role_mapper.domain import Domain
from role_mapper.errors import DeadlineExceededError, ResponseError, RoleMapperError
from role_mapper.master_user import InternalUser
from tests.examples import QUICK, examples, share_of
from tests.fake_domain import Clock, FakeDomain, FakeResponse, error
from tests.provisioning import (
    ADMIN,
    ARN,
    OTHERS,
    OWNER,
    PATHS,
    ROLE,
    WANTED,
    apply,
    look,
    remove,
    restart,
    two_saved_objects,
    update,
)

pytestmark = [pytest.mark.secrets, pytest.mark.usefixtures("few_saved_objects")]


# ---- every response at every step ----

NETWORK = {
    "dns": requests.ConnectionError("name resolution"),
    "tls": requests.exceptions.SSLError("certificate"),
    "timeout": requests.Timeout("slow"),
    "connection": requests.ConnectionError("refused"),
}
RETRYABLE: dict[str, FakeResponse | Exception] = {
    str(status): error(status) for status in (401, 403, 409, 429, 500, 502, 503)
}
RETRYABLE |= NETWORK
# The role mapper's code tells these apart from all other statuses; those and network errors are alike to it.
SPECIAL = ("401", "403")
ALIKE = RETRYABLE.keys() - {*SPECIAL}
LASTING = {str(status): error(status) for status in (400, 405, 413)}


def _good_run(direction: str) -> tuple[FakeDomain, FakeDomain]:
    """Return a domain before and after either direction, when nothing goes wrong."""
    domain = FakeDomain(installed={"ism", "dashboards"})
    with pytest.MonkeyPatch.context() as patch:
        domain.install(patch)
        patch.setattr(files, "saved_objects", two_saved_objects)
        if direction == "remove":
            apply(domain)
            domain.calls.clear()
        before = copy.deepcopy(domain)
        PATHS[direction](domain)
    return before, domain


RUNS = {direction: _good_run(direction) for direction in PATHS}


def _steps() -> list[Any]:
    """Return every call of either direction, by its number and what it is."""
    steps = []
    for direction, (_, domain) in RUNS.items():
        for number, call in enumerate(domain.calls):
            last = call.path.rsplit("/", 2)
            steps.append(
                pytest.param(direction, number, id=f"{direction}-{number}-{call.method}-{last[-1] or last[-2]}")
            )
    return steps


STEPS = _steps()


@pytest.mark.parametrize(("direction", "number"), STEPS)
def test_a_retryable_error_changes_nothing_about_the_result(whole: FakeDomain, direction: str, number: int) -> None:
    """401, 403, 409, 429, 5xx, DNS, TLS and time-outs at any step: tried again, same state in the end."""
    before, after = RUNS[direction]
    kinds = share_of(sorted(RETRYABLE), number) if QUICK else [*SPECIAL, *share_of(sorted(ALIKE), number)]
    for kind in kinds:
        restart(whole, before)
        whole.faults = {number: RETRYABLE[kind]}
        PATHS[direction](whole)
        assert whole.state() == after.state()


@pytest.mark.parametrize(("direction", "number"), STEPS)
def test_a_refusal_that_lasts_is_told_with_the_call_the_status_and_the_domains_words(
    whole: FakeDomain, direction: str, number: int
) -> None:
    """A 400 at any step is a failure at once, never a success and never tried again."""
    before, _ = RUNS[direction]
    for status, refusal in share_of(LASTING.items(), number):
        restart(whole, before)
        whole.faults = {number: refusal}
        try:
            PATHS[direction](whole)
            told = ""
        except ResponseError as raised:
            told = str(raised)
        call = whole.calls[number]
        if call.path in TOLERANT:
            continue
        assert f"{call.method} {call.path} returned {status}: the domain's own words" in told
        assert call not in whole.calls[number + 1 :]


TOLERANT = {
    "/_dashboards/auth/login",  # a Dashboards without a form to log in with
    "/_dashboards/api/status",  # whatever responds here is a Dashboards
    "/_plugins/_ism/policies",  # the same
}


@pytest.mark.parametrize("failure", RETRYABLE.values(), ids=RETRYABLE.keys())
def test_a_retryable_error_that_stays_ends_with_the_deadline(
    whole: FakeDomain, failure: FakeResponse | Exception
) -> None:
    """And says how long was tried, not that it worked."""
    whole.always = failure
    with pytest.raises(DeadlineExceededError, match=r"GET /_plugins/_security/api/roles/.* \(gave up after 60 s\)"):
        apply(whole)
    assert whole.state() == FakeDomain().state()


# ---- a domain that is gone ----


def _unknown_name() -> requests.ConnectionError:
    failure = requests.ConnectionError("no such host")
    failure.__cause__ = socket.gaierror(socket.EAI_NONAME, "Name or service not known")
    return failure


def test_a_domain_whose_name_dns_does_not_know_no_longer_exists(fake_domain: FakeDomain) -> None:
    """After half a minute of asking: a young domain's name may not be there yet."""
    fake_domain.always = _unknown_name()
    client = fake_domain.client(seconds=600)
    assert not provision.exists(client)
    assert client.deadline.remaining == pytest.approx(570, abs=1)


@pytest.mark.parametrize("failure", RETRYABLE.values(), ids=RETRYABLE.keys())
def test_any_other_error_does_not_prove_that_a_domain_is_gone(
    fake_domain: FakeDomain, failure: FakeResponse | Exception
) -> None:
    """Its removal is then tried, and fails if that does."""
    fake_domain.always = failure
    assert provision.exists(fake_domain.client())


def test_a_domain_is_looked_for_without_its_secret(fake_domain: FakeDomain) -> None:
    """Who deleted the domain by hand may have deleted the secret as well."""

    def gone() -> str:
        raise AssertionError("nobody asks for the secret")

    client = Domain(fake_domain.host, InternalUser(gone), Deadline(60))
    assert provision.exists(client)


def test_who_is_mapped_while_the_entry_is_taken_out_stays(fake_domain: FakeDomain) -> None:
    """The mapping is looked at again before it is deleted."""
    apply(fake_domain)
    fake_domain.meanwhile["PATCH"] = lambda: fake_domain.mappings[ROLE].update(users=["alice"])
    provision.remove(fake_domain.client(), WANTED, OWNER)
    assert fake_domain.mappings[ROLE]["users"] == ["alice"]
    assert ARN not in fake_domain.mappings[ROLE]["backend_roles"]
    assert ROLE in fake_domain.roles


def test_a_name_that_appears_meanwhile_is_a_domain(fake_domain: FakeDomain) -> None:
    """DNS had not heard of it yet."""
    fake_domain.faults = dict.fromkeys(range(4), _unknown_name())
    assert provision.exists(fake_domain.client())


def test_each_call_ends_before_the_time_does(fake_domain: FakeDomain, monkeypatch: pytest.MonkeyPatch) -> None:
    """No call may outlive the guard: its time-out is what is left, 15 s at most."""
    timeouts: list[float] = []
    serve = requests.adapters.HTTPAdapter.send

    def send(*args: Any, timeout: float, **more: Any) -> requests.Response:
        timeouts.append(timeout)
        return serve(*args, timeout=timeout, **more)

    monkeypatch.setattr(requests.adapters.HTTPAdapter, "send", send)
    for seconds in (600, 7):
        fake_domain.client(seconds).call("GET", "/")
    assert timeouts == [15, 7]


def test_no_call_is_made_when_the_time_is_up(fake_domain: FakeDomain) -> None:
    """The guard has responded by then."""
    client = fake_domain.client()
    client.deadline.end()
    with pytest.raises(RoleMapperError, match="no time was left for PUT /_index_template/x"):
        client.call("PUT", "/_index_template/x", {})
    assert not fake_domain.calls


# ---- odd responses ----

ODD: dict[str, FakeResponse] = {
    "404 in HTML": FakeResponse(404, "<html>not found</html>", "text/html"),
    "404 without a body": FakeResponse(404, "", "text/plain"),
    "404 of something else": FakeResponse(404, {"message": "no Route matched"}),
    "404 as a list": FakeResponse(404, []),
    "404 of a gateway": FakeResponse(404, {"statusCode": 404, "error": "Not Found", "message": "Route not found"}),
    "200 as text": FakeResponse(200, "OK", "text/plain"),
    "200 in HTML": FakeResponse(200, "<html>hello</html>", "text/html"),
    "200 {}": FakeResponse(200, {}),
    "200 []": FakeResponse(200, []),
    "200 null": FakeResponse(200, None),
    "200 of another object": FakeResponse(200, {"another": {"description": "x"}}),
    "200 with an error in it": FakeResponse(200, {"error": {"type": "x", "reason": "y"}, "status": 500}),
    "503 as a list": FakeResponse(503, ["busy"]),
    "503 as a number": FakeResponse(503, 7),
    "503 as null": FakeResponse(503, None),
    "502 in HTML": FakeResponse(502, "<html>bad gateway</html>", "text/html"),
}
_OTHER_WRITER = {"reserved": False, "hidden": False, "description": "theirs", "users": ["ann"], "hosts": []}


ROLLING = replace(WANTED, index_rotation_period="NoRotation")
REQUESTS: dict[str, Callable[[FakeDomain], object]] = {
    "create with rotation": apply,
    "create with an administrator": lambda domain: apply(domain, replace(WANTED, admin_role_arn=ADMIN)),
    "create with rollover": lambda domain: apply(domain, ROLLING),
    "update from rotation to rollover": lambda domain: update(domain, WANTED, ROLLING),
    "update to another role": lambda domain: update(domain, WANTED, replace(WANTED, role_name="other-role")),
    "delete": remove,
    "show": lambda domain: look(domain, ROLLING),
}


@functools.cache
def _shared_with_others(request: str) -> tuple[FakeDomain, dict[str, Any], object]:
    """Return a domain that others use too, and its state and what is told after `request` without any fault."""
    domain = FakeDomain(installed={"ism", "dashboards"}, indices={"iot-stream-2026-11-22": None})
    with pytest.MonkeyPatch.context() as patch:
        domain.install(patch)
        patch.setattr(files, "saved_objects", two_saved_objects)
        apply(domain)
        domain.mappings[ROLE] |= {"users": ["ann"], "backend_roles": ["arn:aws:iam::1:role/x", ARN]}
        domain.roles["all_access"] = {"static": True, "reserved": True, "cluster_permissions": ["*"]}
        domain.mappings["all_access"] = OTHERS | {"reserved": False, "description": "theirs"}
        if request != "delete":
            domain.mappings[ROLE]["backend_roles"] = ["arn:aws:iam::1:role/x"]
            domain.index_templates.clear()
            domain.policies.clear()
            domain.fields = {"iot-stream-2026-11-22": {"dynamic": "false", "properties": {"theirs": {"type": "ip"}}}}
        domain.calls.clear()
        before = copy.deepcopy(domain)
        told = REQUESTS[request](domain)
    return before, domain.state(), told


@examples(100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    request=st.sampled_from(sorted(REQUESTS)),
    number=st.integers(0, 70),
    length=st.integers(1, 3),
    odd=st.sampled_from(sorted(ODD)),
)
def test_an_odd_response_at_any_step_leads_to_the_same_state_and_costs_nobody_anything(
    whole: FakeDomain, request: str, number: int, length: int, odd: str
) -> None:
    """It is retried: nothing is concluded from it, least of all that an object does not exist."""
    before, expected, told = _shared_with_others(request)
    restart(whole, before)
    whole.faults = dict.fromkeys(range(number, number + length), ODD[odd])
    again = REQUESTS[request](whole)
    assert whole.state() == expected
    assert whole.mappings[ROLE]["users"] == ["ann"]
    assert "arn:aws:iam::1:role/x" in whole.mappings[ROLE]["backend_roles"]
    if request == "show":
        assert again == told


@pytest.mark.parametrize("grants", [None, "*", [7]])
def test_a_role_of_the_wrong_shape_is_asked_for_again(whole: FakeDomain, grants: object) -> None:
    """An update looks at its patterns first."""
    apply(whole)
    role = whole.roles[ROLE]
    whole.calls.clear()
    whole.faults = dict.fromkeys(range(2), FakeResponse(200, {ROLE: role | {"index_permissions": grants}}))
    update(whole, WANTED, WANTED)
    assert whole.roles[ROLE] == role


NOT_FOUND = {
    "security": {"status": "NOT_FOUND", "message": "rolesmapping 'x' not found."},
    "dashboards": {"statusCode": 404, "error": "Not Found", "message": "Not Found"},
    "core": {"error": {"type": "index_not_found_exception", "reason": "no such index [x]"}, "status": 404},
}
SERVED_BY = {
    "/_plugins/_security/api/rolesmapping/x": "security",
    "/_dashboards/api/saved_objects/dashboard/x": "dashboards",
    "/_index_template/x": "core",
    "/_plugins/_ism/policies/x": "core",
}


@pytest.mark.parametrize("whose", NOT_FOUND)
@pytest.mark.parametrize("path", SERVED_BY)
def test_only_what_serves_a_path_says_that_there_is_nothing(path: str, whose: str) -> None:
    """A gateway's 404 looks like that of Dashboards: at a role mapping it is no reason to replace that."""
    response = ResponseError(f"GET {path}", 404, "", NOT_FOUND[whose])
    assert response.absent is (SERVED_BY[path] == whose)
    assert response.retryable is not response.absent


def test_dashboards_has_no_absence_for_an_import() -> None:
    """Nor for the lookup of many: the 404 is a gateway's, and the call is made again."""
    response = ResponseError("POST /_dashboards/api/saved_objects/_import", 404, "", NOT_FOUND["dashboards"])
    assert (response.absent, response.retryable) == (False, True)


@pytest.mark.parametrize("odd", ODD.values(), ids=ODD.keys())
def test_an_odd_response_that_stays_is_never_a_success(whole: FakeDomain, odd: FakeResponse) -> None:
    """Neither of Create, nor of a removal; and no object of anybody is changed by it."""
    whole.mappings[ROLE] = dict(_OTHER_WRITER)
    whole.always = odd
    before = whole.state()
    for do in PATHS.values():
        with pytest.raises(DeadlineExceededError):
            do(whole)
    assert whole.state() == before


# ---- slow responses ----


def _slow_down(domain: FakeDomain, seconds: float, patch: pytest.MonkeyPatch) -> Clock:
    """Let every call take so long, or end at its time-out though the domain did what it was asked; return the clock."""
    clock, serve = Clock(), requests.adapters.HTTPAdapter.send

    def send(adapter: Any, request: requests.PreparedRequest, timeout: float, **more: Any) -> requests.Response:
        response = serve(adapter, request, timeout=timeout, **more)
        clock.wait(min(seconds, timeout))
        if seconds > timeout:
            raise requests.Timeout(f"read timed out after {timeout} s")
        return response

    def client(limit: float = 60) -> Domain:
        master = FakeDomain.client(domain).master_user
        return Domain(domain.host, master, Deadline(limit, clock=clock, wait=clock.wait))

    patch.setattr(requests.adapters.HTTPAdapter, "send", send)
    patch.setattr(domain, "client", client)
    return clock


@examples(60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(request=st.sampled_from(sorted(REQUESTS)), seconds=st.floats(0.01, 40))
def test_a_slow_domain_is_prepared_in_time_or_the_request_gives_up_in_time(
    whole: FakeDomain, request: str, seconds: float
) -> None:
    """Nothing goes on for longer than there is, and what was given up half way is completed by the next request."""
    before, expected, _ = _shared_with_others(request)
    restart(whole, before)
    with pytest.MonkeyPatch.context() as patch:
        clock = _slow_down(whole, seconds, patch)
        try:
            REQUESTS[request](whole)
        except DeadlineExceededError:
            given_up = True
        else:
            given_up = False
            assert whole.state() == expected
    assert clock.now <= 60 + 1  # a call that begins in the last moment still gets a second
    assert whole.mappings[ROLE]["users"] == ["ann"]
    if given_up:
        REQUESTS[request](whole)
        assert whole.state() == expected

"""What tests poll may not be ready for a while; what will never be is not waited for."""

from collections.abc import Callable, Iterator
from itertools import repeat

import pytest
import requests
from opensearchpy import ConnectionError as NoConnectionError
from opensearchpy import RequestError, TransportError

from tests.polling import until


def http_error(status: int) -> requests.HTTPError:
    """What `raise_for_status` raises."""
    response = requests.Response()
    response.status_code = status
    return requests.HTTPError(f"{status} it says", response=response)


def playing(outcomes: Iterator[object]) -> Callable[[], object]:
    """Return a condition that raises or returns one after the other."""

    def condition() -> object:
        outcome = next(outcomes)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    return condition


@pytest.mark.parametrize(
    "error",
    [
        TransportError(503, "no_shard_available_action_exception", {}),
        TransportError(429, "circuit_breaking_exception", {}),
        NoConnectionError("N/A", "refused", OSError()),
        http_error(503),
        requests.ConnectionError("refused"),
        requests.ReadTimeout("slow"),
    ],
    ids=str,
)
def test_a_domain_that_is_not_ready_is_asked_again(error: Exception) -> None:
    """Until it is; if it never is, the failure says with what it responded last."""
    assert until(playing(iter([error, [], "there"]))) == "there"
    with pytest.raises(AssertionError, match="an index did not come within 0 s: last") as failure:
        until(playing(repeat(error)), seconds=0, what="an index")
    assert repr(error) in str(failure.value)


@pytest.mark.parametrize(
    "error",
    [RequestError(400, "parsing_exception", {}), http_error(403), requests.exceptions.InvalidURL("no")],
    ids=str,
)
def test_what_no_time_mends_fails_at_once(error: Exception) -> None:
    """It is raised as it is."""
    with pytest.raises(type(error)):
        until(playing(iter([error])))

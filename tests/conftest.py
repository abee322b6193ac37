"""What every tier shares: markers by folder, and the real neighbours, each started once for a run.

The neighbours' modules are imported by their fixtures, because importing them takes seconds of every start.
"""

import logging
import os
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hypothesis
import pytest
from xdist.scheduler import LoadScopeScheduling

from iot_stream.paths import PROJECT
from tests.chromium import chromium_path
from tests.examples import examples
from tests.hostile import FOLDER, hostile_environment
from tests.secrets import leaks
from tests.walkthrough import is_shipped, load_walkthrough_by_default
from tests.writes import refused, refusing, watch

if TYPE_CHECKING:
    from iot_stream.local.local_stack import LocalStack
    from iot_stream.local.ministack import Ministack
    from iot_stream.local.opensearch import OpenSearch
    from tests.outages import Outages

TESTS = Path(__file__).parent
OTHER_DESCRIPTION = not is_shipped()
if OTHER_DESCRIPTION:
    load_walkthrough_by_default()
watch()
# A unit test takes milliseconds, a property test seconds on a busy machine; a hanging loop ends with a traceback.
_UNIT_SECONDS = 120


hypothesis.settings.register_profile("here", examples(60))
hypothesis.settings.load_profile("here")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add what `make invoke` says: that `sam local invoke` has to work here, not only where it can."""
    parser.addoption("--run-sam-local", action="store_true", help="fail, not skip, without a Docker engine")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark each test by its folder, so that `-m "not e2e"` needs no decorator, and end a unit test that hangs.

    Tests of the deployed whole send the walkthrough's readings: with another description they are skipped.
    """
    for item in items:
        tier = Path(item.path).relative_to(TESTS).parts[0]
        if tier in {"integration", "e2e"}:
            item.add_marker(tier)
        elif not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(_UNIT_SECONDS))
        if tier == "e2e" and OTHER_DESCRIPTION:
            item.add_marker(pytest.mark.skip(reason="readings.toml describes other readings than the walkthrough's"))
    if _leave_out_chromium():
        left_out = [item for item in items if item.get_closest_marker("chromium")]
        items[:] = [item for item in items if item not in left_out]
        config.hook.pytest_deselected(items=left_out)


class _NeighboursTogether(LoadScopeScheduling):
    """With several processes: one runs every test that needs neighbours, which these share; others run unit tests."""

    def _split_scope(self, nodeid: str) -> str:
        """Return what has to run in one process: a file of unit tests, or all other tiers."""
        file = nodeid.split("::", maxsplit=1)[0]
        return file if file.startswith("tests/unit/") else "neighbours"


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadScopeScheduling:
    """Return how tests are divided among processes (pytest-xdist; `make unit`, `make test`)."""
    return _NeighboursTogether(config, log)


def pytest_report_header() -> list[str]:
    """Say why fewer tests run where there is no browser."""
    if not _leave_out_chromium():
        return []
    return ["no Chromium here: tests of the live page in a browser are left out (apt install chromium, or $CHROMIUM)"]


def _leave_out_chromium() -> bool:
    """Whether tests in a browser can't run here; in CI they must, so there they fail instead."""
    return chromium_path() is None and "CI" not in os.environ


@pytest.fixture(autouse=True)
def _project_stays_as_it_is() -> Iterator[None]:
    """Fail a test that was to write a file of the project, also where it caught the refusal."""
    with refusing():
        yield
    assert refused() == []


@pytest.fixture(autouse=True)
def _log_everything(request: pytest.FixtureRequest, caplog: pytest.LogCaptureFixture) -> None:
    """Have every library log its most in tests marked `secrets`: no level may bring a secret to light."""
    if request.node.get_closest_marker("secrets") and not request.node.get_closest_marker(
        "e2e"
    ):  # there it runs elsewhere
        caplog.set_level(logging.DEBUG)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Fail any test that printed or logged one of the secrets that the tests made up (`tests.secrets`)."""
    report = yield
    forms = leaks("\n".join(text for _, text in report.sections))
    if forms and report.passed:
        report.outcome, report.longrepr = "failed", f"a secret came to light: {', '.join(forms)}"
    return report


@pytest.fixture(scope="session")
def local_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the run's local stack, laid out as `iot-stream up` does it; with blanks and umlauts in its name."""
    return tmp_path_factory.mktemp("local") / FOLDER


@pytest.fixture(scope="session")
def outages(local_folder: Path) -> "Iterator[Outages]":
    """The run's one OpenSearch, for tests that stop it and start it again."""
    from iot_stream.local.distribution import assemble
    from iot_stream.local.opensearch import prepare
    from iot_stream.local.processes import free_port
    from tests.outages import Outages

    home = assemble()  # a download, which takes the caller's proxies; every part starts in a hostile environment
    with hostile_environment():
        server = prepare(local_folder / "opensearch", home, free_port())
        outages = Outages(server, server.start())
    yield outages
    outages.stop()


@pytest.fixture(scope="session")
def opensearch(outages: "Outages") -> "OpenSearch":
    """A real OpenSearch with its real security plugin, empty: tests use names of their own."""
    return outages.server


@pytest.fixture(scope="session")
def domain_port() -> int:
    """Port of every domain's endpoint: the gateway in front of the session's OpenSearch."""
    from iot_stream.local.processes import free_port

    return free_port()


@pytest.fixture(scope="session")
def ministack(opensearch: "OpenSearch", local_folder: Path, domain_port: int) -> "Iterator[Ministack]":
    """AWS's APIs with IAM enforced, and the gateway that is every domain's endpoint."""
    from iot_stream.local.gateway import process as gateway
    from iot_stream.local.ministack import Ministack
    from iot_stream.local.processes import free_port

    aws = Ministack(local_folder / "aws", free_port())
    with hostile_environment():
        endpoint = gateway.launch(opensearch, aws, domain_port, local_folder / "logs" / "gateway.log")
        process = aws.start(domain_endpoint=f"127.0.0.1:{domain_port}", ca_file=opensearch.ca_file)
        gateway.wait(endpoint, opensearch, domain_port)
    yield aws
    process.stop()
    endpoint.stop()


@pytest.fixture(scope="session")
def sam_build(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that `sam build` of the template, as it is now, has written (.aws-sam/build)."""
    from iot_stream.local import deployment

    with hostile_environment(downloads=True):
        deployment.build(tmp_path_factory.mktemp("sam-build") / FOLDER / "log")
    return PROJECT / ".aws-sam" / "build"


@pytest.fixture(scope="session")
def local_stack(
    sam_build: Path, opensearch: "OpenSearch", ministack: "Ministack", local_folder: Path, domain_port: int
) -> "Iterator[LocalStack]":
    """The whole local stack, in a hostile environment: the built template deployed, the delivery worker at work."""
    from iot_stream.local.local_stack import LocalStack, Ports, deliver, deploy

    assert sam_build.exists()
    ports = Ports(opensearch=opensearch.port, aws=ministack.port, domain=domain_port)
    whole = LocalStack(local_folder, ports, opensearch.home)
    with hostile_environment():
        whole.save()
        deliver(whole, deploy(whole))
    yield whole
    whole.down()

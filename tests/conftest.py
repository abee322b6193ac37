"""What every tier shares: markers by folder, what runs where, and the real neighbours, each started once for a run.

The neighbours' modules are imported by their fixtures, because importing them takes seconds of every start.
"""

import gc
import logging
import os
import shutil
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
from tests.neighbours import Neighbours
from tests.secrets import leaks
from tests.walkthrough import is_shipped, load_walkthrough_by_default
from tests.writes import refused, refusing, watch

if TYPE_CHECKING:
    from iot_stream.local.local_stack import LocalStack
    from iot_stream.local.ministack import Ministack
    from iot_stream.local.opensearch import OpenSearch
    from tests.outages import Outages

OTHER_DESCRIPTION = not is_shipped()
if OTHER_DESCRIPTION:
    load_walkthrough_by_default()
watch()
# Search for cycles rarely: each search goes through what hundreds of modules and botocore's models keep until the end.
gc.set_threshold(10_000, 20, 50)
# A run is over before the second compiler's work pays: without it OpenSearch takes half of the processor time.
os.environ.setdefault("OPENSEARCH_JAVA_OPTS", "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC")
CHAINS = {
    "stack": (
        "e2e/test_device_alerts.py",
        "e2e/test_failures.py",
        "e2e/test_device_alerts_schedule.py",
        "e2e/test_doctor.py",
        "e2e/test_least_privilege.py",
        "e2e/test_live_page.py",
        "e2e/test_pipeline.py",
        "e2e/test_outage.py",
    ),
    "role mapper": ("e2e/test_role_mapper_deployments.py",),
    "deployments": ("e2e/test_deployments.py",),
    "worlds": ("e2e/test_chaos.py", "e2e/test_delivery_faults.py", "e2e/test_delivery_pipeline.py"),
}
"""Files whose tests one process runs, in this order: those of the shared stack and those that take long.

The longest begin first, each in a process of its own; `make test` has four.

The outage comes last, when no other chain has a long test for it to wait for.
"""
SLOW = (
    "test_role_mapper_responses.py",
    "test_failures_replay.py",
    "test_dashboards_description.py",
    "test_doctor.py",
    "test_dashboards_panels.py",
    "test_device_alerts_run.py",
    "test_delivery_random_days.py",
    "test_import_rules.py",
    "test_enrichment_timestamps.py",
    "test_delivery_memory.py",
    "test_generator_fleet.py",
)
"""Files of unit tests that take seconds, the longest first."""
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
        tier = item.nodeid.split("/", maxsplit=2)[1]
        if tier in {"integration", "e2e"}:
            item.add_marker(tier)
        elif not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(_UNIT_SECONDS))
        if "local_stack" in getattr(item, "fixturenames", ()) and _chain(item.nodeid) != "stack":
            raise pytest.UsageError(f"{item.nodeid} uses the shared stack: its file belongs to CHAINS['stack']")
        if tier == "e2e" and OTHER_DESCRIPTION:
            item.add_marker(pytest.mark.skip(reason="readings.toml describes other readings than the walkthrough's"))
    if _leave_out_chromium():
        left_out = [item for item in items if item.get_closest_marker("chromium")]
        items[:] = [item for item in items if item not in left_out]
        config.hook.pytest_deselected(items=left_out)
    items.sort(key=_turn)


def _chain(nodeid: str) -> str:
    """Return what has to run in one process: a chain, or a file."""
    file = nodeid.split("::", maxsplit=1)[0].removeprefix("tests/")
    return next((chain for chain, files in CHAINS.items() if file in files), file)


def _turn(item: pytest.Item) -> tuple[int, int]:
    """Return a key that sorts tests by when they begin, so that all processes end together.

    First the chains, then other tests with neighbours (steady ones last: they would wait for the siege), then slow
    unit tests, and the many quick ones.
    """
    chain, name = _chain(item.nodeid), item.path.name
    if chain in CHAINS:
        return list(CHAINS).index(chain), CHAINS[chain].index(f"e2e/{name}")
    if not chain.startswith("unit/"):
        return len(CHAINS), int(item.get_closest_marker("steady") is not None)
    return len(CHAINS) + 1, SLOW.index(name) if name in SLOW else len(SLOW)


class _Chains(LoadScopeScheduling):
    """With several processes: each takes the next chain or file when it has nothing left to do."""

    def _split_scope(self, nodeid: str) -> str:
        """Return what has to run in one process."""
        return _chain(nodeid)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadScopeScheduling:
    """Return how tests are divided among processes (pytest-xdist; `make unit`, `make test`)."""
    config.option.loadscopereorder = False
    return _Chains(config, log)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, bool, bool]:
    """Run a test beside those of other processes that it bears with."""
    fixtures = getattr(item, "fixturenames", ())
    if not {"opensearch", "ministack"} & set(fixtures):
        return (yield)
    steady = bool(item.get_closest_marker("steady"))
    with Neighbours.of(item.config).quiet(stops="outages" in fixtures, freezes="freezing" in fixtures, steady=steady):
        return (yield)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Stop the neighbours when every process has run its tests."""
    if not hasattr(session.config, "workerinput"):
        Neighbours.of(session.config).stop()


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
def _log_everything(request: pytest.FixtureRequest) -> None:
    """Have every library log its most in tests marked `secrets`: no level may bring a secret to light."""
    if request.node.get_closest_marker("secrets") and not request.node.get_closest_marker(
        "e2e"
    ):  # there it runs elsewhere
        request.getfixturevalue("caplog").set_level(logging.DEBUG)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Fail any test that printed or logged one of the secrets that the tests made up (`tests.secrets`)."""
    report = yield
    forms = leaks("\n".join(text for _, text in report.sections))
    if forms and report.passed:
        report.outcome, report.longrepr = "failed", f"a secret came to light: {', '.join(forms)}"
    return report


@pytest.fixture(scope="session")
def neighbours(pytestconfig: pytest.Config) -> Neighbours:
    """What was started for this run, by whichever process."""
    return Neighbours.of(pytestconfig)


@pytest.fixture(scope="session")
def parts(neighbours: Neighbours) -> "LocalStack":
    """Folder and ports of the run's local stack, laid out as `iot-stream up` does it; with umlauts in its name."""
    from iot_stream.local.distribution import assemble
    from iot_stream.local.local_stack import LocalStack, Ports, read
    from tests.ports import free_port

    folder = neighbours.folder / FOLDER
    with neighbours.one_at_a_time("start"):
        parts = read(folder)
        if parts is None:
            home = assemble()  # a download, which takes the caller's proxies; each part starts in a hostile environment
            parts = LocalStack(folder, Ports(*(free_port() for _ in range(4))), home)
            parts.save()
    return parts


@pytest.fixture(scope="session")
def opensearch(neighbours: Neighbours, parts: "LocalStack") -> "OpenSearch":
    """A real OpenSearch with its real security plugin, empty: tests use names of their own."""
    from iot_stream.local.opensearch import NAME, prepare
    from iot_stream.local.reader_role import create_reader_role

    with neighbours.one_at_a_time("start"):
        if NAME not in neighbours.processes():
            with hostile_environment():
                server = prepare(parts.folder / "opensearch", parts.home, parts.ports.opensearch)
                server.wait(neighbours.add(server.launch()))
                create_reader_role(server, "nothing-yet")  # tests add what they read: tests/reader_role.py
    return parts.opensearch


@pytest.fixture(scope="session")
def domain_port(parts: "LocalStack") -> int:
    """Port of every domain's endpoint: the gateway in front of the run's OpenSearch."""
    return parts.ports.domain


@pytest.fixture(scope="module")
def outages(neighbours: Neighbours, opensearch: "OpenSearch") -> "Outages":
    """The run's one OpenSearch, for a test that stops it and starts it again: none runs beside it."""
    from iot_stream.local.opensearch import NAME
    from tests.outages import Outages

    return Outages(opensearch, neighbours.processes()[NAME], neighbours.add)


@pytest.fixture
def freezing(neighbours: Neighbours, opensearch: "OpenSearch", ministack: "Ministack") -> "Outages":
    """The same for a test that freezes it, or ministack, for some seconds: no steady one runs beside it."""
    from iot_stream.local.opensearch import NAME
    from tests.outages import Outages

    assert ministack.port
    return Outages(opensearch, neighbours.processes()[NAME], neighbours.add)


@pytest.fixture(scope="session")
def ministack(neighbours: Neighbours, opensearch: "OpenSearch", parts: "LocalStack") -> "Ministack":
    """AWS's APIs with IAM enforced, and the gateway that is every domain's endpoint."""
    from iot_stream.local.gateway import process as gateway
    from iot_stream.local.ministack import NAME

    with neighbours.one_at_a_time("start"):
        if NAME not in neighbours.processes():
            port = parts.ports.domain
            with hostile_environment():
                endpoint = gateway.launch(opensearch, parts.aws, port, parts.folder / "logs" / "gateway.log")
                neighbours.add(endpoint)
                neighbours.add(parts.aws.start(domain_endpoint=f"127.0.0.1:{port}", ca_file=opensearch.ca_file))
                gateway.wait(endpoint, opensearch, port)
    return parts.aws


@pytest.fixture(scope="session")
def sam_build(neighbours: Neighbours) -> Path:
    """A copy of what `sam build` of the template, as it is now, has written; who changes it makes another."""
    from iot_stream.local import deployment

    built, done = PROJECT / ".aws-sam" / "tested", neighbours.folder / "built"
    with neighbours.one_at_a_time("build"):
        if not done.exists():
            with hostile_environment(downloads=True):
                deployment.build(neighbours.folder / "sam-build" / FOLDER / "log")
            shutil.rmtree(built, ignore_errors=True)
            shutil.copytree(PROJECT / ".aws-sam" / "build", built)
            done.touch()
    return built


@pytest.fixture(scope="session")
def local_stack(sam_build: Path, neighbours: Neighbours, ministack: "Ministack", parts: "LocalStack") -> "LocalStack":
    """The whole local stack, in a hostile environment: the built template deployed, the delivery worker at work."""
    from iot_stream.local.local_stack import deliver, deploy

    assert sam_build.exists()
    assert ministack.port
    with neighbours.one_at_a_time("deployment"), hostile_environment():
        deliver(parts, deploy(parts))
    return parts

"""The workflows of .github: no job that may write runs what was just released, and the documents say what they need.

zizmor looks at them too (`make check`): pinned actions, broad permissions, injected expressions.
"""

import re
from itertools import chain
from typing import Any, Final

import pytest
import yaml

from iot_stream.paths import PROJECT

WORKFLOWS: Final = {
    path.name: yaml.safe_load(path.read_text(encoding="utf-8"))
    for path in sorted((PROJECT / ".github" / "workflows").glob("*.yml"))
}
JOBS: Final = [(name, job) for name, workflow in WORKFLOWS.items() for job in workflow["jobs"]]
HOUR: Final = 3600  # IAM's default for a role's maximum session ("CreateRole", MaxSessionDuration: 3,600 to 43,200)


def scripts(job: dict[str, Any]) -> str:
    """Return the commands of a job."""
    return "\n".join(step.get("run", "") for step in job["steps"])


def read(name: str) -> str:
    """Return a file of the project."""
    return (PROJECT / name).read_text(encoding="utf-8")


@pytest.mark.parametrize(("name", "job"), JOBS)
def test_a_job_that_runs_the_project_may_not_write(name: str, job: str) -> None:
    """`make` runs packages that nobody has looked at yet: not with a token that may push, nor with it in a variable."""
    workflow, here = WORKFLOWS[name], WORKFLOWS[name]["jobs"][job]
    if "make " not in scripts(here):
        return
    permissions = here.get("permissions", workflow.get("permissions"))
    assert isinstance(permissions, dict)
    assert {scope for scope, level in permissions.items() if level == "write"} <= {"id-token"}
    assert not re.search(r"github\.token|secrets\.", str(here) + str(workflow.get("env")))


def test_new_versions_run_without_an_identity() -> None:
    """Nor may the job that tests them ask for the role that deploys."""
    lock = WORKFLOWS["update.yml"]["jobs"]["lock"]
    assert "make lock UPGRADE=--upgrade" in scripts(lock)
    assert "make check test" in scripts(lock)
    assert lock["permissions"] == {"contents": "read"}
    assert WORKFLOWS["update.yml"]["jobs"]["pull-request"]["needs"] == "lock"


def test_the_pull_request_has_every_lock_and_nothing_else() -> None:
    """Locks are what `make lock` writes: uv says so in each, and modules of its own write the JSON files."""
    candidates = chain(PROJECT.glob("requirements/*"), PROJECT.glob("functions/*/*.txt"))
    written = {path for path in candidates if path.is_file() and "#    make lock\n" in path.read_text(encoding="utf-8")}
    recipe = (PROJECT / "Makefile").read_text(encoding="utf-8").split("\nlock:")[1].split("\n\n")[0]
    written |= {
        PROJECT / "requirements" / f"{name}.json" for name in re.findall(r"requirements/lock_(\w+)\.py", recipe)
    }
    jobs = WORKFLOWS["update.yml"]["jobs"]
    [uploaded] = [step["with"]["path"] for step in jobs["lock"]["steps"] if "upload-artifact" in step.get("uses", "")]
    [copied] = re.findall(r"git ls-files (.*?)\)", scripts(jobs["pull-request"]))
    for patterns in (uploaded.split(), copied.replace("'", "").split()):
        assert set(chain.from_iterable(map(PROJECT.glob, patterns))) == written


def test_versions_wait_as_long_as_actions_do() -> None:
    """`make lock UPGRADE=…` takes none that is younger; dependabot waits the same days for the workflows' actions."""
    [days] = re.findall(r"^COOLDOWN \?= (\d+) days$", read("Makefile"), re.MULTILINE)
    [update] = yaml.safe_load(read(".github/dependabot.yml"))["updates"]
    assert update["cooldown"]["default-days"] == int(days)


def test_a_long_session_is_allowed_by_the_documented_role() -> None:
    """STS refuses a longer session than the role's maximum ("AssumeRoleWithWebIdentity", DurationSeconds)."""
    steps = [step for _, workflow in WORKFLOWS.items() for job in workflow["jobs"].values() for step in job["steps"]]
    asked = {step["with"]["role-duration-seconds"] for step in steps if "role-duration-seconds" in step.get("with", {})}
    documented = set(map(int, re.findall(r"--max-session-duration (\d+)", read("docs/operations.md"))))
    assert {seconds for seconds in asked if seconds > HOUR} == documented
    assert all(seconds <= 12 * HOUR for seconds in asked)

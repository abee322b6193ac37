"""The role mapper as `sam build` built it, in an interpreter that sees nothing else but Lambda's own boto3."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from iot_stream.paths import PROJECT

EVENTS = PROJECT / "events"
NAMES = sorted(path.name.removesuffix(".expected.json") for path in EVENTS.glob("cloudformation-*.expected.json"))
RUNTIME = ("boto3", "botocore", "dateutil", "jmespath", "s3transfer", "six")
"""boto3 and what it needs, as AWS's Python runtime brings them (urllib3, which it needs too, is packed)."""
LAMBDA_CALL = """
import json, sys
sys.path[:0] = sys.argv[1:]
from role_mapper.handler import lambda_handler
class Context:
    def get_remaining_time_in_millis(self):
        return 600_000
response = lambda_handler(json.load(sys.stdin), Context())
print(json.dumps(response))
"""


@pytest.fixture(scope="module")
def runtime(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the packages of Lambda's runtime and no other."""
    folder = tmp_path_factory.mktemp("runtime")
    for package in RUNTIME:
        spec = importlib.util.find_spec(package)
        assert spec is not None
        assert spec.origin is not None
        source = Path(spec.origin)
        source = source.parent if source.name == "__init__.py" else source
        (folder / source.name).symlink_to(source)
    return folder


@pytest.mark.parametrize("name", NAMES)
def test_the_built_function_has_all_it_needs(name: str, sam_build: Path, runtime: Path) -> None:
    """It gives each golden response: its requirements and its files for the domain are complete."""
    artefact = sam_build / "RoleMapperFunction"
    assert (artefact / "opensearch" / "index-template.json").exists()
    assert (artefact / "opensearch" / "dashboards" / "saved_objects.ndjson").exists()
    event: Any = json.loads((EVENTS / f"{name}.json").read_text(encoding="utf-8"))
    settings = json.loads((EVENTS / "environment.json").read_text(encoding="utf-8"))["RoleMapperFunction"]
    run = subprocess.run(
        [sys.executable, "-I", "-S", "-c", LAMBDA_CALL, str(artefact), str(runtime)],
        input=json.dumps(event),
        env=settings | {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x", "AWS_DEFAULT_REGION": "us-east-1"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    response = json.loads(run.stdout.splitlines()[-1])
    assert response == json.loads((EVENTS / f"{name}.expected.json").read_text(encoding="utf-8"))


def test_the_built_function_stays_small(sam_build: Path) -> None:
    """No compiled giant has come in with a requirement: opensearch-py 3.1 would bring 28 MB."""
    files = (sam_build / "RoleMapperFunction").rglob("*")
    assert sum(file.stat().st_size for file in files if file.is_file()) < 15_000_000

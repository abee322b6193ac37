"""docs/delivery.md names only tests that there are, and every option and status field that there is."""

import re

import msgspec

from iot_stream.cli import cli
from iot_stream.delivery.core.progress import DeliveryStatus
from iot_stream.paths import PROJECT

TEXT = (PROJECT / "docs" / "delivery.md").read_text(encoding="utf-8")
TESTS = "\n".join(path.read_text(encoding="utf-8") for path in (PROJECT / "tests").rglob("test_*.py"))


def test_every_named_test_exists() -> None:
    """The conformance table's tests and files are there, by whole name or, before an ellipsis, by its beginning."""
    for name, cut in re.findall(r"`(test_\w+)(…?)`", TEXT):
        assert re.search(rf"def {name}{'' if cut else r'\('}", TESTS), name
    for path in re.findall(r"`((?:unit|e2e|integration)/\w+\.py)`", TEXT):
        assert (PROJECT / "tests" / path).exists(), path


def test_every_option_and_field_is_described() -> None:
    """What `deliver` takes and what its status says is in the document."""
    options = {name for parameter in cli.commands["deliver"].params for name in parameter.opts}
    assert {name for name in options if name not in TEXT} <= {"--help", "-h"}
    fields = {field.name for field in msgspec.structs.fields(DeliveryStatus)}
    assert {name for name in fields if f"`{name}`" not in TEXT} <= {"updated_at", "version"}

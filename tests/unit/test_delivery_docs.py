"""docs/delivery.md names only tests that exist, and every option and status field."""

import re

import msgspec

from iot_stream.cli import cli
from iot_stream.delivery.core.status import DeliveryStatus
from iot_stream.paths import PROJECT

TEXT = (PROJECT / "docs" / "delivery.md").read_text(encoding="utf-8")
TESTS = "\n".join(path.read_text(encoding="utf-8") for path in (PROJECT / "tests").rglob("test_*.py"))


def test_every_named_test_exists() -> None:
    """Each test and file of the conformance table exists, by its whole name or by the part before an ellipsis."""
    for name, cut in re.findall(r"`(test_\w+)(…?)`", TEXT):
        assert re.search(rf"def {name}{'' if cut else r'\('}", TESTS), name
    for path in re.findall(r"`((?:unit|e2e|integration)/\w+\.py)`", TEXT):
        assert (PROJECT / "tests" / path).exists(), path


def test_every_option_and_field_is_described() -> None:
    """The options of `deliver` and the fields of its status are in the document."""
    options = {name for parameter in cli.commands["deliver"].params for name in parameter.opts}
    assert {name for name in options if name not in TEXT} <= {"--help", "-h"}
    fields = {field.name for field in msgspec.structs.fields(DeliveryStatus)}
    assert {name for name in fields if f"`{name}`" not in TEXT} <= {"updated_at", "version"}

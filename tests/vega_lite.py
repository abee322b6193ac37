"""Hold panels against Vega-Lite's own JSON schema, in the version that altair ships."""

from functools import cache

from altair.vegalite import SCHEMA_VERSION, schema
from jsonschema import Draft7Validator
from jsonschema.exceptions import ValidationError

from iot_stream.dashboards.definition import Panel

__all__ = ["mistake_in"]


def mistake_in(panel: Panel) -> str:
    """Return the place in a panel and what is wrong there, empty if the schema allows all but OpenSearch's own parts.

    A mark fails the schema in a dozen ways, one for each kind of specification it is not. The one that is meant fits
    most of what was written, so its error is the deepest.
    """
    spec = panel.spec_with(None)
    spec["config"] = {key: value for key, value in spec["config"].items() if key != "kibana"}
    errors = list(_validator().iter_errors(spec))
    if not errors:
        return ""
    error = max(errors, key=_depth)
    while error.context:
        error = max(error.context, key=_depth)
    return f"{error.json_path.removeprefix('$.')}: {error.message[:300]}"


@cache
def _validator() -> Draft7Validator:
    assert SCHEMA_VERSION.startswith("v6")
    return Draft7Validator(schema.core.load_schema())


def _depth(error: ValidationError) -> tuple[int, bool]:
    """Return how deep an error or the deepest of those it comes from is, and whether it names more than one value."""
    return max([(len(error.absolute_path), error.validator != "const"), *map(_depth, error.context or ())])

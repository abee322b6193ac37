"""Check panels before anything is built from them: a mistake would leave a panel empty, without a word."""

from collections.abc import Iterator
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import vl_convert

from iot_stream.dashboards.definition import DASHBOARDS, Dashboard
from iot_stream.dashboards.index_template import index_template
from iot_stream.dashboards.snapshot import NEWEST, without_clicks
from iot_stream.errors import SetupError

__all__ = ["check_panels"]


def check_panels(dashboard: Dashboard, folder: Path = DASHBOARDS) -> None:
    """Check that each panel has its parts, asks for fields that documents have, and can be compiled by Vega-Lite.

    Args:
        dashboard: with the description that is deployed.
        folder: where its templates are, for the messages.

    Raises:
        SetupError: a panel has a mistake; names its template and what to do.
    """
    known = index_template(dashboard.reading)["template"]["mappings"]["properties"]
    for panel in dashboard.panels:
        template = folder / "panels" / f"{panel.kind}.json"
        for path in (("description",), ("data", "name"), ("data", "url", "index"), ("data", "url", "body")):
            if not _has(panel.spec, path):
                raise SetupError(f'{template}: "{".".join(path)}" is missing; compare it with the other templates')
        for field in _fields(panel.query.body):
            if field not in known and not field.startswith("_"):
                close = get_close_matches(field, known, n=1)
                cure = f"write {close[0]}" if close else f"the fields are {', '.join(known)}"
                raise SetupError(f'{template}: the query has the field "{field}", which no document has; {cure}')
        try:
            vl_convert.vegalite_to_vega(without_clicks(panel.spec_with(None)), vl_version=NEWEST)
        except ValueError as error:
            words = next((line for line in str(error).splitlines()[1:] if line.strip()), str(error))
            raise SetupError(
                f"{template}: Vega-Lite can't compile the panel: {words}; check its marks, encodings and expressions "
                "(`make check` names the place if Vega-Lite's schema forbids it)"
            ) from error


def _has(node: Any, path: tuple[str, ...]) -> bool:
    for key in path:
        if not isinstance(node, dict) or key not in node:
            return False
        node = node[key]
    return True


def _fields(node: Any) -> Iterator[str]:
    """Yield the fields that a query names."""
    if isinstance(node, dict):
        for key, value in node.items():
            if key == "field" and isinstance(value, str):
                yield value
            else:
                yield from _fields(value)
    elif isinstance(node, list):
        for value in node:
            yield from _fields(value)

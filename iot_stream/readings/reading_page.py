"""Write docs/readings.md: what a reading may hold by the description, and its document. Pure."""

import json
from collections.abc import Iterator
from typing import Final

from iot_stream.description import (
    INGESTED_AT,
    UNKNOWN_FIELDS,
    Description,
    Field,
    Type,
    Unknown,
)
from iot_stream.generator.derived import sample_of
from iot_stream.paths import PROJECT
from iot_stream.readings.wanted import number_text, wanted

__all__ = ["DOCUMENT", "page"]

DOCUMENT: Final = PROJECT / "docs" / "readings.md"

_MINUS: Final = "\u2212"
_TIMES: Final = "\u00d7"
_UTC: Final = "in UTC, `YYYY-MM-DDTHH:MM:SS.mmm`"
_PAGE: Final = """\
# {title}: what devices send, and what OpenSearch gets

Built by `iot-stream readings build` from [readings.toml](../functions/enrichment/readings.toml): edit that, not this.
[fields.md](fields.md) has the rules that hold for every description, and the reasons for which a record fails.

## The reading

One JSON object, such as this made-up one:

```json
{example}
```

{reading}

{unknown}

## The document

One line of compact JSON, in this order:

{document}

A device counts as silent after {silent} s without a reading. Its clock counts as wrong when it is {ahead} s ahead, or
when its latest reading is {behind} s old as it arrives.
"""
_UNKNOWN: Final = {
    Unknown.DROP: "Whatever else it holds is left out of the document, and counted.",
    Unknown.KEEP: f"Whatever else it holds is kept in `{UNKNOWN_FIELDS}` of the document, and not indexed.",
}


def page(description: Description) -> str:
    """Return the whole page, as Markdown."""
    return _PAGE.format(
        title=description.title,
        example=json.dumps(json.loads(sample_of(description)), indent=2, ensure_ascii=False),
        reading="\n".join(_reading(description)),
        unknown=_UNKNOWN[description.unknown],
        document="\n".join(_document(description)),
        silent=number_text(description.silent_after),
        ahead=number_text(description.clock_ahead),
        behind=number_text(description.clock_behind),
    )


def _reading(description: Description) -> Iterator[str]:
    yield "| field | accepted |"
    yield "|---|---|"
    for field in description.inputs:
        optional = "; optional" if field.optional else ""
        yield f"| `{_cell(field.source)}` | {_cell(_accepted(field))}{optional} |"


def _accepted(field: Field) -> str:
    text = wanted(field)
    if field.type is Type.KEYWORD:
        return f"{text} of at most 32,766 bytes in UTF-8, OpenSearch's limit of a keyword"
    for link, heading in (("a time", "times"), ("a point", "types")):
        if text.startswith(link):
            return f"[{link}](fields.md#{heading}){text.removeprefix(link)}"
    return text


def _document(description: Description) -> Iterator[str]:
    yield "| field | is | in the index |"
    yield "|---|---|---|"
    for field in description.fields:
        yield f"| `{field.name}` | {_cell(_is(field))} | `{field.type}` |"
    arrival = (
        f"when Kinesis took the record (by direct put: when Firehose did), {_UTC}; left out where AWS gives no time"
    )
    yield f"| `{INGESTED_AT}` | {arrival} | `date` |"
    if description.unknown is Unknown.KEEP:
        yield f"| `{UNKNOWN_FIELDS}` | [what is not described](fields.md#what-is-not-described) | `object` |"


def _is(field: Field) -> str:
    if field.derivation is not None:
        made = f"`{field.derivation.source}`"
        if field.derivation.scale != 1:
            made += f" {_TIMES} {number_text(field.derivation.scale)}"
        if field.derivation.offset:
            made += f" {'+' if field.derivation.offset > 0 else _MINUS} {number_text(abs(field.derivation.offset))}"
        return _described(field, made)
    source = f"`{field.source}`"
    if field.type is Type.DATE:
        return _described(field, f"{source} {_UTC}")
    return _described(field, source)


def _described(field: Field, what: str) -> str:
    unit = f", {field.unit}" if field.unit else ""
    description = f": {field.description}" if field.description else ""
    return f"{what}{unit}{description}"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")

"""Render the panels' templates: JSON with `{{tokens}}` that stand for what the description of a reading says. Pure."""

import re
import unicodedata
from collections.abc import Mapping
from typing import Any

from iot_stream.dashboards.decimals import number_format
from iot_stream.description import Description, Field, Type

__all__ = ["capitalized", "category_tokens", "common_tokens", "measure_tokens", "render", "slugs"]

type Tokens = Mapping[str, Any]

_TOKEN = re.compile(r"\{\{([\w.]+)(\|expr)?\}\}")
_WHEN = "$when"
_FIGURES = 3  # measures among the key figures
_OTHER_FIGURES = 4  # key figures of every description: see key-figures.json
_LETTER, _BETWEEN, _WIDEST_FIGURE = 6.5, 14, 200  # pixels: of a label's letter, between two labels, of a figure
_NUMBERS = {Type.LONG, Type.DOUBLE, Type.SCALED_FLOAT}


def render(node: Any, tokens: Tokens) -> Any:
    """Return a template's JSON with its tokens replaced.

    A string that consists of one token becomes the token's value, of any type; members whose value is None are omitted.
    Within a text a token becomes text; `|expr` escapes it for a Vega string in single quotes. A member whose *name* is
    a token is replaced by the members of its value. An object with `$when` is kept if that token's value isn't None.
    """
    if isinstance(node, list):
        return [render(item, tokens) for item in node if _is_wanted(item, tokens)]
    if isinstance(node, dict):
        members: dict[str, Any] = {}
        for name, value in node.items():
            if match := _TOKEN.fullmatch(name):
                found = tokens[match[1]]
                members |= found if isinstance(found, dict) else {found: render(value, tokens)}
            elif name != _WHEN and (rendered := render(value, tokens)) is not None:
                members[name] = rendered
            elif value is None:  # null means something to Vega-Lite
                members[name] = None
        return members
    if isinstance(node, str):
        if match := _TOKEN.fullmatch(node):
            return tokens[match[1]]
        return _TOKEN.sub(lambda match: _text(tokens[match[1]], in_expression=bool(match[2])), node)
    return node


def common_tokens(description: Description, pattern: str, arrival: str) -> dict[str, Any]:
    """Return the tokens that every panel has.

    Args:
        description: what a reading is.
        pattern: the index pattern.
        arrival: the field with the time at which AWS took a record.
    """
    device = description.device
    measures = description.measures[:_FIGURES]
    return {
        "pattern": pattern,
        "arrival": arrival,
        "clock_ahead": f"{description.clock_ahead:,.15g}",
        "clock_ahead_ms": round(description.clock_ahead * 1000),
        "time": description.time.name,
        "time_label": description.time.label,
        "device": device.name,
        "device_label": device.label,
        "device_title": capitalized(device.label),
        "device_format": "0" if device.type in _NUMBERS else None,  # exact text for ids beyond 2⁵³
        "figures": "".join(_figures(measure, alone=len(measures) == 1) for measure in measures),
        "figure_count": _OTHER_FIGURES + 2 * len(measures),
        "figure_width": _figure_width(description),
        "figure_aggs": {
            f"{measure.name}_{name}": {operation: {"field": measure.name}}
            for measure in measures
            for name, operation in (("average", "avg"), ("extreme", _extreme(measure)[2]))
        },
    }


def measure_tokens(measure: Field, slug: str) -> dict[str, Any]:
    """Return the tokens of a panel about one measure."""
    extreme, name, operation, order = _extreme(measure)
    thresholds = [text for text in ("alert_above", "alert_below") if getattr(measure, text) is not None]
    return {
        "measure": measure.name,
        "measure.slug": slug,
        "measure.label": measure.label,
        "measure.lower_label": _lower(measure.label),
        "measure.unit_title": f" ({measure.unit})" if measure.unit else "",
        "measure.threshold_text": ", with the alert lines" if thresholds else "",
        "measure.red_text": "; red beyond the threshold" if thresholds else "",
        "measure.alert_above": measure.alert_above,
        "measure.alert_below": measure.alert_below,
        "measure.format": number_format(measure),
        "measure.extreme": extreme,
        "measure.extreme_name": name,
        "measure.extreme_title": name.capitalize(),
        "measure.extreme_op": operation,
        "measure.order": order,
        "measure.average_alert": _alert(measure, "datum.average"),
        "measure.extreme_alert": _alert(measure, "datum.extreme"),
    }


def category_tokens(category: Field, slug: str) -> dict[str, Any]:
    """Return the tokens of a panel about one category."""
    return {
        "category": category.name,
        "category.slug": slug,
        "category.label": category.label,
        "category.lower_label": _lower(category.label),
        # A boolean's bucket has the key 0 or 1, and its name beside it.
        "category.named": "datum.named ? 'true' : 'false'" if category.type is Type.BOOLEAN else "datum.named",
    }


def slugs(fields: tuple[Field, ...]) -> dict[str, str]:
    """Return a short name for each field, by the field's name: its label where that is unique, else its own name."""
    own = {field.name: field.name.lower().replace("_", "-") for field in fields}
    by_label = {field.name: re.sub(r"[^a-z0-9]+", "-", field.label.lower()).strip("-") for field in fields}
    labels = list(by_label.values())
    whose = {slug: name for name, slug in own.items()}
    return {
        name: label if label and labels.count(label) == 1 and whose.get(label, name) == name else own[name]
        for name, label in by_label.items()
    }


def _is_wanted(item: Any, tokens: Tokens) -> bool:
    return not (isinstance(item, dict) and _WHEN in item and tokens[item[_WHEN]] is None)


def _text(value: Any, *, in_expression: bool) -> str:
    text = str(value)
    return text.replace("\\", "\\\\").replace("'", "\\'") if in_expression else text


def _lower(label: str) -> str:
    """Return a label for the middle of a sentence; abbreviations such as CO2 stay."""
    return label[:1].lower() + label[1:] if label[1:2].islower() else label


def capitalized(text: str) -> str:
    """Return a text for the beginning of a title; words such as pH stay."""
    return text[:1].upper() + text[1:] if text.partition(" ")[0].islower() else text


def _extreme(measure: Field) -> tuple[str, str, str, str]:
    """Return which devices come first: the lowest if only `alert_below` is set, else the highest."""
    if measure.alert_below is not None and measure.alert_above is None:
        return "lowest", "minimum", "min", "asc"
    return "highest", "maximum", "max", "desc"


def _alert(measure: Field, value: str, prefix: str = "") -> str:
    tests = []
    if measure.alert_above is not None:
        tests.append(f"{value} > {prefix}alert_above")
    if measure.alert_below is not None:
        tests.append(f"{value} < {prefix}alert_below")
    return f"(isValid({value}) && ({' || '.join(tests)}))" if tests else "false"


def _figures(measure: Field, *, alone: bool) -> str:
    """Return the key figures of a measure as members of an array in a Vega expression, each with a comma behind."""
    unit = _text(f" {measure.unit}" if measure.unit else "", in_expression=True)
    parts = []
    for name, label in zip(("average", "extreme"), _figure_labels(measure, alone=alone), strict=True):
        value = f"datum.found.{measure.name}_{name}.value"
        known = f"datum.records > 0 && isValid({value})"
        parts.append(
            f"{{label: '{_text(label, in_expression=True)}', "
            f"text: {known} ? format({value}, '{number_format(measure)}') + '{unit}' : '\u2013', "
            f"alert: datum.records > 0 && {_alert(measure, value, f'{measure.name}_')}}}, "
        )
    return "".join(parts)


def _figure_labels(measure: Field, *, alone: bool) -> list[str]:
    titles = ("average", _extreme(measure)[1])
    return [title.capitalize() if alone else f"{capitalized(measure.label)}, {title}" for title in titles]


def _figure_width(description: Description) -> int:
    """Return the width of a key figure in pixels, so that labels do not touch each other."""
    measures = description.measures[:_FIGURES]
    labels = [label for measure in measures for label in _figure_labels(measure, alone=len(measures) == 1)]
    labels += [f"{capitalized(description.device.label)}s", "Latest delivery, of all"]
    return min(round(max(map(_letters, labels)) * _LETTER) + _BETWEEN, _WIDEST_FIGURE)


def _letters(text: str) -> int:
    """Return the width of a text in letters; letters of East Asian scripts count twice."""
    return sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in text)

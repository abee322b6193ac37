"""Check given parameters against template.yaml before anything is built or started.

The constraints are the template's own, by the rules of CloudFormation ("Parameters section structure"): a Number is an
integer or a float within MinValue and MaxValue, AllowedValues are compared as text, and an AllowedPattern has to match
the whole value. A parameter whose bounds and default are whole takes whole numbers, as the deployment check says later.
"""

import difflib
import re
from collections.abc import Mapping
from functools import cache
from typing import Any, Final

import yaml

from iot_stream.errors import SetupError
from iot_stream.paths import PROJECT

__all__ = ["check_parameters"]

_SHARES: Final = {"RefusedReadingsPercent"}  # whole by default, and half a percent is one too


def check_parameters(given: Mapping[str, str]) -> None:
    """Check that the template declares each of the parameters and accepts its value.

    Raises:
        SetupError: it does not; with the nearest name or value, or what a value must be.
    """
    declared = _declared() if given else {}
    for name, value in given.items():
        if name not in declared:
            near = difflib.get_close_matches(name, declared, 1, 0.4)
            hint = f"did you mean {near[0]}?" if near else "its parameters are in template.yaml"
            raise SetupError(f"template.yaml has no parameter {name}: {hint}")
        wanted = _refusal(name, declared[name], value)
        if wanted:
            raise SetupError(f"{name}={value} is refused: {wanted}")


@cache
def _declared() -> dict[str, dict[str, Any]]:
    """Return the template's section of parameters; the rest of the file has tags that plain YAML lacks."""
    text = (PROJECT / "template.yaml").read_text(encoding="utf-8")
    section = re.split(r"^Parameters:\n", text, flags=re.MULTILINE)[1]
    declared: dict[str, dict[str, Any]] = yaml.safe_load(re.split(r"^\w", section, flags=re.MULTILINE)[0])
    return declared


def _refusal(name: str, parameter: Mapping[str, Any], value: str) -> str:
    """Return what the parameter requires instead of this value; empty if the value is valid."""
    allowed = [str(each) for each in parameter.get("AllowedValues", [])]
    if allowed:
        near = difflib.get_close_matches(value, allowed, 1, 0.4)
        hint = f"did you mean {near[0]}? " if near else ""
        return "" if value in allowed else f"{hint}it is one of {', '.join(allowed)}"
    if parameter["Type"] == "Number":
        bounds = parameter["MinValue"], parameter["MaxValue"]
        whole = all(isinstance(each, int) for each in (*bounds, parameter["Default"])) and name not in _SHARES
        return _out_of_range(value, *bounds, whole=whole)
    pattern = parameter.get("AllowedPattern", ".*")
    return "" if re.fullmatch(pattern, value) else str(parameter["ConstraintDescription"]).strip()


def _out_of_range(value: str, least: float, most: float, *, whole: bool) -> str:
    """Return the required range; empty if `value` is a number within it, written in digits."""
    written = re.fullmatch(r"0|[1-9][0-9]*" if whole else r"[0-9]+(\.[0-9]+)?", value)
    number = float(value) if written else None
    if number is not None and least <= number <= most:
        return ""
    nearest = "" if number is None else f"; the nearest is {least if number < least else most}"
    return f"it is a {'whole ' * whole}number from {least} to {most}{nearest}"

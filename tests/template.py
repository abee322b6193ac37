"""template.yaml as data: CloudFormation's short forms (`!Ref X`) as {"Ref": "X"}."""

from collections.abc import Mapping
from functools import cache
from typing import Any

import yaml

from iot_stream.paths import PROJECT

__all__ = ["load_template", "refusing_rules"]


class _Loader(yaml.CSafeLoader):  # in C: each process of a run reads the template
    """YAML with CloudFormation's short forms."""


def _short_form(loader: yaml.CSafeLoader, suffix: str, node: yaml.Node) -> dict[str, object]:
    if isinstance(node, yaml.ScalarNode):
        return {suffix: loader.construct_scalar(node)}
    if isinstance(node, yaml.SequenceNode):
        return {suffix: loader.construct_sequence(node, deep=True)}
    return {suffix: loader.construct_mapping(node, deep=True)}


_Loader.add_multi_constructor("!", _short_form)


@cache
def load_template() -> dict[str, Any]:
    """The template; don't change what it returns."""
    template: dict[str, Any] = yaml.load((PROJECT / "template.yaml").read_text(), _Loader)  # noqa: S506 - a SafeLoader
    return template


def refusing_rules(changed: Mapping[str, str]) -> set[str]:
    """Return the template's Rules that refuse its defaults with these changes.

    The functions are those of AWS's page "Rule-specific intrinsic functions" that the template uses.
    """
    template = load_template()
    parameters = {name: str(each["Default"]) for name, each in template["Parameters"].items()} | dict(changed)
    return {
        name
        for name, rule in template["Rules"].items()
        if _value(rule["RuleCondition"], parameters)
        and not all(_value(each["Assert"], parameters) for each in rule["Assertions"])
    }


def _value(part: Any, parameters: Mapping[str, str]) -> Any:
    match part:
        case {"Ref": name}:
            return parameters[name]
        case {"Equals": [one, other]}:
            return str(_value(one, parameters)) == str(_value(other, parameters))
        case {"Not": [inner]}:
            return not _value(inner, parameters)
        case {"Contains": [texts, text]}:
            return _value(text, parameters) in texts
        case str():
            return part
        case _:
            raise NotImplementedError(part)

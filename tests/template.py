"""template.yaml as data: CloudFormation's short forms (`!Ref X`) as {"Ref": "X"}."""

from functools import cache
from typing import Any

import yaml

from iot_stream.paths import PROJECT

__all__ = ["load_template"]


class _Loader(yaml.SafeLoader):
    """YAML with CloudFormation's short forms."""


def _short_form(loader: yaml.Loader, suffix: str, node: yaml.Node) -> dict[str, object]:
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

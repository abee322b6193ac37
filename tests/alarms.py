"""CloudWatch's evaluation of the template's alarms over recorded metrics (pure).

The rules are those of AWS's page "Configuring how CloudWatch alarms treat missing data" and, for expressions, of "Using
metric math"; `tests/unit/test_template_alarm_scenarios.py` holds them to the tables of the first.
"""

import ast
import operator
from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from typing import Any

from role_mapper.deployment_rules import derived
from tests.template import load_template

__all__ = ["Lookup", "Points", "calculate", "is_made", "is_true", "rings", "state"]

type Points = Sequence[float | None]
"""One value a period, oldest first; None where the metric has no data."""

type Lookup = Callable[[str, str, str, int], Points]
"""Return the points of a metric: namespace, name, statistic and period in seconds."""

# "CloudWatch attempts to retrieve a higher number of data points than specified by Evaluation Periods": 5 for 3.
_MORE = 2
_COMPARISONS: dict[str, Callable[[float, float], bool]] = {
    "GreaterThanThreshold": operator.gt,
    "GreaterThanOrEqualToThreshold": operator.ge,
    "LessThanThreshold": operator.lt,
    "LessThanOrEqualToThreshold": operator.le,
}


def state(breaching: Sequence[bool | None], *, of: int, at_least: int, missing: str, before: str) -> str:
    """Return the state after the last period: OK, ALARM or INSUFFICIENT_DATA.

    Args:
        breaching: whether each point of the evaluation range is beyond the threshold, None where it is missing.
        of: EvaluationPeriods.
        at_least: DatapointsToAlarm.
        missing: TreatMissingData.
        before: the state until now.
    """
    known = [each for each in breaching if each is not None]
    count = sum(known[-of:])
    if len(known) >= of:  # "the value you set for how to treat missing data is not needed and is ignored"
        return "ALARM" if count >= at_least else "OK"
    if missing == "breaching":
        count += of - len(known)
    if count >= at_least:
        return "ALARM"
    if missing in {"breaching", "notBreaching"} or not all(known):
        return "OK"
    if missing == "ignore":
        return before
    return "ALARM" if breaching and breaching[0] else "INSUFFICIENT_DATA"


def rings(name: str, parameters: Mapping[str, str], lookup: Lookup) -> list[bool]:
    """Return whether an alarm of the template is raised after each period of what was recorded."""
    alarm = load_template()["Resources"][name]["Properties"]
    points = _points(alarm, parameters, lookup)
    threshold = float(_resolved(alarm["Threshold"], parameters))
    beyond = _COMPARISONS[alarm["ComparisonOperator"]]
    breaching = [None if value is None else beyond(value, threshold) for value in points]
    of = int(_resolved(alarm["EvaluationPeriods"], parameters))
    at_least = int(_resolved(alarm.get("DatapointsToAlarm", of), parameters))
    states, current = [], "OK"
    for end in range(1, len(breaching) + 1):
        seen = breaching[max(0, end - of - _MORE) : end]
        current = state(seen, of=of, at_least=at_least, missing=alarm["TreatMissingData"], before=current)
        states.append(current == "ALARM")
    return states


def is_made(name: str, parameters: Mapping[str, str]) -> bool:
    """Return whether the template makes a resource with these parameters."""
    template = load_template()
    condition = template["Resources"][name].get("Condition")
    return condition is None or is_true(condition, parameters)


def is_true(condition: str, parameters: Mapping[str, str]) -> bool:
    """Return whether a condition of the template is true with these parameters."""
    return _true({"Condition": condition}, parameters)


def calculate(expression: str, series: Mapping[str, Points]) -> Points:
    """Return the points of a metric math expression: arithmetic, comparisons, AND, OR, IF, FILL and DIFF."""
    python = expression.replace(" AND ", " and ").replace(" OR ", " or ")
    result = _value(ast.parse(python, mode="eval").body, series)
    assert not isinstance(result, float), "an alarm's expression is a time series"
    return result


# ---- metrics -------------------------------------------------------------------------------------------------------


def _points(alarm: Mapping[str, Any], parameters: Mapping[str, str], lookup: Lookup) -> Points:
    def read(metric: Mapping[str, Any], statistic: str, period: Any) -> Points:
        seconds = int(_resolved(period, parameters))
        namespace, name = (_resolved(metric[key], parameters) for key in ("Namespace", "MetricName"))
        return lookup(namespace, name, statistic, seconds)

    if "Metrics" not in alarm:
        return read(alarm, alarm["Statistic"], alarm["Period"])
    stats = {each["Id"]: each["MetricStat"] for each in alarm["Metrics"] if "MetricStat" in each}
    series = {name: read(stat["Metric"], stat["Stat"], stat["Period"]) for name, stat in stats.items()}
    expressions = {each["Id"]: each for each in alarm["Metrics"] if "Expression" in each}
    [result] = [name for name, each in expressions.items() if each.get("ReturnData", True)]
    for name in [*(each for each in expressions if each != result), result]:  # a part stands above what uses it
        series[name] = calculate(expressions[name]["Expression"], series)
    return series[result]


_OPERATORS: dict[type[ast.AST], Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Gt: lambda one, other: float(one > other),
    ast.GtE: lambda one, other: float(one >= other),
    ast.Lt: lambda one, other: float(one < other),
    ast.Eq: lambda one, other: float(one == other),
    ast.And: lambda one, other: float(bool(one) and bool(other)),
    ast.Or: lambda one, other: float(bool(one) or bool(other)),
}


def _value(node: ast.AST, series: Mapping[str, Points]) -> Points | float:
    match node:
        case ast.Constant(value=int() | float() as number):
            return float(number)
        case ast.Name(id=name):
            return series[name]
        case ast.BinOp(left=left, op=ast.Div(), right=right):  # a division by zero has no point
            parts = _value(left, series), _value(right, series)
            return _each(lambda one, other: one / other if other else None, *parts)
        case ast.BinOp(left=left, op=how, right=right) | ast.Compare(left=left, ops=[how], comparators=[right]):
            return _each(_OPERATORS[type(how)], _value(left, series), _value(right, series))
        case ast.BoolOp(op=how, values=values):
            first, *others = (_value(each, series) for each in values)
            return reduce(lambda left, right: _each(_OPERATORS[type(how)], left, right), others, first)
        case ast.Call(func=ast.Name(id="IF"), args=arguments):
            values = [_value(each, series) for each in arguments]
            return _each(lambda condition, yes, no: yes if condition else no, *values)
        case ast.Call(func=ast.Name(id="FILL"), args=[filled, ast.Constant(value=int(number))]):
            points = _value(filled, series)
            assert not isinstance(points, float)
            return [float(number) if each is None else each for each in points]
        case ast.Call(func=ast.Name(id="DIFF"), args=[changing]):
            points = _value(changing, series)
            assert not isinstance(points, float)
            pairs = zip([None, *points[:-1]], points, strict=True)
            return [None if one is None or other is None else other - one for one, other in pairs]
        case _:
            raise NotImplementedError(ast.dump(node))


def _each(function: Callable[..., float | None], *values: Points | float) -> Points | float:
    """Apply `function` to the points of each period; one that lacks any of them has no result."""
    lengths = {len(value) for value in values if not isinstance(value, float)}
    if not lengths:
        return function(*values) or 0.0
    [length] = lengths
    rows = zip(*([value] * length if isinstance(value, float) else value for value in values), strict=True)
    return [None if None in row else function(*row) for row in rows]


# ---- the template --------------------------------------------------------------------------------------------------


def _resolved(value: Any, parameters: Mapping[str, str]) -> str:
    match value:
        case {"Ref": name}:
            return parameters[name]
        case {"Sub": text}:
            for name, each in {**parameters, "AWS::StackName": "stack"}.items():
                text = text.replace(f"${{{name}}}", each)
            return str(text)
        case {"GetAtt": attribute}:
            return derived(parameters)[attribute.removeprefix("DeploymentCheck.")]
        case _:
            return str(value)


def _true(condition: Mapping[str, Any], parameters: Mapping[str, str]) -> bool:
    match condition:
        case {"Condition": name}:
            return _true(load_template()["Conditions"][name], parameters)
        case {"Equals": [one, other]}:
            return _resolved(one, parameters) == _resolved(other, parameters)
        case {"Not": [inner]}:
            return not _true(inner, parameters)
        case {"And": inner}:
            return all(_true(each, parameters) for each in inner)
        case {"Or": inner}:
            return any(_true(each, parameters) for each in inner)
        case _:
            raise NotImplementedError(condition)

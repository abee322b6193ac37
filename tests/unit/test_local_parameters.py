"""Given parameters are held against template.yaml before anything is built or started."""

import re
from typing import Any

import pytest

from iot_stream.errors import SetupError
from iot_stream.local.parameters import check_parameters
from role_mapper.deployment_rules import WHOLE
from tests.template import load_template

PARAMETERS: dict[str, dict[str, Any]] = load_template()["Parameters"]


def test_every_default_is_taken() -> None:
    """Every parameter of the template is known, and its default is a value that it takes."""
    check_parameters({name: str(parameter["Default"]) for name, parameter in PARAMETERS.items()})


@pytest.mark.parametrize(
    ("name", "value", "wanted"),
    [
        ("IndexRotation", "OneDay", "template.yaml has no parameter IndexRotation: did you mean IndexRotationPeriod?"),
        ("zzz", "1", "template.yaml has no parameter zzz: its parameters are in template.yaml"),
        ("ShardCount", "abc", "ShardCount=abc is refused: it is a whole number from 0 to 500"),
        ("ShardCount", "", "ShardCount= is refused: it is a whole number from 0 to 500"),
        ("ShardCount", "1e2", "ShardCount=1e2 is refused: it is a whole number from 0 to 500"),
        ("ShardCount", "٣", "ShardCount=٣ is refused: it is a whole number from 0 to 500"),
        ("RetentionDays", "02", "RetentionDays=02 is refused: it is a whole number from 0 to 36500"),
        ("RetentionDays", "2.0", "RetentionDays=2.0 is refused: it is a whole number from 0 to 36500"),
        ("ShardCount", "900", "ShardCount=900 is refused: it is a whole number from 0 to 500; the nearest is 500"),
        ("TransformBufferSizeInMBs", "0.1", "is refused: it is a number from 0.2 to 3; the nearest is 0.2"),
        (
            "IndexRotationPeriod",
            "Daily",
            "did you mean OneDay? it is one of NoRotation, OneHour, OneDay, OneWeek, OneMonth",
        ),
        ("RetainData", "True", "did you mean true? it is one of true, false"),
        ("AvailabilityZones", "4", "AvailabilityZones=4 is refused: it is one of 1, 2, 3"),
        ("IndexName", "Readings", "IndexName=Readings is refused: 1 to 70 lower-case letters, digits, and _ . -"),
        ("IndexName", "readings\n", "is refused: 1 to 70 lower-case letters"),
    ],
)
def test_what_the_template_does_not_take_is_refused(name: str, value: str, wanted: str) -> None:
    """With the nearest name or value, or what the value must be."""
    with pytest.raises(SetupError, match=re.escape(wanted)):
        check_parameters({name: value})


@pytest.mark.parametrize("name", [name for name, each in PARAMETERS.items() if "MinValue" in each])
def test_the_ends_of_each_range_are_taken(name: str) -> None:
    """And nothing just beyond them."""
    least, most = PARAMETERS[name]["MinValue"], PARAMETERS[name]["MaxValue"]
    check_parameters({name: str(least)})
    check_parameters({name: str(most)})
    for beyond in (least - 1, most + 1):
        with pytest.raises(SetupError, match=f"{name}={beyond} is refused"):
            check_parameters({name: str(beyond)})


def test_the_parameters_that_take_whole_numbers_are_those_of_the_deployment_check() -> None:
    """What starts here is not refused minutes later."""
    numbers = {name for name, each in PARAMETERS.items() if each["Type"] == "Number" and "MinValue" in each}

    def takes_a_fraction(name: str) -> bool:
        try:
            check_parameters({name: f"{PARAMETERS[name]['MinValue'] + 0.5}"})
        except SetupError:
            return False
        return True

    assert {name for name in numbers if takes_a_fraction(name)} == numbers - set(WHOLE)


def test_each_constraint_is_one_that_is_checked() -> None:
    """Another kind in the template, such as MaxLength, has to be checked here too."""
    known = {
        "Type",
        "Default",
        "Description",
        "AllowedPattern",
        "ConstraintDescription",
        "MinValue",
        "MaxValue",
        "AllowedValues",
    }
    for name, parameter in PARAMETERS.items():
        assert set(parameter) <= known, name
        numbers = parameter["Type"] == "Number"
        assert not numbers or {"MinValue", "MaxValue"} <= set(parameter) or "AllowedValues" in parameter, name

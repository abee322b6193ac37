"""Properties: strings in, one object out, or a sentence that names what is wrong."""

from typing import Any

import pytest

from role_mapper.errors import PropertiesError
from role_mapper.properties import Properties
from tests.builders import mapping_properties


def test_the_template_s_properties_become_typed() -> None:
    """Every scalar arrives as a string."""
    properties = Properties.of(
        mapping_properties(RetentionDays="30", IndexRotationPeriod="OneDay", TakeOver="true", NumberOfShards="3")
    )
    assert properties.retention_days == 30
    assert properties.number_of_shards == 3
    assert properties.take_over
    assert not properties.overwrite_dashboards


def test_what_may_be_left_out_has_the_documented_defaults() -> None:
    """Only the domain, the delivery role and the index have none."""
    keys = ("DomainEndpoint", "DeliveryRoleArn", "IndexName")
    properties = Properties.of({key: mapping_properties()[key] for key in keys})
    assert properties.role_name == "kinesis-firehose"
    assert properties.index_pattern == "iot-stream*"
    assert properties.index_rotation_period == "NoRotation"
    assert (properties.retention_days, properties.number_of_shards, properties.number_of_replicas) == (0, 1, 1)


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("DomainEndpoint", "", "DomainEndpoint is missing"),
        ("DomainEndpoint", " ", "DomainEndpoint is missing"),
        ("DeliveryRoleArn", ["x"], "DeliveryRoleArn must be a string, not list"),
        ("IndexRotationPeriod", "Daily", "IndexRotationPeriod must be one of NoRotation, OneHour"),
        ("RetentionDays", "-1", "RetentionDays must be a whole number from 0 up, not '-1'"),
        ("RetentionDays", "1.5", "RetentionDays must be a whole number"),
        ("RetentionDays", "٣", "RetentionDays must be a whole number"),
        ("RetentionDays", "9" * 5000, "RetentionDays must be a whole number"),
        ("NumberOfShards", "0", "NumberOfShards must be a whole number from 1 up"),
        ("TakeOver", "yes", "TakeOver must be one of true, false, not 'yes'"),
    ],
)
def test_a_bad_value_is_named(key: str, value: Any, words: str) -> None:
    """The sentence becomes the Reason of a FAILED."""
    with pytest.raises(PropertiesError, match=words):
        Properties.of(mapping_properties() | {key: value})


def test_retention_without_rotation_rolls_over() -> None:
    """Otherwise it would delete the index that is written to."""
    assert Properties.of(mapping_properties(RetentionDays="1")).rolls_over
    assert not Properties.of(mapping_properties(RetentionDays="1", IndexRotationPeriod="OneDay")).rolls_over
    assert not Properties.of(mapping_properties()).rolls_over

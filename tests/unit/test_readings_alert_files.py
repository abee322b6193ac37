"""What alerts need of the description of a reading follows from it, whatever the description."""

from device_alerts import rules
from iot_stream.dashboards.alerts_template import alerts_template
from iot_stream.description import NAMES_OF_ALERTS, load, parse
from iot_stream.readings.alert_files import alert_rules
from tests.walkthrough import PROJECT_FILE

COLD_STORE = """
silent_after = 900
clock_ahead = 0
[fields.sensor]
type = "keyword"
role = "device"
label = "Sensor"
[fields.at]
type = "date"
role = "time"
[fields.temp_c]
type = "scaled_float"
decimals = 1
role = "measure"
unit = "°C"
alert_above = -15
alert_below = -30
alert_after = 0
alert_margin = 0.5
[fields.humidity]
type = "double"
role = "measure"
optional = true
"""


def test_each_threshold_is_a_rule_and_silence_and_clock_are_two() -> None:
    """With the description's own numbers, and whether a reading may lack the measure."""
    found = rules.parse(alert_rules(parse(COLD_STORE)))
    assert list(found.by_name) == ["too_high:temp_c", "too_low:temp_c", "silent", "clock_wrong"]
    assert (found.required, found.optional) == (("temp_c",), ("humidity",))
    assert (found.silent_after, found.clock_ahead, found.clock_behind) == (900, 0, 604_800)
    high, low = (rule.limit_of() for rule in found.limits)
    assert (high.value, low.value, high.after, low.margin, high.unit) == (-15, -30, 0, 0.5, " °C")
    assert [found.limits[0].beyond(value) for value in (-15, -14.9)] == [False, True]
    assert [found.limits[0].within(value) for value in (-15.4, -15.5)] == [False, True]
    assert [found.limits[1].beyond(value) for value in (-30, -30.1)] == [False, True]
    assert [found.limits[1].within(value) for value in (-29.6, -29.5)] == [False, True]


def test_the_shipped_rules_are_the_shipped_description_s() -> None:
    """The function and the command read the same numbers."""
    assert rules.load() == rules.parse(alert_rules(load(PROJECT_FILE)))


def test_the_index_of_alerts_has_the_described_device_and_measures() -> None:
    """With the types that the readings' index gives them, so that filters fit both."""
    properties = alerts_template(parse(COLD_STORE))["template"]["mappings"]["properties"]
    assert properties["sensor"] == {"type": "keyword"}
    assert properties["temp_c"] == {"type": "scaled_float", "scaling_factor": 10}
    assert properties["memory"] == {"type": "object", "enabled": False}


def test_the_names_that_no_described_field_may_have_are_those_of_the_alerts_index() -> None:
    """A description that uses one is refused with its line, before the templates are built."""
    reading = parse(COLD_STORE)
    own = {*alerts_template(reading)["template"]["mappings"]["properties"]}
    assert own - {reading.device.name, *(field.name for field in reading.measures)} == NAMES_OF_ALERTS

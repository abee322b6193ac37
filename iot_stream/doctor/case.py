"""Facts that several layers share, fetched once: the place, the stack, its parameters and resources."""

import secrets
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import cached_property

from iot_stream import domain_objects
from iot_stream.description import Description, load
from iot_stream.doctor import aws_facts, ingest
from iot_stream.doctor.finding import Finding
from iot_stream.doctor.marked import mark_value, marked_reading
from iot_stream.doctor.place import Place
from iot_stream.generator.derived import sample_of
from iot_stream.stack import find_stack
from iot_stream.target import Target

__all__ = ["Case"]


class Case:
    """One examination of one stack; each property raises what the services raise."""

    def __init__(self, place: Place) -> None:
        self.place = place

    @cached_property
    def target(self) -> Target:
        """Return what commands act on (raises StackError)."""
        return self.place.target(find_stack(self.place.client("cloudformation"), self.place.stack_name))

    @cached_property
    def resources(self) -> dict[str, str]:
        """Return the physical ids of the stack's resources."""
        return aws_facts.resources(self.place.client("cloudformation"), self.place.stack_name)

    @cached_property
    def objects(self) -> dict[str, str]:
        """Return what the role mapper says of each kind of object in the domain (raises InvocationError)."""
        return domain_objects.invoke(self.place.client("lambda"), self.target.stack, "show").lines

    @cached_property
    def description(self) -> Description:
        """Return the description of a reading."""
        return load()

    @cached_property
    def mark(self) -> str | int | None:
        """Return the identity of the marked reading; None where the description has none."""
        return mark_value(self.description, secrets.randbelow(2**53))

    def reading(self) -> bytes:
        """Return the marked reading; the sample as it is where it has no room for a mark."""
        sample = self.parameter("SampleReading") or sample_of(self.description)
        try:
            return marked_reading(sample, self.description, self.mark or "", datetime.now(UTC))
        except ValueError:
            return sample.encode()

    def parameter(self, name: str) -> str:
        """Return a parameter of the stack (raises StackError)."""
        return self.target.stack.parameter(name)

    def output(self, name: str) -> str:
        """Return an output of the stack (raises StackError)."""
        return self.target.stack.output(name)

    def metric(
        self, layer: str, source: tuple[str, str, dict[str, str], str], limit: float | None = None
    ) -> Iterator[Finding]:
        """Judge a metric of the last quarter of an hour.

        Args:
            layer: the layer that it is about.
            source: its namespace, name, dimensions and statistic.
            limit: the most it may be; None for what `ingest` has.
        """
        namespace, metric, dimensions, statistic = source
        value = aws_facts.highest(self.place.client("cloudwatch"), namespace, metric, dimensions, statistic)
        return ingest.judge_metric(layer, metric, value, limit)

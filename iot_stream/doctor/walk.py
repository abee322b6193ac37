"""Check all layers in order; report what can't be checked instead of guessing."""

from collections.abc import Callable, Iterator
from typing import Final

import requests
from botocore.exceptions import BotoCoreError, ClientError
from opensearchpy.exceptions import AuthorizationException, OpenSearchException

from iot_stream import domain_objects
from iot_stream.description import Role
from iot_stream.doctor import layers_aws, layers_domain
from iot_stream.doctor.case import Case
from iot_stream.doctor.finding import Finding, State, first_refusal
from iot_stream.doctor.place import Place
from iot_stream.doctor.refusals import judge_refusal
from iot_stream.doctor.trace import Followed, follow
from iot_stream.errors import IotStreamError

__all__ = ["LAYERS", "Doctor"]

_ERRORS: Final = (ClientError, BotoCoreError, IotStreamError, OpenSearchException, requests.RequestException)
_STACK: Final = ("credentials", "stack")
_DOMAIN: Final = (*_STACK, "domain")
_SIGNED_IN: Final = (*_DOMAIN, "sign-in")
_LAYERS: Final[dict[str, tuple[Callable[[Case], Iterator[Finding]], tuple[str, ...]]]] = {
    "local parts": (layers_aws.local_parts, ()),
    "credentials": (layers_aws.credentials, ()),
    "stack": (layers_aws.stack, ("credentials",)),
    "key": (layers_aws.key, _STACK),
    "stream": (layers_aws.stream, _STACK),
    "delivery role": (layers_aws.delivery_role, _STACK),
    "backup bucket": (layers_aws.bucket, _STACK),
    "delivery stream": (layers_aws.delivery_stream, _STACK),
    "function": (layers_aws.function, _STACK),
    "domain": (layers_domain.domain, _STACK),
    "sign-in": (layers_domain.sign_in, _DOMAIN),
    "access policy": (layers_domain.access_policy, _DOMAIN),
    "role and mapping": (layers_domain.role_mapping, _SIGNED_IN),
    "cluster": (layers_domain.cluster, _SIGNED_IN),
    "live index": (layers_domain.live_index, _SIGNED_IN),
    "retention": (layers_domain.retention, _SIGNED_IN),
    "dashboards": (layers_domain.dashboards, _SIGNED_IN),
    "device alerts": (layers_domain.device_alerts, _SIGNED_IN),
    "alarms": (layers_domain.alarms, _STACK),
    "failures": (layers_domain.failures, (*_STACK, "backup bucket")),
}
"""For each layer, in order: the function that checks it, and the layers that it depends on."""
_READING: Final = "reading"
LAYERS: Final = (*_LAYERS, _READING)


class Doctor:
    """Check one stack, layer by layer.

    Args:
        place: where the stack is.
        send: whether to send a marked reading at the end, if no layer fails.
        wait: seconds to wait for the reading; None: the stack's buffer intervals plus one minute.
    """

    def __init__(self, place: Place, *, send: bool = True, wait: float | None = None) -> None:
        self._case = Case(place)
        self._send = send
        self._wait = wait
        self._found: list[Finding] = []
        self.followed: Followed | None = None

    def walk(self, on_layer: Callable[[str], None] = lambda _: None) -> list[Finding]:
        """Check all layers and return the findings in order."""
        for layer, (examine, needs) in _LAYERS.items():
            on_layer(layer)
            self._examine(layer, lambda examine=examine: examine(self._case), needs)  # type: ignore[misc]  # bound now
        on_layer(_READING)
        self._examine(_READING, self._reading, _STACK)
        place = self._case.place
        return self._found if place.on_this_machine else [each.on_aws(place.stack_name) for each in self._found]

    def _examine(self, layer: str, examine: Callable[[], Iterator[Finding]], needs: tuple[str, ...]) -> None:
        if any(self._bars(need) for need in needs):
            self._found.append(Finding(layer, State.SKIPPED, "it depends on a layer above that failed"))
            return
        try:
            for finding in examine():
                self._found.append(finding)  # one by one, to keep findings that precede an error
        except _ERRORS as error:
            self._found.append(_unknown(layer, error))

    def _bars(self, layer: str) -> bool:
        """Return whether the layers that depend on this one must be skipped."""
        states = {finding.state for finding in self._found if finding.layer == layer}
        bars = {State.REFUSES, State.SKIPPED} | ({State.UNKNOWN} if layer in _STACK else set())
        return bool(states & bars)

    def _reading(self) -> Iterator[Finding]:
        """Send one marked reading and follow it."""
        field = next((field.name for field in self._case.description.fields if field.role is Role.IDENTITY), None)
        if not self._send:
            yield Finding("reading", State.SKIPPED, "none was sent (--no-send)")
        elif refusal := first_refusal(self._found):
            yield Finding("reading", State.SKIPPED, f"none was sent: {refusal.layer} fails")
        elif self._case.mark is None or field is None:
            yield Finding(
                "reading",
                State.SKIPPED,
                "none was sent: without an identity field it can't be found again",
                'give the field whose value no two readings share role = "identity" in readings.toml, then run '
                "`iot-stream readings build`",
            )
        else:
            buffers = ("TransformBufferIntervalInSeconds", "DeliveryBufferIntervalInSeconds")
            seconds = self._wait or sum(float(self._case.parameter(name)) for name in buffers) + 60
            data = self._case.reading()
            client = self._case.target.search_client
            self.followed = follow(self._case.target, client, data, (field, self._case.mark), seconds=seconds)
            yield self.followed.finding


def _unknown(layer: str, error: Exception) -> Finding:
    """Return the finding for a layer that could not be checked."""
    if isinstance(error, IotStreamError) and isinstance(error.__cause__, ClientError):
        error = error.__cause__  # the error of AWS, for example if the invocation itself was denied
    if isinstance(error, domain_objects.InvocationError):  # the role mapper's error
        return Finding(layer, State.REFUSES, str(error), "iot-stream domain show", "deliveryauthfailurealarm")
    if isinstance(error, AuthorizationException):
        cure = "map your IAM principal to a role of the domain that has read access"
        return Finding(layer, State.UNKNOWN, "the domain denies you access (403)", cure)
    if isinstance(error, ClientError):
        return judge_refusal(layer, error)
    return Finding(layer, State.UNKNOWN, " ".join(str(error).split())[:300], "try again")

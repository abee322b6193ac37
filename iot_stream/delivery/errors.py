"""The errors of the delivery worker.

IotStreamError
├── DeliveryError    the worker cannot start or continue
├── SettingsError    the delivery stream has a setting that the worker does not support
└── ResponseError    a service returned success with a body that is not its own

`DECODE_ERRORS` are what msgspec raises for bytes that are not the expected JSON.
"""

from typing import Final

import msgspec

from iot_stream.errors import IotStreamError

__all__ = ["DECODE_ERRORS", "DeliveryError", "ResponseError", "SettingsError"]

DECODE_ERRORS: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


class DeliveryError(IotStreamError):
    """The worker cannot start or continue; the message says what is missing and what to do.

    Attributes:
        final: whether waiting cannot help (the delivery stream was deleted or replaced), so the worker exits.
    """

    def __init__(self, message: str, *, final: bool = False) -> None:
        super().__init__(message)
        self.final = final


class SettingsError(IotStreamError):
    """The delivery stream has a setting that the worker does not support; the message names it."""


class ResponseError(IotStreamError):
    """A response with a success status that the service did not send, for example a proxy's page."""

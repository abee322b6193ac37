"""What can go wrong in the delivery worker, for a person at the command line."""

from iot_stream.errors import IotStreamError

__all__ = ["DeliveryError"]


class DeliveryError(IotStreamError):
    """The worker can't start or continue: what is missing, and what to do.

    Attributes:
        final: whether waiting can't help (the delivery stream is gone or was replaced), so the worker ends.
    """

    def __init__(self, message: str, *, final: bool = False) -> None:
        super().__init__(message)
        self.final = final

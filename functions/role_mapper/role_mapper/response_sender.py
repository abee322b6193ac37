"""Send exactly one response before the deadline: the result, or that of a watchdog."""

import logging
import threading
import time
from typing import Any, Self

from role_mapper import cloudformation
from role_mapper.cloudformation import Request, Response
from role_mapper.deadline import Deadline

__all__ = ["ResponseSender"]

_LONGEST_RESERVE = 20.0
_RESERVE = 0.3

logger = logging.getLogger("role_mapper")


class ResponseSender:
    """Sends the response to one request, once.

    As a context manager it watches the work inside: shortly before the time is up it ends the work's deadline and
    responds in its place, since without a response CloudFormation waits until ServiceTimeout. That response is FAILED,
    except for a Delete, which must not strand the stack.

    Args:
        request: the request to respond to.
        seconds: until Lambda ends the function or CloudFormation stops waiting, whichever is first.
        physical_id: the resource's id, for the watchdog's response.
    """

    def __init__(self, request: Request, seconds: float, physical_id: str) -> None:
        reserve = min(_LONGEST_RESERVE, seconds * _RESERVE)
        self.deadline = Deadline(seconds - reserve)
        self._request = request
        self._physical_id = physical_id
        self._start = time.monotonic()
        self._seconds = seconds
        self._lock = threading.Lock()
        self._document: dict[str, Any] | None = None
        self._watchdog = threading.Timer(max(0.0, seconds - reserve / 2), self._out_of_time)
        self._watchdog.daemon = True

    def __enter__(self) -> Self:
        """Start watching the clock."""
        self._watchdog.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop watching it."""
        self._watchdog.cancel()

    def send(self, response: Response) -> dict[str, Any]:
        """Send the response, unless another one was sent before; return the one that was.

        Raises:
            ResponseNotSentError: it could not be delivered.
        """
        with self._lock:
            if self._document is None:
                self._document = response.document(self._request)
                logger.info(
                    "response",
                    extra={
                        "request": self._request.kind,
                        "status": response.status,
                        "reason": self._document["Reason"],
                        "data": self._document.get("Data", {}),
                        "seconds": round(time.monotonic() - self._start, 3),
                    },
                )
                self._put(self._document)
            return self._document

    def _put(self, document: dict[str, Any]) -> None:
        if self._request.response_url:
            left = self._seconds - (time.monotonic() - self._start)
            cloudformation.send(self._request.response_url, document, seconds=left)

    def _out_of_time(self) -> None:
        self.deadline.end()
        reason = f"not finished within {self._seconds:.0f} s: see the function's log for the call that hangs"
        deletes = self._request.kind == "Delete"
        try:
            self.send(Response("SUCCESS" if deletes else "FAILED", self._physical_id, reason))
        except cloudformation.ResponseNotSentError as error:
            logger.error("response not sent", extra={"reason": str(error)})  # noqa: TRY400  # no traceback

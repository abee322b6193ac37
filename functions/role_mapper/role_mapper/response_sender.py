"""One answer, in time: whoever has one first gives it, be it the work or the guard that watches the clock."""

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
    """The answer to one request, given once.

    As a context manager it guards the work inside: shortly before the time is up it stops the work's deadline and
    answers FAILED in its place, since silence would make CloudFormation wait for ServiceTimeout.

    Args:
        request: what is answered.
        seconds: until nobody listens any more: Lambda ends the function, or CloudFormation its wait.
        physical_id: the resource's id, for the guard's answer.
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
        self._guard = threading.Timer(max(0.0, seconds - reserve / 2), self._out_of_time)
        self._guard.daemon = True

    def __enter__(self) -> Self:
        """Start to watch the clock."""
        self._guard.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop to watch it."""
        self._guard.cancel()

    def give(self, answer: Response) -> dict[str, Any]:
        """Send the answer, unless another one was given before; the document that counts.

        Raises:
            NotAnsweredError: it could not be delivered.
        """
        with self._lock:
            if self._document is None:
                self._document = answer.document(self._request)
                logger.info(
                    "answer",
                    extra={
                        "fields": {
                            "request": self._request.kind,
                            "status": answer.status,
                            "reason": self._document["Reason"],
                            "data": self._document.get("Data", {}),
                            "seconds": round(time.monotonic() - self._start, 3),
                        }
                    },
                )
                self._send(self._document)
            return self._document

    def _send(self, document: dict[str, Any]) -> None:
        if self._request.response_url:
            left = self._seconds - (time.monotonic() - self._start)
            cloudformation.send(self._request.response_url, document, seconds=left)

    def _out_of_time(self) -> None:
        self.deadline.end()
        reason = f"not finished within {self._seconds:.0f} s: see the function's log for the call that hangs"
        try:
            self.give(Response("FAILED", self._physical_id, reason))
        except cloudformation.NotAnsweredError as error:
            logger.error("not answered", extra={"fields": {"reason": str(error)}})  # noqa: TRY400  # no traceback

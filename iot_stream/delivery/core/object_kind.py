"""The kinds of objects that a delivery stream writes to its S3 bucket."""

from enum import StrEnum

from iot_stream.delivery.core.record import Outcome

__all__ = ["ObjectKind"]


class ObjectKind(StrEnum):
    """What an object holds.

    The value of a failure kind replaces `!{firehose:error-output-type}` in a prefix. The developer guide
    spells the folder of failed documents with an underscore; the value in expressions has a hyphen ("Custom prefixes
    for Amazon S3 objects", "Handle data delivery failure").
    """

    SOURCE = "source-records"
    PROCESSING_FAILURE = "processing-failed"
    DOCUMENT_FAILURE = "AmazonOpenSearchService-failed"

    @property
    def folder(self) -> str:
        """Return the folder of a failure kind when the prefix has no expressions."""
        return "AmazonOpenSearchService_failed" if self is ObjectKind.DOCUMENT_FAILURE else self.value

    @property
    def outcome(self) -> Outcome:
        """Return the outcome of a record whose line is in an object of this failure kind.

        Raises:
            KeyError: for SOURCE; source records have other outcomes.
        """
        return _OUTCOMES[self]


_OUTCOMES = {
    ObjectKind.PROCESSING_FAILURE: Outcome.PROCESSING_FAILED,
    ObjectKind.DOCUMENT_FAILURE: Outcome.DOCUMENT_FAILED,
}

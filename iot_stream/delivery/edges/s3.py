"""Backup: objects in S3, written as the delivery role."""

import base64
import gzip
import io
import zipfile
from typing import Any

from iot_stream.delivery.core.commands import ErrorLogEntry, Store
from iot_stream.delivery.core.settings import Bucket
from iot_stream.delivery.edges.aws import AWS_ERRORS, Access, code_of

__all__ = ["Backup", "object_body"]

# Names and sentences: "Amazon S3 Data Delivery Errors".
_MESSAGES = {
    "AccessDenied": "Access was denied. Ensure that the trust policy for the provided IAM role allows Amazon Data "
    "Firehose to assume the role, and the access policy allows access to the S3 bucket.",
    "NoSuchBucket": "The specified bucket does not exist. Create the bucket or use a different bucket that does exist.",
}


def object_body(store: Store, compression: str) -> bytes:
    """An object's content: failure lines, or the source records one after the other with nothing between them."""
    parts = [failure.line for failure in store.failures] or [base64.b64decode(r.data) for r in store.records]
    content = b"".join(parts)
    if compression == "GZIP":
        return gzip.compress(content, compresslevel=6, mtime=0)
    if compression == "ZIP":
        archive = io.BytesIO()
        with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
            file.writestr(store.key.rpartition("/")[2].removesuffix(".zip"), content)
        return archive.getvalue()
    return content


class Backup:
    """The bucket of a delivery stream."""

    def __init__(self, access: Access, bucket: Bucket) -> None:
        self._client: Any = access.client("s3", bucket.role_arn)
        self._bucket = bucket

    def write(self, store: Store) -> ErrorLogEntry | None:
        """Write the object; None when it is there, else what to log. Nothing of AWS's raises."""
        encryption = (
            {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": self._bucket.kms_key} if self._bucket.kms_key else {}
        )
        try:
            self._client.put_object(
                Bucket=self._bucket.name,
                Key=store.key,
                Body=object_body(store, self._bucket.compression),
                ContentType="application/octet-stream",
                **encryption,
            )
        except AWS_ERRORS as error:
            return _entry(error)
        return None

    def exists(self, key: str) -> bool | ErrorLogEntry:
        """Whether there is such an object, or what to log because that is not known."""
        try:
            self._client.head_object(Bucket=self._bucket.name, Key=key)
        except AWS_ERRORS as error:
            return False if code_of(error) in {"404", "NoSuchKey", "NotFound"} else _entry(error)
        return True


def _entry(error: Exception) -> ErrorLogEntry:
    code = {"403": "AccessDenied", "404": "NoSuchBucket"}.get(code_of(error), code_of(error))
    message = _MESSAGES.get(code, "An attempt to deliver to the S3 bucket failed; it will be retried.")
    return ErrorLogEntry(f"S3.{code}", message, of_bucket=True)

"""Backup: objects in the S3 bucket, written as the delivery role."""

import gzip
import io
import zipfile
from typing import Any

from iot_stream.delivery.core.commands import ErrorLogEntry, Store
from iot_stream.delivery.core.settings import Bucket
from iot_stream.delivery.edges.aws import AWS_ERRORS, AwsClients, error_code
from iot_stream.delivery.edges.memory import release_frames

__all__ = ["BackupBucket", "object_body"]

# Codes and messages: "Amazon S3 Data Delivery Errors".
_MESSAGES = {
    "AccessDenied": "Access was denied. Ensure that the trust policy for the provided IAM role allows Amazon Data "
    "Firehose to assume the role, and the access policy allows access to the S3 bucket.",
    "NoSuchBucket": "The specified bucket does not exist. Create the bucket or use a different bucket that does exist.",
}


def object_body(store: Store, compression: str) -> bytes:
    """Return an object's content: failure lines, or source records concatenated without a delimiter."""
    content = b"".join(item.content for item in store.items)
    if compression == "GZIP":
        return gzip.compress(content, compresslevel=6, mtime=0)
    if compression == "ZIP":
        archive = io.BytesIO()
        with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
            file.writestr(store.key.rpartition("/")[2].removesuffix(".zip"), content)
        return archive.getvalue()
    return content


class BackupBucket:
    """The bucket of a delivery stream."""

    def __init__(self, clients: AwsClients, bucket: Bucket) -> None:
        self._client: Any = clients.client("s3", bucket.role_arn)
        self._bucket = bucket

    def put(self, store: Store) -> ErrorLogEntry | None:
        """Write the object; return None on success, else the entry to log. AWS's errors never raise."""
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
            release_frames(error)
            return _log_entry(error)
        return None

    def exists(self, key: str) -> bool | ErrorLogEntry:
        """Return whether the object exists, or the entry to log when that cannot be determined."""
        try:
            self._client.head_object(Bucket=self._bucket.name, Key=key)
        except AWS_ERRORS as error:
            return False if error_code(error) in {"404", "NoSuchKey", "NotFound"} else _log_entry(error)
        return True


def _log_entry(error: Exception) -> ErrorLogEntry:
    code = {"403": "AccessDenied", "404": "NoSuchBucket"}.get(error_code(error), error_code(error))
    message = _MESSAGES.get(code, "Delivery to the S3 bucket failed; it will be retried.")
    return ErrorLogEntry(f"S3.{code}", message, of_bucket=True)

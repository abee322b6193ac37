"""A delivery stream for one test: created with boto3 on ministack, delivered by a real worker to the real OpenSearch.

It is quicker than a whole deployment, and each test chooses its settings. Everything has a unique name, so tests do not
interfere in the session's OpenSearch and ministack.
"""

import base64
import contextlib
import io
import json
import signal
import subprocess
import sys
import zipfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import requests

from iot_stream.delivery.core.status import DeliveryStatus
from iot_stream.delivery.edges.state_folder import read_status
from iot_stream.local.ministack import ACCOUNT, Ministack
from iot_stream.local.opensearch import OpenSearch
from iot_stream.local.processes import clean_environment
from tests.polling import until

__all__ = ["FUNCTION", "World", "until"]

# The function does what each reading asks for, so that a test can choose every record's outcome.
FUNCTION = """
import base64, json, time

def lambda_handler(event, context):
    out = []
    for record in event["records"]:
        reading = json.loads(base64.b64decode(record["data"]))
        wish = reading.get("wish", "Ok")
        if wish == "raise":
            raise ValueError("asked to")
        if wish == "sleep":
            time.sleep(30)
        if wish == "missing":
            continue
        out.append({"recordId": record["recordId"], "result": wish, "data": record["data"]})
    return {"records": out}
"""


@dataclass
class World:
    """One delivery stream with its Kinesis stream, function, bucket, role and index."""

    aws: Ministack
    opensearch: OpenSearch
    folder: Path
    name: str = field(default_factory=lambda: f"d{uuid4().hex[:10]}")
    workers: list["subprocess.Popen[bytes]"] = field(default_factory=list)

    @property
    def role_arn(self) -> str:
        """Return the delivery role's ARN."""
        return f"arn:aws:iam::{ACCOUNT}:role/{self.name}"

    @property
    def stream_arn(self) -> str:
        """Return the Kinesis stream's ARN."""
        return f"arn:aws:kinesis:{self.aws.region}:{ACCOUNT}:stream/{self.name}"

    @property
    def function_arn(self) -> str:
        """Return the transformation function's ARN."""
        return f"arn:aws:lambda:{self.aws.region}:{ACCOUNT}:function:{self.name}"

    @property
    def state(self) -> Path:
        """Return the worker's state folder."""
        return self.folder / self.name

    # ---- creation --------------------------------------------------------------------------------------------

    def make(
        self,
        *,
        shards: int = 1,
        code: str | bytes | None = FUNCTION,
        handler: str = "index.lambda_handler",
        timeout: int = 10,
        **destination: Any,
    ) -> "World":
        """Create everything; `destination` holds settings of the destination.

        `code` is the module `index`, or the bytes of a whole package; None means no function.
        """
        self._make_role()
        self.make_stream(shards=shards)
        self.aws.client("s3").create_bucket(Bucket=self.name)
        self.aws.client("opensearch").create_domain(DomainName=self.name)
        logs = self.aws.client("logs")
        logs.create_log_group(logGroupName=f"/aws/kinesisfirehose/{self.name}")
        for stream in ("DestinationDelivery", "BackupDelivery"):
            logs.create_log_stream(logGroupName=f"/aws/kinesisfirehose/{self.name}", logStreamName=stream)
        if code is not None:
            self._make_function(code if isinstance(code, bytes) else zipped(code), handler, timeout)
        self.map_role()
        self.aws.client("firehose").create_delivery_stream(
            DeliveryStreamName=self.name,
            DeliveryStreamType="KinesisStreamAsSource",
            KinesisStreamSourceConfiguration={"KinesisStreamARN": self.stream_arn, "RoleARN": self.role_arn},
            AmazonopensearchserviceDestinationConfiguration=self.destination(function=code is not None, **destination),
        )
        return self

    def make_stream(self, *, shards: int) -> None:
        """Create the Kinesis stream, unless the test did so already."""
        kinesis = self.aws.client("kinesis")
        if self.name in kinesis.list_streams(Limit=1000)["StreamNames"]:
            return
        kinesis.create_stream(StreamName=self.name, ShardCount=shards)
        until(
            lambda: (
                kinesis.describe_stream_summary(StreamName=self.name)["StreamDescriptionSummary"]["StreamStatus"]
                == "ACTIVE"
            ),
            what="the stream",
        )

    def destination(self, *, function: bool = True, retries: int = 1, **settings: Any) -> dict[str, Any]:
        """Return a destination's configuration, without buffering unless `settings` say otherwise."""
        parameters = {
            "LambdaArn": self.function_arn,
            "RoleArn": self.role_arn,
            "NumberOfRetries": str(retries),
            "BufferSizeInMBs": "0.2",
            "BufferIntervalInSeconds": "0",
        }
        group = f"/aws/kinesisfirehose/{self.name}"

        def log(stream: str) -> dict[str, Any]:
            return {"Enabled": True, "LogGroupName": group, "LogStreamName": stream}

        made = {
            "RoleARN": self.role_arn,
            "DomainARN": f"arn:aws:es:{self.aws.region}:{ACCOUNT}:domain/{self.name}",
            "IndexName": self.name,
            "IndexRotationPeriod": "NoRotation",
            "BufferingHints": {"SizeInMBs": 1, "IntervalInSeconds": 0},
            "RetryOptions": {"DurationInSeconds": 300},
            "S3BackupMode": "FailedDocumentsOnly",
            "S3Configuration": {
                "RoleARN": self.role_arn,
                "BucketARN": f"arn:aws:s3:::{self.name}",
                "Prefix": "backup/",
                "BufferingHints": {"SizeInMBs": 5, "IntervalInSeconds": 0},
                "CloudWatchLoggingOptions": log("BackupDelivery"),
            },
            "ProcessingConfiguration": {
                "Enabled": function,
                "Processors": [
                    {
                        "Type": "Lambda",
                        "Parameters": [
                            {"ParameterName": name, "ParameterValue": value} for name, value in parameters.items()
                        ],
                    }
                ],
            },
            "CloudWatchLoggingOptions": log("DestinationDelivery"),
        } | settings
        return {name: value for name, value in made.items() if value is not None}

    def _make_role(self) -> None:
        iam = self.aws.client("iam")
        trust = {
            "Effect": "Allow",
            "Principal": {"Service": "firehose.amazonaws.com"},
            "Action": "sts:AssumeRole",
            "Condition": {"StringEquals": {"sts:ExternalId": ACCOUNT}},
        }
        iam.create_role(
            RoleName=self.name,
            AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [trust]}),
        )
        self.allow_backup()
        rights = {
            "kinesis:GetShardIterator kinesis:GetRecords kinesis:ListShards": [self.stream_arn],
            "lambda:InvokeFunction": [self.function_arn, f"{self.function_arn}:*"],
        }
        self._put_policy("Ingest", rights)

    def allow_backup(self, *, allowed: bool = True) -> None:
        """Allow or deny the delivery role access to the bucket."""
        if allowed:
            bucket = f"arn:aws:s3:::{self.name}"
            self._put_policy("Backup", {"s3:PutObject s3:GetObject s3:ListBucket": [bucket, f"{bucket}/*"]})
        else:
            self.aws.client("iam").delete_role_policy(RoleName=self.name, PolicyName="Backup")

    def _put_policy(self, name: str, rights: dict[str, list[str]]) -> None:
        statements = [
            {"Effect": "Allow", "Action": actions.split(), "Resource": resources}
            for actions, resources in rights.items()
        ]
        self.aws.client("iam").put_role_policy(
            RoleName=self.name,
            PolicyName=name,
            PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": statements}),
        )

    def _make_function(self, package: bytes, handler: str, timeout: int) -> None:
        self.aws.client("lambda").create_function(
            FunctionName=self.name,
            Runtime="python3.13",
            Handler=handler,
            Role=self.role_arn,
            Timeout=timeout,
            Code={"ZipFile": package},
        )

    def change_function(self, code: str) -> None:
        """Deploy other code for the function."""
        self.aws.client("lambda").update_function_code(FunctionName=self.name, ZipFile=zipped(code))

    def map_role(self) -> None:
        """Allow the delivery role to write to its index, as the role mapper does."""
        self.security("put", f"roles/{self.name}", {
            "cluster_permissions": ["cluster_monitor", "cluster_composite_ops"],
            "index_permissions": [
                {"index_patterns": [f"{self.name}*"], "allowed_actions": ["crud", "create_index", "manage"]}
            ],
        })  # fmt: skip
        self.security("put", f"rolesmapping/{self.name}", {"backend_roles": [self.role_arn]})

    def unmap_role(self) -> None:
        """Delete the delivery role's mapping."""
        self.security("delete", f"rolesmapping/{self.name}")

    def security(self, method: str, path: str, body: dict[str, Any] | None = None) -> None:
        """Call the security API as the administrator."""
        with self.opensearch.admin_session() as session:
            response = session.request(method, f"{self.opensearch.url}/_plugins/_security/api/{path}", json=body)
            response.raise_for_status()

    # ---- operation -------------------------------------------------------------------------------------------

    def start(self) -> "subprocess.Popen[bytes]":
        """Start the worker as the local stack does."""
        command = [sys.executable, "-m", "iot_stream", "deliver", "--delivery-stream", self.name]
        command += ["--endpoint-url", self.aws.url, "--region", self.aws.region, "--state", str(self.state)]
        command += ["--sign-in", "jwt", "--jwt-key", str(self.opensearch.jwt_key_file)]
        command += ["--domain-url", self.opensearch.url, "--ca", str(self.opensearch.ca_file)]
        with self.log.open("ab") as log:
            worker = subprocess.Popen(
                command, stdout=log, stderr=log, env=clean_environment(**self.aws.environment()), start_new_session=True
            )
        self.workers.append(worker)
        return worker

    @property
    def log(self) -> Path:
        """Return the workers' log."""
        return self.folder / f"{self.name}.log"

    def close(self) -> None:
        """Kill the workers, and delete what takes memory: the index, the stream, the function's process."""
        for worker in self.workers:
            worker.kill()
            worker.wait()
        self.aws.client("kinesis").delete_stream(StreamName=self.name)
        functions = self.aws.client("lambda")
        with contextlib.suppress(functions.exceptions.ResourceNotFoundException):
            functions.delete_function(FunctionName=self.name)
        with self.opensearch.admin_session() as session:
            session.delete(f"{self.opensearch.url}/{self.name}*").raise_for_status()

    def send(self, readings: list[dict[str, Any]]) -> None:
        """Put readings into the stream."""
        self.put([json.dumps(reading).encode() for reading in readings])

    def put(self, data: list[bytes]) -> None:
        """Put records into the stream, spread over its shards."""
        kinesis = self.aws.client("kinesis")
        for start in range(0, len(data), 500):
            records = [{"Data": item, "PartitionKey": uuid4().hex} for item in data[start : start + 500]]
            assert kinesis.put_records(StreamName=self.name, Records=records)["FailedRecordCount"] == 0

    # ---- inspection ------------------------------------------------------------------------------------------

    @property
    def status(self) -> DeliveryStatus:
        """Return the worker's status."""
        return read_status(self.state)

    def searchable(self) -> Counter[int]:
        """Count the documents of each reading, by its number."""
        with self.opensearch.admin_session() as session:
            session.post(f"{self.opensearch.url}/{self.name}*/_refresh").raise_for_status()
            return Counter(hit["n"] for hit in _all(session, f"{self.opensearch.url}/{self.name}*/_search"))

    def failures(self) -> list[dict[str, Any]]:
        """Return every line of every failure object."""
        return [
            json.loads(line) for key, body in self.objects().items() if "ailed" in key for line in body.splitlines()
        ]

    def failed(self) -> Counter[int]:
        """Count the failure lines of each reading, by its number."""
        return Counter(json.loads(base64.b64decode(line["rawData"]))["n"] for line in self.failures())

    def indices(self) -> set[str]:
        """Return the names of the indices."""
        with self.opensearch.admin_session() as session:
            response = session.get(f"{self.opensearch.url}/_cat/indices/{self.name}*?h=index")
            response.raise_for_status()
        return set(response.text.split())

    def log_entries(self, stream: str) -> list[dict[str, Any]]:
        """Return the entries of the delivery stream's error log."""
        group = f"/aws/kinesisfirehose/{self.name}"
        events = self.aws.client("logs").get_log_events(logGroupName=group, logStreamName=stream)["events"]
        return [json.loads(event["message"]) for event in events]

    def objects(self) -> dict[str, bytes]:
        """Return the bucket's objects by key."""
        s3 = self.aws.client("s3")
        pages = s3.get_paginator("list_objects_v2").paginate(Bucket=self.name)
        keys = [item["Key"] for page in pages for item in page.get("Contents", [])]
        return {key: s3.get_object(Bucket=self.name, Key=key)["Body"].read() for key in keys}

    def accounted(self, sent: int, *, dropped: int = 0, seconds: float = 180) -> None:
        """Wait until the readings 0…sent-1 have outcomes, and check that each has exactly one.

        Sent = searchable + failure objects + dropped, and nothing twice.
        """
        until(lambda: self._settled(sent), seconds=seconds, what=f"outcomes of {sent} records")
        outcomes = self.searchable() + self.failed()
        repeated = {n: times for n, times in outcomes.items() if times > 1}
        assert not repeated, f"more than once: {repeated}"
        assert len(outcomes) == sent - dropped
        assert set(outcomes) <= set(range(sent))

    def _settled(self, sent: int) -> bool:
        status = self.status
        return status.delivered + status.failed + status.dropped >= sent and status.pending == 0

    def sigkill(self, worker: "subprocess.Popen[bytes]") -> None:
        """Kill the worker without any cleanup."""
        worker.send_signal(signal.SIGKILL)
        worker.wait()


def zipped(code: str) -> bytes:
    """Return a function package with one module."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("index.py", code)
    return archive.getvalue()


def _all(session: requests.Session, url: str) -> Iterator[dict[str, Any]]:
    after: list[Any] = []
    while True:
        body: dict[str, Any] = {"size": 10_000, "sort": [{"n": "asc"}, {"_id": "asc"}], "_source": ["n"]}
        if after:
            body["search_after"] = after
        response = session.post(url, json=body)
        response.raise_for_status()
        hits = response.json()["hits"]["hits"]
        if not hits:
            return
        yield from (hit["_source"] for hit in hits)
        after = hits[-1]["sort"]

"""Canned neighbours of the delivery worker, in a process of their own: what they cost is not the worker's.

    python -m benchmarks.canned PORT RECORDS [--rate RECORDS/S] [--kpl]

Kinesis with one shard of seeded readings, all there at once or `--rate` a second; a function that returns what it
gets; a domain that takes every document; DescribeDeliveryStream. Not for tests: it checks nothing.
"""

import argparse
import asyncio
import base64
import json
import re
import time
from itertools import batched
from pathlib import Path
from typing import Any

from benchmarks.delivery import make_readings
from iot_stream.local.ministack import Ministack
from tests.delivery import World
from tests.kpl import UserRecord, aggregate

ARRIVED = 1_795_000_000.123
INDEXED = '{"index":{"status":201}}'
SHARD = '{"Shards":[{"ShardId":"shardId-000000000000"}]}'


class Neighbours:
    """The stream's records as GetRecords returns them, and the response to each request."""

    def __init__(self, data: list[bytes], rate: float, world: World) -> None:
        self._records = [
            f'{{"SequenceNumber":"{number:056}","ApproximateArrivalTimestamp":{ARRIVED},'
            f'"Data":"{base64.b64encode(item).decode()}","PartitionKey":"{number:032x}"}}'
            for number, item in enumerate(data, 1)
        ]
        self._rate = rate
        self._began = time.monotonic()
        self._description = json.dumps({"DeliveryStreamDescription": describe(world)})

    def respond(self, path: str, operation: str, body: bytes) -> str:
        """Return the body of the response."""
        if "/_bulk" in path:
            return '{"items":[' + ",".join([INDEXED] * (body.count(b"\n") // 2)) + "]}"
        if path.endswith("/invocations"):
            records = json.loads(body)["records"]
            returned = [f'{{"recordId":"{one["recordId"]}","result":"Ok","data":"{one["data"]}"}}' for one in records]
            return '{"records":[' + ",".join(returned) + "]}"
        if operation == "GetShardIterator":
            return json.dumps({"ShardIterator": str(int(json.loads(body).get("StartingSequenceNumber", 0)))})
        if operation == "GetRecords":
            return self._get_records(json.loads(body))
        return {"DescribeDeliveryStream": self._description, "ListShards": SHARD}.get(operation, "{}")

    def _get_records(self, request: dict[str, Any]) -> str:
        there = len(self._records)
        if self._rate:
            there = min(there, int((time.monotonic() - self._began) * self._rate))
        start = int(request["ShardIterator"])
        end = max(start, min(there, start + request["Limit"]))
        records = ",".join(self._records[start:end])
        return f'{{"Records":[{records}],"NextShardIterator":"{end}","MillisBehindLatest":{1000 * (end < there)}}}'


def describe(world: World) -> dict[str, Any]:
    """Return the description of a delivery stream without buffering and with a function."""
    settings = world.destination(RetryOptions={"DurationInSeconds": 7200})
    bucket = settings.pop("S3Configuration")
    return {
        "DeliveryStreamName": world.name,
        "DeliveryStreamARN": f"arn:aws:firehose:{world.aws.region}:000000000000:deliverystream/{world.name}",
        "DeliveryStreamStatus": "ACTIVE",
        "DeliveryStreamType": "KinesisStreamAsSource",
        "VersionId": "1",
        "CreateTimestamp": ARRIVED,
        "Source": {
            "KinesisStreamSourceDescription": {
                "KinesisStreamARN": world.stream_arn,
                "RoleARN": world.role_arn,
                "DeliveryStartTimestamp": ARRIVED,
            }
        },
        "Destinations": [
            {
                "DestinationId": "destination",
                "AmazonopensearchserviceDestinationDescription": settings
                | {"S3DestinationDescription": bucket | {"CompressionFormat": "UNCOMPRESSED"}},
            }
        ],
    }


async def serve(neighbours: Neighbours, port: int) -> None:
    """Serve HTTP/1.1 until the process ends."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                length = re.search(r"content-length: (\d+)", head, re.IGNORECASE)
                body = await reader.readexactly(int(length[1])) if length else b""
                target = re.search(r"x-amz-target: \S+\.(\w+)", head, re.IGNORECASE)
                path = head.split(" ", 2)[1].partition("?")[0]
                response = neighbours.respond(path, target[1] if target else "", body).encode()
                writer.write(f"HTTP/1.1 200 OK\r\ncontent-length: {len(response)}\r\n\r\n".encode() + response)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", port, limit=2**24)
    print("ready", flush=True)
    await server.serve_forever()


def main() -> None:
    """Read the arguments and serve."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("port", type=int)
    parser.add_argument("records", type=int)
    parser.add_argument("--rate", type=float, default=0, help="records a second; 0 means that all are there")
    parser.add_argument("--kpl", action="store_true", help="50 readings in each record of the stream")
    arguments = parser.parse_args()
    data = list(make_readings(arguments.records))
    if arguments.kpl:
        users = (UserRecord("key", reading) for reading in data)
        data = [aggregate(list(some)) for some in batched(users, 50, strict=False)]
    world = World(Ministack(Path(), 1), None, Path(), name="canned")  # type: ignore[arg-type] - only its names are used
    asyncio.run(serve(Neighbours(data, arguments.rate, world), arguments.port))


if __name__ == "__main__":
    main()

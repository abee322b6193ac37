"""The delivery worker with its real neighbours: records and settings when nothing is broken."""

import gzip
import json
import signal
from collections import Counter

from tests.aws_metrics import FIREHOSE, ONLY_WITH_ALL_DOCUMENTS
from tests.delivery import World
from tests.kpl import UserRecord, aggregate
from tests.polling import until


def test_every_record_ends_in_one_place(world: World) -> None:
    """Ok, Dropped, ProcessingFailed, no response, refused by the domain, aggregated by the KPL: each has its end.

    Then the operators' view: AWS/Firehose metrics in CloudWatch and error entries in the delivery stream's log.
    """
    world.make()
    worker = world.start()
    wishes = {3: "Dropped", 5: "ProcessingFailed", 7: "missing"}
    world.send([{"n": n, "wish": wishes.get(n, "Ok")} for n in range(20)])
    world.put([aggregate([UserRecord("key", json.dumps({"n": n}).encode()) for n in range(20, 30)])])
    until(lambda: world.status.delivered == 27, what="the sound records")
    world.send([{"n": 30, "at": {"object": 1}}])  # makes `at` an object …
    until(lambda: world.status.delivered == 28, what="the object")
    world.send([{"n": 31, "at": "a secret"}])  # … so that this is a mapping error
    world.accounted(32, dropped=1)
    failures = {line["errorCode"]: line for line in world.failures()}
    assert failures.keys() == {"Lambda.ProcessingFailedStatus", "Lambda.MissingRecordId", "400"}
    assert failures["400"]["esIndexName"] == world.name
    assert "mapper_parsing_exception" in failures["400"]["errorMessage"]
    kinds = Counter(key.split("/")[1] for key in world.objects())
    assert kinds == {"processing-failed": kinds["processing-failed"], "AmazonOpenSearchService_failed": 1}

    worker.send_signal(signal.SIGTERM)
    assert worker.wait(60) == 0
    assert world.status.state == "stopped"
    listed = world.aws.client("cloudwatch").list_metrics(
        Namespace="AWS/Firehose", Dimensions=[{"Name": "DeliveryStreamName", "Value": world.name}]
    )
    names = {metric["MetricName"] for metric in listed["Metrics"]}
    assert names == FIREHOSE.keys() - ONLY_WITH_ALL_DOCUMENTS.keys() - {"ThrottledDescribeStream"}
    entries = world.log_entries("DestinationDelivery")
    assert {entry["errorCode"] for entry in entries} >= {"Lambda.MissingRecordId", "OS.400"}
    assert all(entry["deliveryStreamARN"].endswith(world.name) for entry in entries)
    assert "a secret" not in world.log.read_text(encoding="utf-8") + json.dumps(entries)


def test_all_documents_are_backed_up_where_the_prefix_says(world: World) -> None:
    """AllDocuments, compression, expressions in prefixes, hourly rotation: settings reach objects and index names."""
    settings = world.destination()
    bucket = settings["S3Configuration"] | {
        "Prefix": "all/!{timestamp:'y='yyyy}/",
        "ErrorOutputPrefix": "bad/!{firehose:error-output-type}/",
        "CompressionFormat": "GZIP",
    }
    world.make(S3BackupMode="AllDocuments", S3Configuration=bucket, IndexRotationPeriod="OneHour")
    world.start()
    world.send([{"n": n, "wish": "ProcessingFailed" if n == 4 else "Ok"} for n in range(10)])
    until(lambda: world.status.delivered == 9 and world.status.failed == 1, what="the ends")
    until(lambda: any(key.startswith("all/y=20") for key in world.objects()), what="the backup")
    objects = world.objects()
    assert all(key.endswith(".gz") for key in objects)
    sources = b"".join(gzip.decompress(body) for key, body in objects.items() if key.startswith("all/"))
    assert Counter(json.loads(line)["n"] for line in sources.replace(b"}{", b"}\n{").splitlines()) == Counter(range(10))
    assert [key.startswith("bad/processing-failed/") for key in objects if key.startswith("bad/")] == [True]
    assert len(world.searchable()) == 9
    assert all(name.startswith(f"{world.name}-20") for name in world.indices())


def test_an_update_is_in_force_without_a_restart(world: World) -> None:
    """After UpdateDestination, new documents go to the new index."""
    world.make()
    world.start()
    world.send([{"n": 0}])
    until(lambda: world.status.delivered == 1, what="the first document")
    firehose = world.aws.client("firehose")
    described = firehose.describe_delivery_stream(DeliveryStreamName=world.name)["DeliveryStreamDescription"]
    firehose.update_destination(
        DeliveryStreamName=world.name,
        CurrentDeliveryStreamVersionId=described["VersionId"],
        DestinationId=described["Destinations"][0]["DestinationId"],
        AmazonopensearchserviceDestinationUpdate={"IndexName": f"{world.name}-new"},
    )
    until(lambda: world.status.version == "2", what="version 2")
    world.send([{"n": 1}])
    world.accounted(2)
    assert world.indices() == {world.name, f"{world.name}-new"}


def test_a_second_worker_refuses(world: World) -> None:
    """Two workers for one delivery stream would deliver everything twice: the second one reports it and exits."""
    world.make(code=None)
    world.start()
    until(lambda: world.status.version == "1", what="the first worker")
    assert world.start().wait(60) == 1
    assert "already running" in world.log.read_text(encoding="utf-8")
    world.send([{"n": 0}])
    world.accounted(1)


def test_sigterm_delivers_what_is_buffered(world: World) -> None:
    """With buffers of a minute, stopping delivers their content and exits with 0; the next start continues after it."""
    world.make(code=None, BufferingHints={"SizeInMBs": 1, "IntervalInSeconds": 60})
    worker = world.start()
    world.send([{"n": n} for n in range(5)])
    until(lambda: world.status.pending == 5, what="the records in the buffer")
    assert not world.searchable()
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(60) == 0
    assert world.searchable() == Counter(range(5))
    worker = world.start()
    world.send([{"n": 5}])
    until(lambda: world.status.pending == 1, what="the next record, and only it")
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(60) == 0
    world.accounted(6)


def test_records_before_the_delivery_stream_are_not_delivered(world: World) -> None:
    """LATEST is the moment the delivery stream became ACTIVE: earlier records are not read, later ones are."""
    world.make_stream(shards=2)
    world.send([{"n": 100 + n} for n in range(10)])
    world.make(code=None)
    world.send([{"n": n} for n in range(10)])
    world.start()
    world.accounted(10)

"""Random days of the delivery state machine, driven by a hypothesis state machine.

The clock is fake, the neighbours are fake and fail, reject and lose responses, and the worker is killed and started
again. At every moment and at the end the project's promise has to hold: every record has exactly one outcome.
"""

import base64
import json
from collections import Counter
from dataclasses import replace
from itertools import zip_longest
from uuid import UUID

import msgspec
from hypothesis import HealthCheck
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from iot_stream.delivery.core import backoff
from iot_stream.delivery.core.buffer import Bounds
from iot_stream.delivery.core.bulk import IndexingError
from iot_stream.delivery.core.commands import Command, Confirm, ErrorLogEntry, Index, Invoke, Store
from iot_stream.delivery.core.naming import Rotation
from iot_stream.delivery.core.object_kind import ObjectKind
from iot_stream.delivery.core.progress import Progress
from iot_stream.delivery.core.record import Record, record_id
from iot_stream.delivery.core.settings import Function
from iot_stream.delivery.core.state_machine import MAX_INDEXING, MAX_INVOCATIONS, Delivery
from iot_stream.delivery.core.transformation import DROPPED, FLAGGED, FUNCTION_ERROR, MISSING, Verdict
from tests.delivery_settings import make_settings
from tests.examples import examples

NOON = 1_700_000_000_000
SHARDS = ("shardId-000000000000", "shardId-000000000001")
# How a command ends: it succeeds, fails, succeeds with its response lost, succeeds partly.
RESULTS = st.sampled_from(["ok", "ok", "refused", "lost", "partly", "not yet"])
# What becomes of a record when nothing else goes wrong.
FATES = ("index", "index", "index", "drop", "flag", "miss", "bad", "multiline")


def make_record(shard: str, sequence: int, subsequence: int | None, fate: str, arrived: int) -> Record:
    """Return a record whose data holds its fate."""
    name = record_id(shard, f"{sequence:020d}", subsequence)
    data = json.dumps({"id": name, "fate": fate}).encode()
    text = base64.b64encode(data).decode()
    return Record(shard, f"{sequence:020d}", subsequence, "key", arrived, text, name, len(data))


def fate_of(data: str | bytes) -> str:
    """Return the fate in a record's data or in a document."""
    fate: str = json.loads(base64.b64decode(data) if isinstance(data, str) else data)["fate"]
    return fate


def failed_ids(store: Store) -> list[str]:
    """Return the ids of the records in a failure object; none for source records."""
    return [] if store.kind is ObjectKind.SOURCE else [item.record.id for item in store.items]


class DeliveryMachine(RuleBasedStateMachine):
    """A worker and its unreliable neighbours."""

    def __init__(self) -> None:
        super().__init__()
        self.now = NOON
        self.stream: dict[str, list[list[Record]]] = {shard: [] for shard in SHARDS}
        self.sequence = 0
        self.tokens = 0
        self.in_flight: list[Command] = []
        self.indexed: dict[str, int] = {}  # how often each document was written, by id
        self.dropped: set[str] = set()
        self.index_of: dict[str, str] = {}
        self.objects: dict[str, Store] = {}
        self.doubtful: set[str] = set()  # complete, but no later worker can know

    @initialize(
        intervals=st.tuples(*[st.sampled_from([0, 1_000, 60_000])] * 3),
        floor=st.sampled_from([0, 0, 4_000, 2**25]),
        retries=st.integers(0, 2),
        duration=st.sampled_from([0, 3_000]),
        all_documents=st.booleans(),
        with_function=st.sampled_from([True, True, False]),
    )
    def begin(
        self,
        intervals: tuple[int, int, int],
        floor: int,
        retries: int,
        duration: int,
        *,
        all_documents: bool,
        with_function: bool,
    ) -> None:
        """Start with an empty stream."""
        plain = make_settings()
        self.settings = replace(
            plain,
            bounds=Bounds(400, intervals[1]),
            retry_duration=duration,
            function=Function("arn:f", "role", retries, Bounds(100, intervals[0])) if with_function else None,
            bucket=replace(plain.bucket, bounds=Bounds(400, intervals[2]), all_documents=all_documents),
        )
        self.floor = floor
        self.saved = msgspec.json.encode(Progress("arn", 1.0))
        self.restart()

    def restart(self) -> None:
        """Start a new worker with what the last one saved."""
        progress = msgspec.json.decode(self.saved, type=Progress)
        self.delivery = Delivery(self.settings, progress, self.token, chunk=4, floor=self.floor)
        self.in_flight = []
        self.read_up_to = dict.fromkeys(SHARDS, 0)
        for shard, kept in progress.shards.items():
            done = [group for group in self.stream[shard] if group[0].sequence <= (kept.position or "")]
            self.read_up_to[shard] = len(done)

    def token(self) -> str:
        """Return the next UUID."""
        self.tokens += 1
        return str(UUID(int=self.tokens))

    # ---- events ----------------------------------------------------------------------------------------------

    # Few rules with several steps each: hypothesis omits rules at random, and all of these are needed to get far.

    @rule(
        shard=st.sampled_from(SHARDS),
        fates=st.lists(st.sampled_from(FATES), max_size=12),
        aggregated=st.booleans(),
        most=st.integers(0, 20),
    )
    def arrive(self, shard: str, fates: list[str], most: int, *, aggregated: bool) -> None:
        """Put records into the stream, perhaps as one KPL record, and read some of what is there."""
        if aggregated and fates:
            self.sequence += 1
            records = [make_record(shard, self.sequence, n, fate, self.now) for n, fate in enumerate(fates)]
            self.stream[shard].append(records)
        else:
            for fate in fates:
                self.sequence += 1
                self.stream[shard].append([make_record(shard, self.sequence, None, fate, self.now)])
        self.read(shard, most)

    def read(self, shard: str, most: int) -> None:
        """Read on when there is memory for records."""
        if self.delivery.room() <= 0:
            return
        start = self.read_up_to[shard]
        groups = self.stream[shard][start : start + most]
        self.read_up_to[shard] += len(groups)
        # New objects, as after a new GetRecords: a worker's marks are lost with it.
        records = [
            msgspec.structs.replace(record, outcome=None, chunk=None, index="") for group in groups for record in group
        ]
        self.delivery.arrived(shard, records, self.now)

    @rule(milliseconds=st.sampled_from([0, 1, 250, 1_000, 6_000]), results=st.lists(RESULTS, max_size=12))
    def work(self, milliseconds: int, results: list[str]) -> None:
        """Let time pass, begin what is due, and end some of what is in flight, in any order."""
        self.now += milliseconds
        self.begin_commands()
        self.outstanding_is_bounded()
        pending = []
        for command, result in zip_longest(self.in_flight, results[: len(self.in_flight)], fillvalue="not yet"):
            if result == "not yet":
                pending.append(command)
            else:
                self.end(command, result)
        self.in_flight = pending
        self.begin_commands()

    def begin_commands(self) -> None:
        """Begin the commands, as the worker does."""
        commands = self.delivery.commands(self.now)
        if any(isinstance(command, Index | Store) for command in commands):
            self.save()
        for command in commands:
            self.check_bounds(command)
        self.in_flight += commands
        self.no_record_waits_without_room()

    @rule()
    def save(self) -> None:
        """Save the progress, as the worker does now and then."""
        self.saved = msgspec.json.encode(self.delivery.snapshot())

    @rule(index=st.sampled_from(["index", "other"]), rotation=st.sampled_from([Rotation.NONE, Rotation.HOUR]))
    def update(self, index: str, rotation: Rotation) -> None:
        """Change the index of the delivery stream."""
        self.settings = replace(self.settings, index=index, rotation=rotation)
        self.delivery.configure(self.settings)

    @rule(data=st.data(), saved=st.booleans(), spared=st.integers(0, 3), index=st.sampled_from(["index", "other"]))
    def kill(self, data: st.DataObject, spared: int, index: str, *, saved: bool) -> None:
        """Kill the worker, perhaps just after a save: commands in flight took effect, or did not.

        The settings may have changed when the next worker starts.
        """
        if saved:
            self.save()
        if spared:
            return
        for command in self.in_flight:
            if not isinstance(command, Invoke | Confirm) and data.draw(st.booleans()):
                self.take_effect(command)
        progress = msgspec.json.decode(self.saved, type=Progress)
        for shard, groups in self.stream.items():
            position = progress.shards[shard].position if shard in progress.shards else None
            for group in groups:
                if group[0].sequence > (position or ""):
                    ended = {record.id for record in group} & (self.indexed.keys() | self.dropped)
                    self.doubtful |= ended - progress.stored.keys()
        self.settings = replace(self.settings, index=index)
        self.restart()

    # ---- the neighbours --------------------------------------------------------------------------------------

    def end(self, command: Command, result: str) -> None:
        """Report a command's result to the worker, and let it take effect."""
        delivery, now = self.delivery, self.now
        match command:
            case Invoke():
                verdicts = [self.verdict(record) for record in command.records]
                if result == "ok":
                    self.dropped |= {r.id for r, v in zip(command.records, verdicts, strict=True) if v is DROPPED}
                delivery.transformed(command, verdicts if result == "ok" else FUNCTION_ERROR, now)
            case Index():
                count = len(command.documents)
                found: list[IndexingError | None] = [IndexingError(503, "down")] * count
                if result == "refused":
                    found = [IndexingError(403, "no permissions")] * count
                elif result == "lost":
                    self.take_effect(command)
                    self.doubtful |= {document.record.id for document in command.documents}
                    found = [IndexingError(None, "timed out")] * count
                elif result == "partly":
                    half = Index(command.documents[: count // 2], command.since)
                    found = self.take_effect(half) + [IndexingError(429, "rejected")] * (count - count // 2)
                elif result == "ok":
                    found = self.take_effect(command)
                delivery.indexed(command, found, now)
            case Store():
                if result in {"ok", "lost"}:
                    self.take_effect(command)
                delivery.stored(command, None if result == "ok" else ErrorLogEntry("S3.SlowDown", "slow"), now)
            case Confirm():
                known = result in {"ok", "partly"}
                delivery.confirmed(
                    command, command.key in self.objects if known else ErrorLogEntry("S3.SlowDown", ""), now
                )

    def verdict(self, record: Record) -> Verdict:
        """Return the function's verdict on a record."""
        verdicts: dict[str, Verdict] = {"drop": DROPPED, "flag": FLAGGED, "miss": MISSING}
        fate = fate_of(record.data)
        body = base64.b64decode(record.data)
        return verdicts.get(fate, body + b"\n" + body if fate == "multiline" else body)

    def take_effect(self, command: Command) -> list[IndexingError | None]:
        """Do in the neighbour what the command says; return the result for each document."""
        found: list[IndexingError | None] = []
        if isinstance(command, Store):
            self.objects[command.key] = command
        elif isinstance(command, Index):
            for document in command.documents:
                if fate_of(document.body) == "bad":
                    found.append(IndexingError(400, "mapper_parsing_exception"))
                    continue
                name = document.record.id
                assert self.index_of.setdefault(name, document.index) == document.index
                self.indexed[name] = self.indexed.get(name, 0) + 1
                found.append(None)
        return found

    # ---- invariants ------------------------------------------------------------------------------------------

    def check_bounds(self, command: Command) -> None:
        """No batch is larger than its bounds; retries end where they must."""
        match command:
            case Invoke(records, attempt):
                function = self.settings.function
                assert function is not None
                assert len(records) == 1 or sum(record.size for record in records) <= function.bounds.size
                assert attempt <= function.retries + 1
            case Index(documents, since, attempt):
                size = sum(len(document.body) for document in documents)
                assert len(documents) == 1 or size <= self.settings.bounds.size
                assert attempt <= backoff.INDEX.attempts(self.settings.retry_duration)
                assert attempt == 1 or since < self.now
            case Store(_, _, items):
                assert len(items) == 1 or sum(len(item.content) for item in items) <= self.settings.bucket.bounds.size

    def no_record_waits_without_room(self) -> None:
        """Without memory for more records no buffer waits for its interval: something is in flight or being retried."""
        if self.delivery.room() == 0 and not self.in_flight:
            at = self.delivery.due_at()
            assert at is not None
            assert at <= self.now + backoff.STORE.ceiling

    @invariant()
    def outstanding_is_bounded(self) -> None:
        """Five invocations and three bulk requests at most, and one object of each kind."""
        kinds = Counter(type(command) for command in self.in_flight)
        assert kinds[Invoke] <= MAX_INVOCATIONS
        assert kinds[Index] <= MAX_INDEXING
        stores = Counter(command.kind for command in self.in_flight if isinstance(command, Store))
        assert all(count == 1 for count in stores.values())

    @invariant()
    def no_failure_is_written_twice(self) -> None:
        """This holds even when responses are lost or the worker is killed."""
        written = Counter(name for store in self.objects.values() for name in failed_ids(store))
        assert all(count == 1 for count in written.values()), written

    def teardown(self) -> None:
        """Let every command succeed, and check that every record has its one outcome."""
        if not hasattr(self, "delivery"):
            return
        for _ in range(500):
            for shard in SHARDS:
                self.read(shard, 100)
            self.work(1_000, ["ok"] * 100)
            unread = any(self.read_up_to[shard] < len(self.stream[shard]) for shard in SHARDS)
            if self.delivery.idle and not unread:
                break
        assert self.delivery.idle
        self.no_failure_is_written_twice()
        self.find_all()

    def find_all(self) -> None:
        """Sent = searchable + failure objects + dropped, each record once."""
        sent = [record for groups in self.stream.values() for group in groups for record in group]
        failed = {name for store in self.objects.values() for name in failed_ids(store)}
        for record in sent:
            places = (record.id in self.indexed) + (record.id in failed) + (record.id in self.dropped)
            assert places == 1 or (places > 1 and record.id in self.doubtful), record.id
        status = self.delivery.status(self.now)
        assert status.pending == 0
        assert status.read == status.delivered + status.failed + status.dropped == len(sent)
        assert status.failed == len(failed)
        sources = [store for store in self.objects.values() if store.kind is ObjectKind.SOURCE]
        backed_up = [item.record.id for store in sources for item in store.items]
        expected = [record.id for record in sent] if self.settings.bucket.all_documents else []
        assert sorted(backed_up) == sorted(expected)
        positions = self.delivery.snapshot()
        assert not positions.stored
        assert not positions.intents


DeliveryMachine.TestCase.settings = examples(120, stateful_step_count=50, suppress_health_check=[HealthCheck.too_slow])
TestDelivery = DeliveryMachine.TestCase

"""An events topic and a group member in memory: the `EventSource` contract without a broker."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from langgraph_integration.pipeline.delivery import Delivery, Partition
from langgraph_integration.pipeline.ledger import Position
from langgraph_integration.pipeline.ports import AssignmentListener
from workflow_events.errors import BrokerUnavailable

Headers = Sequence[tuple[str, bytes]]


@dataclass(frozen=True, slots=True)
class Record:
    """What a partition holds at one offset."""

    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...]
    timestamp_ms: int


@dataclass
class MemoryTopic:
    """Partitions of records, and the offsets that a group has committed."""

    name: str = "events"
    partitions: int = 1
    committed: dict[Partition, int] = field(default_factory=dict)
    commits: list[Mapping[Partition, int]] = field(default_factory=list)
    available: bool = True

    def __post_init__(self) -> None:
        self._records: dict[Partition, dict[int, Record]] = {each: {} for each in self.all_partitions}
        self._ends: dict[Partition, int] = dict.fromkeys(self.all_partitions, 0)
        self.answers_commits = asyncio.Event()
        self.answers_commits.set()
        self.changed = asyncio.Event()

    @property
    def all_partitions(self) -> list[Partition]:
        return [Partition(self.name, number) for number in range(self.partitions)]

    def append(
        self, value: bytes | None, *, key: bytes | None = None, headers: Headers = (), partition: int = 0
    ) -> Position:
        """Add a record at the end."""
        where = Partition(self.name, partition)
        offset = self._ends[where]
        self._records[where][offset] = Record(key, value, tuple(headers), time.time_ns() // 1_000_000)
        self._ends[where] = offset + 1
        self.changed.set()
        return Position(self.name, partition, offset)

    def skip(self, records: int, partition: int = 0) -> None:
        """Leave a gap, as compaction and transactions do."""
        self._ends[Partition(self.name, partition)] += records

    def set_time(self, position: Position, timestamp_ms: int) -> None:
        """Change a record's time, as its producer may."""
        records = self._records[Partition(position.topic, position.partition)]
        records[position.offset] = replace(records[position.offset], timestamp_ms=timestamp_ms)

    def end(self, where: Partition) -> int:
        return self._ends[where]

    def read(self, where: Partition, offset: int, most: int) -> list[tuple[int, Record]]:
        """The next records at or after an offset."""
        there = sorted(each for each in self._records[where] if each >= offset)[:most]
        return [(each, self._records[where][each]) for each in there]


class MemorySource:
    """One group member that owns every partition of its topic, until a test moves them."""

    def __init__(
        self, topic: MemoryTopic, listener: AssignmentListener, *, start_at: str = "earliest"
    ) -> None:
        self._topic = topic
        self._listener = listener
        self._start_at = start_at
        self._positions: dict[Partition, int] = {}
        self._generation = 0
        self.paused: set[Partition] = set()
        self.polls = 0

    async def start(self) -> None:
        """Join: every partition is assigned, at its committed offset or where a new group starts."""
        await self.assign(self._topic.all_partitions)

    async def stop(self) -> bool:
        """Leave without a word to the listener, as aiokafka does."""
        self._positions.clear()
        return True

    async def assign(self, partitions: Sequence[Partition]) -> None:
        """Give the member these partitions after it had to give up all it had."""
        if self._positions:
            self._generation += 1
            gone = list(self._positions)
            self._positions.clear()
            await self._listener.partitions_revoked(gone)
        self._generation += 1
        new_group = not self._topic.committed
        for each in partitions:
            if each not in self._topic.committed:
                at_end = new_group and self._start_at == "latest"
                self._topic.committed[each] = self._topic.end(each) if at_end else 0
            self._positions[each] = self._topic.committed[each]
        self.paused.clear()
        await self._listener.partitions_assigned(partitions, self._generation)

    async def poll(self, max_records: int, timeout_s: float) -> Sequence[Delivery]:
        """See the port."""
        self.polls += 1
        self._check()
        found = self._take(max_records)
        if not found and max_records and timeout_s:
            self._topic.changed.clear()
            try:
                await asyncio.wait_for(self._topic.changed.wait(), min(timeout_s, 0.02))
            except TimeoutError:
                return []
            found = self._take(max_records)
        return found

    def _take(self, most: int) -> list[Delivery]:
        found: list[Delivery] = []
        for where, offset in self._positions.items():
            if where in self.paused:
                continue
            for number, record in self._topic.read(where, offset, most - len(found)):
                position = Position(where.topic, where.number, number)
                found.append(
                    Delivery(
                        position,
                        record.key,
                        record.value,
                        record.timestamp_ms,
                        self._generation,
                        record.headers,
                    )
                )
                self._positions[where] = number + 1
        return found

    async def pause(self, partitions: Sequence[Partition]) -> None:
        """See the port."""
        self._check()
        self.paused.update(set(partitions) & self._positions.keys())

    async def resume(self, partitions: Sequence[Partition]) -> None:
        """See the port."""
        self._check()
        self.paused.difference_update(partitions)

    async def commit(self, offsets: Mapping[Partition, int]) -> None:
        """See the port."""
        self._check()
        await self._topic.answers_commits.wait()
        ours = {where: offset for where, offset in offsets.items() if where in self._positions}
        self._topic.committed.update(ours)
        self._topic.commits.append(ours)

    def _check(self) -> None:
        if not self._topic.available:
            raise BrokerUnavailable("the broker in memory was switched off")

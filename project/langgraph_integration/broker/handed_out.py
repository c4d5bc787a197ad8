"""HandedOut: how far each partition was handed out, and the way back to there after a fetch that failed."""

from collections.abc import Mapping, Sequence
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition

from langgraph_integration.pipeline.delivery import Partition


class HandedOut:
    """aiokafka's position is moved by what a `getmany` takes, also where the call ends in an error about
    another partition and what it had taken is gone: read on from there, those records would never come.

    `starts` is where each partition was placed.
    """

    def __init__(self, starts: Mapping[Partition, int]) -> None:
        self._starts = starts
        self._generation: int | None = None
        self._next: dict[TopicPartition, int] = {}

    def note(self, batches: Mapping[TopicPartition, Sequence[Any]], generation: int) -> None:
        """These are handed out. What was noted under another generation is forgotten."""
        self._forget_before(generation)
        for where, records in batches.items():
            if records:
                self._next[where] = records[-1].offset + 1

    def next(self, where: TopicPartition, generation: int) -> int | None:
        """The offset from which the partition is to be read; None while it has not been placed."""
        self._forget_before(generation)
        return self._next.get(where, self._starts.get(Partition(where.topic, where.partition)))

    async def go_back(self, client: AIOKafkaConsumer, generation: int) -> None:
        """Put every partition whose position has moved on to where it was handed out."""
        for where in client.assignment():
            offset = self.next(where, generation)
            # one that was placed has a position, and is not waited for
            if offset is not None and await client.position(where) > offset:
                client.seek(where, offset)

    def _forget_before(self, generation: int) -> None:
        if generation != self._generation:
            self._generation, self._next = generation, {}

"""OffsetTracker: what may be committed while runs finish in any order."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from langgraph_integration.pipeline.delivery import Partition
from langgraph_integration.pipeline.ledger import Position


@dataclass(slots=True)
class _State:
    generation: int
    # insertion order is offset order, because a partition is read in order
    unsettled: dict[int, float] = field(default_factory=dict)
    next_offset: int | None = None
    committed: int | None = None

    @property
    def watermark(self) -> int | None:
        return next(iter(self.unsettled), self.next_offset)


class OffsetTracker:
    """Per partition, the offsets that were received and are not settled yet.

    Only received offsets count, so gaps left by compaction or transactions are harmless. The offset to
    commit is the lowest unsettled one, else the one after the last received: never past an unsettled one.
    """

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._partitions: dict[Partition, _State] = {}

    def assign(self, partition: Partition, generation: int) -> None:
        """Begin anew with a partition that has just become ours."""
        self._partitions[partition] = _State(generation)

    def forget(self, partition: Partition) -> None:
        """Drop a partition that is no longer ours: settling its offsets has no effect from now on."""
        self._partitions.pop(partition, None)

    def generation(self, partition: Partition) -> int | None:
        """Of the assignment that made the partition ours; `None` if it is not."""
        state = self._partitions.get(partition)
        return None if state is None else state.generation

    def admit(self, position: Position, generation: int) -> bool:
        """Count a received offset as unsettled.

        False if its partition is not ours, or was read under an earlier assignment: it will come again.
        """
        state = self._partitions.get(Partition(position.topic, position.partition))
        if state is None or state.generation != generation:
            return False
        if state.next_offset is None:
            # the group stands here: a commit that settles nothing would only say whose store this is
            state.committed = position.offset
        elif position.offset < state.next_offset:
            return False
        state.unsettled[position.offset] = self._clock()
        state.next_offset = position.offset + 1
        return True

    def owns(self, position: Position, generation: int) -> bool:
        """Whether the offset was admitted under that assignment and still waits to be settled."""
        state = self._partitions.get(Partition(position.topic, position.partition))
        return state is not None and state.generation == generation and position.offset in state.unsettled

    def settle(self, position: Position, generation: int) -> None:
        """The record's outcome is durable. Harmless for offsets that are not ours, or settled already.

        A record of an earlier assignment is no longer ours. It has come again by now, or its offset stands
        for another one, in a topic that was made anew.
        """
        state = self._partitions.get(Partition(position.topic, position.partition))
        if state is not None and state.generation == generation:
            state.unsettled.pop(position.offset, None)

    def committable(self) -> Mapping[Partition, int]:
        """Per partition the next offset to read; only those that moved since the last commit."""
        return {
            partition: state.watermark
            for partition, state in self._partitions.items()
            if state.watermark is not None and state.watermark != state.committed
        }

    def mark_committed(self, offsets: Mapping[Partition, int]) -> None:
        """The broker has accepted these."""
        for partition, offset in offsets.items():
            if partition in self._partitions:
                self._partitions[partition].committed = offset

    def unsettled(self, partition: Partition) -> int:
        """How many offsets of the partition wait to be settled."""
        state = self._partitions.get(partition)
        return len(state.unsettled) if state else 0

    def oldest_age_s(self, partition: Partition) -> float:
        """Seconds since the oldest unsettled offset of the partition was received; 0 if there is none."""
        state = self._partitions.get(partition)
        first = next(iter(state.unsettled.values()), None) if state else None
        return 0.0 if first is None else self._clock() - first

    def watermark(self, partition: Partition) -> int | None:
        """The next offset that would be committed; `None` while nothing was received."""
        state = self._partitions.get(partition)
        return state.watermark if state else None

    @property
    def partitions(self) -> list[Partition]:
        """The partitions that are ours."""
        return list(self._partitions)

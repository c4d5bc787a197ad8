"""Which records are still to be read before history is known."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(slots=True)
class _Range:
    next: int
    end: int


class Backlog:
    """Ranges of offsets, one a partition, and how far they have been read.

    An end may lie on a record that never comes (a transaction's marker, a compacted record): reaching
    the end of the partition counts too.
    """

    def __init__(self, ranges: Mapping[int, tuple[int, int]]) -> None:
        self._ranges = {
            partition: _Range(start, end) for partition, (start, end) in ranges.items() if start < end
        }
        self._measured: set[int] = set()

    @property
    def done(self) -> bool:
        """Whether everything has been read."""
        return not self._ranges

    @property
    def remaining(self) -> int:
        """Offsets left, all partitions together."""
        return sum(one.end - one.next for one in self._ranges.values())

    def positions(self) -> dict[int, int]:
        """Where to go on reading, for each partition with something left."""
        return {partition: one.next for partition, one in self._ranges.items()}

    def read(self, partition: int, next_offset: int) -> None:
        """Everything below `next_offset` has been read."""
        one = self._ranges.get(partition)
        if one is None:
            return
        one.next = max(one.next, next_offset)
        if one.next >= one.end:
            del self._ranges[partition]

    def measured(self, partition: int) -> bool:
        """Whether `measure` has been called for a partition, or need not be."""
        return partition in self._measured or partition not in self._ranges

    def measure(self, partition: int, end: int) -> None:
        """The partition's end as a fetch saw it, which some brokers understate when asked. The first
        measure counts: under traffic the end moves on, and history must come to an end.
        """
        one = self._ranges.get(partition)
        if one is not None and partition not in self._measured:
            self._measured.add(partition)
            one.end = max(one.end, end)

    def finish(self, partition: int) -> None:
        """The partition has been read to its end."""
        self._ranges.pop(partition, None)

    def include(self, partition: int, offset: int) -> None:
        """Also read this record."""
        one = self._ranges.setdefault(partition, _Range(offset, offset + 1))
        one.next = min(one.next, offset)
        one.end = max(one.end, offset + 1)

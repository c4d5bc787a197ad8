"""Where results were seen lately, so that a late wait need not read the topic again."""

import time
from collections.abc import Callable
from typing import Final, NamedTuple

from workflow_events.exchange.start import CLOCK_MARGIN

_PLACES_KEPT: Final = 8
_MARGIN_MS: Final = int(CLOCK_MARGIN.total_seconds() * 1000)


class Place(NamedTuple):
    """A record's partition and offset."""

    partition: int
    offset: int


class SeenIndex:
    """The newest places of each id, for at most `capacity` ids; about 250 bytes each.

    Kept in two generations: when the young one is full the old one is forgotten in one step. All
    records at or above `known_from(partition)`, and all written at `complete_from_ms` or later, are in it.
    """

    def __init__(self, capacity: int, clock: Callable[[], float] = time.time) -> None:
        self._half = max(1, capacity // 2)
        self._clock = clock
        self._old: dict[bytes, tuple[Place, ...]] = {}
        self._young: dict[bytes, tuple[Place, ...]] = {}
        self._young_since_ms = 0
        self._known_from: dict[int, int] = {}
        self._young_from: dict[int, int] = {}
        self._seen_until: dict[int, int] = {}
        self.complete_from_ms: int | None = None

    def begin(self, starts: dict[int, int], since_ms: int | None) -> None:
        """From here on the partitions' records are put in. `since_ms`: all that were written from then
        on are above `starts`; None = that is not known, and the present moment with a margin counts.
        """
        self._known_from |= starts
        self.complete_from_ms = self._now_ms() + _MARGIN_MS if since_ms is None else since_ms

    def add_partition(self, partition: int) -> None:
        """A partition that is put in from its first record on."""
        self._known_from[partition] = 0

    def known_from(self, partition: int) -> int:
        """The first offset from which the index is complete."""
        return self._known_from.get(partition, 0)

    def put(self, key: bytes, place: Place) -> None:
        """Remember where an id was seen."""
        if not self._young:
            self._young_since_ms = self._now_ms()
        partition, offset = place
        self._young_from.setdefault(partition, offset)
        self._seen_until[partition] = offset + 1
        before = self._young.get(key)
        self._young[key] = (place,) if before is None else (*before, place)[-_PLACES_KEPT:]
        if len(self._young) >= self._half:
            self._forget_old()

    def places(self, key: bytes) -> tuple[Place, ...]:
        """Where an id was seen, oldest first; empty if it was not, or is forgotten."""
        return self._old.get(key, ()) + self._young.get(key, ())

    def __len__(self) -> int:
        return len(self._young) + len(self._old)

    def _forget_old(self) -> None:
        forgets = bool(self._old)
        if forgets:
            # A partition without a record in the young half has all it ever had in what goes now.
            for partition, known in self._known_from.items():
                rest = self._seen_until.get(partition, known)
                self._known_from[partition] = self._young_from.get(partition, rest)
            self.complete_from_ms = max(self.complete_from_ms or 0, self._young_since_ms + _MARGIN_MS)
        self._old, self._young = self._young, {}
        self._young_from = {}

    def _now_ms(self) -> int:
        return int(self._clock() * 1000)

"""One record as it came, before anyone believed it."""

from dataclasses import dataclass, field
from datetime import UTC, datetime

from langgraph_integration.pipeline.ledger import Position

_LATEST_S = 253_402_300_799.0  # 9999-12-31, where datetime ends


@dataclass(frozen=True, slots=True)
class Partition:
    """One partition of the events topic."""

    topic: str
    number: int


@dataclass(frozen=True, slots=True)
class Delivery:
    """A record of the events topic. `value` is `None` for a tombstone; `timestamp_ms` is the record's own."""

    position: Position
    key: bytes | None
    value: bytes | None
    timestamp_ms: int
    generation: int
    """The assignment it was read under; what an older one read is void."""

    headers: tuple[tuple[str, bytes | None], ...] = field(default=())

    @property
    def time(self) -> datetime:
        """The record's own time; whoever wrote it may have set any."""
        seconds = min(max(0, self.timestamp_ms) / 1000, _LATEST_S)
        return datetime.fromtimestamp(seconds, UTC)

    @property
    def partition(self) -> Partition:
        """Where it was read."""
        return Partition(self.position.topic, self.position.partition)

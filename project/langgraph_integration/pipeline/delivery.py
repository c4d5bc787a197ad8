"""One record as it came, before anyone believed it."""

from dataclasses import dataclass, field

from langgraph_integration.pipeline.ledger import Position


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

    headers: tuple[tuple[str, bytes], ...] = field(default=())

    @property
    def partition(self) -> Partition:
        """Where it was read."""
        return Partition(self.position.topic, self.position.partition)

"""What the pipeline asks of the world: a source of records, a runner of graphs, a place for verdicts."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from langgraph_integration.pipeline.delivery import Delivery, Partition
from workflow_events import WorkflowEvent
from workflow_events.errors import RecordTooLarge


class AssignmentListener(Protocol):
    """Told by the source when partitions come and go. Both are called on the pipeline's event loop."""

    async def partitions_assigned(self, partitions: Sequence[Partition], generation: int) -> None:
        """These partitions are ours from now on; their deliveries carry `generation`. Must return at once:
        heartbeats wait for it.
        """

    async def partitions_revoked(self, partitions: Sequence[Partition]) -> None:
        """These partitions leave. Settle and commit what is ready; the time is limited."""


class EventSource(Protocol):
    """A member of a consumer group that never commits, decodes or jumps on its own.

    Every call raises `BrokerUnavailable` where the broker does not answer or refuses.
    """

    async def poll(self, max_records: int, timeout_s: float) -> Sequence[Delivery]:
        """The next records, or none after `timeout_s`. Must be called again and again, also while paused:
        it is what keeps the membership alive. Must not be cancelled. `max_records=0` only keeps alive.
        """

    async def pause(self, partitions: Sequence[Partition]) -> None:
        """Stop fetching from these. Forgotten at every rebalance."""

    async def resume(self, partitions: Sequence[Partition]) -> None:
        """Fetch from these again."""

    async def commit(self, offsets: Mapping[Partition, int]) -> None:
        """Commit the next offset to read of each partition. On an error the outcome is unknown."""


class ResultTooLarge(RecordTooLarge):
    """The result was refused for its size, and its dead letter has been acknowledged."""


class VerdictSink(Protocol):
    """Where the end of a run is made known."""

    @property
    def result_limit_bytes(self) -> int:
        """The largest result that its topic takes with a key and headers."""

    @property
    def dead_letter_limit_bytes(self) -> int:
        """The largest dead letter that its topic takes with a key and headers."""

    async def publish(
        self, key: bytes | None, dead_letter: bytes | None, result: bytes | None, attempt: int
    ) -> None:
        """Return once the broker has acknowledged the dead letter, then the result, where there is one.

        Raises `BrokerUnavailable`; publishing the same bytes again is harmless. Raises `RecordTooLarge` where
        a topic refused a record for its size, `ResultTooLarge` if its dead letter is there.
        """


class Processor(Protocol):
    """Runs the graph of one event; `WorkflowProcessor` is the one we ship."""

    async def process_workflow_event(self, event: WorkflowEvent) -> dict[str, Any]:
        """The graph's final state."""

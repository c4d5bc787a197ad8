"""PublishingSink: dead letter first, then the result, each acknowledged before the next."""

from typing import Protocol

from langgraph_integration.pipeline.faults import reached
from langgraph_integration.pipeline.ports import ResultTooLarge
from workflow_events.errors import RecordTooLarge


class RecordPublisher(Protocol):
    """A producer of one topic; `ResultProducer` and `DeadLetterQueue` are the two we ship."""

    @property
    def limit_bytes(self) -> int:
        """The largest record that the topic takes."""

    async def publish_record(self, key: bytes | None, value: bytes, attempt: int = 1) -> None:
        """Return once the broker has acknowledged the record."""


class PublishingSink:
    """The `VerdictSink` over two publishers."""

    def __init__(self, results: RecordPublisher, dead_letters: RecordPublisher) -> None:
        self._results = results
        self._dead_letters = dead_letters

    @property
    def result_limit_bytes(self) -> int:
        """The largest result record."""
        return self._results.limit_bytes

    @property
    def dead_letter_limit_bytes(self) -> int:
        """The largest dead letter."""
        return self._dead_letters.limit_bytes

    async def publish(
        self, key: bytes | None, dead_letter: bytes | None, result: bytes | None, attempt: int
    ) -> None:
        """Return once both are acknowledged."""
        if dead_letter is not None:
            await self._dead_letters.publish_record(key, dead_letter, attempt)
            reached("after-dead-letter")
        if result is not None:
            try:
                await self._results.publish_record(key, result, attempt)
            except RecordTooLarge as error:
                if dead_letter is None:
                    raise
                raise ResultTooLarge(str(error)) from error
            reached("after-result")

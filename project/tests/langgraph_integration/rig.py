"""The pipeline, whole and wired, with memory at both ends: no broker, no LangGraph, no database file."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

from langgraph_integration.pipeline.attempts import PERSISTED_WAIT_S, Attempts
from langgraph_integration.pipeline.committer import Committer
from langgraph_integration.pipeline.dispatcher import Dispatcher
from langgraph_integration.pipeline.gate import IntakeGate
from langgraph_integration.pipeline.handler import EventHandler
from langgraph_integration.pipeline.happenings import Happening
from langgraph_integration.pipeline.ledger import Position, RunLedger
from langgraph_integration.pipeline.limit import DeadLetterLimit
from langgraph_integration.pipeline.offsets import OffsetTracker
from langgraph_integration.pipeline.outcome import Outcome, Succeeded
from langgraph_integration.pipeline.ports import ResultTooLarge
from langgraph_integration.pipeline.slots import Slots
from langgraph_integration.retry import RetryConfig
from langgraph_integration.store import MemoryDatabase, open_store
from tests.langgraph_integration.events import headers_of, value_of
from tests.langgraph_integration.memory_source import MemorySource, MemoryTopic
from tests.support import wait_until
from workflow_events import WorkflowEvent, WorkflowResultEvent
from workflow_events.codec import decode_result, parse_json
from workflow_events.dead_letter import DeadLetterEvent
from workflow_events.errors import BrokerUnavailable, RecordNotSent, RecordTooLarge

Run = Callable[[WorkflowEvent], Awaitable[Any]]
NO_DELAYS = RetryConfig(max_retries=3, initial_delay=0.0, jitter=False)


class MemorySink:
    """Results and dead letters as they would lie on their topics."""

    def __init__(self) -> None:
        self.results: list[tuple[bytes | None, bytes, int]] = []
        self.dead_letters: list[tuple[bytes | None, bytes, int]] = []
        self.order: list[str] = []
        self.available = True
        self.refuses_batch = False
        self.result_limit_bytes = 1_000_000
        self.dead_letter_limit_bytes = 1_000_000
        self.true_result_limit_bytes: int | None = None
        """What the broker takes, where that is less than what it said."""
        self.true_dead_letter_limit_bytes: int | None = None

    async def publish(
        self, key: bytes | None, dead_letter: bytes | None, result: bytes | None, attempt: int
    ) -> None:
        await asyncio.sleep(0)
        if not self.available:
            raise BrokerUnavailable("the sink in memory was switched off")
        if self.refuses_batch:
            self.refuses_batch = False
            raise RecordNotSent("refused together with others")
        if dead_letter is not None:
            limit = self.true_dead_letter_limit_bytes or self.dead_letter_limit_bytes
            if len(dead_letter) > limit:
                # known from now on, as the real one asks then
                self.dead_letter_limit_bytes = limit
                raise RecordTooLarge(f"{len(dead_letter)} bytes; the topic takes {limit}")
            self.dead_letters.append((key, dead_letter, attempt))
            self.order.append("dead letter")
        if result is not None:
            limit = self.true_result_limit_bytes or self.result_limit_bytes
            if len(result) > limit:
                kind = RecordTooLarge if dead_letter is None else ResultTooLarge
                raise kind(f"{len(result)} bytes; the topic takes {limit}")
            self.results.append((key, result, attempt))
            self.order.append("result")

    def decoded(self) -> list[WorkflowResultEvent]:
        return [decode_result(value) for _, value, _ in self.results]

    def letters(self) -> list[DeadLetterEvent]:
        return [DeadLetterEvent.model_validate(parse_json(value)) for _, value, _ in self.dead_letters]


class Rig:
    """A topic, the pipeline over it, and what comes out."""

    def __init__(
        self,
        ledger: RunLedger,
        *,
        run: Run,
        topic: MemoryTopic | None = None,
        to_outcome: Callable[[WorkflowEvent, Mapping[str, Any]], Outcome] | None = None,
        retry: RetryConfig = NO_DELAYS,
        slots: int = 10,
        max_event_bytes: int = 100_000,
        max_claims: int = 5,
        long_wait_s: float = PERSISTED_WAIT_S,
        thread_patience_s: float = 600.0,
        limit: str = "0",
        clock: Callable[[], float] | None = None,
    ) -> None:
        self.ledger = ledger
        self.run = run
        self.retry = retry
        self.topic = topic or MemoryTopic()
        self.sink = MemorySink()
        self.gate = IntakeGate()
        self.slots = Slots(slots)
        self.tracker = OffsetTracker()
        self.limit = DeadLetterLimit(limit, **({"clock": clock} if clock else {}))
        self.happenings: list[Happening] = []
        attempts = Attempts(
            processor=lambda: self,
            retry_config=lambda: self.retry,
            to_outcome=to_outcome or (lambda _, state: Succeeded(dict(state))),
            ledger=ledger,
            gate=self.gate,
            max_claims=max_claims,
            observe=self._observe,
            may_try=lambda: self.limit.allows(self.dispatcher.undecided - 1),
            long_wait_s=long_wait_s,
            thread_patience_s=thread_patience_s,
        )
        self.handler = EventHandler(
            attempts=attempts,
            ledger=ledger,
            sink=self.sink,
            gate=self.gate,
            max_event_bytes=max_event_bytes,
            observe=self._observe,
        )
        self.source = MemorySource(self.topic, self)
        self.committer = Committer(self.source, self.tracker, self.gate)
        self.dispatcher: Dispatcher = Dispatcher(
            self.source,
            self.handler,
            slots=self.slots,
            gate=self.gate,
            limit=self.limit,
            tracker=self.tracker,
            committer=self.committer,
            max_poll_records=500,
            again_s=0.1,
        )
        self.partitions_assigned = self.dispatcher.partitions_assigned
        self.partitions_revoked = self.dispatcher.partitions_revoked
        self.taking = True
        self.taking_task: asyncio.Task[None] | None = None

    async def stop_taking(self) -> None:
        """Take no more events, as the first step of a stop."""
        self.taking = False
        if self.taking_task is not None:
            await asyncio.wait({self.taking_task}, timeout=2)

    async def process_workflow_event(self, event: WorkflowEvent) -> dict[str, Any]:
        """The test's `run`, looked up for every try."""
        state: dict[str, Any] = await self.run(event)
        return state

    def _observe(self, happening: Happening) -> None:
        self.happenings.append(happening)
        self.limit.observe(happening)

    def publish(
        self, asked: WorkflowEvent, *, attempt: int = 1, deadline_ms: int | None = None, partition: int = 0
    ) -> Position:
        """Append an event as our producers do."""
        return self.topic.append(
            value_of(asked),
            key=str(asked.event_id).encode(),
            headers=headers_of(asked, attempt=attempt, deadline_ms=deadline_ms),
            partition=partition,
        )

    async def settled(self, timeout: float = 5.0) -> None:
        """Return once everything that was published is settled and committed."""

        async def done() -> bool:
            await self.committer.commit_ready(quiet=True)
            ends = {each: self.topic.end(each) for each in self.topic.all_partitions}
            return all(self.topic.committed.get(each, 0) >= end for each, end in ends.items())

        await wait_until(done, timeout, "all offsets to be committed")

    async def results(self, number: int, timeout: float = 5.0) -> list[WorkflowResultEvent]:
        """The results, once there are that many."""
        await wait_until(lambda: len(self.sink.results) >= number, timeout, f"{number} results")
        return self.sink.decoded()


async def answer(_: WorkflowEvent) -> dict[str, Any]:
    """A graph that always knows."""
    return {"answer": 42}


@asynccontextmanager
async def running_rig(
    run: Run = answer, *, database: MemoryDatabase | None = None, owner: str = "a", **options: Any
) -> AsyncIterator[Rig]:
    """A rig that takes events until the block ends; runs in flight are abandoned then.

    `around` puts something between the pipeline and its ledger.
    """
    lease_time: timedelta = options.pop("lease_time", timedelta(minutes=5))
    around: Callable[[RunLedger], RunLedger] = options.pop("around", lambda ledger: ledger)
    async with open_store("memory:", owner=owner, lease_time=lease_time, memory=database) as store:
        rig = Rig(around(store.ledger), run=run, **options)
        await rig.source.start()
        rig.taking_task = asyncio.create_task(rig.dispatcher.take(lambda: rig.taking))
        try:
            yield rig
        finally:
            await rig.stop_taking()
            await rig.dispatcher.abandon()

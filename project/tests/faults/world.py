"""A world in which every step of the pipeline waits for a word: go on, fail, or fail after it was done.

The pipeline is the real one; the broker, the database's clock and time itself are ours. Nothing happens by
itself, so a history can be played again and made smaller.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal
from uuid import UUID

from langgraph_integration.pipeline.attempts import Attempts
from langgraph_integration.pipeline.committer import Committer
from langgraph_integration.pipeline.delivery import Delivery, Partition
from langgraph_integration.pipeline.gate import IntakeGate
from langgraph_integration.pipeline.handler import EventHandler
from langgraph_integration.pipeline.ledger import (
    Ask,
    Claim,
    Lease,
    LeaseState,
    Position,
    RunLedger,
    StoredVerdict,
)
from langgraph_integration.pipeline.offsets import OffsetTracker
from langgraph_integration.pipeline.outcome import Failed, Outcome, Succeeded
from langgraph_integration.pipeline.slots import OneSlot, Slots
from langgraph_integration.retry import RetryConfig
from langgraph_integration.store import MemoryDatabase
from langgraph_integration.store.ledger import StoreLedger
from langgraph_integration.store.memory import MemoryBackend
from tests.langgraph_integration.memory_source import MemoryTopic
from workflow_events import WorkflowEvent, WorkflowResultEvent
from workflow_events.codec import decode_result
from workflow_events.errors import BrokerUnavailable, StoreUnavailable

How = Literal["done", "refused", "unknown"]
"""What becomes of a step: it is done, or not and an error is told, or it is and an error is told."""

LEASE_S = 30.0


class OwnTime(asyncio.SelectorEventLoop):
    """A loop whose clock stands still until somebody turns it."""

    _ready: deque[asyncio.Handle]  # asyncio's own: what runs in the next turn

    def __init__(self) -> None:
        super().__init__()
        self.now = 1000.0
        self.set_exception_handler(lambda _, __: None)

    def time(self) -> float:
        return self.now

    def settle(self) -> None:
        """Let everything happen that needs no time."""
        self.run_until_complete(self._until_idle())

    async def _until_idle(self) -> None:
        idle_turns = 0
        while idle_turns < 3:  # a timer that is due becomes ready one turn later
            await asyncio.sleep(0)
            idle_turns = 0 if self._ready else idle_turns + 1

    def turn(self, seconds: float) -> None:
        """Let time pass, timer by timer."""
        until = self.now + seconds
        while self.now < until:
            self.now = min(until, self.now + 0.5)
            self.settle()


class Database(MemoryDatabase):
    """With the loop's clock."""

    def __init__(self, loop: OwnTime) -> None:
        super().__init__()
        self._loop = loop

    def now(self) -> int:
        return round(self._loop.now * 1000)


@dataclass(slots=True, eq=False)
class Step:
    """Something a worker wants to do and waits for."""

    worker: Worker
    what: str
    do: Callable[[], Awaitable[Any]]
    error: Exception
    future: asyncio.Future[Any]


class World:
    """Two partitions, a database, what was published, and the steps that wait."""

    def __init__(self) -> None:
        self.loop = OwnTime()
        self.database = Database(self.loop)
        self.topic = MemoryTopic(partitions=2)
        self.topic.committed.update(dict.fromkeys(self.topic.all_partitions, 0))
        self.results: list[bytes] = []
        self.letters: list[bytes] = []
        self.executions: Counter[UUID] = Counter()
        self.excuses: Counter[UUID] = Counter()
        self.asked: list[tuple[Partition, int, UUID, int]] = []
        self.steps: list[Step] = []
        self._tasks: list[asyncio.Task[object]] = []

    def decoded(self) -> list[WorkflowResultEvent]:
        return [decode_result(value) for value in self.results]

    def begin(self, what: Coroutine[Any, Any, object]) -> None:
        """Start a task. It is kept: one that waits for ever would be collected, and clean up on the way."""
        self._tasks.append(self.loop.create_task(what))

    def resolve(self, step: Step, how: How) -> None:
        """Let one step happen."""
        self.steps.remove(step)
        self.loop.run_until_complete(self._resolve(step, how))
        self.loop.settle()

    async def _resolve(self, step: Step, how: How) -> None:
        value = None
        if how != "refused":
            try:
                value = await step.do()
            except Exception as error:  # noqa: BLE001 - it is the caller's to hear
                if not step.future.done():
                    step.future.set_exception(error)
                return
        if step.future.done():
            return
        if how == "done":
            step.future.set_result(value)
        else:
            step.future.set_exception(step.error)

    def close(self) -> None:
        """End all tasks; nobody does anything any more."""
        while tasks := asyncio.all_tasks(self.loop):
            for task in tasks:
                task.cancel()
            # who is cancelled gives its lease back, and waits two seconds for an answer
            self.loop.turn(3.0)
        self.loop.close()


class Worker:
    """One process: the real handler, tracker and committer over ports that wait."""

    def __init__(self, world: World, name: str) -> None:
        self.world = world
        self.name = name
        self.alive = True
        self.positions: dict[Partition, int] = {}
        self._generations: dict[Partition, int] = {}
        self.tracker = OffsetTracker(clock=world.loop.time)
        self.gate = IntakeGate()
        self.slots = Slots(100)
        ledger = _Ledger(
            self,
            StoreLedger(
                MemoryBackend(world.database), _Nothing(), owner=name, lease_time=timedelta(seconds=LEASE_S)
            ),
        )
        self.ledger: RunLedger = ledger
        attempts = Attempts(
            processor=lambda: self,
            retry_config=lambda: RetryConfig(max_retries=0),
            to_outcome=_outcome,
            ledger=ledger,
            gate=self.gate,
            max_claims=1000,
            observe=lambda _: None,
        )
        self.handler = EventHandler(
            attempts=attempts,
            ledger=ledger,
            sink=self,
            gate=self.gate,
            max_event_bytes=100_000,
            observe=lambda _: None,
        )
        self.committer = Committer(_Source(self), self.tracker, self.gate)

    def assign(self, partition: Partition) -> None:
        """Own a partition from its committed offset on."""
        self._generations[partition] = self._generations.get(partition, 0) + 1
        self.tracker.assign(partition, self._generations[partition])
        self.positions[partition] = self.world.topic.committed[partition]

    def revoke(self, partition: Partition) -> None:
        """Own it no more; what runs goes on under its lease."""
        self.positions.pop(partition, None)
        self.tracker.forget(partition)

    def poll(self) -> None:
        """Take the next record of each partition and start it."""
        for partition, offset in list(self.positions.items()):
            for number, record in self.world.topic.read(partition, offset, 1):
                self.positions[partition] = number + 1
                position = Position(partition.topic, partition.number, number)
                generation = self._generations[partition]
                delivery = Delivery(
                    position, record.key, record.value, record.timestamp_ms, generation, record.headers
                )
                self.tracker.admit(position, generation)
                self.world.begin(self._bring_to_end(delivery))
        self.world.loop.settle()

    async def _bring_to_end(self, delivery: Delivery) -> None:
        slot = OneSlot(self.slots)
        await self.handler.handle(delivery, slot)
        self.tracker.settle(delivery.position)

    def commit(self) -> None:
        """Want to commit what is settled."""
        self.world.begin(self.committer.commit_ready())
        self.world.loop.settle()

    def renew(self) -> None:
        """Extend the leases of what runs here, as the keeper does."""
        leases = [run.lease for run in self.handler.live.values()]
        if leases:
            self.world.begin(_ignoring_errors(self.ledger.renew(leases)))
            self.world.loop.settle()

    def crash(self) -> None:
        """Gone: nothing of it happens any more."""
        self.alive = False
        self.positions.clear()
        for event_id in self.handler.live:
            self.world.excuses[event_id] += 1
        self.world.steps = [step for step in self.world.steps if step.worker is not self]

    async def waits(self, what: str, do: Callable[[], Awaitable[Any]], error: Exception) -> Any:
        """The step's value, once the world lets it happen; for ever if this worker is dead."""
        step = Step(self, what, do, error, self.world.loop.create_future())
        if self.alive:
            self.world.steps.append(step)
        return await step.future

    async def process_workflow_event(self, event: WorkflowEvent) -> dict[str, Any]:
        """The graph: one step that counts."""
        self.world.executions[event.event_id] += 1
        state: dict[str, Any] = await self.waits("run", _nothing, ConnectionError("the model is away"))
        return state or {"answer": 42, "fails": event.payload.data["fails"]}

    result_limit_bytes = 1_000_000
    dead_letter_limit_bytes = 1_000_000

    async def publish(
        self, key: bytes | None, dead_letter: bytes | None, result: bytes | None, attempt: int
    ) -> None:
        """The sink, whose two records are two steps."""
        for topic, record in ((self.world.letters, dead_letter), (self.world.results, result)):
            if record is not None:
                await self.waits("publish", _appending(topic, record), BrokerUnavailable("away"))


class _Ledger:
    """The real ledger, every call of which waits."""

    def __init__(self, worker: Worker, ledger: StoreLedger) -> None:
        self._worker = worker
        self._ledger = ledger
        self.store_id = ledger.store_id

    async def claim(self, ask: Ask) -> Claim:
        claim: Claim = await self._wait("claim", lambda: self._ledger.claim(ask))
        return claim

    async def renew(self, leases: Sequence[Lease]) -> Mapping[UUID, LeaseState]:
        states: Mapping[UUID, LeaseState] = await self._wait("renew", lambda: self._ledger.renew(leases))
        return states

    async def schedule_retry(self, lease: Lease, retry_count: int, delay: timedelta) -> None:
        await self._wait("retry", lambda: self._ledger.schedule_retry(lease, retry_count, delay))

    async def finish(self, lease: Lease, verdict: StoredVerdict) -> int:
        attempt: int = await self._wait("finish", lambda: self._ledger.finish(lease, verdict))
        return attempt

    async def replace(self, lease: Lease, stored: StoredVerdict, verdict: StoredVerdict) -> None:
        await self._wait("replace", lambda: self._ledger.replace(lease, stored, verdict))

    async def mark_published(self, lease: Lease, attempt: int) -> None:
        await self._wait("mark", lambda: self._ledger.mark_published(lease, attempt))

    async def release(self, lease: Lease) -> None:
        await self._wait("release", lambda: self._ledger.release(lease))

    async def verdicts(self, event_ids: Sequence[UUID]) -> Mapping[UUID, StoredVerdict]:
        return await self._ledger.verdicts(event_ids)

    async def _wait(self, what: str, do: Callable[[], Awaitable[Any]]) -> Any:
        return await self._worker.waits(what, do, StoreUnavailable("the database is away"))


class _Source:
    """The part of a source that a committer needs."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker

    async def commit(self, offsets: Mapping[Partition, int]) -> None:
        await self._worker.waits("commit", lambda: self._committed(offsets), BrokerUnavailable("unknown"))

    async def _committed(self, offsets: Mapping[Partition, int]) -> None:
        topic, ours = self._worker.world.topic, self._worker.positions
        for partition, offset in offsets.items():
            if partition in ours:
                topic.committed[partition] = offset

    async def poll(self, max_records: int, timeout_s: float) -> Sequence[Delivery]:
        return ()

    async def pause(self, partitions: Sequence[Partition]) -> None: ...

    async def resume(self, partitions: Sequence[Partition]) -> None: ...


class _Nothing:
    def expect_nothing(self, thread_id: str) -> None: ...

    def forget(self, thread_id: str) -> None: ...


def _outcome(_: WorkflowEvent, state: Mapping[str, Any]) -> Outcome:
    if state["fails"]:
        return Failed("permanent", "it is broken", ValueError("broken"))
    return Succeeded(dict(state))


def _appending(topic: list[bytes], record: bytes) -> Callable[[], Awaitable[None]]:
    async def append() -> None:
        topic.append(record)

    return append


async def _nothing() -> None: ...


async def _ignoring_errors(call: Awaitable[object]) -> None:
    try:
        await call
    except StoreUnavailable:
        return

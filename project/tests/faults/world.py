"""A world in which every step of the pipeline waits for a word: go on, fail, or fail after it was done.

The pipeline is the real one; the broker, the database's clock and time itself are ours. Nothing happens by
itself, so a history can be played again and made smaller.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, Literal
from uuid import UUID

from langgraph_integration.pipeline.attempts import Attempts
from langgraph_integration.pipeline.committer import Committer
from langgraph_integration.pipeline.delivery import Delivery, Partition
from langgraph_integration.pipeline.dispatcher import Dispatcher
from langgraph_integration.pipeline.gate import IntakeGate
from langgraph_integration.pipeline.handler import EventHandler
from langgraph_integration.pipeline.leases import LeaseKeeper
from langgraph_integration.pipeline.ledger import (
    Ask,
    Claim,
    Lease,
    LeaseState,
    Position,
    RunLedger,
    StoredVerdict,
)
from langgraph_integration.pipeline.limit import DeadLetterLimit
from langgraph_integration.pipeline.offsets import OffsetTracker
from langgraph_integration.pipeline.outcome import Failed, Outcome, Succeeded
from langgraph_integration.pipeline.run_context import Drained, current_run
from langgraph_integration.pipeline.slots import Slots
from langgraph_integration.retry import RetryConfig
from langgraph_integration.store import MemoryDatabase
from langgraph_integration.store.ledger import StoreLedger
from langgraph_integration.store.memory import MemoryBackend
from langgraph_integration.store.runs import RunRow
from tests.langgraph_integration.memory_source import MemoryTopic
from workflow_events import WorkflowEvent, WorkflowResultEvent
from workflow_events.codec import decode_result
from workflow_events.errors import BrokerUnavailable, StoreUnavailable
from workflow_events.ids import id_text

How = Literal["done", "refused", "unknown", "late"]
"""What becomes of a step: it is done; it is not, and an error is told; it is, and an error is told; or it is,
and the answer is a step of its own.
"""

LEASE_S = 30.0

WAIT_S = LEASE_S + 10.0
"""Before a retry: written down, and longer than the lease of whoever dies meanwhile."""


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


class Rows(dict[str, RunRow]):
    """The runs, and until when each lease of theirs was told to last."""

    def __init__(self) -> None:
        super().__init__()
        self.lease_ends: dict[tuple[str, int], int] = {}

    def __setitem__(self, event_id: str, row: RunRow) -> None:
        self.lease_ends[event_id, row.epoch] = row.lease_until
        super().__setitem__(event_id, row)


class Database(MemoryDatabase):
    """With the loop's clock."""

    def __init__(self, loop: OwnTime) -> None:
        super().__init__()
        self._loop = loop
        self.rows = Rows()
        self.runs = self.rows

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
        """How often an event may have run for another reason than that it was asked for."""
        self.early: list[UUID] = []
        """What ran before its wait was over."""
        self.lapsed: set[tuple[str, int]] = set()
        """Leases that ended under a live run: event id and epoch."""
        self.asked: list[tuple[Partition, int, UUID, int]] = []
        self.steps: list[Step] = []
        self._tasks: list[asyncio.Task[object]] = []
        self.workers: list[Worker] = []
        """All that ever lived: a task of the dead that nobody keeps is collected, and cleans up first."""

    def decoded(self) -> list[WorkflowResultEvent]:
        return [decode_result(value) for value in self.results]

    def begin(self, what: Coroutine[Any, Any, object]) -> None:
        """Start a task, and keep it."""
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
        if how == "late":
            self.steps.append(replace(step, what=f"answer to {step.what}", do=_giving(value)))
        elif how == "done":
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
    """One process: the real dispatcher, handler, keeper, tracker and committer over ports that wait."""

    def __init__(self, world: World, name: str) -> None:
        self.world = world
        world.workers.append(self)
        self.name = name
        self.alive = True
        self.taking = True
        self.positions: dict[Partition, int] = {}
        self._generation = 0
        self._asks: asyncio.Future[Sequence[Delivery]] | None = None
        self.tracker = OffsetTracker(clock=world.loop.time)
        self.gate = IntakeGate()
        ledger = _Ledger(
            self,
            StoreLedger(
                MemoryBackend(world.database), _Nothing(), owner=name, lease_time=timedelta(seconds=LEASE_S)
            ),
        )
        self.ledger: RunLedger = ledger
        attempts = Attempts(
            processor=lambda: self,
            retry_config=lambda: RetryConfig(
                max_retries=2, initial_delay=WAIT_S, exponential_base=1, jitter=False
            ),
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
        source = _Source(self)
        self.keeper = LeaseKeeper(ledger, self.handler.live, self.gate, lease_time_s=LEASE_S)
        self.committer = Committer(source, self.tracker, self.gate)
        self.dispatcher = Dispatcher(
            source,
            self.handler,
            slots=Slots(100),
            gate=self.gate,
            limit=DeadLetterLimit("0"),
            tracker=self.tracker,
            committer=self.committer,
            max_poll_records=100,
        )
        world.begin(self.dispatcher.take(lambda: self.alive and self.taking))

    def assign(self, partitions: Sequence[Partition]) -> None:
        """Own these partitions, from their committed offsets on; what runs of others is handed over."""
        self._generation += 1
        self.positions = {each: self.world.topic.committed[each] for each in partitions}
        for event_id, run in self.handler.live.items():
            if Partition(run.position.topic, run.position.partition) not in self.positions:
                self.world.excuses[event_id] += 1
        self.world.begin(self.dispatcher.partitions_assigned(list(partitions), self._generation))
        self.world.loop.settle()

    def revoke(self, how: How) -> None:
        """Own none for the moment, after a commit that ends like that."""
        before = list(self.world.steps)
        self.world.begin(self.dispatcher.partitions_revoked(list(self.positions)))
        self.world.loop.settle()
        for step in [each for each in self.world.steps if each not in before]:
            if step.worker is self and step.what == "commit":
                self.world.resolve(step, how)
        self.positions = {}

    def poll(self) -> None:
        """Take the next record of each partition, if any are wanted."""
        asks, self._asks = self._asks, None
        if asks is not None and not asks.done():
            asks.set_result([self._next(partition) for partition in self._with_records()])
        self.world.loop.settle()

    def _with_records(self) -> list[Partition]:
        topic = self.world.topic
        return [partition for partition, offset in self.positions.items() if topic.read(partition, offset, 1)]

    def _next(self, partition: Partition) -> Delivery:
        ((number, record),) = self.world.topic.read(partition, self.positions[partition], 1)
        self.positions[partition] = number + 1
        position = Position(partition.topic, partition.number, number)
        return Delivery(
            position, record.key, record.value, record.timestamp_ms, self._generation, record.headers
        )

    async def wanted(self) -> Sequence[Delivery]:
        """What the next `poll` takes."""
        self._asks = self.world.loop.create_future()
        return await self._asks

    def stop(self, how: How) -> None:
        """End in good order: what does not come to its end at once is drained, then cancelled."""
        self.taking = False
        self._excuse()
        self.world.begin(self._stop())
        self.world.loop.turn(1.0)
        self.revoke(how)

    async def _stop(self) -> None:
        await self.dispatcher.drain(0.5)
        self._excuse()
        await self.dispatcher.abandon()

    def _excuse(self) -> None:
        """What runs here now may run again."""
        for event_id in self.handler.live:
            self.world.excuses[event_id] += 1

    def commit(self) -> None:
        """Want to commit what is settled."""
        self.world.begin(self.committer.commit_ready())
        self.world.loop.settle()

    def renew(self) -> None:
        """Extend the leases of what runs here, and end what has lost its own."""
        self.world.begin(_ignoring_errors(self.keeper.renew()))
        self.world.loop.settle()

    def excuse_lapsed(self) -> None:
        """Whoever runs here under a lease that has lapsed may find that somebody else runs it, too: once for
        each lease.
        """
        for event_id, run in self.handler.live.items():
            lease = (id_text(event_id), run.lease.epoch)
            # somebody who has it before that end has taken it too early
            over = self.world.database.rows.lease_ends[lease] <= self.world.database.now()
            if over and lease not in self.world.lapsed:
                self.world.lapsed.add(lease)
                self.world.excuses[event_id] += 1

    def crash(self) -> None:
        """Gone: nothing of it happens any more."""
        self.alive = False
        self.positions.clear()
        self._excuse()
        self.world.steps = [step for step in self.world.steps if step.worker is not self]

    async def waits(self, what: str, do: Callable[[], Awaitable[Any]], error: Exception) -> Any:
        """The step's value, once the world lets it happen; for ever if this worker is dead."""
        step = Step(self, what, do, error, self.world.loop.create_future())
        if self.alive:
            self.world.steps.append(step)
        return await step.future

    async def process_workflow_event(self, event: WorkflowEvent) -> dict[str, Any]:
        """The graph: one step that counts, and is undone where the run is drained meanwhile."""
        if not self.alive:
            # its clock goes on here, and ends a wait that has nobody any more
            await _for_ever()
        self.world.executions[event.event_id] += 1
        if self._is_early(event.event_id):
            self.world.early.append(event.event_id)
        asked_to_stop: list[str] = []
        context = current_run.get()
        assert context is not None
        context.on_drain(asked_to_stop.append)
        try:
            state: dict[str, Any] = await self.waits("run", _nothing, ConnectionError("the model is away"))
        except ConnectionError:
            self.world.excuses[event.event_id] += 1
            raise
        if asked_to_stop:
            raise Drained(asked_to_stop[0])
        return state or {"answer": 42, "fails": event.payload.data["fails"]}

    def _is_early(self, event_id: UUID) -> bool:
        """Whether the ledger says that this owner has to wait before the next try."""
        row, run = self.world.database.find_run(id_text(event_id)), self.handler.live.get(event_id)
        ours = row is not None and run is not None and row.epoch == run.lease.epoch
        return ours and row is not None and row.retry_at > self.world.database.now()

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
    """A source whose polls and commits wait."""

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
        return await self._worker.wanted() if max_records else ()

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


def _giving(value: object) -> Callable[[], Awaitable[object]]:
    async def give() -> object:
        return value

    return give


async def _nothing() -> None: ...


async def _for_ever() -> None:
    await asyncio.get_running_loop().create_future()


async def _ignoring_errors(call: Awaitable[object]) -> None:
    try:
        await call
    except StoreUnavailable:
        return

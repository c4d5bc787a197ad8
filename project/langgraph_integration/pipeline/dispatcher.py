"""Dispatcher: takes deliveries, at most so many at once, and brings each to its settled offset."""

import asyncio
import functools
import logging
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress

from langgraph_integration.pipeline.committer import Committer
from langgraph_integration.pipeline.delivery import Delivery, Partition
from langgraph_integration.pipeline.gate import IntakeGate
from langgraph_integration.pipeline.handler import EventHandler
from langgraph_integration.pipeline.limit import DeadLetterLimit
from langgraph_integration.pipeline.offsets import OffsetTracker
from langgraph_integration.pipeline.pace import StartPace
from langgraph_integration.pipeline.ports import EventSource
from langgraph_integration.pipeline.run_context import Drained
from langgraph_integration.pipeline.slots import OneSlot, Slots
from langgraph_integration.pipeline.status import CONSUME_HOLD
from workflow_events.errors import BrokerUnavailable

log = logging.getLogger(__name__)

MAX_UNSETTLED_PER_PARTITION = 500
"""Above this a partition is paused until half of it is settled."""

_POLL_S = 0.2
_STEP_S = 1.0
_KEEP_ALIVE_S = 1.0
_ABANDON_S = 1.0


class Dispatcher:
    """The loop between a source and a handler.

    Records that were polled and not started are bounded by the number of slots; a partition with too
    many unsettled offsets is paused. `take` runs while it is wanted, `drain` lets
    what was started come to its end.
    """

    def __init__(
        self,
        source: EventSource,
        handler: EventHandler,
        *,
        slots: Slots,
        gate: IntakeGate,
        limit: DeadLetterLimit,
        tracker: OffsetTracker,
        committer: Committer,
        max_poll_records: int,
        again_s: float = 30.0,
    ) -> None:
        self._source = source
        self._handler = handler
        self._slots = slots
        self._gate = gate
        self._limit = limit
        self._tracker = tracker
        self._committer = committer
        self._max_poll_records = max_poll_records
        self._again_s = again_s
        self._waiting: deque[Delivery] = deque()
        self._running: dict[asyncio.Task[None], Delivery] = {}
        self._paused: set[Partition] = set()
        self._lingering: set[OneSlot] = set()
        self._taking = False
        self._fetch: asyncio.Task[None] | None = None
        self._pace = StartPace()
        self._turn: asyncio.Handle | None = None
        self._run_ended = asyncio.Event()
        self._polled_at = 0.0

    @property
    def in_flight(self) -> int:
        """Deliveries that were started and are not settled."""
        return len(self._running)

    @property
    def waiting(self) -> int:
        """Deliveries that were polled and not started."""
        return len(self._waiting)

    @property
    def undecided(self) -> int:
        """Places of runs that may still become dead letters; a thread that outlives its run keeps its own."""
        return self._slots.taken - len(self._lingering)

    @property
    def overdue_threads(self) -> int:
        """Synchronous nodes that go on although their run has ended; each keeps a slot."""
        between_tries = sum(run.overdue_threads for run in list(self._handler.live.values()))
        return between_tries + sum(len(slot.threads) for slot in list(self._lingering))

    async def take(self, wanted: Callable[[], bool]) -> None:
        """Take and start deliveries while `wanted()`; runs that were started go on when this returns."""
        self._taking = True
        try:
            while wanted():
                await self._step()
        finally:
            self._taking = False

    async def _step(self) -> None:
        self._start_waiting()
        room = self._room()
        self._run_ended.clear()
        # full or held: only keep the membership alive, now and then
        due = room > 0 or time.monotonic() - self._polled_at > _KEEP_ALIVE_S
        if due and (self._fetch is None or self._fetch.done()):
            self._fetch = asyncio.create_task(self._fetch_some(room), name="fetch")
        # a record that was polled must be admitted, or its offset would be passed over: never cancel a fetch,
        # nor wait for one that the broker does not answer: whoever wants us to end must not wait for it
        if room and self._fetch is not None:
            await asyncio.wait({self._fetch}, timeout=_STEP_S)
        else:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._run_ended.wait(), _POLL_S)
        if self._fetch is not None and self._fetch.done():
            self._fetch.result()

    async def _fetch_some(self, room: int) -> None:
        for delivery in await self._poll(room):
            if self._tracker.admit(delivery.position, delivery.generation):
                self._waiting.append(delivery)
        await self._balance_partitions()

    def _room(self) -> int:
        """How many records may be polled now."""
        if CONSUME_HOLD in self._gate.reasons:
            # only a poll can tell that the broker is back
            return 1
        if not self._gate.is_open or self._limit.tripped:
            return 0 if self._waiting or not self._limit.may_start(self.undecided) else 1
        if len(self._waiting) > self._slots.limit // 2:
            # few large polls: each one crosses to the Kafka thread
            return 0
        return min(self._max_poll_records, self._slots.limit - len(self._waiting))

    async def _poll(self, max_records: int) -> Sequence[Delivery]:
        try:
            records = await self._source.poll(max_records, _POLL_S if max_records else 0.0)
        except BrokerUnavailable as error:
            self._gate.hold(CONSUME_HOLD, error)
            await asyncio.sleep(1.0)
            return ()
        self._polled_at = time.monotonic()
        if max_records:
            self._gate.release(CONSUME_HOLD)
        return records

    def _start_waiting(self) -> None:
        """Start what waits, as many as the pace allows; the rest follows in the next turns of the loop."""
        if self._turn is not None:
            return
        left = self._pace.starts
        while left and self._may_start():
            self._start(self._waiting.popleft())
            left -= 1
        if self._waiting and not left:
            self._turn = asyncio.get_running_loop().call_soon(self._next_turn, time.monotonic())

    def _may_start(self) -> bool:
        while self._waiting and not self._owns(self._waiting[0]):
            self._waiting.popleft()
        return bool(
            self._waiting
            and self._slots.free > 0
            and self._gate.is_open
            and self._limit.allows(self.undecided)
        )

    def _owns(self, delivery: Delivery) -> bool:
        return self._tracker.owns(delivery.position, delivery.generation)

    def _next_turn(self, began: float) -> None:
        self._turn = None
        self._pace.turned(time.monotonic() - began)
        if self._taking:
            self._start_waiting()

    def _start(self, delivery: Delivery) -> None:
        # the place is taken here, not when the task begins: more would be started than there are places
        slot = OneSlot(self._slots)
        name = f"delivery-{delivery.position.offset}"
        task = asyncio.create_task(self._bring_to_end(delivery, slot), name=name)
        self._running[task] = delivery
        task.add_done_callback(functools.partial(self._ended, slot, self._limit.counted))

    def _ended(self, slot: OneSlot, counted: int, task: "asyncio.Task[None]") -> None:
        slot.free()
        self._limit.over(counted)
        delivery = self._running.pop(task)
        self._run_ended.set()
        if task.cancelled():
            # not by us, or nothing would be taken any more: the record is ours as long as it is not settled
            if self._taking and self._owns(delivery):
                self._waiting.append(delivery)
        elif (error := task.exception()) is not None:
            # a fault of ours: the record is kept, and handled again until it succeeds or somebody mends it
            log.error("delivery handler failed", exc_info=error, extra={"action": "handler_failed"})
            task.get_loop().call_later(self._again_s, lambda: self._waiting.append(delivery))
        if self._taking:
            self._start_waiting()

    async def _bring_to_end(self, delivery: Delivery, slot: OneSlot) -> None:
        try:
            await self._handler.handle(delivery, slot)
            self._tracker.settle(delivery.position, delivery.generation)
        except Drained as drained:
            log.info(
                "run given back: %s", drained, extra={"action": "drained", "offset": delivery.position.offset}
            )
        finally:
            self._lingering.add(slot)
            try:
                await slot.close()
            finally:
                self._lingering.discard(slot)

    async def _balance_partitions(self) -> None:
        """Pause partitions with too many unsettled offsets, resume those that have caught up by half."""
        ours = self._tracker.partitions
        full = {each for each in ours if self._tracker.unsettled(each) >= MAX_UNSETTLED_PER_PARTITION}
        ready = {
            each for each in self._paused if self._tracker.unsettled(each) <= MAX_UNSETTLED_PER_PARTITION // 2
        }
        try:
            if full - self._paused:
                await self._source.pause(sorted(full - self._paused, key=lambda each: each.number))
            if ready:
                await self._source.resume(sorted(ready, key=lambda each: each.number))
        except BrokerUnavailable as error:
            self._gate.hold(CONSUME_HOLD, error)
            return
        self._paused = (self._paused | full) - ready

    async def partitions_assigned(self, partitions: Sequence[Partition], generation: int) -> None:
        """Begin to count their offsets, and hand over the runs of partitions that did not come back.

        A rebalance of the eager protocol revokes everything, and most of it returns at once: only now is it
        known what left. Those runs stop at their next super-step and give their lease back; until then the
        lease keeps the new owner waiting.
        """
        for partition in partitions:
            self._tracker.assign(partition, generation)
        returned = set(partitions)
        self._request_drain("revoked", lambda partition: partition not in returned)

    async def partitions_revoked(self, partitions: Sequence[Partition]) -> None:
        """Stop starting, and commit what is settled. Runs in flight go on under their leases."""
        leaving = set(partitions)
        self._waiting = deque(each for each in self._waiting if each.partition not in leaving)
        generations = {each: self._tracker.generation(each) for each in leaving}
        await self._committer.commit_ready(quiet=True)
        for partition in leaving:
            # it may have come back while the commit waited for its answer
            if self._tracker.generation(partition) == generations[partition]:
                self._tracker.forget(partition)
                self._paused.discard(partition)

    def _request_drain(self, reason: str, leaves: Callable[[Partition], bool]) -> None:
        for run in self._handler.live.values():
            if leaves(Partition(run.position.topic, run.position.partition)):
                run.request_drain(reason)

    async def drain(self, budget_s: float) -> int:
        """Let runs end; ask them to stop at the next super-step when half of the budget is over.

        Returns how many still run after the budget.
        """
        self._handler.stop_waiting()
        left: set[asyncio.Task[None]] = set(self._running)
        if left:
            _, left = await asyncio.wait(left, timeout=budget_s / 2)
        if left:
            self._request_drain("stop", lambda _: True)
            _, left = await asyncio.wait(left, timeout=budget_s / 2)
        return len(left)

    async def abandon(self) -> None:
        """Cancel what still runs. The leases are given back where the store answers."""
        self._waiting.clear()
        tasks = list(self._running)
        for run in self._handler.live.values():
            run.given_up.set()
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=_ABANDON_S)

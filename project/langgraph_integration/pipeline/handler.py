"""EventHandler: one delivery in, its verdict durable and published when the call returns."""

import asyncio
import logging
import time
from collections.abc import Coroutine, Mapping
from concurrent.futures import Future
from dataclasses import replace
from typing import Any, Protocol, assert_never
from uuid import UUID

from langgraph_integration.pipeline.asked import Asked, read
from langgraph_integration.pipeline.attempts import Attempts, Slot
from langgraph_integration.pipeline.delivery import Delivery
from langgraph_integration.pipeline.faults import reached
from langgraph_integration.pipeline.gate import IntakeGate
from langgraph_integration.pipeline.happenings import Observer, RecordIgnored
from langgraph_integration.pipeline.ledger import (
    Busy,
    Conflict,
    Granted,
    Lease,
    RunLedger,
    Settled,
    StoredVerdict,
)
from langgraph_integration.pipeline.live import LiveRun
from langgraph_integration.pipeline.outcome import Failed, Outcome
from langgraph_integration.pipeline.ports import VerdictSink
from langgraph_integration.pipeline.publisher import Publisher
from langgraph_integration.pipeline.run_context import Drained
from langgraph_integration.pipeline.solitude import TRUSTED_CLAIMS, Solitude
from langgraph_integration.pipeline.trace import TraceContext, current_trace
from workflow_events import EventType
from workflow_events.errors import InvalidRecord, LeaseLost

log = logging.getLogger(__name__)

_RELEASE_S = 0.8
_BUSY_POLL_S = 1.0


class RunSlot(Slot, Protocol):
    """The slot a delivery runs in; it is kept while threads of the run go on."""

    @property
    def threads(self) -> set["Future[Any]"]:
        """Synchronous nodes that still run."""

    async def take_again(self) -> None:
        """Wait for a place, if the delivery has none: a wait without one was broken off."""


class EventHandler:
    """Decodes, claims, runs, stores the verdict, publishes it. Returns only when the offset may be settled.

    Raises `Drained` and `CancelledError` when the run was given up in good order: the record is not
    settled then, and whoever gets it next goes on from the checkpoint.
    """

    def __init__(
        self,
        *,
        attempts: Attempts,
        ledger: RunLedger,
        sink: VerdictSink,
        gate: IntakeGate,
        max_event_bytes: int,
        observe: Observer,
    ) -> None:
        self._attempts = attempts
        self._ledger = ledger
        self._gate = gate
        self._max_event_bytes = max_event_bytes
        self._observe = observe
        self._publisher = Publisher(ledger, sink, gate, max_event_bytes=max_event_bytes, observe=observe)
        self._live: dict[UUID, LiveRun] = {}
        self._suspects = asyncio.Semaphore(1)
        self._stopping = asyncio.Event()

    @property
    def live(self) -> Mapping[UUID, LiveRun]:
        """The runs this process holds, by event id."""
        return self._live

    @property
    def unconfirmed(self) -> int:
        """Verdicts that were being published when their delivery was abandoned: sent or not, nobody knows."""
        return self._publisher.unconfirmed

    async def handle(self, delivery: Delivery, slot: RunSlot) -> None:
        """Bring one delivery to its end; see the class."""
        asked = read(delivery, max_bytes=self._max_event_bytes)
        current_trace.set(TraceContext.of(asked.headers))
        if asked.event is not None and asked.event.event_type is not EventType.WORKFLOW_TRIGGERED:
            self._observe(RecordIgnored(f"event type {asked.event.event_type.value}"))
        elif asked.event_id is None:
            await self._publisher.refuse(delivery, asked, _invalid(asked))
        else:
            await self._claim_and_run(delivery, asked, asked.event_id, slot)

    def stop_waiting(self) -> None:
        """Give deliveries back that wait for a run of somebody else: they hold nothing to be finished."""
        self._stopping.set()

    async def _wait_for(self, event: Coroutine[Any, Any, Any]) -> None:
        waits = {asyncio.ensure_future(event), asyncio.ensure_future(self._stopping.wait())}
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
        if self._stopping.is_set():
            raise Drained("stop")

    async def _claim_and_run(self, delivery: Delivery, asked: Asked, event_id: UUID, slot: RunSlot) -> None:
        async with Solitude(self._suspects) as solitude:
            while not await self._claimed_and_ended(delivery, asked, event_id, slot, solitude):
                await slot.take_again()

    async def _claimed_and_ended(
        self, delivery: Delivery, asked: Asked, event_id: UUID, slot: RunSlot, solitude: Solitude
    ) -> bool:
        """Ask for the run once, and do what the answer says. False if it must be asked again."""
        ask = asked.ask(delivery)
        live = self._live.get(event_id)
        if live is not None and live.position == delivery.position:
            # redelivered after a rebalance while the run goes on here
            await self._finished_here(live, slot)
        claim = await self._gate.insist("store", lambda: self._ledger.claim(ask))
        match claim:
            case Granted():
                reached("after-claim")
                return await self._run_granted(delivery, asked, claim, slot, solitude)
            case Settled(published=False, repeat=False) if here := self._live.get(event_id):
                # about to be published
                await self._finished_here(here, slot)
            case Settled():
                return await self._answer_again(delivery, asked, claim, ask.attempt)
            case Busy(same_record=False):
                if live is not None:
                    live.raise_to(claim.attempt, ask.deadline_ms)
                self._observe(RecordIgnored("absorbed by the live run"))
                return True
            case Busy() if here := self._live.get(event_id):
                await self._finished_here(here, slot)
            case Busy():
                async with slot.given_back():
                    left_s = claim.lease_left.total_seconds() + 0.01
                    await self._wait_for(asyncio.sleep(min(left_s, _BUSY_POLL_S)))
            case Conflict():
                # not the record: each grant may name another one, and a dead letter's bytes must not change
                text = f"event id {event_id} is known with another payload"
                log.warning("%s, that of %s", text, claim.record, extra={"action": "conflict"})
                conflict = Failed("conflict", text, InvalidRecord(text))
                await self._publisher.refuse(delivery, replace(asked, conflict=True), conflict)
                return True
            case _:
                assert_never(claim)
        return False

    async def _run_granted(
        self, delivery: Delivery, asked: Asked, granted: Granted, slot: RunSlot, solitude: Solitude
    ) -> bool:
        if granted.claims > TRUSTED_CLAIMS and not await solitude.taken_at_once():
            # given back while it waits, or the next end of the process would count against it
            await self._release(granted.lease)
            async with slot.given_back():
                await self._wait_for(solitude.take())
            return False
        return await self._own(delivery, asked, granted, slot)

    async def _finished_here(self, live: LiveRun, slot: RunSlot) -> None:
        """Wait without a slot for a run of this process to be published or given up."""
        async with slot.given_back():
            await self._wait_for(live.finished.wait())

    async def _own(self, delivery: Delivery, asked: Asked, granted: Granted, slot: RunSlot) -> bool:
        """Run under the lease. False if the lease was lost on the way and the claim must be asked again."""
        began = time.monotonic()
        live = LiveRun(granted.lease, delivery.position, granted.attempt, granted.deadline_ms, slot.threads)
        self._list(live)
        published = False
        try:
            event, attempts = asked.event, self._attempts
            outcome: Outcome = (
                await attempts.outcome(event, granted, live, slot) if event else _invalid(asked)
            )
            live.settling = True
            reached("before-finish")
            verdict = await self._store(delivery, asked, live, outcome)
            reached("after-finish")
            verdict = await self._publisher.publish(live.lease, verdict, delivery, asked)
            published = True
        except LeaseLost:
            log.warning("lease lost", extra={"action": "lease_lost", "event_id": str(live.lease.event_id)})
            return False
        except asyncio.CancelledError:
            if live.lost and (task := asyncio.current_task()) is not None and task.cancelling() == 1:
                task.uncancel()
                return False
            raise
        finally:
            await self._let_go(live, published=published)
        self._publisher.tell(live.lease.event_id, verdict, time.monotonic() - began if asked.event else 0.0)
        return True

    async def _store(
        self, delivery: Delivery, asked: Asked, live: LiveRun, outcome: Outcome
    ) -> StoredVerdict:
        attempt = live.attempt
        while True:
            verdict = self._publisher.write(delivery, asked, attempt, outcome)
            current = await self._gate.insist("store", lambda v=verdict: self._ledger.finish(live.lease, v))  # type: ignore[misc]  # mypy cannot infer a default argument
            if current <= attempt:
                return verdict
            attempt = current

    async def _answer_again(self, delivery: Delivery, asked: Asked, settled: Settled, attempt: int) -> bool:
        """Publish what is owed. False if it is no answer to this attempt, which must be asked for again."""
        if settled.published and not settled.repeat:
            answered = settled.verdict.answers(attempt)
            if answered:
                self._observe(RecordIgnored("redelivered after its verdict"))
            return answered
        # all of it, byte for byte: whether the earlier publication got through is not certain. Listed
        # as a run that is over: its lease is renewed, and others who ask for the event here wait for it
        live = LiveRun(settled.lease, delivery.position, settled.verdict.attempt, None, set())
        live.settling = True
        self._list(live)
        published = False
        try:
            verdict = await self._publisher.publish(
                settled.lease, settled.verdict, delivery, asked, sent_before=True
            )
            published = True
        finally:
            await self._let_go(live, published=published)
        self._publisher.tell(asked.event_id, verdict, 0.0)
        return verdict.answers(attempt)

    def _list(self, live: LiveRun) -> None:
        if (older := self._live.get(live.lease.event_id)) and not older.settling:
            # its lease lapsed and came to us again: the keeper would tell this one of it, and not that one
            older.lose()
        self._live[live.lease.event_id] = live

    async def _let_go(self, live: LiveRun, *, published: bool) -> None:
        # from here on a renewal that misses the row is no news: it would cancel the release
        live.settling = True
        try:
            if not published and not live.lost:
                await self._release(live.lease)
        finally:
            if self._live.get(live.lease.event_id) is live:
                # a lease that lapsed while the loop was blocked may have been granted anew meanwhile
                del self._live[live.lease.event_id]
            live.close()

    async def _release(self, lease: Lease) -> None:
        """Give the lease back if the store answers soon; otherwise it lapses by itself."""
        task = asyncio.ensure_future(self._ledger.release(lease))
        done, _ = await asyncio.wait({task}, timeout=_RELEASE_S)
        if not done:
            task.cancel()
        elif task.exception() is not None:
            log.info("lease left to lapse: %s", task.exception(), extra={"action": "lease_left"})


def _invalid(asked: Asked) -> Failed:
    cause = asked.error or InvalidRecord("not readable")
    return Failed("invalid", f"Invalid event: {cause}", cause)

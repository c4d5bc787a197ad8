"""Attempts: the tries of one attempt, from the first to the outcome."""

import asyncio
import logging
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager, nullcontext
from datetime import timedelta
from typing import Any, Protocol

from langgraph_integration.pipeline.gate import IntakeGate
from langgraph_integration.pipeline.happenings import Observer, RetryPlanned, RunStarted
from langgraph_integration.pipeline.ledger import Granted, RunLedger
from langgraph_integration.pipeline.live import LiveRun
from langgraph_integration.pipeline.outcome import Failed, Outcome
from langgraph_integration.pipeline.ports import Processor
from langgraph_integration.pipeline.run_context import Drained, running
from langgraph_integration.retry import RetryConfig, is_transient_error, wait_before_retry
from workflow_events import WorkflowEvent
from workflow_events.errors import (
    InfrastructureError,
    LeaseLost,
    NotJson,
    UnknownGraph,
    WorkflowFailed,
    WorkflowTimeout,
)
from workflow_events.ids import id_text

log = logging.getLogger(__name__)

_HELD_S = 0.5
PERSISTED_WAIT_S = 5.0
"""Waits from here on are written to the ledger and give their slot back."""

ToOutcome = Callable[[WorkflowEvent, Mapping[str, Any]], Outcome]


class Slot(Protocol):
    """One of the limited places for runs."""

    @property
    def waited(self) -> bool:
        """Whether others may have had the place since the delivery was let through."""

    def given_back(self) -> AbstractAsyncContextManager[None]:
        """Let others use the place while the body waits."""


class Attempts:
    """Runs an event under retries until it has an outcome.

    The processor and the retry settings are looked up for every try, so that a caller may replace or
    wrap them. Tries that come after a long wait, in which others had the place, ask `may_try`: more wait than
    run at once, and after a bad deploy all of them would fail for good.
    """

    def __init__(
        self,
        *,
        processor: Callable[[], Processor],
        retry_config: Callable[[], RetryConfig],
        to_outcome: ToOutcome,
        ledger: RunLedger,
        gate: IntakeGate,
        max_claims: int,
        observe: Observer,
        may_try: Callable[[], bool] = lambda: True,
        long_wait_s: float = PERSISTED_WAIT_S,
        thread_patience_s: float = 600.0,
    ) -> None:
        self._processor = processor
        self._retry_config = retry_config
        self._to_outcome = to_outcome
        self._ledger = ledger
        self._gate = gate
        self._max_claims = max_claims
        self._observe = observe
        self._may_try = may_try
        self._long_wait_s = long_wait_s
        self._thread_patience_s = thread_patience_s

    async def outcome(self, event: WorkflowEvent, granted: Granted, live: LiveRun, slot: Slot) -> Outcome:
        """How the run ended. Raises `Drained` and `LeaseLost`; the run can go on from its checkpoint then."""
        if granted.claims > self._max_claims:
            return _crash_loop(granted)
        retries = granted.retry_count
        fresh = not granted.resumed
        if granted.retry_in > timedelta(0):
            async with slot.given_back():
                await live.wait(granted.retry_in.total_seconds())
        if slot.waited:
            await self._held(live, slot)
        try:
            return await self._tries(event, granted, live, slot, fresh, retries)
        finally:
            self._gate.release("run", by=live)

    async def _tries(
        self, event: WorkflowEvent, granted: Granted, live: LiveRun, slot: Slot, fresh: bool, retries: int
    ) -> Outcome:
        while True:
            if live.deadline_passed():
                return _deadline(retries)
            self._observe(
                RunStarted(
                    id_text(event.event_id), takeover=granted.resumed and retries == granted.retry_count
                )
            )
            try:
                return await self._one_try(event, live, fresh)
            except LeaseLost:
                raise
            except InfrastructureError as error:
                await self._wait_for_infrastructure(error, live)
            except Drained:
                if live.handed_over:
                    raise
            except Exception as error:  # noqa: BLE001 - a graph may raise anything; here it is decided
                failed = self._final(error, retries)
                if failed is None and not await self._before_retry(event, error, retries, live, slot):
                    failed = _stuck(error, retries)
                if failed is not None:
                    return failed
                retries += 1
            fresh = False

    async def _one_try(self, event: WorkflowEvent, live: LiveRun, fresh: bool) -> Outcome:
        context = live.next_try(fresh=fresh)
        context.patience = lambda call: self._gate.insist("run", call, given_up=live.given_up)
        with running(context):
            try:
                state: object = await self._processor().process_workflow_event(event)
            except asyncio.CancelledError as error:
                if (task := asyncio.current_task()) is not None and task.cancelling():
                    raise
                # nobody cancelled us: something inside the graph was cancelled and not caught there
                raise WorkflowFailed("the workflow was cancelled from within") from error
        self._gate.release("run", by=live)
        if not isinstance(state, Mapping):
            raise WorkflowFailed(f"process_workflow_event returned {type(state).__name__}, not a state")
        return self._to_outcome(event, state)

    async def _wait_for_infrastructure(self, error: InfrastructureError, live: LiveRun) -> None:
        self._gate.hold("run", error, by=live)
        await live.wait(1.0)

    def _final(self, error: Exception, retries: int) -> Failed | None:
        """The outcome if no retry follows, else None."""
        text = str(error) or type(error).__name__
        message = f"Processing failed after retries: {text}"
        if isinstance(error, UnknownGraph):
            return Failed("invalid", f"Invalid event: {text}", error)
        if isinstance(error, NotJson):
            return Failed("result-invalid", message, error, retries)
        if not is_transient_error(error):
            return Failed("permanent", message, error, retries)
        if retries < self._retry_config().max_retries:
            return None
        return Failed(
            "timeout" if isinstance(error, WorkflowTimeout) else "retries-exhausted", message, error, retries
        )

    async def _before_retry(
        self, event: WorkflowEvent, error: Exception, retries: int, live: LiveRun, slot: Slot
    ) -> bool:
        """Wait, also for the threads of the try that is over. False if they outlive this patience, too."""
        delay_s = wait_before_retry(self._retry_config(), retries, error)
        log.warning(
            "retry in %.1f s: %s: %s",
            delay_s,
            type(error).__name__,
            error,
            extra={"action": "retry_planned", "event_id": str(event.event_id), "retry": retries + 1},
        )
        self._observe(RetryPlanned(str(event.event_id), type(error).__name__, delay_s))
        live.between_tries = True
        try:
            if delay_s >= self._long_wait_s:
                wait = timedelta(seconds=delay_s)
                await self._gate.insist(
                    "store", lambda: self._ledger.schedule_retry(live.lease, retries + 1, wait)
                )
            # a thread of the try that is over keeps the place
            long = delay_s >= self._long_wait_s and not live.has_threads
            async with slot.given_back() if long else nullcontext():
                await live.wait(delay_s)
            if long:
                await self._held(live, slot)
        except BaseException:
            # a synchronous node cannot be stopped: a second one beside it, with whoever gets the lease next,
            # would write the same thread
            await live.threads_ended()
            raise
        else:
            # and here as well, but somebody waits for a verdict
            patience_s = max(live.limit_s or 0.0, self._thread_patience_s)
            return await live.threads_ended(patience_s) or live.deadline_passed()
        finally:
            live.between_tries = False

    async def _held(self, live: LiveRun, slot: Slot) -> None:
        """Wait until a try may be made. Asked with the place taken: as many as there are places may ask."""
        # past its deadline nothing waits any more: the loop would never sleep
        while not live.deadline_passed() and not self._may_try():
            async with slot.given_back():
                await live.wait(_HELD_S)


def _deadline(retries: int) -> Failed:
    cause = WorkflowTimeout("deadline exceeded")
    return Failed("deadline", "deadline exceeded", cause, retries)


def _stuck(error: Exception, retries: int) -> Failed:
    text = "Processing failed after retries: a synchronous node of the last try does not come to its end"
    return Failed("timeout", f"{text}: {error}", error, retries)


def _crash_loop(granted: Granted) -> Failed:
    cause = WorkflowFailed(f"its process ended {granted.claims - 1} times while the run was in flight")
    return Failed("crash-loop", f"Processing failed after retries: {cause}", cause, granted.retry_count)

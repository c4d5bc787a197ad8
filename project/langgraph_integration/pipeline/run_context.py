"""RunContext: what the service knows of the run it is executing, carried beside the public signatures.

`process_workflow_event(event)` takes an event and nothing else, so that callers may wrap it; lease,
drain and threads travel in a context variable.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, TypeVar

from workflow_events.errors import WorkflowError

T = TypeVar("T")

Patience = Callable[[Callable[[], Awaitable[Any]]], Awaitable[Any]]


class Drained(WorkflowError):
    """The run stopped at a super-step because it was asked to. Its checkpoint stands; it can go on later."""


@dataclass(slots=True, eq=False)
class RunContext:
    """One try of one run."""

    lease_epoch: int | None = None
    """Goes into every checkpoint write; `None` outside the service."""

    fresh: bool = False
    """The thread is known to be new, so that nothing needs to be read before the first step."""

    threads: set["Future[Any]"] = field(default_factory=set)
    """Synchronous nodes of this run that still occupy a thread."""

    patience: Patience | None = None
    """How a call of the run's store is repeated through an outage; `None`: it fails at once."""

    limit_s: float | None = None
    """How long the try may take; None where the processor has set no limit."""

    timer: asyncio.Timeout | None = None
    """What ends it then."""

    _outages: int = 0
    _time_left: float | None = None
    _drain: Callable[[str], None] | None = None
    _drain_reason: str | None = None

    async def wait_out(self, call: Callable[[], Awaitable[T]]) -> T:
        """What `call` returns once the store answers. The run stands where it is meanwhile: it keeps its
        place, its time limit does not run, and what has finished need not be done again.
        """
        if self.patience is None or (self.timer is not None and self.timer.expired()):
            return await call()
        with self._standing_still(self.timer):
            answer: T = await self.patience(call)
            return answer

    @contextmanager
    def _standing_still(self, timer: asyncio.Timeout | None) -> Iterator[None]:
        """Several calls of a run may wait at once: the first stops the time, the last lets it go on."""
        now = asyncio.get_running_loop().time
        if self._outages == 0 and timer is not None and (ends := timer.when()) is not None:
            self._time_left = ends - now()
            timer.reschedule(None)
        self._outages += 1
        try:
            yield
        finally:
            self._outages -= 1
            if self._outages == 0 and timer is not None and self._time_left is not None:
                # a run that was cancelled twice has left its timer
                with suppress(RuntimeError):
                    timer.reschedule(now() + self._time_left)

    def on_drain(self, request: Callable[[str], None]) -> None:
        """Register how to ask the running graph to stop at its next super-step."""
        self._drain = request
        if self._drain_reason is not None:
            request(self._drain_reason)

    def request_drain(self, reason: str) -> None:
        """Ask the run to stop at its next super-step; remembered if it has not begun."""
        self._drain_reason = reason
        if self._drain is not None:
            self._drain(reason)

    @property
    def drain_reason(self) -> str | None:
        """Why a drain was requested, or `None`."""
        return self._drain_reason


current_run: ContextVar[RunContext | None] = ContextVar("current_run", default=None)


@contextmanager
def running(context: RunContext) -> Iterator[RunContext]:
    """Make `context` the current run of this task."""
    token = current_run.set(context)
    try:
        yield context
    finally:
        current_run.reset(token)

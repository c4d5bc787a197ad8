"""RunContext: what the service knows of the run it is executing, carried beside the public signatures.

`process_workflow_event(event)` takes an event and nothing else, so that callers may wrap it; lease,
drain and threads travel in a context variable.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from workflow_events.errors import WorkflowError


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

    _drain: Callable[[str], None] | None = None
    _drain_reason: str | None = None

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

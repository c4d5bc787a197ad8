"""LiveRun: a run that this process holds the lease of, from its claim to its verdict."""

import asyncio
import logging
import math
import time
from concurrent.futures import Future
from typing import Any

from langgraph_integration.pipeline.ledger import Lease, Position
from langgraph_integration.pipeline.run_context import Drained, RunContext

log = logging.getLogger(__name__)

_FINAL_REASONS = ("stop", "revoked")


def now_ms() -> int:
    """Milliseconds since 1970, UTC."""
    return time.time_ns() // 1_000_000


class LiveRun:
    """One run in flight: its lease, the attempt it answers, its deadline, and how to ask it to stop."""

    def __init__(
        self,
        lease: Lease,
        position: Position,
        attempt: int,
        deadline_ms: int | None,
        threads: set["Future[Any]"],
    ) -> None:
        self.lease = lease
        self.position = position
        self.attempt = attempt
        self.deadline_ms = deadline_ms
        self.finished = asyncio.Event()
        self.owner_task = asyncio.current_task()
        self.lost = False
        self.given_up = asyncio.Event()
        """Set when the run has to end where it is, also while it waits for its store."""
        self.settling = False
        """The verdict is being stored, or the lease given back: the row may look like a lost lease."""
        self.between_tries = False
        """What still runs in a thread belongs to a try that is over."""
        self._threads = threads
        self._context: RunContext | None = None
        self._drain_reason: str | None = None
        self._drain = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None
        self._arm()

    def raise_to(self, attempt: int, deadline_ms: int | None) -> None:
        """A later ask was absorbed: the verdict answers it too, and its deadline is the one that counts."""
        if attempt > self.attempt:
            self.attempt, self.deadline_ms = attempt, deadline_ms
            self._take_deadline_back()
            self._arm()

    def deadline_passed(self) -> bool:
        """Nobody waits for the answer any more."""
        return self.deadline_ms is not None and now_ms() >= self.deadline_ms

    @property
    def handed_over(self) -> bool:
        """Whether the run was asked to stop here so that it can go on elsewhere, or later."""
        return self._drain_reason in _FINAL_REASONS

    def next_try(self, *, fresh: bool) -> RunContext:
        """The context of the next try. Raises `Drained` if the run has been asked to stop."""
        self._stop_if_drained()
        self._heed_the_clock()
        self._context = RunContext(lease_epoch=self.lease.epoch, fresh=fresh, threads=self._threads)
        return self._context

    def request_drain(self, reason: str) -> None:
        """Stop at the next super-step, or at once while waiting for a retry."""
        self._drain_reason = reason
        self._drain.set()
        if self._context is not None:
            self._context.request_drain(reason)

    def lose(self) -> None:
        """The lease went to another owner: end the run where it is. Harmless when that was done."""
        if self.lost:
            return
        log.warning("lease lost", extra={"action": "lease_lost", "event_id": str(self.lease.event_id)})
        self.lost = True
        self.given_up.set()
        if self.owner_task is not None:
            self.owner_task.cancel("lease lost")

    async def wait(self, seconds: float) -> None:
        """Sleep until the next try, or until a drain or the deadline ends the wait. May raise `Drained`."""
        self._heed_the_clock()
        try:
            await asyncio.wait_for(self._drain.wait(), seconds)
        except TimeoutError:
            return
        self._stop_if_drained()

    @property
    def overdue_threads(self) -> int:
        """Synchronous nodes that go on although their try is over."""
        return len(self._threads) if self.between_tries else 0

    @property
    def limit_s(self) -> float | None:
        """How long the last try was allowed to take, or `None`."""
        return self._context.limit_s if self._context is not None else None

    @property
    def has_threads(self) -> bool:
        """Whether a synchronous node of this run occupies a thread."""
        return bool(self._threads)

    async def threads_ended(self, patience_s: float | None = None) -> bool:
        """True once no synchronous node of this run occupies a thread.

        With a patience, False when that or the deadline is over first.
        """
        ends = None if patience_s is None else time.monotonic() + patience_s
        while self._threads:
            left_s = None if ends is None else min(ends - time.monotonic(), self._until_deadline_s())
            if left_s is not None and left_s <= 0:
                return False
            await asyncio.wait(
                [asyncio.wrap_future(future) for future in list(self._threads)], timeout=left_s
            )
        return True

    def close(self) -> None:
        """The verdict stands, or the run was given up."""
        if self._timer is not None:
            self._timer.cancel()
        # it leads back here: a cycle, which would keep each run and its task until a garbage collection
        self._context = None
        self.finished.set()

    def _stop_if_drained(self) -> None:
        if self.handed_over:
            raise Drained(self._drain_reason or "")

    def _heed_the_clock(self) -> None:
        # put back behind a deadline that was told of already: whoever waits in a loop would never sleep
        if self._drain_reason == "deadline" and not self.deadline_passed():
            self._take_deadline_back()
            self._arm()

    def _take_deadline_back(self) -> None:
        if self._drain_reason == "deadline":
            self._drain_reason = None
            self._drain.clear()

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self.deadline_ms is None:
            return
        seconds = max(0.0, min(self._until_deadline_s(), 86_400.0))
        self._timer = asyncio.get_running_loop().call_later(seconds, self._deadline)

    def _until_deadline_s(self) -> float:
        return math.inf if self.deadline_ms is None else (self.deadline_ms - now_ms()) / 1000

    def _deadline(self) -> None:
        if not self.deadline_passed():
            self._arm()
        elif self._drain_reason is None:
            self.request_drain("deadline")

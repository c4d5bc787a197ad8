"""Group commit: whatever is pending goes into one transaction, and everyone waits for that commit.

While one batch is being written and synced the next one gathers, so the batch size follows the load
and an idle store answers a single command at once. The price of an fsync is shared by all runs.
"""

import asyncio
import concurrent.futures
import logging
import queue
import threading
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

from langgraph_integration.store.commands import Command, T
from workflow_events.errors import StoreUnavailable

log = logging.getLogger(__name__)

MAX_BATCH = 1000
"""Bounds how long the last command of a burst makes the first one wait, and the size of a transaction."""


class Pending:
    """A command on its way, and who waits for it. The executor sets `value` or `error`."""

    __slots__ = ("command", "error", "future", "loop", "value")

    def __init__(
        self,
        command: Command[Any],
        future: "asyncio.Future[Any] | concurrent.futures.Future[Any]",
        loop: asyncio.AbstractEventLoop | None,
    ) -> None:
        self.command = command
        self.future = future
        self.loop = loop
        self.value: Any = None
        self.error: BaseException | None = None

    def resolve(self) -> None:
        """Wake the waiter. One that was cancelled meanwhile is none of our business."""
        if self.future.done():
            return
        if self.error is not None:
            self.future.set_exception(self.error)
        else:
            self.future.set_result(self.value)


def fail_all(batch: Sequence[Pending], reason: str, cause: BaseException | None = None) -> None:
    """Give every command of the batch a `StoreUnavailable` of its own."""
    for pending in batch:
        pending.error = StoreUnavailable(reason)
        pending.error.__cause__ = cause


Executor = Callable[[Sequence[Pending]], None]
"""Carries a batch out in one transaction and sets every value or error. Raises nothing."""


class Lane:
    """A thread that owns a connection and works off its queue, a batch at a time.

    `submit` may be called from any event loop, `call` from any thread; both keep the order of calls.
    """

    def __init__(self, name: str, execute: Executor, finish: Callable[[], None]) -> None:
        self._name = name
        self._execute = execute
        self._finish = finish
        self._queue: queue.SimpleQueue[Pending | None] = queue.SimpleQueue()
        self._closing = threading.Lock()
        self._closed = False
        self._done: concurrent.futures.Future[None] = concurrent.futures.Future()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def submit(self, command: Command[T]) -> "asyncio.Future[T]":
        """A future of the running loop, resolved after the commit (or the read)."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        self._enqueue(Pending(command, future, loop))
        return future

    def call(self, command: Command[T]) -> T:
        """The answer, waited for in this thread."""
        future: concurrent.futures.Future[T] = concurrent.futures.Future()
        self._enqueue(Pending(command, future, None))
        return future.result()

    async def close(self, timeout: timedelta) -> bool:
        """Work off what is pending and end the thread. False if that took longer than `timeout`."""
        with self._closing:
            if not self._closed:
                self._closed = True
                self._queue.put(None)
        # Not in the loop's default executor: nodes that never end may hold all its threads.
        done, _ = await asyncio.wait({asyncio.wrap_future(self._done)}, timeout=timeout.total_seconds())
        return bool(done)

    def _enqueue(self, pending: Pending) -> None:
        with self._closing:
            if self._closed:
                raise StoreUnavailable("the store is closed")
            self._queue.put(pending)

    def _run(self) -> None:
        try:
            while self._work(self._queue.get()):
                pass
        finally:
            self._finish()
            self._done.set_result(None)

    def _work(self, first: Pending | None) -> bool:
        """Carry out `first` and all that is pending. False once the end of the queue is reached."""
        batch: list[Pending] = []
        item = first
        while item is not None:
            batch.append(item)
            if len(batch) >= MAX_BATCH:
                break
            try:
                item = self._queue.get_nowait()
            except queue.Empty:
                break
        if batch:
            try:
                self._execute(batch)
            except Exception as error:  # the thread must outlive a mistake of ours, or all waiters hang
                log.exception("store batch failed", extra={"action": "store-batch-failed"})
                fail_all(batch, f"{self._name}: {error!r}", error)
            _deliver(batch)
        return item is not None


def _deliver(batch: Sequence[Pending]) -> None:
    """Wake the waiters with one call for each loop: waking a loop is a system call."""
    by_loop: dict[asyncio.AbstractEventLoop, list[Pending]] = {}
    for pending in batch:
        if pending.loop is None:
            pending.resolve()
        else:
            by_loop.setdefault(pending.loop, []).append(pending)
    for loop, waiting in by_loop.items():
        try:
            loop.call_soon_threadsafe(_resolve_all, waiting)
        except RuntimeError:
            log.debug("loop closed before its answers came", extra={"action": "store-answer-dropped"})


def _resolve_all(batch: Sequence[Pending]) -> None:
    for pending in batch:
        pending.resolve()

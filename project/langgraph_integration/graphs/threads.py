"""The pool for synchronous nodes, which knows the run that each of its threads works for."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import ParamSpec, TypeVar
from weakref import WeakKeyDictionary

from langgraph_integration.pipeline.run_context import current_run
from workflow_events.errors import ConfigurationError

P = ParamSpec("P")
T = TypeVar("T")


class NodeThreads(ThreadPoolExecutor):
    """The default executor of the graphs' event loop.

    LangGraph runs synchronous nodes in the loop's default executor, which has 6 threads on 2 cores. A node
    that outlives its timeout cannot be stopped; it stays in its run's `threads` until it ends, so that the
    run keeps its slot and a retry waits for it.

    All threads are started at once: where one cannot be had, that is known at the start
    (`ConfigurationError`), and not by a run that would fail for it.
    """

    def __init__(self, threads: int) -> None:
        super().__init__(max_workers=threads, thread_name_prefix="graph-node")
        self.size = threads
        self._busy: set[Future[object]] = set()
        self._start_all()

    def _start_all(self) -> None:
        """A thread is only made for a call that finds none idle, so as many calls wait for each other."""
        all_there = threading.Event()
        try:
            waiting = [super(NodeThreads, self).submit(all_there.wait) for _ in range(self.size)]
        except RuntimeError as error:
            self.shutdown(wait=False, cancel_futures=True)
            raise ConfigurationError(
                f"WORKFLOW_SYNC_THREADS is {self.size}, and the system does not give as many threads"
                f" ({error}): lower it, or raise the limit of threads or memory"
            ) from error
        finally:
            all_there.set()
        for each in waiting:
            each.result()

    @property
    def busy(self) -> int:
        """Calls that run or wait for a thread."""
        return len(self._busy)

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> "Future[T]":
        """Run `fn` in a thread, noted at the run that asks."""
        future = super().submit(fn, *args, **kwargs)
        run = current_run.get()
        self._busy.add(future)  # type: ignore[arg-type]  # Future is invariant
        future.add_done_callback(self._busy.discard)
        if run is not None:
            run.threads.add(future)
            future.add_done_callback(run.threads.discard)
        return future


_installed: WeakKeyDictionary[asyncio.AbstractEventLoop, NodeThreads] = WeakKeyDictionary()


def install_node_threads(loop: asyncio.AbstractEventLoop, threads: int) -> NodeThreads:
    """The loop's pool of that size, installed if it is not there.

    It stays after a stop: the loop's other users go on using its default executor, and a pool that is shut
    down would refuse them. The loop's own end shuts it down.
    """
    pool = _installed.get(loop)
    if pool is None or pool.size != threads:
        pool, before = NodeThreads(threads), pool
        loop.set_default_executor(pool)
        _installed[loop] = pool
        if before is not None:
            before.shutdown(wait=False)
    return pool


def busy_node_threads(loop: asyncio.AbstractEventLoop) -> int:
    """How many synchronous nodes of this loop's graphs have not ended."""
    pool = _installed.get(loop)
    return pool.busy if pool else 0

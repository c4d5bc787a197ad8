"""A thread and an event loop of its own for Kafka clients, so that a busy graph cannot delay a heartbeat."""

import asyncio
import logging
import threading
import time
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

log = logging.getLogger(__name__)


class KafkaThread:
    """Runs coroutines of Kafka clients away from the caller's loop.

    `start` and `stop` are counted: the thread ends with its last user.
    """

    def __init__(self, name: str = "kafka") -> None:
        self._name = name
        self._users = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._lag_probe: asyncio.Task[None] | None = None
        self.worst_lag_s = 0.0
        """The longest that this loop was late, in seconds, since the thread started or this was set to 0."""

        self.beat_at = 0.0
        """The last sign of life of this loop (monotonic seconds)."""

    def start(self) -> None:
        """Start the thread, or count one more user of it."""
        self._users += 1
        if self._thread is not None:
            return
        ready = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(ready,), name=self._name, daemon=True)
        self._thread.start()
        ready.wait()

    def _run(self, ready: threading.Event) -> None:
        loop = asyncio.new_event_loop()
        asyncio.set_event_loop(loop)
        self._loop = loop
        self.worst_lag_s = 0.0
        self._lag_probe = loop.create_task(self._measure_lag(), name="kafka-loop-lag")
        loop.call_soon(ready.set)
        try:
            loop.run_forever()
        finally:
            leftovers = asyncio.all_tasks(loop)
            for task in leftovers:
                task.cancel()
            if leftovers:
                loop.run_until_complete(asyncio.wait(leftovers, timeout=1.0))
            loop.run_until_complete(loop.shutdown_asyncgens())
            asyncio.set_event_loop(None)
            loop.close()

    async def _measure_lag(self, interval_s: float = 0.05) -> None:
        while True:
            due = time.monotonic() + interval_s
            await asyncio.sleep(interval_s)
            self.beat_at = time.monotonic()
            self.worst_lag_s = max(self.worst_lag_s, self.beat_at - due)

    def stop(self) -> None:
        """Give up one use; the last one ends the thread. Blocks for at most two seconds."""
        if self._users == 0:
            return
        self._users -= 1
        if self._users or self._loop is None or self._thread is None:
            return
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(timeout=2.0)
        if self._thread.is_alive():
            log.warning("the Kafka thread did not end within 2 s", extra={"action": "kafka_thread_stuck"})
        self._loop = self._thread = None

    async def call(self, coroutine: Coroutine[Any, Any, T], *, timeout_s: float | None = None) -> T:
        """What the coroutine returns on the Kafka loop.

        Cancelling the caller leaves the coroutine running: a cancelled aiokafka call corrupts the
        client's state. `timeout_s` bounds the wait in the same way and raises TimeoutError; the
        outcome is unknown then.
        """
        if self._loop is None:
            coroutine.close()
            raise RuntimeError("the Kafka thread is not running")
        future = asyncio.wrap_future(asyncio.run_coroutine_threadsafe(coroutine, self._loop))
        # an abandoned failure must not surface as "exception was never retrieved"
        future.add_done_callback(lambda done: done.cancelled() or done.exception())
        # wait() leaves the future alone when its own caller is cancelled
        done, _ = await asyncio.wait({future}, timeout=timeout_s)
        if not done:
            raise TimeoutError(f"no answer from the Kafka client within {timeout_s:g} s")
        return future.result()

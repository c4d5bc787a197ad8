"""DeliveryReports: librdkafka's confirmations, brought to the event loop in batches."""

import asyncio
import threading
from collections import deque
from collections.abc import Generator

from confluent_kafka import KafkaError, Message, Producer

_POLL_S = 0.1


class Acknowledgement:
    """Awaitable: `None` once the broker has the record, else the error. Cancelling the await is harmless."""

    __slots__ = ("_future", "_reports")

    def __init__(self, reports: "DeliveryReports", future: "asyncio.Future[KafkaError | None]") -> None:
        self._reports = reports
        self._future = future

    def report(self, error: KafkaError | None, _: Message) -> None:
        """librdkafka's `on_delivery`, called in the polling thread."""
        self._reports.arrived(self._future, error)

    def __await__(self) -> Generator[None, None, KafkaError | None]:
        return self._future.__await__()


class DeliveryReports:
    """Polls a producer in a thread of its own. Many reports cross to the loop as one call."""

    def __init__(self, client: Producer, loop: asyncio.AbstractEventLoop) -> None:
        self._client = client
        self._loop = loop
        self._arrived: deque[tuple[asyncio.Future[KafkaError | None], KafkaError | None]] = deque()
        self._told = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._poll, name="kafka-reports", daemon=True)
        self._thread.start()

    def expect(self) -> Acknowledgement:
        """To be given to `produce` as its `on_delivery`."""
        return Acknowledgement(self, self._loop.create_future())

    def arrived(self, future: "asyncio.Future[KafkaError | None]", error: KafkaError | None) -> None:
        """From the polling thread: keep the report, and wake the loop unless it is awake already."""
        self._arrived.append((future, error))
        if self._told.acquire(blocking=False):
            try:
                self._loop.call_soon_threadsafe(self._deliver)
            except RuntimeError:
                # the loop is closed: nobody waits any more
                self._told.release()

    def _deliver(self) -> None:
        # before emptying: what arrives from now on wakes the loop again
        self._told.release()
        while self._arrived:
            future, error = self._arrived.popleft()
            if not future.done():
                future.set_result(error)

    def _poll(self) -> None:
        while not self._stop.is_set():
            self._client.poll(_POLL_S)

    def close(self, *, wait_s: float) -> int:
        """Wait for outstanding records, give up on the rest, end the thread. Returns how many were left."""
        left = self._client.flush(wait_s) if wait_s else len(self._client)
        if left:
            self._client.purge()
            self._client.poll(0)
        self._stop.set()
        if threading.current_thread() is not self._thread:
            self._thread.join(timeout=2 * _POLL_S)
        return left

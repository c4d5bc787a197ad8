"""DeliveryReports: librdkafka's confirmations, brought to the event loop in batches."""

import asyncio
import threading
from collections import deque
from collections.abc import Generator

from confluent_kafka import KafkaError, KafkaException, Message, Producer

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
        self._expected: set[asyncio.Future[KafkaError | None]] = set()
        self._told = threading.Lock()
        self._stop = threading.Event()
        self.fatal: KafkaError | None = None
        """The error that ended the producer: it takes and sends nothing any more."""

        self._thread = threading.Thread(target=self._run, name="kafka-reports", daemon=True)
        self._thread.start()

    def expect(self) -> Acknowledgement:
        """To be given to `produce` as its `on_delivery`. Answered in any case, at the latest by `close`."""
        future: asyncio.Future[KafkaError | None] = self._loop.create_future()
        self._expected.add(future)
        future.add_done_callback(self._expected.discard)
        return Acknowledgement(self, future)

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

    def _run(self) -> None:
        while not self._stop.is_set():
            self._poll(_POLL_S)
        if self._expected:
            self._client.purge()
            self._poll(0)
            for future in list(self._expected):
                # a report that comes later finds nobody who polls
                self.arrived(future, self.fatal or KafkaError(KafkaError.REQUEST_TIMED_OUT))

    def _poll(self, timeout_s: float) -> None:
        try:
            self._client.poll(timeout_s)
        except KafkaException as error:
            # raised once; the reports of what the producer had follow, and somebody must go on polling
            self.fatal = error.args[0]

    def abandon(self) -> None:
        """Answer what is outstanding with an error, and end the thread. Does not wait for it."""
        self._stop.set()

    def close(self, *, wait_s: float) -> int:
        """Wait for outstanding records, give up on the rest, end the thread. Returns how many were left."""
        try:
            left = self._client.flush(wait_s)
        except KafkaException as error:
            self.fatal, left = error.args[0], len(self._client)
        self.abandon()
        if threading.current_thread() is not self._thread:
            self._thread.join(timeout=2 * _POLL_S)
        return left

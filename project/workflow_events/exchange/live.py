"""The reader that is ahead: one thread and one consumer, however many wait."""

import logging
import threading
import time
from typing import Final

from confluent_kafka import Consumer, KafkaError, KafkaException, Message

from workflow_events.exchange.backlog import Backlog
from workflow_events.exchange.beside import AskedBeside
from workflow_events.exchange.catch_up import CatchUp
from workflow_events.exchange.index import Place
from workflow_events.exchange.partitions import (
    assign,
    end_offsets,
    headers_of,
    known_end,
    partitions_of,
    start_offsets,
)
from workflow_events.exchange.start import StartPoint, distinct
from workflow_events.exchange.waiting import Waiter, WaitingRoom
from workflow_events.librdkafka import LastError

log = logging.getLogger(__name__)

_BATCH: Final = 500
_REQUEST_TIMEOUT: Final = 2.0
_POLL: Final = 0.1
_REFRESH_EVERY: Final = 5.0
_FIRST_PATIENCE: Final = 0.5
_PATIENCE_AT_STOP: Final = 0.5
_BACKOFF: Final = (0.1, 2.0)


class LiveReader:
    """Reads the topic from where its first waiter wants it, forward, and hands results over.

    A later waiter whose results may lie further back is sent to the catch-up reader; where this one
    has read, its index knows. Broker errors are ridden out, with pauses of 0.1 to 2 s: how long to wait
    is for each waiter to decide.
    """

    def __init__(
        self,
        consumer: Consumer,
        topic: str,
        room: WaitingRoom,
        catch_up: CatchUp,
        last_error: LastError,
        poll_interval: float,
    ) -> None:
        self._consumer = consumer
        self._topic = topic
        self._room = room
        self._catch_up = catch_up
        self._last_error = last_error
        self._poll_interval = poll_interval
        self._thread: threading.Thread | None = None
        self._stopping = threading.Event()
        self._newcomers: list[Waiter] = []
        self._reading = False
        self._next: dict[int, int] = {}
        self._history: tuple[Backlog, list[Waiter]] | None = None
        self._refresh_at = 0.0
        self._partitions = AskedBeside(
            lambda: partitions_of(consumer, topic, _REQUEST_TIMEOUT), f"results-partitions:{topic}"
        )
        self._failures = 0
        self.connected = False
        """Whether a broker has ever answered."""

    @property
    def failing(self) -> bool:
        """Whether the last thing that was asked of the brokers failed."""
        return self._failures > 0

    def welcome(self, waiter: Waiter) -> None:
        """Hand results to this waiter from now on, and see to those that are there already."""
        with self._room.lock:
            self._room.add(waiter)
            if not self._reading:
                self._newcomers.append(waiter)
                self._ensure_thread()
                return
            self._admit(waiter)

    def stop(self) -> None:
        """End the thread and the consumer: at once if brokers answer, else when the request under way
        times out, which nobody waits for.
        """
        self._stopping.set()
        if self._thread is None:
            self._consumer.close()
        else:
            self._thread.join(0 if self.failing else _PATIENCE_AT_STOP)

    def _ensure_thread(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name=f"results:{self._topic}", daemon=True)
            self._thread.start()

    def _admit(self, waiter: Waiter) -> None:
        """For a waiter that comes while we read. The lock is held: nothing moves meanwhile."""
        if self._history is not None:
            waiter.history_pending()
            self._history[1].append(waiter)
        index = self._room.index
        seam = {partition: index.known_from(partition) for partition in self._next}
        if self._covers(waiter.since, seam):
            seam = {}
        self._catch_up.read(waiter, index.places(waiter.key), seam)

    def _covers(self, since: StartPoint, seam: dict[int, int]) -> bool:
        """Whether everything from `since` on is in the index, or is still to come here."""
        if since.noted:
            return all(since.offsets.get(partition, 0) >= start for partition, start in seam.items())
        complete_from_ms = self._room.index.complete_from_ms
        if since.time_ms is None or complete_from_ms is None:
            return not any(seam.values())
        return since.time_ms >= complete_from_ms

    def _run(self) -> None:
        try:
            while not self._stopping.is_set():
                self._step()
        finally:
            self._partitions.wait()
            self._consumer.close()

    def _step(self) -> None:
        try:
            if self._reading:
                self._read_on()
            else:
                self._begin()
        except KafkaException as error:
            if not self._stopping.is_set():
                self._note_failure(error)

    def _note_failure(self, error: KafkaException) -> None:
        if isinstance(error.args[0], KafkaError):
            self._last_error(error.args[0])
        first, longest = _BACKOFF
        pause = min(first * 2.0**self._failures, longest)
        self._failures = min(self._failures + 1, 10)
        log.warning(
            "results cannot be read now, next try in %.1f s: %s",
            pause,
            error,
            extra={"action": "results_unavailable", "topic": self._topic},
        )
        if self._reading:
            self._refresh_at = time.monotonic() + pause  # and go on polling: the client reconnects by itself
        else:
            self._stopping.wait(pause)

    def _note_contact(self) -> None:
        self.connected = True
        self._failures = 0
        self._last_error.clear()

    def _begin(self) -> None:
        """Find where to start for all who wait, and start there."""
        self._consumer.poll(0)  # serves error_cb
        # A short first try lets short waits learn soon that nobody answers.
        patience = min(_FIRST_PATIENCE * 2.0**self._failures, _REQUEST_TIMEOUT)
        partitions = partitions_of(self._consumer, self._topic, patience)
        self._note_contact()
        if not partitions:
            self._stopping.wait(min(self._poll_interval, 1.0))
            return
        ends = end_offsets(self._consumer, self._topic, partitions, _REQUEST_TIMEOUT)
        with self._room.lock:
            first = list(self._newcomers)
        since = [waiter.since for waiter in first]
        starts = dict(ends)
        for one in distinct(since):
            offsets = start_offsets(self._consumer, self._topic, one, ends, _REQUEST_TIMEOUT)
            starts = {partition: min(starts[partition], offset) for partition, offset in offsets.items()}
        with self._room.lock:
            late = [waiter for waiter in self._newcomers if waiter not in first]
            self._newcomers = []
            self._next = starts
            self._room.index.begin(starts, _earliest_ms(since))
            self._history = (Backlog({p: (start, ends[p]) for p, start in starts.items()}), first)
            for waiter in first:
                waiter.history_pending()
            self._refresh_at = time.monotonic() + _REFRESH_EVERY
            assign(self._consumer, self._topic, starts)
            self._reading = True
            for waiter in late:
                self._admit(waiter)
            self._settle_history()

    def _read_on(self) -> None:
        first = self._consumer.poll(_POLL)
        if first is not None:
            # poll() returns with the first record; what else has come needs no waiting.
            messages = [first, *self._consumer.consume(_BATCH - 1, timeout=0)]
            for message in messages:
                with self._room.lock:  # one at a time: who comes or leaves must not wait for a batch
                    self._take(message)
            with self._room.lock:
                self._settle_history()
        trouble = bool(self._last_error.hint) and not self.failing
        if trouble or time.monotonic() >= self._refresh_at:
            self._refresh_at = time.monotonic() + _REFRESH_EVERY
            self._partitions.begin()
        partitions = self._partitions.take()
        if partitions is not None:
            self._refresh(partitions)

    def _take(self, message: Message) -> None:
        partition, offset = _position(message)
        error = message.error()
        if error is not None:
            if error.code() == KafkaError._PARTITION_EOF:
                if self._history is not None:
                    self._history[0].finish(partition)
            else:
                self._last_error(error)
            return
        if self._last_error.refused is not None:
            self._last_error.clear(topic_too=True)
        self._room.take(
            Place(partition, offset), message.key(), headers_of(message), message.value(), remember=True
        )
        self._next[partition] = offset + 1
        self._reached(partition, offset + 1)

    def _reached(self, partition: int, offset: int) -> None:
        if self._history is None:
            return
        backlog, _ = self._history
        if not backlog.measured(partition):
            backlog.measure(partition, known_end(self._consumer, self._topic, partition))
        backlog.read(partition, offset)

    def _settle_history(self) -> None:
        if self._history is not None and self._history[0].done:
            _, waiters = self._history
            self._history = None
            for waiter in waiters:
                waiter.history_read()

    def _refresh(self, partitions: list[int]) -> None:
        """The brokers are there: pick up partitions that were added since."""
        self._note_contact()
        added = [partition for partition in partitions if partition not in self._next]
        if not added:
            return
        log.info(
            "reading added partitions",
            extra={"action": "partitions_added", "topic": self._topic, "partitions": added},
        )
        with self._room.lock:
            for partition in added:
                self._next[partition] = 0
                self._room.index.add_partition(partition)
            assign(self._consumer, self._topic, self._next)


def _position(message: Message) -> tuple[int, int]:
    partition, offset = message.partition(), message.offset()
    return (-1 if partition is None else partition), (-1 if offset is None else offset)


def _earliest_ms(starts: list[StartPoint]) -> int | None:
    """The earliest start that is a time, 0 for the beginning. None if all were noted as positions."""
    times = [one.time_ms or 0 for one in starts if not one.noted]
    return min(times) if times else None

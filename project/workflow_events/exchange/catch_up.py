"""The reader that looks back: what stood on the topic before a late waiter came."""

import logging
import threading
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Final

from confluent_kafka import Consumer, KafkaError, KafkaException, Message

from workflow_events.exchange.backlog import Backlog
from workflow_events.exchange.index import Place
from workflow_events.exchange.partitions import assign, headers_of, start_offsets
from workflow_events.exchange.start import distinct
from workflow_events.exchange.waiting import Waiter, WaitingRoom

log = logging.getLogger(__name__)

_BATCH: Final = 500
_POLL: Final = 0.1
_REQUEST_TIMEOUT: Final = 2.0
_PATIENCE_AT_STOP: Final = 0.5
_PAUSE_AFTER_ERROR: Final = 1.0
_CLOSE_CONSUMER_AFTER: Final = 10.0


@dataclass(slots=True, eq=False)
class _Wish:
    """Records at `places`, and if they are not the waiter's, everything from its start up to `seam`."""

    waiter: Waiter
    places: Collection[Place]
    seam: Mapping[int, int]


@dataclass(slots=True, eq=False)
class _Scan:
    """One way through the topic for several wishes."""

    backlog: Backlog
    wishes: list[_Wish]

    @property
    def wanted(self) -> bool:
        return any(not wish.waiter.done for wish in self.wishes)


class CatchUp:
    """Reads ranges of the past with a consumer of its own, so that nobody waits for it but those who
    asked. What is asked at the same time is read in one go; the shortest way first.
    """

    def __init__(self, open_consumer: Callable[[], Consumer], topic: str, room: WaitingRoom) -> None:
        self._open_consumer = open_consumer
        self._topic = topic
        self._room = room
        self._condition = threading.Condition()
        self._asked: list[_Wish] = []
        self._scans: list[_Scan] = []
        self._stopping = False
        self._thread: threading.Thread | None = None
        self._consumer: Consumer | None = None

    def read(self, waiter: Waiter, places: Collection[Place], seam: Mapping[int, int]) -> None:
        """Offer the waiter what it finds, and tell it when history has been read. The caller holds the
        room's lock.
        """
        waiter.history_pending()
        if not places and not any(seam.values()):
            waiter.history_read()
            return
        with self._condition:
            self._asked.append(_Wish(waiter, places, seam))
            if self._thread is None:
                name = f"results-history:{self._topic}"
                self._thread = threading.Thread(target=self._run, name=name, daemon=True)
                self._thread.start()
            self._condition.notify()

    def stop(self) -> None:
        """End the thread: at once if brokers answer, else when the request under way times out."""
        with self._condition:
            self._stopping = True
            self._condition.notify()
        if self._thread is not None:
            self._thread.join(_PATIENCE_AT_STOP)

    def _run(self) -> None:
        while (asked := self._next_wishes()) is not None:
            try:
                consumer = self._consumer = self._consumer or self._open_consumer()
                self._plan(consumer, asked)
                if self._scans:
                    self._work_on(consumer, min(self._scans, key=lambda scan: scan.backlog.remaining))
            except KafkaException as error:
                log.warning(
                    "earlier results cannot be read now, next try in %.0f s: %s",
                    _PAUSE_AFTER_ERROR,
                    error,
                    extra={"action": "history_unavailable", "topic": self._topic},
                )
                with self._condition:
                    self._asked += [wish for wish in asked if not self._planned(wish)]
                    self._condition.wait_for(lambda: self._stopping, _PAUSE_AFTER_ERROR)
        self._close_consumer()

    def _next_wishes(self) -> list[_Wish] | None:
        """What was asked since, which is nothing while scans are under way. None = stop."""
        with self._condition:
            while not (self._stopping or self._asked or self._scans):
                if not self._condition.wait(_CLOSE_CONSUMER_AFTER):
                    self._close_consumer()
            asked, self._asked = self._asked, []
            return None if self._stopping else asked

    def _planned(self, wish: _Wish) -> bool:
        return any(wish in scan.wishes for scan in self._scans)

    def _plan(self, consumer: Consumer, asked: list[_Wish]) -> None:
        """Turn wishes into at most two scans: one for known places, one for history."""
        known = [wish for wish in asked if wish.places]
        unknown = [wish for wish in asked if not wish.places]
        if known:
            backlog = Backlog({})
            for wish in known:
                for place in wish.places:
                    backlog.include(place.partition, place.offset)
            self._scans.append(_Scan(backlog, known))
        if unknown:
            seam: dict[int, int] = {}
            for wish in unknown:
                for partition, end in wish.seam.items():
                    seam[partition] = max(end, seam.get(partition, 0))
            starts = dict(seam)
            for since in distinct(wish.waiter.since for wish in unknown):
                offsets = start_offsets(consumer, self._topic, since, seam, _REQUEST_TIMEOUT)
                starts = {partition: min(starts[partition], offset) for partition, offset in offsets.items()}
            backlog = Backlog({partition: (starts[partition], end) for partition, end in seam.items()})
            self._scans.append(_Scan(backlog, unknown))

    def _work_on(self, consumer: Consumer, scan: _Scan) -> None:
        """Read until the scan is done, nobody wants it, or something new is asked."""
        reading: dict[int, int] = {}
        while scan.wanted and not scan.backlog.done:
            if self._asked or self._stopping:
                return
            if scan.backlog.positions().keys() != reading.keys():
                reading = scan.backlog.positions()
                assign(consumer, self._topic, reading)
            first = consumer.poll(_POLL)
            if first is not None:
                messages = [first, *consumer.consume(_BATCH - 1, timeout=0)]
                with self._room.lock:
                    for message in messages:
                        self._take(message, scan.backlog)
        consumer.unassign()
        self._scans.remove(scan)
        self._conclude(scan)

    def _take(self, message: Message, backlog: Backlog) -> None:
        partition, offset = message.partition(), message.offset()
        if partition is None or offset is None:
            return
        error = message.error()
        if error is None:
            place = Place(partition, offset)
            self._room.take(place, message.key(), headers_of(message), message.value(), remember=False)
            backlog.read(partition, offset + 1)
        elif error.code() == KafkaError._PARTITION_EOF:
            backlog.finish(partition)

    def _conclude(self, scan: _Scan) -> None:
        with self._room.lock:
            further = [wish for wish in scan.wishes if wish.places and wish.seam and not wish.waiter.done]
            for wish in scan.wishes:
                if wish not in further:
                    wish.waiter.history_read()
        with self._condition:
            self._asked += [_Wish(wish.waiter, (), wish.seam) for wish in further]

    def _close_consumer(self) -> None:
        consumer, self._consumer = self._consumer, None
        if consumer is not None:
            consumer.close()

"""Who waits for what, and what they are given. No Kafka in here: readers bring records in."""

import logging
import threading
from collections.abc import Iterable
from concurrent.futures import Future, InvalidStateError
from dataclasses import dataclass
from typing import Any, Final

from workflow_events.codec import read_result
from workflow_events.errors import InvalidRecord
from workflow_events.exchange.index import Place, SeenIndex
from workflow_events.exchange.matching import candidate_keys, id_key
from workflow_events.exchange.start import StartPoint
from workflow_events.schema import WorkflowResultEvent

log = logging.getLogger(__name__)

INDEX_CAPACITY: Final = 100_000

Headers = Iterable[tuple[str, bytes | str | None]] | None


@dataclass(frozen=True, slots=True)
class ReceivedResult:
    """A result and where it stands. `record` is its JSON object as it came, unknown fields included."""

    event: WorkflowResultEvent
    record: dict[str, Any]
    topic: str
    partition: int
    offset: int


class Waiter:
    """One wait for one id.

    With an `attempt`, the first success or verdict of that or a later attempt ends the wait: a retry
    must not take the failure of the try before it. Without one, the best verdict wins that stands on
    the topic when the wait begins (a success, else the latest attempt), and else the first to come.
    """

    __slots__ = ("_best", "_history_pending", "attempt", "future", "in_room", "key", "since", "workflow_id")

    def __init__(
        self, key: bytes, since: StartPoint, *, workflow_id: str | None = None, attempt: int | None = None
    ) -> None:
        self.key = key
        self.since = since
        self.workflow_id = workflow_id
        self.attempt = attempt
        self.future: Future[ReceivedResult] = Future()
        self.in_room = False
        self._best: ReceivedResult | None = None
        self._history_pending = 0

    @property
    def done(self) -> bool:
        """Answered, or given up."""
        return self.future.done()

    def offer(self, found: ReceivedResult) -> None:
        """A valid result with this waiter's id."""
        event = found.event
        if self.workflow_id is not None and event.workflow_id != self.workflow_id:
            return
        if event.status == "success":
            self._answer(found)
        elif self.attempt is not None:
            if (event.attempt or 1) >= self.attempt:
                self._answer(found)
        elif self._history_pending == 0:
            self._answer(found)
        elif self._best is None or (event.attempt or 1) >= (self._best.event.attempt or 1):
            self._best = found

    def history_pending(self) -> None:
        """One more reader is about to offer what stood on the topic when the wait began."""
        self._history_pending += 1

    def history_read(self) -> None:
        """A reader has offered all of it. After the last one the best verdict ends the wait."""
        self._history_pending -= 1
        if self._history_pending == 0 and self._best is not None:
            self._answer(self._best)

    def fail(self, error: Exception) -> None:
        """End the wait with an error."""
        if not self.done:
            self.future.set_exception(error)

    def _answer(self, found: ReceivedResult) -> None:
        try:
            if not self.done:
                self.future.set_result(found)
        except InvalidStateError:  # cancelled by its asker in this very moment
            pass


class WaitingRoom:
    """The waiters by id. Not thread-safe: its users hold `lock`."""

    def __init__(self, topic: str, index_capacity: int = INDEX_CAPACITY) -> None:
        self.lock = threading.Lock()
        self.index = SeenIndex(index_capacity)
        self._topic = topic
        self._waiters: dict[bytes, list[Waiter]] = {}

    def __len__(self) -> int:
        return sum(map(len, self._waiters.values()))

    def add(self, waiter: Waiter) -> None:
        """From now on its results are handed over."""
        waiter.in_room = True
        self._waiters.setdefault(waiter.key, []).append(waiter)

    def remove(self, waiter: Waiter) -> None:
        """Forget a waiter. No effect if it is not here."""
        here = self._waiters.get(waiter.key, [])
        if waiter in here:
            here.remove(waiter)
        if not here:
            self._waiters.pop(waiter.key, None)

    def everybody(self) -> list[Waiter]:
        """All waiters."""
        return [waiter for here in self._waiters.values() for waiter in here]

    def take(
        self, place: Place, key: bytes | None, headers: Headers, value: bytes | None, *, remember: bool
    ) -> None:
        """A record from the topic. `remember` puts it in the index (for the reader that is ahead)."""
        for candidate in candidate_keys(key, headers, value):
            if remember:
                self.index.put(candidate, place)
            if candidate not in self._waiters:
                continue
            found = self.read(candidate, place, value)
            if found is not None:
                for waiter in self._waiters.pop(candidate):
                    self._offer(waiter, found)

    def _offer(self, waiter: Waiter, found: ReceivedResult) -> None:
        """Hand a result over, and keep the waiter only if it still waits. It may leave at any moment, and
        looks at `in_room` after it has cancelled its future.
        """
        waiter.in_room = False
        waiter.offer(found)
        waiter.in_room = True
        if waiter.done:
            waiter.in_room = False
        else:
            self.add(waiter)

    def read(self, candidate: bytes | None, place: Place, value: bytes | None) -> ReceivedResult | None:
        """The result at a place. None, with a warning, if it is none, and None if it has another id than
        the `candidate` it was found by (None = any).
        """
        try:
            event, record = read_result(value)
        except InvalidRecord as error:
            log.warning(
                "skipped a record that is no result: %s",
                error,
                extra={"action": "result_invalid", **place._asdict()},
            )
            return None
        if candidate is not None and id_key(event.correlation_id) != candidate:
            return None
        return ReceivedResult(event, record, self._topic, place.partition, place.offset)

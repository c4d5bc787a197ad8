"""Asking and waiting: note where the results end, publish, wait."""

import asyncio
import logging
import threading
import time
from collections.abc import Callable
from typing import Final, Self
from uuid import UUID
from weakref import WeakKeyDictionary

from confluent_kafka import KafkaException

from workflow_events.errors import BrokerUnavailable, ConfigurationError
from workflow_events.exchange.catch_up import CatchUp
from workflow_events.exchange.index import Place
from workflow_events.exchange.live import LiveReader
from workflow_events.exchange.matching import id_key
from workflow_events.exchange.noting import Noter
from workflow_events.exchange.partitions import assign, open_consumer
from workflow_events.exchange.start import StartPoint
from workflow_events.exchange.waiting import INDEX_CAPACITY, ReceivedResult, Waiter, WaitingRoom
from workflow_events.exchange.wakeups import LoopWakeups
from workflow_events.librdkafka import LastError, ctrl_c_kept
from workflow_events.producer import WorkflowEventProducer
from workflow_events.schema import WorkflowEvent
from workflow_events.settings import KafkaSettings, TopicNames

log = logging.getLogger(__name__)

_LOOK_EVERY: Final = 0.25
_REACH_TIMEOUT: Final = 10.0
"""Seconds within which a broker must have answered once, for those who want errors at once."""


class ResultsUnavailable(BrokerUnavailable, KafkaException):
    """The results topic cannot be read: no broker answers, or they refuse us. Retrying may help."""


class ResultExchange:
    """Waits for results of one topic: one thread and one connection, however many wait.

    It joins no consumer group and commits nothing. Results published before the wait are found too, as
    far back as its start point. May be shared by threads and event loops; `close` it, or use `with`.
    Nothing is read before the first wait. `poll_interval` is how often (s) it looks for a topic that does
    not exist yet; results need no interval, they arrive.
    """

    def __init__(
        self,
        bootstrap_servers: str | None = None,
        topic: str | None = None,
        *,
        settings: KafkaSettings | None = None,
        poll_interval: float = 1.0,
        index_capacity: int = INDEX_CAPACITY,
    ) -> None:
        settings = settings or KafkaSettings.from_env(bootstrap_servers)
        self._settings = settings
        self.bootstrap_servers = settings.bootstrap_servers
        self.topic = TopicNames.from_env(results=topic).results
        self._last_error = LastError()
        self._room = WaitingRoom(self.topic, index_capacity)
        try:
            consumer = open_consumer(settings, self._last_error)
        except KafkaException as error:
            raise ConfigurationError(f"the Kafka settings cannot be used: {error}") from error
        self._catch_up = CatchUp(
            lambda: open_consumer(settings, LastError(), fetch_wait_ms=10), self.topic, self._room
        )
        self._live = LiveReader(
            consumer, self.topic, self._room, self._catch_up, self._last_error, poll_interval
        )
        self._noter = Noter(settings, self.topic)
        self._wakeups_lock = threading.Lock()
        self._wakeups_of: WeakKeyDictionary[asyncio.AbstractEventLoop, LoopWakeups] = WeakKeyDictionary()
        self._closed = False

    @property
    def waiting(self) -> int:
        """How many wait now."""
        with self._room.lock:
            return len(self._room)

    def note(self, timeout: float = 10) -> StartPoint:
        """Where the topic ends now. Note it before publishing, and wait from there: no result can be
        missed, and none of before is read. Raises `ResultsUnavailable` if no broker answers in time (s).
        """
        self._check_open()
        try:
            return self._noter.note(timeout)
        except KafkaException as error:
            raise self._unavailable(error, self._noter.last_error) from error

    async def note_async(self, timeout: float = 10) -> StartPoint:
        """`note` without blocking the loop."""
        return await asyncio.to_thread(self.note, timeout)

    def wait(
        self,
        event_id: UUID | str,
        timeout: float,
        *,
        since: StartPoint | None = None,
        attempt: int | None = None,
        workflow_id: str | None = None,
        fail_fast: bool = False,
    ) -> ReceivedResult | None:
        """The event's result, None at the timeout (s).

        `since` None = early enough for any result of this id (`StartPoint.before`). With an `attempt`,
        failures of earlier attempts are passed over; without one, the best verdict on the topic counts.
        Another `workflow_id` is passed over. Broker errors are ridden out; `ResultsUnavailable` is raised
        at the timeout if there is no contact then, with `fail_fast` as soon as the brokers refuse us, or
        none has answered for 10 s. `ConfigurationError` is raised at once for an id that is no UUID, and
        for a negative timeout.
        """
        _check_timeout(timeout)
        began = time.monotonic()
        waiter = self._enter(event_id, since, attempt, workflow_id)
        try:
            while True:
                left = began + timeout - time.monotonic()
                try:
                    return waiter.future.result(max(0.0, min(left, _LOOK_EVERY)))
                except TimeoutError:
                    pass
                if fail_fast:
                    self._raise_if_hopeless(time.monotonic() - began)
                if left <= 0:
                    self._raise_if_out_of_contact()
                    return None
        finally:
            self._leave(waiter)

    async def wait_async(
        self,
        event_id: UUID | str,
        timeout: float | None,
        *,
        since: StartPoint | None = None,
        attempt: int | None = None,
        workflow_id: str | None = None,
    ) -> ReceivedResult | None:
        """As `wait`, for thousands of waits on an event loop. `timeout` None = until it is cancelled."""
        if timeout is not None:
            _check_timeout(timeout)
        waiter = self._enter(event_id, since, attempt, workflow_id)
        limit = asyncio.timeout(timeout)
        try:
            async with limit:
                return await self._wakeups().result_of(waiter.future)
        except TimeoutError:
            if not limit.expired():
                raise
            await asyncio.to_thread(self._raise_if_out_of_contact)
            return None
        finally:
            self._leave(waiter)

    def ask(
        self,
        event: WorkflowEvent,
        producer: WorkflowEventProducer,
        timeout: float,
        *,
        attempt: int = 1,
        deadline_ms: int | None = None,
        events_topic: str | None = None,
        on_published: Callable[[], None] = lambda: None,
    ) -> ReceivedResult | None:
        """Publish the event and wait for its result: `note`, `publish`, `wait`, with their errors. None
        at the timeout (s), which counts from here. `on_published` is called between the last two.
        """
        deadline = time.monotonic() + timeout
        since = self.note(min(timeout, 10))
        left = max(0.1, deadline - time.monotonic())
        producer.publish(event, events_topic, min(left, 10), attempt=attempt, deadline_ms=deadline_ms)
        on_published()
        return self.wait(event.event_id, max(0.0, deadline - time.monotonic()), since=since, attempt=attempt)

    def read_at(self, partition: int, offset: int, timeout: float = 10) -> ReceivedResult | None:
        """The result at a known place (a claim check). None if it is no longer there, or not within
        `timeout` seconds. Raises `ResultsUnavailable` if no broker answers.
        """
        self._check_open()
        last_error = LastError()
        consumer = open_consumer(self._settings, last_error)
        try:
            assign(consumer, self.topic, {partition: offset})
            deadline = time.monotonic() + timeout
            while (left := deadline - time.monotonic()) > 0:
                with ctrl_c_kept():
                    message = consumer.poll(min(left, _LOOK_EVERY))
                if message is None:
                    continue
                if message.error() is not None or message.offset() != offset:
                    return None
                return self._room.read(None, Place(partition, offset), message.value())
        finally:
            consumer.close()
        if last_error.hint:
            raise ResultsUnavailable(f"no result could be read at {partition}:{offset}{last_error.hint}")
        return None

    def close(self) -> None:
        """End all waits with an error and disconnect. Closing again does nothing."""
        if self._closed:
            return
        self._closed = True
        self._live.stop()
        self._catch_up.stop()
        self._noter.close()
        with self._room.lock:
            for waiter in self._room.everybody():
                waiter.fail(RuntimeError("the exchange was closed while this wait went on"))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _enter(
        self, event_id: UUID | str, since: StartPoint | None, attempt: int | None, workflow_id: str | None
    ) -> Waiter:
        self._check_open()
        identity = event_id if isinstance(event_id, UUID) else _parsed(event_id)
        start = StartPoint.before(identity) if since is None else since
        waiter = Waiter(id_key(identity), start, workflow_id=workflow_id, attempt=attempt)
        self._live.welcome(waiter)
        return waiter

    def _wakeups(self) -> LoopWakeups:
        loop = asyncio.get_running_loop()
        with self._wakeups_lock:
            found = self._wakeups_of.get(loop)
            if found is None:
                found = self._wakeups_of[loop] = LoopWakeups(loop)
            return found

    def _leave(self, waiter: Waiter) -> None:
        waiter.future.cancel()
        # Whoever was answered has been forgotten already: thousands of them on one event loop need no lock.
        if waiter.in_room:
            with self._room.lock:
                self._room.remove(waiter)

    def _check_open(self) -> None:
        if self._closed:
            raise RuntimeError("the exchange is closed: make a new ResultExchange")

    def _raise_if_hopeless(self, waited: float) -> None:
        if self._last_error.refused is not None or (not self._live.connected and waited > _REACH_TIMEOUT):
            raise self._unavailable(None, self._last_error)

    def _raise_if_out_of_contact(self) -> None:
        """At a timeout: "no result" may only be said by those who could have seen it."""
        if self._live.failing or (not self._live.connected and self._last_error.hint):
            raise self._unavailable(None, self._last_error)
        if not self._live.connected:
            self.note(0.5)

    def _unavailable(self, error: KafkaException | None, last_error: LastError) -> ResultsUnavailable:
        why = f": {error.args[0].str()}" if error is not None and hasattr(error.args[0], "str") else ""
        return ResultsUnavailable(
            f"the topic {self.topic} cannot be read from {self.bootstrap_servers}{why}{last_error.hint}"
        )


def _check_timeout(timeout: float) -> None:
    if not timeout >= 0:
        raise ConfigurationError(f"timeout is {timeout}; expected seconds, 0 or more")


def _parsed(event_id: str) -> UUID:
    try:
        return UUID(event_id)
    except (ValueError, TypeError, AttributeError) as error:
        raise ConfigurationError(
            f"the event's id (correlation_id of its result) is {event_id!r}; expected a UUID"
        ) from error

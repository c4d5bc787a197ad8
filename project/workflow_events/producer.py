"""Publishes events and waits until the broker has them."""

import logging
import time
from typing import Any, Final, Self
from uuid import UUID

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from workflow_events.codec import encode
from workflow_events.errors import ConfigurationError, PublishFailed, RecordTooLarge
from workflow_events.headers import RecordHeaders
from workflow_events.librdkafka import MAX_RECORD_BYTES, LastError, client_options, ctrl_c_kept
from workflow_events.schema import (
    EventSource,
    EventType,
    WorkflowEvent,
    WorkflowEventMetadata,
    WorkflowEventPayload,
)
from workflow_events.settings import EventDefaults, KafkaSettings, TopicNames

log = logging.getLogger(__name__)

_TICK: Final = 0.05
"""Seconds between two looks at the clock; Ctrl-C takes effect at such a look."""

_CLOSE_TIMEOUT: Final = 5.0


class WorkflowEventProducer:
    """Writes events to Kafka, one at a time, each keyed by its id. May be shared by threads.

    Nothing is connected before the first event. `settings` replaces `bootstrap_servers` and the
    environment. `retries`, the timeouts (ms) and `acks` are librdkafka's. Idempotence is off: a
    producer of one event would wait 0.5 s for its id, and event ids make repeats harmless.
    """

    def __init__(
        self,
        bootstrap_servers: str | None = None,
        acks: str | int = "all",
        retries: int = 3,
        max_in_flight_requests_per_connection: int = 1,
        request_timeout_ms: int = 30000,
        delivery_timeout_ms: int = 120000,
        *,
        settings: KafkaSettings | None = None,
    ) -> None:
        settings = settings or KafkaSettings.from_env(bootstrap_servers)
        self.bootstrap_servers = settings.bootstrap_servers
        self.topic = TopicNames.from_env().events
        self._defaults = EventDefaults.from_env()
        self._last_error = LastError()
        options = {
            "enable.idempotence": False,
            "partitioner": "murmur2_random",  # as Java and aiokafka: one key, one partition for all
            "linger.ms": 0,
            "batch.num.messages": 1,  # the topic's size limit is one for batches: events would share it
            "message.max.bytes": MAX_RECORD_BYTES,
            "topic.metadata.propagation.max.ms": 5000,  # then a missing topic is an error that says so
            **client_options(settings, self._last_error),
            "acks": acks,
            "retries": retries,
            "max.in.flight.requests.per.connection": max_in_flight_requests_per_connection,
            "request.timeout.ms": request_timeout_ms,
            "delivery.timeout.ms": delivery_timeout_ms,
        }
        try:
            self.producer: Producer | None = Producer(options)
        except KafkaException as error:
            raise ConfigurationError(f"the producer's options cannot be used: {_text(error)}") from error

    def publish(
        self,
        event: WorkflowEvent,
        topic: str | None = None,
        timeout: float = 10,
        *,
        attempt: int = 1,
        deadline_ms: int | None = None,
        traceparent: str | None = None,
        tracestate: str | None = None,
    ) -> None:
        """Return once the broker has confirmed the event.

        `timeout` is in seconds. What is then still queued here is never sent; what was on its way may
        have arrived, and publishing the same event again is safe: that is `PublishFailed`. Also raises
        `RecordTooLarge`, `NotJson` (before anything is sent) for a payload that is no JSON, and
        RuntimeError after `close`. `topic` None = the environment's. For the keywords see `RecordHeaders`.
        """
        headers = RecordHeaders(str(event.event_id), attempt, deadline_ms, traceparent, tracestate)
        self._publish(event, topic or self.topic, timeout, headers)

    def publish_event(
        self,
        event: WorkflowEvent,
        topic: str | None = None,
        timeout: float = 10,
        *,
        attempt: int = 1,
        deadline_ms: int | None = None,
        traceparent: str | None = None,
        tracestate: str | None = None,
    ) -> bool:
        """True once the broker has confirmed the event; False, with the cause logged, where `publish`
        raises `PublishFailed` or `RecordTooLarge`. Raises `NotJson`, and RuntimeError after `close`.
        """
        headers = RecordHeaders(str(event.event_id), attempt, deadline_ms, traceparent, tracestate)
        try:
            self._publish(event, topic or self.topic, timeout, headers)
        except (PublishFailed, RecordTooLarge) as error:
            log.error(
                "event not published: %s",
                error,
                extra={"action": "publish_failed", "event_id": str(event.event_id)},
            )
            return False
        return True

    def publish_workflow_event(
        self,
        event_type: EventType | str,
        source: EventSource | str,
        workflow_id: str,
        workflow_run_id: str,
        payload: WorkflowEventPayload | dict[str, Any],
        metadata: WorkflowEventMetadata | dict[str, Any] | None = None,
        topic: str | None = None,
        timeout: float = 10,
        *,
        event_id: UUID | None = None,
        graph: str | None = None,
        attempt: int = 1,
        deadline_ms: int | None = None,
        traceparent: str | None = None,
        tracestate: str | None = None,
    ) -> WorkflowEvent:
        """The event as published and confirmed. `payload` is `{"data": {...}}` or its model.

        `metadata` None = `ENVIRONMENT` and `EVENT_SCHEMA_VERSION`; `event_id` None = a new one. Raises
        pydantic's ValidationError for bad fields, `PublishFailed` (repeating is safe, with
        `publish_event` or the same `event_id`), `RecordTooLarge`, `NotJson`; RuntimeError after `close`.
        """
        fields: dict[str, Any] = {
            "event_type": event_type,
            "source": source,
            "workflow_id": workflow_id,
            "workflow_run_id": workflow_run_id,
            "payload": payload,
            "metadata": self._defaults.metadata() if metadata is None else metadata,
            "graph": graph,
        }
        if event_id is not None:
            fields["event_id"] = event_id
        event = WorkflowEvent.model_validate(fields)
        headers = RecordHeaders(str(event.event_id), attempt, deadline_ms, traceparent, tracestate)
        self._publish(event, topic or self.topic, timeout, headers)
        return event

    def flush(self, timeout: float | None = None) -> int:
        """Wait until nothing is queued or on its way, at most `timeout` seconds (None = as long as it
        takes). The number of events that are left. RuntimeError after `close`.
        """
        return _flush(self._open_producer(), timeout)

    def close(self) -> None:
        """Send what is left, for at most 5 s, and let go. Closing again does nothing."""
        producer, self.producer = self.producer, None
        if producer is not None:
            left = _flush(producer, _CLOSE_TIMEOUT)
            if left:
                log.warning("closed with unsent events", extra={"action": "closed", "unsent": left})
                producer.purge(in_flight=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _open_producer(self) -> Producer:
        if self.producer is None:
            raise RuntimeError("the producer is closed: make a new WorkflowEventProducer")
        return self.producer

    def _publish(self, event: WorkflowEvent, topic: str, timeout: float, headers: RecordHeaders) -> None:
        producer = self._open_producer()
        value = encode(event)
        key = str(event.event_id).encode()
        pairs: list[tuple[str, str | bytes | None]] = [*headers.to_list()]
        deadline = time.monotonic() + timeout
        while True:
            report = _Report()
            try:
                producer.produce(topic, value, key, on_delivery=report, headers=pairs)
            except (BufferError, KafkaException) as error:
                raise self._refusal(error, event) from error
            self._wait(producer, report, deadline, event)
            if report.error is None:
                self._last_error.clear()
                return
            if report.error.code() == KafkaError._PURGE_QUEUE and time.monotonic() < deadline:
                continue  # swept away by another thread's timeout; ours is still to come
            raise self._refusal(KafkaException(report.error), event)

    def _wait(self, producer: Producer, report: "_Report", deadline: float, event: WorkflowEvent) -> None:
        """Until the report is there. At the deadline what is queued is taken back, so that a caller who
        is told "no" does not see it sent afterwards.
        """
        try:
            while not report.done and (left := deadline - time.monotonic()) > 0:
                with ctrl_c_kept():
                    producer.poll(min(_TICK, left))
        finally:
            if not report.done:  # also when Ctrl-C ends the wait
                producer.purge(in_queue=True, in_flight=False)
                with ctrl_c_kept():
                    producer.poll(0)
        if not report.done:
            raise PublishFailed(
                f"event {event.event_id} was not confirmed in time. It was on its way, so its outcome is "
                f"unknown; publishing the same event again is safe{self._last_error.hint}"
            )

    def _refusal(self, error: Exception, event: WorkflowEvent) -> PublishFailed | RecordTooLarge:
        code = _code(error)
        if code == KafkaError.MSG_SIZE_TOO_LARGE:
            return RecordTooLarge(f"event {event.event_id} is larger than its topic takes: {_text(error)}")
        if code == KafkaError._PURGE_QUEUE:
            why = "no broker took it in time, and it has been taken back"
        else:
            why = _text(error)
        return PublishFailed(f"event {event.event_id} was not published: {why}{self._last_error.hint}")


class _Report:
    """One delivery report, filled in by whichever thread polls."""

    __slots__ = ("done", "error")

    def __init__(self) -> None:
        self.done = False
        self.error: KafkaError | None = None

    def __call__(self, error: KafkaError | None, _message: Message) -> None:
        self.error = error
        self.done = True


def _flush(producer: Producer, timeout: float | None) -> int:
    """As `Producer.flush`, in slices that let Ctrl-C through."""
    deadline = None if timeout is None else time.monotonic() + timeout
    while True:
        left = _TICK if deadline is None else min(_TICK, deadline - time.monotonic())
        with ctrl_c_kept():
            queued = producer.flush(max(left, 0))
        if not queued or left <= 0:
            return queued


def _code(error: Exception) -> int | None:
    inner = error.args[0] if isinstance(error, KafkaException) and error.args else None
    return inner.code() if isinstance(inner, KafkaError) else None


def _text(error: Exception) -> str:
    inner = error.args[0] if error.args else None
    return inner.str() if isinstance(inner, KafkaError) else str(error)

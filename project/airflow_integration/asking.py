"""Asking for a run and taking its answer, whoever asks. Knows no Airflow."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from datetime import timedelta
from typing import Any, Final, Self
from uuid import UUID

from airflow_integration.identity import RunIdentity
from workflow_events.errors import (
    BrokerUnavailable,
    ConfigurationError,
    PublishFailed,
    WorkflowFailed,
    WorkflowTimeout,
)
from workflow_events.exchange import ReceivedResult, ResultExchange, StartPoint
from workflow_events.producer import WorkflowEventProducer
from workflow_events.schema import EventSource, EventType, WorkflowEvent, WorkflowEventPayload
from workflow_events.settings import EventDefaults, KafkaSettings, TopicNames

DEFAULT_TIMEOUT: Final = 300.0
_DEFAULT_TASK: Final = "process_workflow"
_PUBLISH_TIMEOUT: Final = 10.0


@dataclass(frozen=True, slots=True)
class Ticket:
    """What whoever waits for an answer has to know; JSON, so that another process or task may wait.

    `deadline` is in seconds since 1970, `timeout` the seconds that led to it. `since` is where the
    results topic ended before the event was published (`StartPoint`). `traceparent` is the asker's.
    `events_topic` None = the environment's.
    """

    event_id: str
    attempt: int
    workflow_id: str
    workflow_run_id: str
    results_topic: str
    since: dict[str, Any]
    deadline: float
    timeout: float
    traceparent: str | None = None
    events_topic: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        return {one.name: getattr(self, one.name) for one in fields(self)}

    @classmethod
    def from_dict(cls, written: Mapping[str, Any]) -> Self:
        """The ticket that `to_dict` wrote, also of a newer release. Raises `ConfigurationError` for
        anything else.
        """
        known = {one.name for one in fields(cls)}
        try:
            return cls(**{name: value for name, value in written.items() if name in known})
        except TypeError as error:
            raise ConfigurationError(
                "this is no ticket of a run; expected what LangGraphWorkflowOperator(wait=False) returns"
            ) from error

    @classmethod
    def for_event(cls, event_id: str, timeout: float, *, results_topic: str | None = None) -> Self:
        """A ticket for a run of which nothing is known but its id: whichever verdict comes first counts."""
        return cls(
            event_id=str(UUID(event_id)),
            attempt=1,
            workflow_id="",
            workflow_run_id="",
            results_topic=TopicNames.from_env(results=results_topic).results,
            since=StartPoint.before(UUID(event_id)).to_dict(),
            deadline=time.time() + timeout,
            timeout=timeout,
        )

    def until(self, timeout: float) -> Self:
        """The same run with another time to wait (s), from now."""
        return replace(self, timeout=timeout, deadline=time.time() + timeout)

    @property
    def start(self) -> StartPoint:
        """Where to begin reading."""
        return StartPoint.from_dict(self.since)

    @property
    def remaining(self) -> float:
        """Seconds until the deadline, 0 after it."""
        return max(0.0, self.deadline - time.time())


def seconds(timeout: float | timedelta) -> float:
    """A time to wait as positive seconds. Raises `ConfigurationError` for anything else."""
    value = timeout.total_seconds() if isinstance(timeout, timedelta) else timeout
    try:
        if 0 < value < float("inf"):
            return float(value)
    except TypeError:
        pass
    raise ConfigurationError(f"timeout is {timeout!r}; expected seconds or a timedelta, above 0")


def payload_data(task_data: object) -> dict[str, Any]:
    """What the event carries for a task's data: `{"task": ..., "data": task_data}`. None counts as {}.

    Raises `ConfigurationError` for data that is no mapping.
    """
    if task_data is None:
        task_data = {}
    if not isinstance(task_data, Mapping):
        raise ConfigurationError(
            f'task_data is {type(task_data).__name__}; expected a dict such as {{"task": "analyze", ...}}'
        )
    data = dict(task_data)
    return {"task": data.get("task") or _DEFAULT_TASK, "data": data}


def ask(
    task_data: object,
    identity: RunIdentity,
    *,
    workflow_id: str,
    workflow_run_id: str,
    timeout: float,
    settings: KafkaSettings,
    exchange: ResultExchange,
    graph: str | None = None,
    traceparent: str | None = None,
) -> Ticket:
    """Publish the event and return once the broker has it. `timeout` (s) is how long the asker will
    wait, and travels with the event as its deadline.

    Raises `PublishFailed` if no broker takes it (asking again with the same identity is safe), `NotJson`
    naming the path, `RecordTooLarge`, `ConfigurationError`.
    """
    event = WorkflowEvent(
        event_id=identity.event_id,
        event_type=EventType.WORKFLOW_TRIGGERED,
        source=EventSource.AIRFLOW,
        workflow_id=workflow_id,
        workflow_run_id=workflow_run_id,
        payload=WorkflowEventPayload(data=payload_data(task_data)),
        metadata=EventDefaults.from_env().metadata(),
        graph=graph,
    )
    try:
        since = exchange.note(_PUBLISH_TIMEOUT)
    except BrokerUnavailable as error:
        raise PublishFailed(f"nothing was published for event {event.event_id}: {error}") from error
    deadline = time.time() + timeout
    with WorkflowEventProducer(settings=settings) as producer:
        topic = producer.topic
        producer.publish(
            event,
            topic,
            _PUBLISH_TIMEOUT,
            attempt=identity.attempt,
            deadline_ms=int(deadline * 1000),
            traceparent=traceparent,
        )
    return Ticket(
        event_id=str(identity.event_id),
        attempt=identity.attempt,
        workflow_id=workflow_id,
        workflow_run_id=workflow_run_id,
        results_topic=exchange.topic,
        since=since.to_dict(),
        deadline=deadline,
        timeout=timeout,
        traceparent=traceparent,
        events_topic=topic,
    )


def wait_for(ticket: Ticket, exchange: ResultExchange, timeout: float | None = None) -> ReceivedResult | None:
    """The answer, None after `timeout` seconds (None = at the ticket's deadline). Blocks."""
    return exchange.wait(
        ticket.event_id,
        ticket.remaining if timeout is None else min(timeout, ticket.remaining),
        since=ticket.start,
        attempt=ticket.attempt,
    )


def publish_cancel(ticket: Ticket, reason: str, settings: KafkaSettings) -> None:
    """Ask the service to end the run: a durable record with the run's key, so that it stays in order
    with the asks. It counts for this attempt and earlier ones; a later attempt revokes it.
    """
    event = WorkflowEvent(
        event_id=UUID(ticket.event_id),
        event_type=EventType.WORKFLOW_CANCEL,
        source=EventSource.AIRFLOW,
        workflow_id=ticket.workflow_id,
        workflow_run_id=ticket.workflow_run_id,
        payload=WorkflowEventPayload(
            data={"event_id": ticket.event_id, "attempt": ticket.attempt, "reason": reason}
        ),
        metadata=EventDefaults.from_env().metadata(),
    )
    with WorkflowEventProducer(settings=settings) as producer:
        producer.publish(
            event,
            ticket.events_topic,
            _PUBLISH_TIMEOUT,
            attempt=ticket.attempt,
            traceparent=ticket.traceparent,
        )


def timed_out(ticket: Ticket) -> WorkflowTimeout:
    """The error of a wait that got no answer."""
    return WorkflowTimeout(
        f"Workflow result not received within {ticket.timeout:g} s (workflow {ticket.workflow_id}, "
        f"event {ticket.event_id}, attempt {ticket.attempt}). The run may go on: a retry takes its result"
    )


def failure_text(ticket: Ticket, received: ReceivedResult) -> str:
    """The workflow's own error, and which run it was."""
    event = received.event
    return (
        f"Workflow failed: {event.error or 'no reason given'} (status {event.status}, workflow "
        f"{ticket.workflow_id}, event {ticket.event_id}, attempt {event.attempt or ticket.attempt})"
    )


def result_of(ticket: Ticket, received: ReceivedResult) -> dict[str, Any]:
    """The result of a success. Raises `WorkflowFailed` with the workflow's own error otherwise."""
    if received.event.status != "success":
        raise WorkflowFailed(failure_text(ticket, received))
    return received.event.result

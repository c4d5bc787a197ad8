"""Asking without an Airflow: what is sent, what comes back, and what goes wrong."""

from __future__ import annotations

import threading
from typing import Any
from uuid import UUID, uuid4

import pytest
from confluent_kafka import Consumer, TopicPartition

from airflow_integration.asking import Ticket, ask, payload_data, publish_cancel, timed_out, wait_for
from airflow_integration.identity import RunIdentity
from airflow_integration.langgraph_trigger import _trigger_langgraph_workflow_impl, trigger_langgraph_workflow
from workflow_events import WorkflowResultEvent
from workflow_events.codec import decode_event, encode
from workflow_events.errors import ConfigurationError, PublishFailed, WorkflowTimeout
from workflow_events.exchange import ResultExchange
from workflow_events.headers import RecordHeaders
from workflow_events.schema import EventType
from workflow_events.settings import KafkaSettings, TopicNames


class _Named:
    """An object with these attributes."""

    def __init__(self, **names: Any) -> None:
        self.__dict__.update(names)

    def __repr__(self) -> str:
        """Without an address: it stands in the names of tests, which all workers must agree on."""
        return f"_Named({', '.join(self.__dict__)})"


BY_HAND: dict[str, Any] = {"dag": _Named(dag_id="my_dag"), "dag_run": _Named(run_id="run 1")}


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ({"task": "analyze", "rows": 1}, {"task": "analyze", "data": {"task": "analyze", "rows": 1}}),
        ({"rows": 1}, {"task": "process_workflow", "data": {"rows": 1}}),
        (None, {"task": "process_workflow", "data": {}}),
    ],
)
def test_the_payload_names_the_task_and_carries_the_data(given: Any, sent: dict[str, Any]) -> None:
    """The guide's shape."""
    assert payload_data(given) == sent


def test_data_that_is_no_dict_is_refused_in_words() -> None:
    """It says what is expected."""
    with pytest.raises(ConfigurationError, match="task_data is list; expected a dict"):
        payload_data([1, 2])


def test_a_ticket_survives_xcom() -> None:
    """Another task, or another process, goes on waiting with it."""
    ticket = Ticket.for_event(str(uuid4()), 5)

    assert Ticket.from_dict(ticket.to_dict()) == ticket
    assert Ticket.from_dict({**ticket.to_dict(), "of_a_newer_release": 1}) == ticket
    assert ticket.until(60).remaining > 55
    with pytest.raises(ConfigurationError, match="no ticket"):
        Ticket.from_dict({"event_id": "x"})


def test_the_timeouts_text_says_which_run_it_was() -> None:
    """Both a TimeoutError and the words that callers match."""
    error = timed_out(Ticket.for_event("123e4567-e89b-42d3-a456-426614174000", 7))

    assert isinstance(error, TimeoutError)
    assert str(error).startswith("Workflow result not received within 7 s")
    assert "123e4567-e89b-42d3-a456-426614174000" in str(error)


@pytest.mark.parametrize(
    "context",
    [{}, {"dag": BY_HAND["dag"]}, {"dag_run": BY_HAND["dag_run"]}],
    ids=lambda context: "+".join(context) or "nothing",
)
def test_without_a_context_it_says_where_it_works(context: dict[str, Any]) -> None:
    """ValueError, in the guide's words."""
    with pytest.raises(ValueError, match="Airflow context not available"):
        _trigger_langgraph_workflow_impl({"task": "t"}, **context)


@pytest.mark.slow
def test_nobody_at_the_brokers_address_is_a_publish_failure() -> None:
    """A RuntimeError that names the address; asking again is safe."""
    settings = KafkaSettings("127.0.0.1:1")
    with ResultExchange(settings=settings) as exchange:
        with pytest.raises(PublishFailed, match=r"nothing was published.*127\.0\.0\.1:1"):
            ask(
                {},
                RunIdentity(uuid4()),
                workflow_id="w",
                workflow_run_id="r",
                timeout=5,
                settings=settings,
                exchange=exchange,
            )


def test_what_is_asked_carries_attempt_and_deadline(kafka_environment: TopicNames) -> None:
    """Keyed by its id, with the headers that the service acts on; a cancel follows in the same partition."""
    settings, identity = KafkaSettings.from_env(), RunIdentity(uuid4(), attempt=3)
    with ResultExchange(settings=settings) as exchange:
        ticket = ask(
            {"task": "t"},
            identity,
            workflow_id="w",
            workflow_run_id="r",
            timeout=60,
            settings=settings,
            exchange=exchange,
            traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        )
    publish_cancel(ticket, "no longer wanted", settings)
    asked, cancel = _records(settings.bootstrap_servers, kafka_environment.events, 2)

    headers = RecordHeaders.parse(asked.headers())
    assert asked.key() == str(identity.event_id).encode()
    assert (headers.attempt, headers.deadline_ms) == (3, int(ticket.deadline * 1000))
    assert headers.traceparent is not None
    event = decode_event(cancel.value())
    assert (event.event_type, event.event_id) == (EventType.WORKFLOW_CANCEL, identity.event_id)
    assert event.payload.data == {
        "event_id": str(identity.event_id),
        "attempt": 3,
        "reason": "no longer wanted",
    }
    assert cancel.partition() == asked.partition()


def test_a_context_made_by_hand_is_enough(kafka_environment: TopicNames) -> None:
    """Without an Airflow: ask, wait, take the result."""
    servers = KafkaSettings.from_env().bootstrap_servers
    answering = threading.Thread(target=_answer, args=(servers, kafka_environment, "success"))
    answering.start()
    result = trigger_langgraph_workflow(task_data={"task": "t"}, timeout=30, **BY_HAND)
    answering.join()

    assert result == {"completed": True}


def test_a_failed_workflow_raises_its_own_words(kafka_environment: TopicNames) -> None:
    """A RuntimeError, as the guide promises."""
    servers = KafkaSettings.from_env().bootstrap_servers
    answering = threading.Thread(target=_answer, args=(servers, kafka_environment, "error"))
    answering.start()
    with pytest.raises(RuntimeError, match="Workflow failed: it broke"):
        trigger_langgraph_workflow(task_data={"task": "t"}, timeout=30, **BY_HAND)
    answering.join()


def test_no_answer_is_a_timeout(kafka_environment: TopicNames) -> None:
    """After the time that was given, not later."""
    with pytest.raises(WorkflowTimeout, match=r"not received within 0\.5 s"):
        trigger_langgraph_workflow(task_data={}, timeout=0.5, **BY_HAND)


def test_a_timeout_cancels_the_run_where_that_was_asked_for(kafka_environment: TopicNames) -> None:
    """As the operator's option of that name; the record gives the same reason."""
    with pytest.raises(WorkflowTimeout):
        trigger_langgraph_workflow(task_data={}, timeout=0.5, cancel_on_timeout=True, **BY_HAND)
    servers = KafkaSettings.from_env().bootstrap_servers
    asked, cancel = _records(servers, kafka_environment.events, 2)

    told = decode_event(cancel.value())
    assert (told.event_type, told.payload.data["reason"]) == (EventType.WORKFLOW_CANCEL, "timeout")
    assert cancel.key() == asked.key()


def test_whoever_kills_the_task_cancels_its_run(kafka_environment: TopicNames) -> None:
    """Airflow calls the operator's `on_kill`: the call's cancel comes first, then the operator's own hook,
    which is all that is left afterwards.
    """
    killed: list[str] = []
    task: Any = _Named(retries=0, on_kill=lambda: killed.append("theirs"))
    ti = _Named(id="1", task_id="ask", try_number=1, max_tries=0, map_index=-1, task=task)
    kill = threading.Timer(0.3, lambda: task.on_kill())
    kill.start()
    with pytest.raises(WorkflowTimeout):
        trigger_langgraph_workflow(task_data={}, timeout=3, ti=ti, task=task, **BY_HAND)
    kill.join()
    servers = KafkaSettings.from_env().bootstrap_servers
    asked, cancel = _records(servers, kafka_environment.events, 2)

    assert decode_event(cancel.value()).event_type == EventType.WORKFLOW_CANCEL
    assert cancel.key() == asked.key()
    assert killed == ["theirs"]
    task.on_kill()
    assert killed == ["theirs", "theirs"]


def test_a_wait_may_be_shorter_than_the_tickets_deadline(kafka_environment: TopicNames) -> None:
    """For whoever looks first and defers then."""
    ticket = Ticket.for_event(str(uuid4()), 60)
    with ResultExchange() as exchange:
        assert wait_for(ticket, exchange, timeout=0.3) is None


def _records(servers: str, topic: str, count: int) -> list[Any]:
    consumer = Consumer({"bootstrap.servers": servers, "group.id": "looking"})
    partitions = consumer.list_topics(topic, timeout=10).topics[topic].partitions
    consumer.assign([TopicPartition(topic, partition, 0) for partition in partitions])
    found: list[Any] = []
    while len(found) < count:
        found += [message for message in consumer.consume(count, timeout=10) if message.error() is None]
    consumer.close()
    return found


def _answer(servers: str, topics: TopicNames, status: str) -> None:
    """Answer the first ask, as the service does."""
    from confluent_kafka import Producer

    (asked,) = _records(servers, topics.events, 1)
    event = decode_event(asked.value())
    result = WorkflowResultEvent(
        correlation_id=UUID(str(event.event_id)),
        workflow_id=event.workflow_id,
        workflow_run_id=event.workflow_run_id,
        result={"completed": True} if status == "success" else {},
        status="success" if status == "success" else "error",
        error=None if status == "success" else "it broke",
        attempt=1,
    )
    producer = Producer({"bootstrap.servers": servers})
    producer.produce(topics.results, encode(result), str(event.event_id))
    producer.flush()

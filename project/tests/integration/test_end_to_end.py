"""The whole pipeline without Airflow: whoever asks -> Kafka -> the service -> Kafka -> whoever waits.

One service in a process of its own answers all tests of this module; each asks with events of its own.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from airflow_integration.result_poller import WorkflowResultPoller
from langgraph_integration.config import ConsumerConfig
from tests.langgraph_integration.events import event
from tests.langgraph_integration.running import Service, service
from tests.langgraph_integration.topics import Raw, TopicReader, letter_of, send
from tests.support.brokers import BrokerPool, default_backend
from tests.support.status import status
from tests.support.topics import create_workflow_topics, unique_name
from workflow_events import EventSource, EventType, WorkflowEvent, WorkflowEventProducer
from workflow_events.dead_letter import DeadLetterEvent
from workflow_events.settings import TopicNames

pytestmark = [pytest.mark.slow, pytest.mark.broker, pytest.mark.xdist_group("end-to-end")]

FLOWS = [1120, 1160, 963, 1210, 1160, 1160, 813, 1230]
NILE = [{"year": 1871 + number, "flow": flow} for number, flow in enumerate(FLOWS)]

GRAPHS = """
import asyncio
from typing import TypedDict
from langgraph.graph import StateGraph

tries = {}

class State(TypedDict, total=False):
    key: str
    fails: int
    seconds: float
    tries: int

async def work(state: State) -> State:
    key = state["key"]
    tries[key] = tries.get(key, 0) + 1
    await asyncio.sleep(state.get("seconds", 0))
    if tries[key] <= state.get("fails", 0):
        raise ConnectionError("the model is not there")
    if key == "broken":
        raise ValueError("cannot be done")
    return {"tries": tries[key]}

own = StateGraph(State).add_node(work).set_entry_point("work").set_finish_point("work").compile()
"""


@dataclass(frozen=True)
class Pipeline:
    """The running pipeline, as an asker sees it."""

    servers: str
    topics: TopicNames
    running: Service

    def publish(self, *events: WorkflowEvent) -> None:
        with WorkflowEventProducer(self.servers) as producer:
            for asked in events:
                assert producer.publish_event(asked, topic=self.topics.events)

    def answer(self, asked: WorkflowEvent, timeout: float = 40) -> dict[str, Any]:
        poller = WorkflowResultPoller(self.servers, self.topics.results, timeout=timeout, poll_interval=0.2)
        found = poller.poll_for_result(asked.event_id, asked.workflow_id)
        assert found is not None, f"no result within {timeout} s:\n{self.running.log[-2000:]}"
        return found

    def ask(self, asked: WorkflowEvent) -> dict[str, Any]:
        self.publish(asked)
        return self.answer(asked)

    def letters(self, asked: WorkflowEvent) -> list[DeadLetterEvent]:
        """The dead letters about an event."""
        reader = TopicReader(self.servers, self.topics.dead_letters)
        try:
            letters = [letter_of(message) for message in reader.rest()]
        finally:
            reader.close()
        return [
            each for each in letters if (each.original_event or {}).get("event_id") == str(asked.event_id)
        ]


@pytest.fixture(scope="module")
def pipeline(_broker_pool: BrokerPool, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    """Broker, topics and a service with the multi-agent graph as its default and one graph of its own."""
    folder: Path = tmp_path_factory.mktemp("end-to-end")
    (folder / "graph.py").write_text(GRAPHS)
    manifest = {
        "graphs": {"own": "./graph.py:own"},
        "langgraph_kafka": {"default": "multi_agent", "graphs": {"own": {"timeout_seconds": 1}}},
    }
    (folder / "langgraph.json").write_text(json.dumps(manifest))
    broker = _broker_pool.get(default_backend())
    topics = create_workflow_topics(broker.bootstrap_servers, partitions=3)
    config = ConsumerConfig(
        bootstrap_servers=broker.bootstrap_servers,
        topic=topics.events,
        results_topic=topics.results,
        dlq_topic=topics.dead_letters,
        group_id=unique_name("end-to-end"),
        session_timeout_ms=broker.session_timeout_ms,
        heartbeat_interval_ms=broker.heartbeat_interval_ms,
        state_url=f"sqlite:{folder / 'state.db'}",
        graphs_file=str(folder / "langgraph.json"),
    )
    with service(config, folder / "service.log") as running:
        yield Pipeline(broker.bootstrap_servers, topics, running)


def test_1_an_event_is_published_consumed_run_and_answered(pipeline: Pipeline) -> None:
    """Real data in, figures and a conclusion out."""
    asked = event({"task": "trend_analysis", "data": {"records": NILE}})
    began = time.monotonic()
    result = pipeline.ask(asked)
    status.info("answered in %.2f s: %s", time.monotonic() - began, result["result"]["conclusion"])

    assert result["status"] == "success"
    assert result["correlation_id"] == str(asked.event_id)
    assert (result["workflow_id"], result["workflow_run_id"]) == ("dag", "run-1")
    answer = result["result"]
    assert answer["completed"] is True
    assert answer["agent_results"]["data"]["result"] == "data_processed"
    assert answer["agent_results"]["analysis"]["result"] == "analysis_complete"
    assert answer["metadata"]["event_id"] == str(asked.event_id)


def test_2_a_publication_by_its_parts_is_answered_too(pipeline: Pipeline) -> None:
    """`publish_workflow_event`, as the guide's tasks call it."""
    with WorkflowEventProducer(pipeline.servers) as producer:
        asked = producer.publish_workflow_event(
            event_type=EventType.WORKFLOW_TRIGGERED,
            source=EventSource.AIRFLOW,
            workflow_id="langgraph_workflow_dag",
            workflow_run_id="manual__2025-01-01",
            payload={"data": {"task": "process_data", "input": "test"}},
            topic=pipeline.topics.events,
        )
    result = pipeline.answer(asked)

    assert (result["status"], result["workflow_id"]) == ("success", "langgraph_workflow_dag")
    assert result["result"]["task"] == "process_data"


def test_3_a_transient_error_is_retried_until_it_works(pipeline: Pipeline) -> None:
    """With the guide's backoff; nobody but the log notices."""
    asked = event({"key": "twice", "fails": 1}, graph="own")
    result = pipeline.ask(asked)

    assert (result["status"], result["result"]["tries"]) == ("success", 2)
    assert pipeline.letters(asked) == []


def test_4_a_permanent_error_is_answered_at_once_and_kept(pipeline: Pipeline) -> None:
    """An error result, and a dead letter that can be replayed."""
    asked = event({"key": "broken"}, graph="own")
    result = pipeline.ask(asked)
    (letter,) = pipeline.letters(asked)

    assert result["status"] == "error"
    assert result["error"] == "Processing failed after retries: cannot be done"
    assert (letter.reason, letter.error.type, letter.retry_count) == ("permanent", "ValueError", 0)


def test_5_a_timeout_is_an_error_after_its_retries(pipeline: Pipeline) -> None:
    """The limit is the graph's own."""
    asked = event({"key": "slow", "seconds": 30}, graph="own")
    result = pipeline.ask(asked)
    (letter,) = pipeline.letters(asked)

    assert result["status"] == "error"
    assert "timed out after 1 seconds" in result["error"]
    assert (letter.reason, letter.retry_count) == ("timeout", 3)


def test_6_a_request_that_cannot_be_met_is_a_failure(pipeline: Pipeline) -> None:
    """With the reason, and without a dead letter: there is nothing to replay."""
    asked = event({"data": {"records": NILE, "analysis_type": "astrology"}})
    result = pipeline.ask(asked)

    assert result["status"] == "failure"
    assert "astrology" in result["error"]
    assert result["result"]["completed"] is False
    assert pipeline.letters(asked) == []


def test_7_an_unknown_graph_is_an_error_that_lists_the_known_ones(pipeline: Pipeline) -> None:
    """Nothing is imported because an event names it."""
    result = pipeline.ask(event(graph="os:system"))

    assert result["error"] == "Invalid event: unknown graph 'os:system'; known: multi_agent, own"


def test_8_bad_records_stop_nothing(pipeline: Pipeline) -> None:
    """The event behind them is answered."""
    send(
        pipeline.servers,
        pipeline.topics.events,
        [Raw(b"no json"), Raw(None, b"tombstone"), Raw(b"\xff" * 100)],
    )

    assert pipeline.ask(event())["status"] == "success"
    assert pipeline.running.process.poll() is None


def test_9_many_askers_at_once_each_get_theirs(pipeline: Pipeline) -> None:
    """Twenty events, twenty pollers, every partition."""
    events = [event({"task": f"task {number}"}) for number in range(20)]
    with ThreadPoolExecutor(20) as threads:
        answers = list(threads.map(pipeline.ask, events))

    assert [each["correlation_id"] for each in answers] == [str(each.event_id) for each in events]
    assert [each["result"]["task"] for each in answers] == [f"task {number}" for number in range(20)]


def test_10_asking_again_gets_the_same_answer_and_runs_nothing(pipeline: Pipeline) -> None:
    """An Airflow retry with the same event id."""
    asked = event({"key": "once"}, graph="own")
    first, second = pipeline.ask(asked), pipeline.ask(asked)

    assert first == second
    assert first["result"]["tries"] == 1


def test_11_other_event_types_ask_for_nothing(pipeline: Pipeline) -> None:
    """They pass; the trigger behind them is answered."""
    passing = event(event_type=EventType.WORKFLOW_COMPLETED)
    pipeline.publish(passing)
    pipeline.ask(event())
    reader = TopicReader(pipeline.servers, pipeline.topics.results)
    keys = [message.key() for message in reader.rest()]
    reader.close()

    assert str(passing.event_id).encode() not in keys

"""Guide: Result Return Mechanism without its Airflow parts: ResultProducer, WorkflowResultPoller, schema."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Awaitable, Callable
from uuid import UUID

import pytest

from kafka_devbroker import Broker
from langgraph_integration.consumer import LangGraphKafkaConsumer
from langgraph_integration.result_producer import ResultProducer
from tests.fundamentals.asking import RECORDS, answer, ask, records_on
from workflow_events import WorkflowEvent
from workflow_events.codec import encode
from workflow_events.settings import TopicNames

Serving = Callable[[LangGraphKafkaConsumer], Awaitable[None]]


async def test_the_consumer_brings_its_own_result_producer(
    kafka_environment: TopicNames, serving: Serving
) -> None:
    """The listing ResultProducer."""
    from langgraph_integration.result_producer import ResultProducer

    # ResultProducer is automatically initialized in LangGraphKafkaConsumer
    # Results are published automatically after workflow execution
    consumer = LangGraphKafkaConsumer()
    assert isinstance(consumer.result_producer, ResultProducer)

    await serving(consumer)
    event = await ask("find the trend", records=RECORDS)
    result = await answer(event.event_id)

    assert result["correlation_id"] == str(event.event_id)
    assert result["status"] == "success"
    assert {"completed", "agent_results", "task", "metadata"} <= result["result"].keys()


@pytest.mark.broker
@pytest.mark.xdist_group("localhost:9092")
async def test_a_result_is_found_by_its_correlation_id(
    localhost_9092: Broker, capsys: pytest.CaptureFixture[str]
) -> None:
    """The listing WorkflowResultPoller, word for word; the result was published before anybody polled."""
    producer = ResultProducer("localhost:9092")
    await producer.start()
    await producer.publish_result(
        correlation_id=UUID("123e4567-e89b-12d3-a456-426614174000"),
        workflow_id="test_workflow",
        workflow_run_id="run_123",
        result={"completed": True},
    )
    await producer.stop()

    def poll() -> None:
        from uuid import UUID

        from airflow_integration.result_poller import WorkflowResultPoller

        # Initialize poller
        poller = WorkflowResultPoller(
            bootstrap_servers="localhost:9092",
            topic="workflow-results",
            timeout=300,  # 5 minutes default
            poll_interval=1.0,  # 1 second between polls
        )

        # Poll for result
        correlation_id = UUID("123e4567-e89b-12d3-a456-426614174000")
        result = poller.poll_for_result(
            correlation_id=correlation_id,
            workflow_id="test_workflow",  # Optional: additional validation
        )

        if result:
            if result["status"] == "success":
                workflow_result = result["result"]
                print(f"Workflow completed: {workflow_result}")
            else:
                print(f"Workflow failed: {result.get('error')}")
        else:
            print("Result not found (timeout)")

    await asyncio.to_thread(poll)

    assert capsys.readouterr().out == "Workflow completed: {'completed': True}\n"


def test_the_poller_needs_no_airflow() -> None:
    """It is imported from `airflow_integration`, in a process that has no Airflow loaded."""
    program = "import sys, airflow_integration.result_poller; sys.exit('airflow' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_a_result_event_has_the_fields_of_the_guide() -> None:
    """The listing Result Event Schema, with values for its printed dots."""
    from workflow_events import WorkflowResultEvent

    result_event = WorkflowResultEvent(
        correlation_id=UUID("123e4567-e89b-12d3-a456-426614174000"),  # Original event.event_id
        workflow_id="test_workflow",
        workflow_run_id="run_123",
        result={
            "completed": True,
            "agent_results": {"data": {"agent": "data"}},
            "task": "test_task",
            "metadata": {"source": "airflow"},
        },
        status="success",  # or "failure" or "error"
        error=None,  # Error message if status is "error"
    )

    dumped = result_event.model_dump()
    assert WorkflowResultEvent.model_validate_json(encode(result_event)) == result_event
    assert dumped["correlation_id"] == "123e4567-e89b-12d3-a456-426614174000"
    assert dumped.keys() == {
        "correlation_id",
        "workflow_id",
        "workflow_run_id",
        "result",
        "status",
        "error",
        "timestamp",
    }


async def test_a_caller_may_publish_a_result(event: WorkflowEvent, kafka_environment: TopicNames) -> None:
    """The listing Result Publishing of Implementation Details, as a caller's code."""
    result_producer = ResultProducer()
    await result_producer.start()
    result_data = {"completed": True, "agent_results": {}, "task": "process_data", "metadata": {}}

    # Publishes result with correlation ID
    await result_producer.publish_result(
        correlation_id=event.event_id,
        workflow_id=event.workflow_id,
        workflow_run_id=event.workflow_run_id,
        result=result_data,
        status="success",
    )

    await result_producer.stop()
    [published] = await records_on(kafka_environment.results, 1)
    assert published["correlation_id"] == str(event.event_id)
    assert published["result"] == result_data


async def test_no_result_in_time_is_none(kafka_environment: TopicNames) -> None:
    """The list Result Polling Errors: a timeout is no exception."""
    from airflow_integration.result_poller import WorkflowResultPoller

    poller = WorkflowResultPoller(timeout=0.5)

    assert await asyncio.to_thread(poller.poll_for_result, UUID(int=1)) is None


async def test_a_request_that_cannot_be_met_is_a_failure_with_a_reason(
    kafka_environment: TopicNames, serving: Serving
) -> None:
    """Best Practices of Error Handling: look at the status before using the result."""
    await serving(LangGraphKafkaConsumer())

    event = await ask("look at it", records=RECORDS, analysis_type="divination")
    result = await answer(event.event_id)

    assert result["status"] == "failure"
    assert "divination" in result["error"]
    assert "summary, trend_analysis, anomaly_detection" in result["error"]

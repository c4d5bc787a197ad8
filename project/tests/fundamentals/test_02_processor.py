"""Guide: WorkflowProcessor, Event-to-State Conversion, Workflow Execution, Timeout Handling."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import Any, TypedDict

import pytest
from langgraph.graph import END, START, StateGraph

from langgraph_integration.processor import WorkflowProcessor, event_to_multi_agent_state
from langgraph_integration.result_producer import ResultProducer
from langgraph_workflows.multi_agent_workflow import multi_agent_graph
from langgraph_workflows.state import MultiAgentState
from tests.fundamentals.asking import records_on
from workflow_events import WorkflowEvent
from workflow_events.settings import TopicNames

logger = logging.getLogger(__name__)


async def test_a_processor_runs_an_event_and_returns_the_final_state() -> None:
    """The listing of WorkflowProcessor."""
    from langgraph_integration.processor import WorkflowProcessor, event_to_multi_agent_state
    from workflow_events import (
        EventSource,
        EventType,
        WorkflowEvent,
        WorkflowEventMetadata,
        WorkflowEventPayload,
    )

    # Create processor
    processor = WorkflowProcessor()

    # Process workflow event
    event = WorkflowEvent(
        event_type=EventType.WORKFLOW_TRIGGERED,
        source=EventSource.AIRFLOW,
        workflow_id="test_workflow",
        workflow_run_id="run_123",
        payload=WorkflowEventPayload(data={"task": "process_data"}),
        metadata=WorkflowEventMetadata(environment="dev", version="1.0"),
    )

    # Execute workflow
    result = await processor.process_workflow_event(event)

    assert result["completed"] is True
    assert result["task"] == "process_data"
    assert result["agent_results"]["data"]["result"] == "data_processed"
    assert result["agent_results"]["analysis"]["result"] == "analysis_complete"
    assert result["metadata"] == event_to_multi_agent_state(event)["metadata"]
    assert result["metadata"]["event_id"] == str(event.event_id)


async def test_the_event_id_is_the_thread_and_the_same_event_is_not_run_again(event: WorkflowEvent) -> None:
    """The list below that listing: `event_id` as `thread_id`, and what the checkpoint is good for."""
    processor = WorkflowProcessor()
    first = await processor.process_workflow_event(event)
    snapshot = await multi_agent_graph.aget_state({"configurable": {"thread_id": str(event.event_id)}})
    again = await processor.process_workflow_event(event)

    assert snapshot.values == first == again
    assert snapshot.next == ()


def test_an_event_becomes_the_state_that_the_guide_prints(event: WorkflowEvent) -> None:
    """The listing Event-to-State Conversion, as a caller's own function, against the one we ship."""

    def event_to_multi_agent_state(event: WorkflowEvent) -> MultiAgentState:
        payload_data = event.payload.data
        task = payload_data.get("task", "process_workflow")

        return MultiAgentState(
            messages=[],
            task=task,
            agent_results={},
            current_agent="orchestrator",
            completed=False,
            metadata={
                "event_id": str(event.event_id),
                "workflow_id": event.workflow_id,
                "workflow_run_id": event.workflow_run_id,
                "source": event.source.value,
            },
        )

    printed: dict[str, Any] = {**event_to_multi_agent_state(event)}
    ours = shipped_conversion(event)

    assert ours | {"metadata": ours["metadata"] | printed.pop("metadata")} == ours | printed
    assert ours.keys() - printed.keys() == {"metadata", "data"}


shipped_conversion = event_to_multi_agent_state


async def test_a_caller_may_run_the_graph_in_a_thread(event: WorkflowEvent) -> None:
    """The listing Workflow Execution. The service itself uses `ainvoke` and needs no thread."""
    initial_state = event_to_multi_agent_state(event)

    # Create thread ID from event ID for checkpointing
    thread_id = str(event.event_id)
    config = {"configurable": {"thread_id": thread_id}}

    # Execute workflow in thread pool (LangGraph is synchronous)
    result = await asyncio.to_thread(
        multi_agent_graph.invoke,  # type: ignore[arg-type]  # as printed; mypy takes no overloads here
        initial_state,
        config=config,
    )

    assert result["completed"] is True


async def test_a_caller_may_convert_and_run_by_hand(event: WorkflowEvent) -> None:
    """The listings State Conversion and Workflow Execution of Implementation Details."""
    # Converts WorkflowEvent to MultiAgentState
    initial_state = event_to_multi_agent_state(event)
    # Uses event_id as thread_id for checkpointing
    thread_id = str(event.event_id)
    config = {"configurable": {"thread_id": thread_id}}

    # Executes workflow asynchronously
    result = await asyncio.to_thread(
        multi_agent_graph.invoke,  # type: ignore[arg-type]  # as printed; mypy takes no overloads here
        initial_state,
        config=config,
    )

    alone: object = await WorkflowProcessor().process_workflow_event(event)
    assert result == alone, "one thread, one state"


def test_a_timeout_is_given_or_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """The listing Timeout Handling. Seconds; 300 if nothing is said."""
    from langgraph_integration.processor import WorkflowProcessor

    result_producer = ResultProducer()

    # Create processor with custom timeout (in seconds)
    processor = WorkflowProcessor(
        result_producer=result_producer,
        workflow_timeout=600,  # 10 minutes
    )

    assert processor.workflow_timeout == 600
    assert WorkflowProcessor().workflow_timeout == 300

    # Or use environment variable
    # WORKFLOW_EXECUTION_TIMEOUT=600
    monkeypatch.setenv("WORKFLOW_EXECUTION_TIMEOUT", "600")
    processor = WorkflowProcessor(result_producer=result_producer)

    assert processor.workflow_timeout == 600


class Patience(TypedDict):
    """The state of a graph that takes longer than anybody waits."""

    task: str


async def _wait_for_ever(state: Patience) -> Patience:
    await asyncio.Event().wait()
    return state


def patient_graph() -> StateGraph[Patience]:
    """A graph that does not end; langgraph.json of the next test names this function."""
    graph = StateGraph(Patience)
    graph.add_node("wait", _wait_for_ever)
    graph.add_edge(START, "wait")
    graph.add_edge("wait", END)
    return graph


async def test_a_run_that_exceeds_its_time_raises_and_publishes_one_error(
    event: WorkflowEvent,
    kafka_environment: TopicNames,
    tmp_path: Any,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The listing Timeout Error Handling, with a graph that does not end."""
    (tmp_path / "langgraph.json").write_text(f'{{"graphs": {{"patient": "{__name__}:patient_graph"}}}}')
    monkeypatch.setenv("LANGGRAPH_CONFIG", str(tmp_path / "langgraph.json"))
    result_producer = ResultProducer()
    await result_producer.start()
    processor = WorkflowProcessor(result_producer=result_producer, workflow_timeout=0.2)
    began = time.monotonic()

    try:
        result = await processor.process_workflow_event(event)
    except TimeoutError as e:
        # Workflow execution exceeded timeout
        # Error is automatically published to result topic
        # Event may be sent to DLQ if retries exhausted
        logger.error(f"Workflow timeout: {e}")
    else:
        pytest.fail(f"ended with {result}")

    await result_producer.stop()
    [published] = await records_on(kafka_environment.results, 1)
    assert 0.2 <= time.monotonic() - began < 30
    assert "timed out after 0.2 seconds" in caplog.text
    assert published["status"] == "error"
    assert published["correlation_id"] == str(event.event_id)
    assert "timed out" in published["error"]

"""WorkflowProcessor and the state it starts from."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import pytest

from langgraph_integration.processor import WorkflowProcessor, event_to_multi_agent_state
from langgraph_integration.result_producer import ResultProducer
from tests.langgraph_integration.events import event
from workflow_events.errors import ConfigurationError, UnknownGraph, WorkflowTimeout

SLOW = """
import asyncio
from typing import TypedDict
from langgraph.graph import StateGraph

class State(TypedDict, total=False):
    seconds: float
    answer: int
    failure: str

async def think(state: State) -> State:
    await asyncio.sleep(state.get("seconds", 0))
    return {"answer": 42}

graph = StateGraph(State).add_node(think).set_entry_point("think").set_finish_point("think").compile()
"""


class Collected(ResultProducer):
    """A result producer whose topic is a list."""

    def __init__(self, *, fails: bool = False) -> None:
        super().__init__("nowhere:1")
        self.published: list[dict[str, Any]] = []
        self.fails = fails

    async def publish_result(self, **fields: Any) -> None:  # type: ignore[override]  # keywords, as promised
        if self.fails:
            raise ConnectionError("no broker")
        self.published.append(fields)


def test_an_event_becomes_the_guides_state() -> None:
    """With who asked in its metadata, and the data for the data agent."""
    asked = event({"task": "summary", "records": [{"x": 1}]})
    state = event_to_multi_agent_state(asked)

    assert state == {
        "messages": [],
        "task": "summary",
        "agent_results": {},
        "current_agent": "orchestrator",
        "completed": False,
        "metadata": {
            "event_id": str(asked.event_id),
            "workflow_id": "dag",
            "workflow_run_id": "run-1",
            "source": "airflow",
            "timestamp": asked.timestamp.isoformat(),
            "environment": "dev",
            "version": "1.0",
        },
        "data": {"records": [{"x": 1}]},
    }


@pytest.mark.parametrize(
    ("payload", "task", "data"),
    [
        ({}, "process_workflow", {}),
        ({"task": "a"}, "a", {}),
        ({"task": "a", "x": 1}, "a", {"x": 1}),
        ({"task": "a", "data": {"x": 1}}, "a", {"x": 1}),
        ({"task": "a", "data": {"task": "b", "x": 1}}, "b", {"task": "b", "x": 1}),
        ({"task": "a", "data": {"task": "b", "data": {"x": 1}}}, "b", {"x": 1}),
        ({"data": {"task": "b", "data": [1]}}, "b", {"task": "b", "data": [1]}),
        ({"task": "a", "data": [1, 2]}, "a", {"data": [1, 2]}),
        ({"task": None, "data": None}, "process_workflow", {"data": None}),
    ],
)
def test_task_and_data_are_found_where_callers_put_them(
    payload: dict[str, Any], task: str, data: dict[str, Any]
) -> None:
    """An inner task wins; the trigger's `{task, data}` is opened."""
    state = event_to_multi_agent_state(event(payload))

    assert (state["task"], state["data"]) == (task, data)


async def test_the_multi_agent_graph_runs_by_default() -> None:
    """The final state comes back; without a result producer nothing is published."""
    asked = event({"task": "summary", "data": {"records": [{"x": 1}, {"x": 3}]}})
    state = await WorkflowProcessor().process_workflow_event(asked)

    assert state["completed"] is True
    assert state["agent_results"]["data"]["result"] == "data_processed"
    assert state["agent_results"]["analysis"]["result"] == "analysis_complete"
    assert state["metadata"]["event_id"] == str(asked.event_id)


async def test_with_a_result_producer_one_success_is_published() -> None:
    """By keyword arguments, with the guide's four fields."""
    producer, asked = Collected(), event()
    await WorkflowProcessor(producer).process_workflow_event(asked)

    (published,) = producer.published
    assert published["status"] == "success"
    assert published["error"] is None
    assert published["correlation_id"] == asked.event_id
    assert (published["workflow_id"], published["workflow_run_id"]) == ("dag", "run-1")
    assert {"completed", "agent_results", "task", "metadata"} <= published["result"].keys()


async def test_a_request_that_cannot_be_met_is_published_as_a_failure() -> None:
    """With the graph's own words."""
    producer = Collected()
    asked = event({"data": {"records": [{"x": 1}], "analysis_type": "astrology"}})
    state = await WorkflowProcessor(producer).process_workflow_event(asked)

    (published,) = producer.published
    assert (published["status"], published["error"]) == ("failure", state["failure"])
    assert published["result"]["completed"] is False


async def test_a_timeout_publishes_one_error_and_is_raised(
    graph_folder: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A TimeoutError that names the limit; fractions of a second are allowed."""
    monkeypatch.setenv("LANGGRAPH_CONFIG", graph_folder(SLOW))
    producer = Collected()
    processor = WorkflowProcessor(producer, workflow_timeout=0.2)
    began = time.monotonic()
    with pytest.raises(TimeoutError, match=r"timed out after 0\.2 seconds"):
        await processor.process_workflow_event(event({"seconds": 30}))

    assert time.monotonic() - began < 5
    (published,) = producer.published
    assert (published["status"], published["result"]) == ("error", {})
    assert "timed out" in published["error"]


async def test_a_timeout_of_its_own_inside_a_graph_is_not_ours(
    graph_folder: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The graph's error is raised as it is, not as a timeout of the workflow."""
    source = SLOW.replace("await asyncio.sleep(", 'raise TimeoutError("the model did not answer")  # (')
    monkeypatch.setenv("LANGGRAPH_CONFIG", graph_folder(source))
    with pytest.raises(TimeoutError, match="the model did not answer") as raised:
        await WorkflowProcessor().process_workflow_event(event({"seconds": 1}))

    assert not isinstance(raised.value, WorkflowTimeout)


@pytest.mark.expect_errors
async def test_a_result_that_cannot_be_published_does_not_hide_how_the_run_ended(
    graph_folder: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The guide: publishing errors are handled gracefully. They are logged; state and error are the run's."""
    monkeypatch.setenv("LANGGRAPH_CONFIG", graph_folder(SLOW))
    processor = WorkflowProcessor(Collected(fails=True), workflow_timeout=2)

    assert (await processor.process_workflow_event(event({"seconds": 0})))["answer"] == 42
    with pytest.raises(TimeoutError, match="timed out"):
        await processor.process_workflow_event(event({"seconds": 30}))


async def test_an_unknown_graph_is_named_with_those_that_are_known() -> None:
    """And published as an error."""
    producer = Collected()
    with pytest.raises(UnknownGraph, match=r"unknown graph 'nope'; known: multi_agent"):
        await WorkflowProcessor(producer).process_workflow_event(event(graph="nope"))

    assert [each["status"] for each in producer.published] == ["error"]


async def test_a_result_that_json_cannot_carry_is_published_as_an_error(
    graph_folder: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The path of the value is named."""
    source = SLOW.replace("answer: int", "answer: object").replace("42", 'b"raw"')
    monkeypatch.setenv("LANGGRAPH_CONFIG", graph_folder(source))
    producer = Collected()
    await WorkflowProcessor(producer).process_workflow_event(event({"seconds": 0}))

    (published,) = producer.published
    assert published["status"] == "error"
    assert "result.answer" in published["error"]


async def test_runs_do_not_wait_for_each_other(
    graph_folder: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Twenty of a third of a second take no more than a second or so."""
    monkeypatch.setenv("LANGGRAPH_CONFIG", graph_folder(SLOW))
    processor = WorkflowProcessor()
    await processor.process_workflow_event(event({"seconds": 0}))
    began = time.monotonic()
    await asyncio.gather(*(processor.process_workflow_event(event({"seconds": 0.3})) for _ in range(20)))

    assert time.monotonic() - began < 3


def test_the_timeout_comes_from_argument_environment_or_the_guide(monkeypatch: pytest.MonkeyPatch) -> None:
    """In this order, fractions allowed."""
    assert WorkflowProcessor().workflow_timeout == 300
    monkeypatch.setenv("WORKFLOW_EXECUTION_TIMEOUT", "1.5")
    assert WorkflowProcessor().workflow_timeout == 1.5
    assert WorkflowProcessor(workflow_timeout=600).workflow_timeout == 600
    assert WorkflowProcessor().result_producer is None


@pytest.mark.parametrize("limit", [0, -1, float("nan")])
def test_a_timeout_that_makes_no_sense_is_refused(limit: float) -> None:
    """Zero is not "without limit"."""
    with pytest.raises(ConfigurationError, match="WORKFLOW_EXECUTION_TIMEOUT"):
        WorkflowProcessor(workflow_timeout=limit)

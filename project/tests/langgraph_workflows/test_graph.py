"""The built-in graph as its callers see it: final states, threads, starting points, both ways to call it."""

import asyncio
import subprocess
import sys
import threading
from typing import Any

import pytest

import langgraph_workflows
from langgraph_workflows import execute_multi_agent_workflow, multi_agent_graph
from langgraph_workflows.limits import LIGHT_CELLS
from langgraph_workflows.state import join_messages, merge_results
from tests.langgraph_workflows.asking import analysis, ask, bare, failure, on_thread, request, rows

RISING = {"records": rows(v=[1, 2, 3, 4, 5, 6])}
WITH_A_SPIKE = {"records": rows(v=[1, 2, 3, 4, 5, 600])}


@pytest.mark.parametrize("data", [None, {}, {"input": "test"}, {"records": []}, {"records": [{}]}, RISING])
def test_a_finished_run_has_the_promised_shape(data: Any) -> None:
    """With or without a table: completed, both results, task and metadata kept, and a conclusion."""
    state = ask(data, task="test_task")
    assert state["completed"] is True
    assert not state.get("failure")
    data_result, analysis_result = state["agent_results"]["data"], state["agent_results"]["analysis"]
    assert data_result["agent"] == "data"
    assert data_result["result"] == "data_processed"
    assert data_result["data"]["processed"] is True
    assert data_result["data"]["task"] == "test_task"
    assert analysis_result["agent"] == "analysis"
    assert analysis_result["result"] == "analysis_complete"
    assert analysis_result["analysis"]["status"] == "success"
    assert analysis_result["analysis"]["data_source"] == data_result
    assert state["task"] == "test_task"
    assert state["metadata"] == {"event_id": "e-1", "workflow_id": "w"}
    assert state["conclusion"].startswith("The task 'test_task' is done.")
    assert [message["name"] for message in state["messages"]] == ["data", "analysis", "orchestrator"]


@pytest.mark.parametrize(
    "data",
    [
        None,
        {},
        {"input": "test"},
        {"records": []},
        {"records": [{}, {}]},
        {"records": [], "columns": ["v"], "time": "t"},
        5,
        "x",
    ],
)
def test_without_a_table_it_says_that_there_was_nothing_to_analyse(data: Any) -> None:
    """And makes no figures up."""
    found = analysis(data, task="find the trend")
    assert found["figures"] == {}
    assert "nothing to analyse" in found["headline"]


def test_a_run_takes_five_steps_and_the_orchestrator_has_the_last_word() -> None:
    """Orchestrator, data, orchestrator, analysis, orchestrator."""
    steps = [
        name
        for step in multi_agent_graph.stream(request(data=RISING), on_thread(), stream_mode="updates")
        for name in step
    ]
    assert steps == ["orchestrator", "data", "orchestrator", "analysis", "orchestrator"]


def test_a_request_that_cannot_be_met_ends_before_the_analysis() -> None:
    """An unknown analysis at once, a missing column after the data agent looked."""
    assert "unknown analysis_type 'magic'" in failure({"analysis_type": "magic"})
    assert "no column 'x'; there are 'v'" in failure({**RISING, "columns": ["x"]})


async def test_both_ways_to_call_it_give_the_same() -> None:
    """`invoke` and `ainvoke`, also within one thread of a conversation."""
    data = {**WITH_A_SPIKE, "analysis_type": "anomaly_detection"}
    assert await multi_agent_graph.ainvoke(request(data=data), on_thread()) == ask(data)


async def test_a_light_run_stays_on_the_event_loop() -> None:
    """A thread for each step would halve the speed."""
    before = set(threading.enumerate())  # some of other tests may end meanwhile
    for data in (None, RISING):
        await asyncio.gather(*(multi_agent_graph.ainvoke(request(data=data), on_thread()) for _ in range(5)))
    assert set(threading.enumerate()) <= before


async def test_a_large_table_does_not_hold_up_the_event_loop() -> None:
    """While a table of 200,000 rows is worked on, the loop goes on turning."""
    data = {"records": [{"v": i % 977} for i in range(200_000)], "analysis_type": "trend_analysis"}
    run = asyncio.create_task(multi_agent_graph.ainvoke(request(data=data), on_thread()))
    turns = 0
    while not run.done():
        turns += 1
        await asyncio.sleep(0.005)
    assert (await run)["completed"] is True
    assert turns > 10
    assert len(data["records"]) > LIGHT_CELLS


@pytest.mark.parametrize("agent", ["orchestrator", "data", "analysis", "nobody", "", None])
def test_it_may_start_from_any_agent(agent: Any) -> None:
    """What is there decides who is next, not the name in the input."""
    state = ask(RISING, current_agent=agent)
    assert state["completed"] is True
    assert set(state["agent_results"]) == {"data", "analysis"}


def test_it_goes_on_from_a_data_result_that_is_given() -> None:
    """The given one is kept as it is and is the analysis' source."""
    given = {"agent": "data", "result": "data_processed", "data": {"processed": True, "task": "mine"}}
    state = ask(RISING, agent_results={"data": given}, current_agent="analysis")
    assert state["agent_results"]["data"] == given
    assert state["agent_results"]["analysis"]["analysis"]["data_source"] == given
    assert [message["name"] for message in state["messages"]] == ["analysis", "orchestrator"]


@pytest.mark.parametrize(
    "results", [None, {"data": None}, {"data": "done"}, {"data": {}}, {"data": []}, {"other": {"a": 1}}]
)
def test_results_that_are_none_are_made(results: Any) -> None:
    """Half-filled and nonsensical results do not stop it; those of unknown agents are kept."""
    state = ask(RISING, agent_results=results)
    assert state["agent_results"]["data"]["result"] == "data_processed"
    assert state["agent_results"]["analysis"]["result"] == "analysis_complete"
    assert state["agent_results"].get("other") == (results or {}).get("other")


def test_two_given_results_only_need_a_conclusion() -> None:
    """Nothing is made again."""
    given = {"data": {"agent": "data"}, "analysis": {"agent": "analysis"}}
    state = ask(RISING, agent_results=given)
    assert (state["completed"], state["agent_results"]) == (True, given)
    assert state["conclusion"] == "The task 'look' is done."


def test_a_thread_that_finished_runs_again_for_a_new_task() -> None:
    """The old results do not answer the new question; the messages of both stay."""
    first = ask(RISING, task="find the trend", thread="again")
    second = ask(WITH_A_SPIKE, task="find outliers", thread="again")
    assert first["agent_results"]["analysis"]["analysis"]["analysis_type"] == "trend_analysis"
    found = second["agent_results"]["analysis"]["analysis"]
    assert found["analysis_type"] == "anomaly_detection"
    assert found["figures"]["v"]["anomalies"][0]["value"] == 600
    assert found["data_source"] == second["agent_results"]["data"]
    assert second["agent_results"]["data"]["data"]["task"] == "find outliers"
    assert len(second["messages"]) == 6


def test_a_thread_that_finished_runs_again_for_the_same_task() -> None:
    """The same input gives the same results, made anew."""
    assert ask(RISING, thread="same")["agent_results"] == ask(RISING, thread="same")["agent_results"]


def test_a_thread_that_finished_may_be_asked_about_the_same_data() -> None:
    """Only the task is sent; the data of the thread are still there."""
    config = on_thread()
    multi_agent_graph.invoke(request("summary", WITH_A_SPIKE), config)
    state = multi_agent_graph.invoke(bare("find outliers"), config)
    assert state["completed"] is True
    assert state["agent_results"]["analysis"]["analysis"]["figures"]["v"]["count"] == 1


def test_a_data_result_brought_to_a_finished_thread_is_used() -> None:
    """It is not the one that the old analysis was made from, so it is new."""
    ask(RISING, thread="brought")
    given = {"agent": "data", "result": "data_processed", "data": {"processed": True, "task": "mine"}}
    state = ask(RISING, thread="brought", agent_results={"data": given})
    assert state["agent_results"]["data"] == given
    assert state["agent_results"]["analysis"]["analysis"]["data_source"] == given


def test_a_thread_that_failed_runs_again() -> None:
    """And a finished one may fail; the reason goes when it no longer holds."""
    failure({"analysis_type": "magic"}, thread="mended")
    assert ask(RISING, thread="mended")["failure"] == ""
    state = ask({**RISING, "columns": ["x"]}, thread="mended")
    assert state["completed"] is False
    assert set(state["agent_results"]) == set()
    assert ask(RISING, thread="mended")["completed"] is True


async def test_a_run_that_was_interrupted_goes_on_where_it_was() -> None:
    """Resumed before the analysis, it does not read the table again."""
    config = on_thread()
    halfway = await multi_agent_graph.ainvoke(request(data=RISING), config, interrupt_before=["analysis"])
    assert set(halfway["agent_results"]) == {"data"}
    state = await multi_agent_graph.ainvoke(None, config)
    assert state["completed"] is True
    assert [message["name"] for message in state["messages"]] == ["data", "analysis", "orchestrator"]


def test_the_input_may_be_as_bare_as_a_task() -> None:
    """Every other key of the state has a default."""
    state = multi_agent_graph.invoke(bare("t"), on_thread())
    assert state["completed"] is True
    assert state["agent_results"]["data"]["data"]["task"] == "t"


@pytest.mark.parametrize("task", [None, 5, {"a": 1}, "x" * 100_000, "\u0000", "\U0001f30a"])
def test_a_task_may_be_anything_that_json_can_say(task: Any) -> None:
    """It is kept as it is, and shown short."""
    state = ask(RISING, task=task)
    assert (state["completed"], state["task"]) == (True, task)
    assert len(state["conclusion"]) < 300


def test_tools_can_read_its_schema_and_draw_it() -> None:
    """LangGraph's studio and servers ask for both."""
    assert {"task", "data", "agent_results"} <= set(multi_agent_graph.get_input_jsonschema()["properties"])
    assert "orchestrator -.-> analysis" in multi_agent_graph.get_graph().draw_mermaid()


def test_a_workflow_is_executed_by_its_task_alone() -> None:
    """The state and the thread come back; a given thread is used."""
    state, thread = execute_multi_agent_workflow("test")
    assert state["completed"] is True
    assert multi_agent_graph.get_state(on_thread(thread)).values == state
    assert execute_multi_agent_workflow("test", thread_id="t-1")[1] == "t-1"
    assert execute_multi_agent_workflow("test")[1] != thread


def test_messages_and_results_come_together_from_nothing() -> None:
    """The reducers take what an asker may send instead of a list and a dict."""
    assert join_messages(None, None) == []
    assert join_messages([1], [2]) == [1, 2]
    assert merge_results(None, {"a": 1}) == {"a": 1}
    assert merge_results({"a": 1, "b": 2}, {"a": None, "b": 3}) == {"b": 3}


def test_the_package_gives_its_names_and_no_others() -> None:
    """Loaded on first use."""
    assert set(langgraph_workflows.__all__) == {
        "MultiAgentState",
        "execute_multi_agent_workflow",
        "multi_agent_graph",
    }
    assert dir(langgraph_workflows) == sorted(langgraph_workflows.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = langgraph_workflows.nothing


def test_the_state_alone_loads_neither_langgraph_nor_polars() -> None:
    """Whoever only builds a state should not wait for them."""
    code = "import sys; from langgraph_workflows import MultiAgentState; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    ).stdout.split()
    assert "langgraph_workflows.state" in loaded
    assert not {"langgraph", "polars"} & set(loaded)


def test_the_graph_loads_polars_with_its_first_run_and_not_on_the_event_loop() -> None:
    """A service that starts does not wait for it, and its first run does not make the loop deaf."""
    code = (
        "import asyncio, sys, threading\n"
        "from langgraph_workflows import multi_agent_graph\n"
        "from langgraph_workflows.state import initial_state\n"
        "class Watch:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name == 'polars':\n"
        "            print(threading.current_thread() is threading.main_thread())\n"
        "print('polars' in sys.modules)\n"
        "sys.meta_path.insert(0, Watch())\n"
        "thread = {'configurable': {'thread_id': 'first'}}\n"
        "asyncio.run(multi_agent_graph.ainvoke(initial_state('summarise'), thread))\n"
        "print('polars' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.split() == ["False", "False", "True"]

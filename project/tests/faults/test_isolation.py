"""Rows 19 and 20 of the fault table: graphs that hold everything up."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.faults.bench import SESSION_S, Bench, run_of
from tests.support import wait_until_sync

pytestmark = [pytest.mark.apache, pytest.mark.slow, pytest.mark.timeout(150)]

_BLOCKED_S = 30.0
_OVERDUE_S = 6.0
_LIMIT_S = 1.0


def test_row_19_a_graph_that_blocks_its_event_loop(bench: Bench, tmp_path: Path) -> None:
    """For half a minute, fifteen sessions: no partition moves, and the watchdog names the run."""
    source = f"async def node(state):\n    time.sleep({_BLOCKED_S})\n    return note('ran')"
    release = str(_release(tmp_path, source))
    workers = [bench.worker(LANGGRAPH_CONFIG=release) for _ in range(2)]
    wait_until_sync(lambda: len(bench.members()) == 2, 20, "two members")
    before, asked = bench.members(), run_of()
    bench.publish([asked])
    (blocked,) = wait_until_sync(
        lambda: [line for each in workers for line in each.lines() if line.get("action") == "loop_blocked"],
        20,
        "the watchdog to speak",
    )
    seen = set()
    while not bench.is_answered(asked.event_id):
        seen |= bench.members()

    assert seen == bench.members() == before
    assert blocked["event_id"] == str(asked.event_id)
    assert "release.py" in blocked["message"]
    assert bench.verdict(asked.event_id).status == "success"
    assert bench.rows("SELECT epoch FROM runs") == [(1,)]
    assert _BLOCKED_S > 10 * SESSION_S


def test_row_20_a_synchronous_node_that_outlives_its_timeout(bench: Bench, tmp_path: Path) -> None:
    """It keeps its slot and is seen, and neither its own retry nor the next run begins beside it."""
    marks = tmp_path / "marks"
    marks.touch()
    source = f"""
def node(state):
    first = not pathlib.Path({str(marks)!r}).stat().st_size
    mark("begin")
    if first:
        time.sleep({_OVERDUE_S})
    mark("end")
    return note("ran")

def mark(what):
    with open({str(marks)!r}, "a") as file:
        file.write(what + "\\n")
"""
    late = _release(tmp_path, source, timeout_s=_LIMIT_S)
    worker = bench.worker(http=True, LANGGRAPH_CONFIG=str(late), WORKFLOW_MAX_CONCURRENCY="1")
    asked, following = run_of(), run_of()
    bench.publish([asked])
    worker.wait_for("retry_planned")
    bench.publish([following])

    assert marks.read_text().split() == ["begin"]
    assert worker.metric("langgraph_kafka_busy_threads") == 1
    assert worker.metric("langgraph_kafka_overdue_threads") == 1
    assert worker.metric("langgraph_kafka_slots_taken") == worker.metric("langgraph_kafka_slots") == 1
    for each in (asked, following):
        assert bench.verdict(each.event_id).status == "success"
    assert marks.read_text().split() == ["begin", "end"] * 3
    wait_until_sync(lambda: worker.metric("langgraph_kafka_busy_threads") == 0, 10, "all threads to end")
    assert worker.metric("langgraph_kafka_overdue_threads") == 0


def _release(folder: Path, source: str, *, timeout_s: float = 120.0) -> Path:
    """A graph of one node, `node`, which the source defines; the path of its langgraph.json."""
    (folder / "release.py").write_text(
        "import pathlib\nimport time\nfrom langgraph.graph import StateGraph\n"
        "from tests.chaos.graph import ChaosState\n\n"
        "def note(text):\n    return {'path': [text]}\n\n"
        f"{source}\n\n"
        "graph = StateGraph(ChaosState).add_node('node', node)\n"
        "graph.set_entry_point('node').set_finish_point('node')\n"
    )
    ours = {"default": "ours", "graphs": {"ours": {"timeout_seconds": timeout_s}}}
    manifest = {"graphs": {"ours": "./release.py:graph"}, "langgraph_kafka": ours}
    (folder / "langgraph.json").write_text(json.dumps(manifest))
    return folder / "langgraph.json"

"""Rows 14, 18 and 24 of the fault table: signals, backlogs and code that changed."""

from __future__ import annotations

import base64
import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import pytest

from kafka_devbroker import Broker
from tests.chaos.graph import HISTORY_VARIABLE
from tests.faults.bench import LANGGRAPH_JSON, Bench, held, run_of
from tests.langgraph_integration.events import event, value_of
from tests.langgraph_integration.topics import Raw
from tests.support import wait_until_sync
from tests.support.status import status
from workflow_events import EventType

pytestmark = [pytest.mark.apache, pytest.mark.slow, pytest.mark.timeout(150)]

_BACKLOG = int(os.environ.get("BACKLOG_EVENTS") or 20_000)
_RUNS = 1000
_MIB = 2**20
_ROOM = 100 * _MIB
_RECORD_BYTES = 16 * 1024
_SHUTDOWN_S = 25.0


@pytest.mark.timeout(150 + _BACKLOG / 200)
def test_row_14_a_backlog(bench: Bench) -> None:
    """Memory stays flat and no more is in flight than there are slots, however much waits on the topic."""
    assert _BACKLOG * _RECORD_BYTES > 2 * _ROOM, "held as a whole it must not go unnoticed"
    at_rest = bench.worker()
    rest = _memory(at_rest.pid, "VmRSS")
    at_rest.signal(signal.SIGTERM)
    assert at_rest.exit_code() == 0
    runs = [run_of(a=0.0, b=0.0, c=0.0, note=_noise()) for _ in range(_RUNS)]
    bench.publish(runs)
    for number in range(0, _BACKLOG, 1000):
        bench.send([Raw(_large_record())] * min(1000, _BACKLOG - number))
    worker = bench.worker(WORKFLOW_MAX_CONCURRENCY="10")
    limit_s = 120 + _BACKLOG / 250
    wait_until_sync(lambda: bench.committed() == _BACKLOG + _RUNS, limit_s, "the backlog to be done")

    most = _memory(worker.pid, "VmHWM") - rest
    status.info("%d MiB at rest, at most %d MiB more under the backlog", rest / _MIB, most / _MIB)
    assert most < _ROOM
    assert _most_at_once(bench) <= 10
    assert len(bench.answers(_RUNS)) == _RUNS


def _large_record() -> bytes:
    """An event that is none of the worker's, with a payload that nothing makes smaller."""
    return value_of(event({"noise": _noise()}, event_type=EventType.WORKFLOW_COMPLETED))


def _noise() -> str:
    return base64.b64encode(os.urandom(_RECORD_BYTES * 3 // 4)).decode()


def _memory(pid: int, name: Literal["VmRSS", "VmHWM"]) -> int:
    """What a process has in memory now, or had at its peak (bytes)."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{name}:"))


def _most_at_once(bench: Bench) -> int:
    most, now = 0, 0
    for step in sorted(bench.steps(), key=lambda step: (step.time, step.what == "start")):
        now += 1 if step.what == "start" else -1
        most = max(most, now)
    return most


def test_row_18_a_signal_under_load(bench: Bench) -> None:
    """What runs comes to its end, its offsets are committed, and the exit code is 0."""
    events = [run_of(b=1.0) for _ in range(20)]
    worker = bench.worker()
    bench.publish(events)
    bench.in_node(events[0].event_id, "b")
    began = time.monotonic()
    worker.signal(signal.SIGTERM)

    assert worker.exit_code() == 0
    assert time.monotonic() - began <= _SHUTDOWN_S
    begun = {step.event_id for step in bench.steps()}
    assert {answer.event_id for answer in bench.answers(len(begun))} == begun
    assert bench.committed() == len(begun)
    bench.worker()
    for each in events:
        assert bench.verdict(each.event_id).status == "success"
    assert all(bench.runs_of(each.event_id) == {"a": 1, "b": 1, "c": 1} for each in events)


def test_row_18_a_second_signal_forces(bench: Bench) -> None:
    """Code 130 at once; nothing is lost by it."""
    asked = run_of(b=60.0)
    worker = bench.worker()
    bench.publish([asked])
    bench.in_node(asked.event_id, "b")
    worker.signal(signal.SIGTERM)
    worker.wait_for("signal")
    worker.signal(signal.SIGTERM)

    assert worker.exit_code(5) == 130
    heir = bench.worker()
    wait_until_sync(lambda: bench.runs_of(asked.event_id)["b"] == 2, 20, "another worker to go on")
    assert [step.node for step in bench.steps(asked.event_id) if step.pid == heir.pid] == ["b"]


def test_row_18_a_signal_during_the_start(make_bench: Callable[..., Bench], own_broker: Broker) -> None:
    """It ends although the broker does not answer."""
    bench = make_bench(own_broker)
    with held(own_broker.pause, own_broker.resume):
        worker = bench.worker(joined=False)
        worker.wait_for("starting")
        worker.signal(signal.SIGTERM)
        assert worker.exit_code() == 0


def test_row_24_a_node_that_is_gone_after_a_deploy(bench: Bench, tmp_path: Path) -> None:
    """A run that waited for it is no success of half a state: it ends as an error that names the node."""
    asked = run_of(b=30.0)
    bench.publish([asked])
    first = bench.worker()
    bench.in_node(asked.event_id, "b")
    first.kill()
    bench.worker(LANGGRAPH_CONFIG=str(_deployed(tmp_path, ("a", "c"))))

    verdict = bench.verdict(asked.event_id)
    (letter,) = bench.letters(1)
    assert (verdict.status, letter.reason) == ("error", "permanent")
    assert "'b'" in letter.error.message


def test_row_24_a_node_that_was_added_by_a_deploy(bench: Bench, tmp_path: Path) -> None:
    """A run goes on through it."""
    asked = run_of(b=30.0)
    bench.publish([asked])
    first = bench.worker()
    bench.in_node(asked.event_id, "b")
    first.kill()
    bench.worker(LANGGRAPH_CONFIG=str(_deployed(tmp_path, ("a", "b", "x", "c"))))

    assert bench.verdict(asked.event_id).path == ("a", "b", "x", "c")


def _deployed(folder: Path, nodes: tuple[str, ...]) -> Path:
    """Another release of the chaos graph: these nodes in a row, each of them quick."""
    source = f"""
from langgraph.graph import END, START, StateGraph
from tests.chaos.graph import ChaosState

def node(name):
    return lambda state: {{"path": [name]}}

graph = StateGraph(ChaosState)
nodes = {nodes!r}
for name in nodes:
    graph.add_node(name, node(name))
for source, target in zip((START, *nodes), (*nodes, END)):
    graph.add_edge(source, target)
"""
    (folder / "release.py").write_text(source)
    manifest = {"graphs": {"chaos": "./release.py:graph"}, "langgraph_kafka": {"default": "chaos"}}
    (folder / "langgraph.json").write_text(json.dumps(manifest))
    assert json.loads(LANGGRAPH_JSON.read_text())["langgraph_kafka"]["default"] == "chaos"
    return folder / "langgraph.json"


def test_the_history_is_where_the_graph_writes(bench: Bench) -> None:
    """The bench reads what the graph notes."""
    assert bench.environment()[HISTORY_VARIABLE] == str(bench.history)

"""Resume where a step has several tasks, or a node has steps of its own: what has finished stays finished."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from kafka_devbroker import Broker
from tests.faults.bench import Bench
from tests.faults.branches import NODES
from tests.langgraph_integration.events import event
from tests.support import wait_until_sync
from workflow_events.ids import new_event_id

pytestmark = [pytest.mark.apache, pytest.mark.slow]

_GRAPHS = str(Path(__file__).with_name("branches.json"))


@pytest.mark.parametrize("slow", ["right", "packet-1", "y"])
def test_killed_while_one_task_of_several_is_left(
    make_bench: Callable[..., Bench], quick_broker: Broker, state_url: str | None, slow: str
) -> None:
    """The branch, the packet or the node of the subgraph that was at work runs again, and no other one."""
    bench = make_bench(quick_broker, state_url=state_url)
    open_gate = bench.folder / "open"
    # whoever stands before the slow one has to have ended, its siblings too
    before = NODES[: NODES.index(slow)] + (("packet-2",) if slow == "packet-1" else ())
    asked = event({"waits_in": slow, "waits_for": str(open_gate)}, event_id=new_event_id(), workflow_id="b")
    bench.publish([asked])
    first = bench.worker(LANGGRAPH_CONFIG=_GRAPHS)
    bench.in_node(asked.event_id, slow)
    wait_until_sync(
        lambda: {step.node for step in bench.steps(asked.event_id) if step.what == "end"} == {*before},
        20,
        "the others to end",
    )
    # the writes of a task are stored once it has ended: a later look finds the group commit done
    wait_until_sync(lambda: first.beats() >= 2, 20, "a second of its life")
    first.kill()

    bench.worker(LANGGRAPH_CONFIG=_GRAPHS)
    wait_until_sync(lambda: bench.runs_of(asked.event_id).get(slow) == 2, 20, f"{slow} to run again")
    open_gate.touch()
    answer = bench.verdict(asked.event_id)

    assert answer.status == "success"
    # a subgraph hands back what it was given as well
    assert {*answer.path} == {*NODES}
    assert bench.runs_of(asked.event_id) == {node: 1 + (node == slow) for node in NODES}
    assert len(bench.answers(1)) == 1

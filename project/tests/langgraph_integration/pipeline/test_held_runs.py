"""What the dead-letter limit holds: events that would start, and tries that have waited long."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import Future
from datetime import timedelta
from typing import Any

from langgraph_integration.pipeline.happenings import VerdictPublished
from langgraph_integration.pipeline.ledger import Lease, RunLedger
from langgraph_integration.pipeline.run_context import current_run
from langgraph_integration.retry import RetryConfig
from langgraph_integration.store import MemoryDatabase
from tests.langgraph_integration.events import event
from tests.langgraph_integration.memory_source import MemoryTopic
from tests.langgraph_integration.rig import running_rig
from tests.support import wait_until
from workflow_events import WorkflowEvent
from workflow_events.errors import UnknownGraph
from workflow_events.ids import new_event_id


async def test_a_tripped_limit_lets_one_event_at_a_time_through() -> None:
    """After a bad deploy: a probe each half minute, the rest stays on the topic; then everything flows."""
    now = [0.0]
    good = False

    async def run(_: WorkflowEvent) -> dict[str, Any]:
        if not good:
            raise ValueError("bad deploy")
        return {}

    async with running_rig(run, limit="0.5/10", clock=lambda: now[0], slots=5) as rig:
        for _ in range(40):
            rig.publish(event())
        await wait_until(lambda: rig.limit.tripped and rig.dispatcher.in_flight == 0)
        spent = len(rig.sink.results)
        now[0] += 30
        await rig.results(spent + 1)
        await wait_until(lambda: rig.dispatcher.in_flight == 0)
        probed = len(rig.sink.results)
        good = True
        now[0] += 30
        await rig.settled()

    verdicts = [each.status for each in rig.happenings if isinstance(each, VerdictPublished)]
    assert spent <= 10
    assert probed == spent + 1
    assert verdicts.count("error") == probed
    assert len(verdicts) == 40
    assert not rig.limit.tripped


async def test_a_run_that_hangs_does_not_keep_a_tripped_limit_from_trying() -> None:
    """Nor does a record that needs no run use up the turn of one that does."""
    now, hangs = [0.0], asyncio.Event()
    bad = True

    async def run(asked: WorkflowEvent) -> dict[str, Any]:
        if asked.workflow_id == "hangs":
            await hangs.wait()
        elif bad:
            raise ValueError("bad deploy")
        return {}

    async with running_rig(run, limit="0.5/10", clock=lambda: now[0], slots=20) as rig:
        answered = event()
        rig.publish(event(workflow_id="hangs"))
        rig.publish(answered)
        for _ in range(8):
            rig.publish(event())
        await wait_until(lambda: rig.limit.tripped and rig.dispatcher.in_flight == 1)
        bad = False
        rig.publish(answered)
        for _ in range(20):
            rig.publish(event())
        now[0] += 30
        await wait_until(lambda: not rig.limit.tripped and rig.dispatcher.in_flight == 1)
        hangs.set()
        await rig.settled()

    verdicts = [each.status for each in rig.happenings if isinstance(each, VerdictPublished)]
    assert verdicts.count("success") == 21


async def test_events_for_a_graph_that_the_deploy_left_out_trip_the_limit() -> None:
    """They end as invalid by the deploy's doing; a record that nobody can read is its producer's."""

    async def run(_: WorkflowEvent) -> dict[str, Any]:
        raise UnknownGraph("graph 'renamed' is not there")

    async with running_rig(run, limit="0.5/10", slots=5) as rig:
        for _ in range(20):
            rig.topic.append(f'{{"event_id": "{new_event_id()}", "no": "event"}}'.encode())
        await wait_until(lambda: len(rig.sink.dead_letters) == 20)
        unreadable = rig.limit.tripped
        for _ in range(40):
            rig.publish(event())
        await wait_until(lambda: rig.limit.tripped and rig.dispatcher.in_flight == 0)

    assert not unreadable
    assert len(rig.sink.dead_letters) <= 20 + 10


async def test_places_of_nodes_that_outlive_their_run_do_not_count() -> None:
    """They can become no dead letters any more, and may stay for ever."""
    nodes: list[Future[None]] = []

    async def run(_: WorkflowEvent) -> dict[str, Any]:
        context = current_run.get()
        assert context is not None
        nodes.append(Future())
        context.threads.add(nodes[-1])
        raise ValueError("and its node goes on")

    async with running_rig(run, slots=5, limit="0.9/20/4") as rig:
        for _ in range(3):
            rig.publish(event())
            await wait_until(lambda: len(nodes) == len(rig.sink.results) > rig.slots.taken - 1)
        for node in nodes:
            node.set_result(None)
        await rig.settled()

    assert len(rig.sink.results) == 3


async def test_tries_that_wait_long_are_held_by_a_tripped_limit() -> None:
    """Waiting they hold no place, so many more wait than run: after a bad deploy each would fail for good."""
    now, good = [0.0], False

    async def run(_: WorkflowEvent) -> dict[str, Any]:
        if not good:
            raise ConnectionError("503")
        return {}

    retry = RetryConfig(max_retries=1, initial_delay=0.3, jitter=False)
    options: dict[str, Any] = {
        "limit": "0.5/10",
        "clock": lambda: now[0],
        "slots": 5,
        "retry": retry,
        "long_wait_s": 0.0,
    }
    async with running_rig(run, **options) as rig:
        for _ in range(40):
            rig.publish(event())
        await wait_until(lambda: rig.limit.tripped and rig.slots.taken == 0)
        spent = len(rig.sink.dead_letters)
        waiting = rig.dispatcher.in_flight
        good = True
        now[0] += 30
        await rig.settled(timeout=30)

    assert spent <= 15
    assert waiting > 10
    assert len(rig.sink.results) == 40


async def test_runs_that_waited_for_somebody_elses_lease_are_held_too() -> None:
    """Meanwhile they hold no place: after a rebalance many more wait than run, and all would fail."""
    database, topic = MemoryDatabase(), MemoryTopic()
    options: dict[str, Any] = {"database": database, "topic": topic, "lease_time": timedelta(seconds=1)}

    async def broken(_: WorkflowEvent) -> dict[str, Any]:
        raise ValueError("this release cannot do that")

    async def hangs(_: WorkflowEvent) -> dict[str, Any]:
        await asyncio.Event().wait()
        return {}

    async with running_rig(hangs, slots=40, around=NeverReleased, **options) as first:
        for _ in range(40):
            first.publish(event())
        await wait_until(lambda: len(first.handler.live) == 40)
    limit: dict[str, Any] = {"limit": "0.5/10", "clock": lambda: 0.0}
    async with running_rig(broken, owner="b", slots=5, **limit, **options) as second:
        await wait_until(lambda: second.limit.tripped and second.slots.taken == 0)
        assert second.dispatcher.in_flight > 10
        assert len(second.sink.dead_letters) <= 15


class NeverReleased:
    """A ledger that a killed process has left: its leases lapse."""

    def __init__(self, ledger: RunLedger) -> None:
        self._ledger = ledger

    def __getattr__(self, name: str) -> Any:
        return getattr(self._ledger, name)

    async def release(self, lease: Lease) -> None:
        """Nobody does it."""


async def test_tries_that_an_earlier_process_put_off_are_held_too() -> None:
    """A bad deploy is a restart: the new release finds all that waited for their retry."""
    database, topic = MemoryDatabase(), MemoryTopic()
    options: dict[str, Any] = {
        "database": database,
        "topic": topic,
        "slots": 5,
        "retry": RetryConfig(max_retries=1, initial_delay=2.0, jitter=False),
        "long_wait_s": 0.0,
    }

    async def away(_: WorkflowEvent) -> dict[str, Any]:
        raise ConnectionError("503")

    async def broken(_: WorkflowEvent) -> dict[str, Any]:
        raise ValueError("this release cannot do that")

    async with running_rig(away, **options) as first:
        for _ in range(40):
            first.publish(event())
        await wait_until(lambda: sum(row.retry_count for row in database.runs.values()) == 40)
    async with running_rig(broken, owner="b", limit="0.5/10", clock=lambda: 0.0, **options) as second:
        await wait_until(lambda: second.limit.tripped and second.slots.taken == 0)
        assert second.dispatcher.in_flight > 10
        assert len(second.sink.dead_letters) <= 15


async def test_a_try_that_is_held_ends_at_its_deadline() -> None:
    """Nobody waits for it any more."""

    async def run(_: WorkflowEvent) -> dict[str, Any]:
        rig.limit.record("a bad deploy")
        rig.limit.record("a bad deploy")
        raise ConnectionError("503")

    retry = RetryConfig(max_retries=1, initial_delay=0.0, jitter=False)
    async with running_rig(run, limit="0.5/2", clock=lambda: 0.0, retry=retry, long_wait_s=0.0) as rig:
        rig.publish(event(), deadline_ms=time.time_ns() // 1_000_000 + 500)
        await rig.settled()

    assert [each.error for each in rig.sink.decoded()] == ["deadline exceeded"]

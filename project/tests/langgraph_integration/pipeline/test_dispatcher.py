"""The loop between a source and a handler: bounded, fair, and never in the way of a stop."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from langgraph_integration.pipeline.delivery import Partition
from langgraph_integration.pipeline.dispatcher import MAX_UNSETTLED_PER_PARTITION
from langgraph_integration.store import MemoryDatabase
from tests.langgraph_integration.events import event
from tests.langgraph_integration.memory_source import MemoryTopic
from tests.langgraph_integration.rig import running_rig
from tests.support import wait_until
from workflow_events import WorkflowEvent

FIRST, SECOND = Partition("events", 0), Partition("events", 1)


class Gatekeeper:
    """A graph whose runs wait until they are let go, and that counts how many there are at once."""

    def __init__(self) -> None:
        self.inside: list[WorkflowEvent] = []
        self.most = 0
        self.open = asyncio.Event()

    async def __call__(self, asked: WorkflowEvent) -> dict[str, Any]:
        self.inside.append(asked)
        self.most = max(self.most, len(self.inside))
        try:
            await self.open.wait()
        finally:
            self.inside.remove(asked)
        return {"answer": 42}


async def test_never_more_runs_than_slots() -> None:
    """A thousand events, ten places: ten at once, and a thousand answers."""
    now = most = 0

    async def run(_: WorkflowEvent) -> dict[str, Any]:
        nonlocal now, most
        now += 1
        most = max(most, now)
        await asyncio.sleep(0)
        now -= 1
        return {}

    async with running_rig(run, slots=10) as rig:
        for _ in range(1000):
            rig.publish(event())
        await rig.settled(20)

    assert len(rig.sink.results) == 1000
    assert most == rig.slots.most_taken == 10


async def test_what_waits_for_a_slot_is_bounded() -> None:
    """A backlog stays on the topic and does not move into memory."""
    graph = Gatekeeper()
    async with running_rig(graph, slots=4) as rig:
        for _ in range(100):
            rig.publish(event())
        await wait_until(lambda: len(graph.inside) == 4 and rig.dispatcher.waiting >= 3)
        held = rig.dispatcher.waiting + rig.dispatcher.in_flight
        graph.open.set()
        await rig.settled()

    assert held <= 8


async def test_a_partition_with_too_many_unsettled_offsets_is_paused_until_half_are_settled() -> None:
    """One slow run holds the commit; what finished above it must stay countable."""
    slow = event({"task": "slow"})
    graph = Gatekeeper()

    async def run(asked: WorkflowEvent) -> dict[str, Any]:
        return await graph(asked) if asked.event_id == slow.event_id else {}

    async with running_rig(run, slots=700, topic=MemoryTopic(partitions=2)) as rig:
        rig.publish(slow)
        blocked = Gatekeeper()
        rig.run = blocked
        for _ in range(MAX_UNSETTLED_PER_PARTITION + 100):
            rig.publish(event())
        await wait_until(lambda: FIRST in rig.source.paused, description="the partition to be paused")
        other = event()
        rig.publish(other, partition=1)
        await wait_until(lambda: other in blocked.inside, description="the other partition to flow")
        blocked.open.set()
        await wait_until(lambda: FIRST not in rig.source.paused, description="the partition to flow again")
        graph.open.set()
        await rig.settled(20)

    assert len(rig.sink.results) == MAX_UNSETTLED_PER_PARTITION + 102


async def test_a_slow_run_holds_the_commit_and_nothing_else() -> None:
    """Those behind it are answered at once."""
    graph = Gatekeeper()
    slow = event()

    async def run(asked: WorkflowEvent) -> dict[str, Any]:
        return await graph(asked) if asked.event_id == slow.event_id else {}

    async with running_rig(run) as rig:
        rig.publish(slow)
        for _ in range(5):
            rig.publish(event())
        await rig.results(5)
        await rig.committer.commit_ready()
        held_at = rig.topic.committed[FIRST]
        graph.open.set()
        await rig.settled()

    assert held_at == 0


async def test_a_partition_that_leaves_is_committed_and_comes_back_without_a_second_run() -> None:
    """A rebalance revokes everything; most of it returns, and its runs have gone on meanwhile."""
    graph = Gatekeeper()
    async with running_rig(graph, topic=MemoryTopic(partitions=2)) as rig:
        rig.publish(event())
        rig.publish(event(), partition=1)
        await wait_until(lambda: len(graph.inside) == 2)
        await rig.source.assign([FIRST, SECOND])
        await wait_until(lambda: rig.dispatcher.in_flight == 4, description="both to be redelivered")
        graph.open.set()
        await rig.settled()

    assert graph.most == 2
    assert len(rig.sink.results) == 2


async def test_runs_of_a_partition_that_went_elsewhere_are_handed_over() -> None:
    """They are asked to stop; the new owner gets the record, not this one."""
    graph = Gatekeeper()
    async with running_rig(graph, topic=MemoryTopic(partitions=2)) as rig:
        rig.publish(event())
        rig.publish(event(), partition=1)
        await wait_until(lambda: len(graph.inside) == 2)
        await rig.source.assign([SECOND])
        reasons = {run.position.partition: run.handed_over for run in rig.handler.live.values()}
        graph.open.set()

        async def read_again() -> bool:
            await rig.committer.commit_ready()
            return rig.topic.committed.get(SECOND) == 1

        await wait_until(read_again, description="the record that stayed to be settled when it is read again")

    assert reasons == {0: True, 1: False}
    assert rig.topic.committed == {FIRST: 0, SECOND: 1}


async def test_taking_ends_when_it_is_no_longer_wanted_and_runs_go_on() -> None:
    """What was started is drained; what only waited stays on the topic."""
    graph = Gatekeeper()
    async with running_rig(graph, slots=2) as rig:
        for _ in range(6):
            rig.publish(event())
        await wait_until(lambda: len(graph.inside) == 2)
        await rig.stop_taking()
        draining = asyncio.create_task(rig.dispatcher.drain(10))
        await asyncio.sleep(0)
        graph.open.set()
        left = await draining
        await rig.committer.commit_ready()

    assert left == 0
    assert len(rig.sink.results) == 2
    assert rig.topic.committed == {FIRST: 2}


async def test_runs_that_outlast_the_drain_are_abandoned_with_their_leases_given_back() -> None:
    """Another worker goes on at once, and nothing of theirs is committed."""
    database = MemoryDatabase()
    topic = MemoryTopic()
    stuck = Gatekeeper()
    async with running_rig(stuck, database=database, topic=topic) as rig:
        rig.publish(event())
        await wait_until(lambda: stuck.inside)
        await rig.stop_taking()
        left = await rig.dispatcher.drain(0.1)
        await rig.dispatcher.abandon()
    async with running_rig(database=database, owner="b", topic=topic) as second:
        await second.settled()

    assert left == 1
    assert stuck.inside == []
    assert len(second.sink.results) == 1


async def test_waiting_for_somebody_elses_lease_does_not_hold_up_a_stop() -> None:
    """There is nothing of ours to be finished."""
    database = MemoryDatabase()
    topic = MemoryTopic()
    elsewhere = Gatekeeper()
    async with running_rig(elsewhere, database=database, topic=topic) as first:
        first.publish(event())
        await wait_until(lambda: elsewhere.inside)
        topic.committed.clear()
        async with running_rig(database=database, owner="b", topic=topic) as second:
            await wait_until(lambda: second.dispatcher.in_flight == 1)
            await second.stop_taking()
            assert await second.dispatcher.drain(30) == 0
        elsewhere.open.set()
        await first.results(1)


async def test_the_intake_goes_on_when_the_broker_is_back() -> None:
    """Held under `consume`, also while records wait; only a poll that is answered opens it."""
    async with running_rig() as rig:
        rig.topic.available = False
        await wait_until(lambda: "consume" in rig.gate.reasons, description="the intake to pause")
        rig.topic.available = True
        rig.publish(event())
        await rig.settled()

    assert rig.gate.is_open


async def test_a_poll_that_is_never_answered_does_not_hold_up_a_stop() -> None:
    """The client may hang for ever in a broker that froze."""
    async with running_rig() as rig:
        frozen = asyncio.Event()

        async def hang(*_: object) -> Any:
            frozen.set()
            await asyncio.Event().wait()

        setattr(rig.source, "poll", hang)  # noqa: B010 - a client that hangs
        await asyncio.wait_for(frozen.wait(), 5)
        rig.taking = False
        again = rig.dispatcher.take(lambda: False)
        await asyncio.wait_for(again, 2)


@pytest.mark.expect_errors
async def test_a_fault_of_ours_in_one_delivery_leaves_the_others_alone_and_is_tried_again() -> None:
    """It is logged as an error, its offset is not committed: nothing is lost by our mistakes."""
    async with running_rig() as rig:
        publish, faults = rig.sink.publish, [RuntimeError("ours"), RuntimeError("ours again")]

        async def failing(key: bytes | None, *rest: Any) -> None:
            if key == b"broken" and faults:
                raise faults.pop()
            await publish(key, *rest)

        setattr(rig.sink, "publish", failing)  # noqa: B010 - a fault that no test of ours has found
        rig.topic.append(b"no json", key=b"broken")
        rig.publish(event())
        await rig.results(1)
        await rig.committer.commit_ready()
        held_at = rig.topic.committed[FIRST]
        await rig.settled()

    assert held_at == 0
    assert len(rig.sink.dead_letters) == 1


async def test_a_partition_that_comes_back_during_the_last_commit_is_kept() -> None:
    """A loop that was blocked hears of both at once; the end of the first must not undo the second."""
    async with running_rig() as rig:
        rig.publish(event())
        await rig.results(1)
        await wait_until(lambda: rig.dispatcher.in_flight == 0)
        rig.topic.answers_commits.clear()
        there = list(rig.tracker.partitions)
        again = rig.tracker.generation(there[0])
        leaving = asyncio.create_task(rig.partitions_revoked(there))
        await asyncio.sleep(0)
        await rig.partitions_assigned(there, (again or 0) + 1)
        rig.topic.answers_commits.set()
        await leaving

        assert rig.tracker.partitions == there


async def test_a_member_that_gets_nothing_back_lets_its_runs_end() -> None:
    """They stop at their next super-step, for whoever has the partitions now."""
    graph = Gatekeeper()
    async with running_rig(graph) as rig:
        rig.publish(event())
        await wait_until(lambda: rig.handler.live)
        (live,) = rig.handler.live.values()
        await rig.source.assign([])

        assert live.handed_over
        graph.open.set()

"""Moves the group's offsets up to what is settled, and never worries about what it does not know."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from langgraph_integration.pipeline.committer import Committer
from langgraph_integration.pipeline.delivery import Partition
from langgraph_integration.pipeline.gate import IntakeGate
from langgraph_integration.pipeline.ledger import Position
from langgraph_integration.pipeline.offsets import OffsetTracker
from tests.langgraph_integration.memory_source import MemorySource, MemoryTopic
from tests.langgraph_integration.rig import running_rig
from tests.support import wait_until

HERE = Partition("events", 0)


def _committer(source: MemorySource, settled: int) -> tuple[Committer, IntakeGate]:
    tracker, gate = OffsetTracker(), IntakeGate()
    tracker.assign(HERE, 1)
    for offset in range(settled):
        tracker.admit(Position("events", 0, offset), 1)
        tracker.settle(Position("events", 0, offset), 1)
    return Committer(source, tracker, gate), gate


async def test_what_is_settled_is_committed_once() -> None:
    """A second look finds nothing to do."""
    async with running_rig() as rig:
        committer, _ = _committer(rig.source, 3)

        assert await committer.commit_ready()
        assert await committer.commit_ready()

    assert rig.topic.commits == [{HERE: 3}]


async def test_a_commit_that_is_not_confirmed_is_repeated() -> None:
    """Its outcome is unknown, and repeating it is harmless."""
    async with running_rig() as rig:
        committer, gate = _committer(rig.source, 1)
        rig.topic.available = False
        refused = await committer.commit_ready()
        rig.topic.available = True

        assert await committer.commit_ready()
    assert not refused
    assert gate.is_open
    assert rig.topic.committed == {HERE: 1}


async def test_commits_that_fail_for_long_pause_the_intake() -> None:
    """Else everything that is taken meanwhile would be redelivered. It opens with the first success."""
    async with running_rig() as rig:
        committer, gate = _committer(rig.source, 1)
        rig.topic.available = False
        committer.committed_at -= 11
        quiet = await committer.commit_ready(quiet=True)
        held_quietly = not gate.is_open
        await committer.commit_ready()
        held = dict(gate.reasons)
        rig.topic.available = True
        await committer.commit_ready()

    assert (quiet, held_quietly) == (False, False)
    assert held == {"commit": "the broker in memory was switched off"}
    assert gate.is_open


class SlowSource(MemorySource):
    """A client whose answer does not come in time."""

    async def commit(self, offsets: Mapping[Partition, int]) -> None:
        raise TimeoutError("no answer from the Kafka client within 5 s")


async def test_a_commit_without_an_answer_is_not_confirmed() -> None:
    """A timeout is no error of ours."""
    async with running_rig() as rig:
        committer, _ = _committer(SlowSource(MemoryTopic(), rig.dispatcher), 1)

        assert not await committer.commit_ready()


async def test_the_loop_commits_by_itself() -> None:
    """Five times a second, until it is cancelled."""
    async with running_rig() as rig:
        committer, _ = _committer(rig.source, 2)
        task = asyncio.create_task(committer.run())
        await wait_until(lambda: rig.topic.commits)
        task.cancel()
        await asyncio.wait({task})

    assert rig.topic.commits == [{HERE: 2}]

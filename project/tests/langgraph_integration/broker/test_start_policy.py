"""Two stores that begin one group at the same moment: one of them goes on, and never both."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.structs import OffsetAndMetadata

from langgraph_integration.broker.commit_mark import CommitMark
from langgraph_integration.broker.incarnation import Incarnation
from langgraph_integration.broker.start_policy import StartPolicy
from langgraph_integration.pipeline.delivery import Partition
from tests.support import wait_until
from workflow_events.settings import KafkaSettings

FIRST, SECOND = Partition("events", 0), Partition("events", 1)

Commits = dict[TopicPartition, OffsetAndMetadata]


class Client:
    """A member's client over the commits that the broker keeps."""

    def __init__(self, commits: Commits, before_commit: Callable[[int], bool] = lambda _: True) -> None:
        self._commits = commits
        self._before_commit = before_commit
        self._asked = 0

    def seek(self, where: TopicPartition, offset: int) -> None:
        """Nothing is read here."""

    async def committed(self, where: TopicPartition) -> int | None:
        found = self._commits.get(where)
        return None if found is None else found.offset

    async def beginning_offsets(self, places: list[TopicPartition]) -> dict[TopicPartition, int]:
        return dict.fromkeys(places, 0)

    async def commit(self, offsets: Commits) -> None:
        self._asked += 1
        asked = self._asked
        await wait_until(lambda: self._before_commit(asked), description="the commit to be let through")
        self._commits.update(offsets)


class Topic(Incarnation):
    """Has no id."""

    async def learn(self) -> str | None:
        return None


class Policy(StartPolicy):
    """Looks at the commits where they are kept; at its own for the first time together with another one."""

    def __init__(self, commits: Commits, store_id: str, together: asyncio.Barrier | None = None) -> None:
        topic = Topic(KafkaSettings(bootstrap_servers="127.0.0.1:1"), "events")
        super().__init__({"group_id": "group"}, "events", topic, store_id=store_id)
        self._commits = commits
        self._together = together
        self.looks = 0

    async def _marks(self, client: Any) -> Mapping[TopicPartition, CommitMark]:
        self.looks += 1
        meeting = self._together if self.looks == 2 else None
        if meeting is not None:
            await meeting.wait()
        found = {where: CommitMark.read(each.metadata) for where, each in self._commits.items()}
        if meeting is not None:
            await meeting.wait()
        return found


async def _after_a_rebalance(commits: Commits, one: Policy, other: Policy) -> list[str | None]:
    """What holds each of the two when their partitions have changed hands."""
    await one.place(Client(commits), [SECOND])
    await other.place(Client(commits), [FIRST])
    return [one.foreign_store, other.foreign_store]


@pytest.mark.parametrize(("one", "other"), [("a", "b"), ("b", "a")])
async def test_of_two_that_see_each_other_the_greater_id_withdraws(one: str, other: str) -> None:
    """For good: the lesser is alone in the group's marks, and takes records at once."""
    commits: Commits = {}
    together = asyncio.Barrier(2)
    policies = [Policy(commits, name, together) for name in (one, other)]
    places = zip(policies, ([FIRST], [SECOND]), strict=True)
    await asyncio.gather(*(policy.place(Client(commits), place) for policy, place in places))
    held = ["a" if name == "b" else None for name in (one, other)]

    assert [policy.foreign_store for policy in policies] == held
    assert await _after_a_rebalance(commits, *policies) == held


async def test_one_that_is_at_work_already_is_not_pushed_out_by_a_lesser_id() -> None:
    """It had looked before there was anything to see, and will not withdraw: the one that came later does."""
    commits: Commits = {}
    at_work, late = Policy(commits, "b"), Policy(commits, "a")
    client = Client(commits, lambda _: at_work.looks == 2)
    late_one = asyncio.create_task(late.place(client, [SECOND]))
    await wait_until(lambda: late.looks == 1, description="the late one to see an empty group")
    await at_work.place(Client(commits), [FIRST])
    await late_one

    assert [at_work.foreign_store, late.foreign_store] == [None, "b"]
    assert await _after_a_rebalance(commits, at_work, late) == [None, "b"]


async def test_two_that_withdraw_for_each_other_both_wait() -> None:
    """No mark is left then, and without one both would take records after the next rebalance."""
    commits: Commits = {}
    together = asyncio.Barrier(2)
    lesser, greater = (Policy(commits, name, together) for name in ("a", "b"))

    def given_up(commit: int) -> bool:
        # the greater one's withdrawal takes so long that the lesser one stops waiting for it
        return commit == 1 or lesser._yielded_to is not None

    await asyncio.gather(
        lesser.place(Client(commits), [FIRST]),
        greater.place(Client(commits, given_up), [SECOND]),
    )

    assert {CommitMark.read(each.metadata).store for each in commits.values()} == {None}
    assert await _after_a_rebalance(commits, lesser, greater) == ["b", "a"]

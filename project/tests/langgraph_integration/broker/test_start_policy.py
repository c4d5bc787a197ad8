"""Two stores that begin one group at the same moment: one of them goes on, and never both.

And which of the topics of one name its commits are of.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.structs import OffsetAndMetadata

from langgraph_integration.broker.commit_mark import CommitMark
from langgraph_integration.broker.incarnation import Incarnation
from langgraph_integration.broker.start_policy import StartPolicy
from langgraph_integration.pipeline.delivery import Partition
from tests.support import wait_until
from tests.support.brokers import TestBroker
from workflow_events.errors import BrokerUnavailable
from workflow_events.settings import KafkaSettings, TopicNames

pytestmark = [pytest.mark.apache, pytest.mark.topics(partitions=2)]

Ready = Callable[[int], bool]


class Member(AIOKafkaConsumer):  # type: ignore[misc]  # aiokafka is untyped
    """A client of the group, given its partitions by hand; its commits wait until they are let through."""

    def __init__(self, servers: str, group_id: str, before_commit: Ready) -> None:
        super().__init__(bootstrap_servers=servers, group_id=group_id, enable_auto_commit=False)
        self._before_commit = before_commit
        self._asked = 0

    async def commit(self, offsets: Any = None) -> None:
        self._asked += 1
        asked = self._asked
        await wait_until(lambda: self._before_commit(asked), description="the commit to be let through")
        await super().commit(offsets)


class Policy(StartPolicy):
    """Looks at the commits together with another one: before anybody has committed, and after both have."""

    def __init__(self, group: Group, store_id: str, together: asyncio.Barrier | None) -> None:
        topic = Incarnation(KafkaSettings(bootstrap_servers=group.servers), group.topic)
        arguments = {"group_id": group.topic, "bootstrap_servers": group.servers}
        super().__init__(arguments, group.topic, topic, store_id=store_id)
        self._together = together
        self.looks = 0

    async def _marks(self, client: AIOKafkaConsumer) -> Mapping[TopicPartition, CommitMark]:
        meeting = self._together if self.looks < 2 else None
        if meeting is not None:
            await meeting.wait()
        found = await super()._marks(client)
        if meeting is not None:
            await meeting.wait()
        self.looks += 1
        return found


@dataclass
class Group:
    """The stores of one group on a topic of two partitions."""

    servers: str
    topic: str

    def policy(self, store_id: str, together: asyncio.Barrier | None = None) -> Policy:
        return Policy(self, store_id, together)

    async def place(self, policy: Policy, number: int, before_commit: Ready = lambda _: True) -> None:
        """The partition comes to a worker of the policy's store."""
        client = Member(self.servers, self.topic, before_commit)
        client.assign([TopicPartition(self.topic, number)])
        await client.start()
        try:
            await policy.place(client, [Partition(self.topic, number)])
        finally:
            await client.stop()

    async def commit(self, number: int, mark: CommitMark) -> None:
        """An earlier worker of the group got so far."""
        client = Member(self.servers, self.topic, lambda _: True)
        where = TopicPartition(self.topic, number)
        client.assign([where])
        await client.start()
        try:
            await client.commit({where: OffsetAndMetadata(2, mark.encode())})
        finally:
            await client.stop()

    async def after_a_rebalance(self, one: Policy, other: Policy) -> list[str | None]:
        """What holds each of the two when their partitions have changed hands."""
        await self.place(one, 1)
        await self.place(other, 0)
        return [one.foreign_store, other.foreign_store]


@pytest.fixture
def group(broker: TestBroker, topics: TopicNames) -> Group:
    return Group(broker.bootstrap_servers, topics.events)


@pytest.mark.parametrize(("one", "other"), [("a", "b"), ("b", "a")])
async def test_of_two_that_see_each_other_the_greater_id_withdraws(
    group: Group, one: str, other: str
) -> None:
    """For good: the lesser is alone in the group's marks, and takes records at once."""
    together = asyncio.Barrier(2)
    policies = [group.policy(name, together) for name in (one, other)]
    await asyncio.gather(*(group.place(policy, number) for number, policy in enumerate(policies)))
    held = ["a" if name == "b" else None for name in (one, other)]

    assert [policy.foreign_store for policy in policies] == held
    assert await group.after_a_rebalance(*policies) == held


async def test_one_that_is_at_work_already_is_not_pushed_out_by_a_lesser_id(group: Group) -> None:
    """It had looked before there was anything to see, and will not withdraw: the one that came later does."""
    at_work, late = group.policy("b"), group.policy("a")
    late_one = asyncio.create_task(group.place(late, 1, lambda _: at_work.looks == 2))
    await wait_until(lambda: late.looks == 1, description="the late one to see an empty group")
    await group.place(at_work, 0)
    await late_one

    assert [at_work.foreign_store, late.foreign_store] == [None, "b"]
    assert await group.after_a_rebalance(at_work, late) == [None, "b"]


async def test_two_that_withdraw_for_each_other_both_wait(group: Group) -> None:
    """No mark is left then, and without one both would take records after the next rebalance."""
    together = asyncio.Barrier(2)
    lesser, greater = (group.policy(name, together) for name in ("a", "b"))

    def given_up(commit: int) -> bool:
        # the greater one's withdrawal takes so long that the lesser one stops waiting for it
        return commit == 1 or lesser._yielded_to is not None

    await asyncio.gather(group.place(lesser, 0), group.place(greater, 1, given_up))

    assert await group.after_a_rebalance(lesser, greater) == ["b", "a"]


async def place_without_the_id(group: Group, number: int) -> Incarnation:
    """Placed while the topic's id could not be had; the broker tells it at the next look."""
    policy = group.policy("a")
    incarnation = policy._incarnation
    settings, incarnation._settings = incarnation._settings, KafkaSettings(bootstrap_servers="127.0.0.1:1")
    await group.place(policy, number)
    incarnation._settings = settings
    await incarnation.learn()
    return incarnation


async def test_a_topic_that_was_made_anew_is_refused_also_where_its_id_was_late(group: Group) -> None:
    """The commit tells which one it is of; without that the new one would be read from the middle."""
    await group.commit(0, CommitMark("a", "the-old-one"))
    incarnation = await place_without_the_id(group, 0)

    with pytest.raises(BrokerUnavailable, match="made anew"):
        incarnation.refuse_wrong()


@pytest.mark.parametrize("mark", [None, CommitMark("a")])
async def test_commits_that_name_no_topic_are_of_the_one_that_is_seen_first(
    group: Group, mark: CommitMark | None
) -> None:
    """There is nothing to compare it with."""
    if mark is not None:
        await group.commit(0, mark)
    # of a partition that is not ours
    await group.commit(1, CommitMark("a", "the-old-one"))
    incarnation = await place_without_the_id(group, 0)

    incarnation.refuse_wrong()
    assert incarnation.placed is not None

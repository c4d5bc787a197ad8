"""The contract of `pipeline.ports.EventSource`: in memory, on Tansu and on Apache Kafka."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack

import pytest

from langgraph_integration.pipeline.delivery import Delivery, Partition
from langgraph_integration.pipeline.ports import EventSource
from tests.contract.event_sources import Harness, KafkaHarness, Listener, MemoryHarness, take
from tests.langgraph_integration.topics import Raw
from tests.support import wait_until
from tests.support.brokers import BrokerPool, TestBroker


@pytest.fixture(
    params=[
        "memory",
        pytest.param("tansu", marks=pytest.mark.broker),
        pytest.param("apache", marks=[pytest.mark.broker, pytest.mark.apache]),
    ]
)
def harness(request: pytest.FixtureRequest) -> Harness:
    """A topic of two partitions on each of the three."""
    if request.param == "memory":
        return MemoryHarness()
    # not the fixture `broker`, which would make the memory's tests need one
    pool: BrokerPool = request.getfixturevalue("_broker_pool")
    return KafkaHarness(pool.get(request.param))


def _parts(harness: Harness) -> tuple[Partition, Partition]:
    return Partition(harness.topic, 0), Partition(harness.topic, 1)


async def test_a_member_is_told_of_its_partitions_before_their_records_come(harness: Harness) -> None:
    """All of them, under the generation that their records carry."""
    await harness.write(Raw(b"a"), Raw(b"b", partition=1))
    listener = Listener()
    async with harness.member(listener) as source:
        deliveries = await take(source, 2)

    ((partitions, generation),) = listener.assigned
    assert partitions == list(_parts(harness))
    assert {each.generation for each in deliveries} == {generation}
    assert {each.partition for each in deliveries} == set(partitions)


async def test_records_come_as_they_were_written_and_in_order(harness: Harness) -> None:
    """Bytes, nulls and headers untouched; nobody has decoded anything."""
    written = [
        Raw(b"\xff\x00 no json", b"\xfe"),
        Raw(None, b"tombstone"),
        Raw(b"", None, [("h", b"\xff"), ("h", b"again"), ("e", b"")]),
        Raw(b"last", timestamp_ms=1234567890123),
    ]
    await harness.write(*written)
    async with harness.member(Listener()) as source:
        deliveries = await take(source, 4)

    assert [each.position.offset for each in deliveries] == [0, 1, 2, 3]
    assert [(each.key, each.value) for each in deliveries] == [(each.key, each.value) for each in written]
    assert [list(each.headers) for each in deliveries] == [list(each.headers) for each in written]
    assert all(each.timestamp_ms > 1_000_000_000_000 for each in deliveries)


async def test_a_poll_takes_no_more_than_it_was_asked_for(harness: Harness) -> None:
    """And the next one goes on behind it."""
    await harness.write(*[Raw(b"x")] * 5)
    async with harness.member(Listener()) as source:
        first = await take(source, 1, max_records=2)
        rest = await take(source, 5 - len(first))

    assert len(first) <= 2
    assert [each.position.offset for each in [*first, *rest]] == [0, 1, 2, 3, 4]


async def test_a_poll_for_nothing_takes_nothing_and_loses_nothing(harness: Harness) -> None:
    """It only keeps the membership."""
    await harness.write(Raw(b"x"))
    async with harness.member(Listener()) as source:
        assert await source.poll(0, 0.0) == []
        (delivery,) = await take(source, 1)

    assert delivery.value == b"x"


async def test_an_empty_topic_is_waited_for_no_longer_than_asked(harness: Harness) -> None:
    """So that whoever polls can look around."""
    async with harness.member(Listener()) as source:
        began = time.monotonic()
        found = await source.poll(10, 0.3)

    assert found == []
    assert time.monotonic() - began < 3


async def test_a_paused_partition_is_silent_until_it_is_resumed(harness: Harness) -> None:
    """The other one flows."""
    first, second = _parts(harness)
    async with harness.member(Listener()) as source:
        await source.pause([first])
        await harness.write(Raw(b"held"), Raw(b"flows", partition=1))
        flowing = await take(source, 1)
        silent = await source.poll(10, 0.3)
        await source.resume([first])
        resumed = await take(source, 1)

    assert [each.value for each in flowing] == [b"flows"]
    assert silent == []
    assert [each.value for each in resumed] == [b"held"]
    assert flowing[0].partition == second


async def test_pausing_what_is_not_ours_is_harmless(harness: Harness) -> None:
    """A rebalance may have taken it a moment ago."""
    async with harness.member(Listener()) as source:
        await source.pause([Partition(harness.topic, 7)])
        await source.resume([Partition(harness.topic, 7)])


async def test_nothing_is_committed_that_was_not_asked_for(harness: Harness) -> None:
    """What was read and not settled comes again to the next one."""
    await harness.write(Raw(b"a"), Raw(b"b"))
    async with harness.member(Listener()) as source:
        await take(source, 2)

    first, second = _parts(harness)
    assert await harness.committed() == {first: 0, second: 0}


async def test_a_commit_is_where_the_group_goes_on(harness: Harness) -> None:
    """The offset of the next record; partitions that are not ours are left out."""
    first, _ = _parts(harness)
    await harness.write(*[Raw(b"x")] * 3)
    async with harness.member(Listener()) as source:
        await take(source, 3)
        await source.commit({first: 2, Partition(harness.topic, 9): 5})
        await source.commit({})

    assert (await harness.committed())[first] == 2


async def test_a_new_group_starts_where_it_is_told_and_keeps_to_it(harness: Harness) -> None:
    """`latest` is decided once and committed: what comes before the first commit of ours is not lost."""
    first, second = _parts(harness)
    await harness.write(Raw(b"old"))
    async with harness.member(Listener(), start_at="latest"):
        committed = await harness.committed()

    assert committed == {first: 1, second: 0}


async def test_cancelling_whoever_polls_loses_no_record(harness: Harness) -> None:
    """The poll goes on behind the scenes; what it brings is its own, so a caller shields it."""
    async with harness.member(Listener()) as source:
        poll = asyncio.ensure_future(source.poll(10, 5.0))
        await asyncio.sleep(0)
        waiting = asyncio.create_task(_shielded(poll))
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.wait({waiting})
        await harness.write(Raw(b"x"))
        found = list(await poll) or await take(source, 1)

    assert [each.value for each in found] == [b"x"]


async def _shielded(poll: asyncio.Future[Sequence[Delivery]]) -> None:
    await asyncio.shield(poll)


@pytest.mark.apache
async def test_a_second_member_takes_its_share_and_gives_it_back(broker: TestBroker) -> None:
    """What was read before the rebalance carries an older generation than what is read after it."""
    harness = KafkaHarness(broker)
    listener, other = Listener(), Listener()
    async with harness.member(listener) as source:
        polling = asyncio.create_task(_poll_for_ever(source))
        async with harness.member(other) as second:
            also = asyncio.create_task(_poll_for_ever(second))
            await wait_until(lambda: len(listener.assigned) == 2, 20, "the rebalance")
            also.cancel()
        await wait_until(lambda: len(listener.assigned) == 3, 20, "the partition to come back")
        polling.cancel()

    sizes = [len(partitions) for partitions, _ in listener.assigned]
    generations = [generation for _, generation in listener.assigned]
    assert sizes == [2, 1, 2]
    assert generations == sorted(set(generations))
    assert listener.revoked[0] == list(_parts(harness))


@pytest.mark.apache
async def test_a_member_that_is_left_without_partitions_is_told_so(broker: TestBroker) -> None:
    """Two partitions, three members: to whom nothing came back must hear it, or its runs would go on."""
    harness = KafkaHarness(broker)
    listeners = [Listener() for _ in range(3)]
    polling: list[asyncio.Task[None]] = []
    async with AsyncExitStack() as stack:
        for listener in listeners:
            source = await stack.enter_async_context(harness.member(listener))
            polling.append(asyncio.create_task(_poll_for_ever(source)))

        def shares() -> list[int]:
            return sorted(len(each.assigned[-1][0]) if each.assigned else -1 for each in listeners)

        await wait_until(lambda: shares() == [0, 1, 1], 20, "every member to hear of its share")
        for task in polling:
            task.cancel()


async def _poll_for_ever(source: EventSource) -> None:
    while True:
        await asyncio.shield(asyncio.ensure_future(source.poll(10, 0.1)))

"""A position that names no record stays one, however the topic grows and the group is rebalanced."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import KafkaConnectionError, OffsetOutOfRangeError

from langgraph_integration.broker.out_of_range import OutOfRange
from langgraph_integration.broker.source import KafkaEventSource
from langgraph_integration.pipeline.delivery import Partition
from tests.contract.event_sources import KafkaHarness, Listener, take
from tests.langgraph_integration.topics import Raw
from tests.support import wait_until
from tests.support.brokers import TestBroker
from workflow_events.errors import BrokerUnavailable

PLACE = TopicPartition("events", 0)


class Client:
    """Has one partition, of 3 records."""

    def __init__(self) -> None:
        self.answers = True
        self.ours = {PLACE}

    def assignment(self) -> set[TopicPartition]:
        return self.ours

    async def beginning_offsets(self, places: list[TopicPartition]) -> dict[TopicPartition, int]:
        if not self.answers:
            raise KafkaConnectionError
        return dict.fromkeys(places, 0)

    async def end_offsets(self, places: list[TopicPartition]) -> dict[TopicPartition, int]:
        return dict.fromkeys(places, 3)


async def _refusal(positions: OutOfRange, client: Any) -> str | None:
    try:
        await positions.refuse(client)
    except BrokerUnavailable as error:
        return str(error)
    return None


async def test_it_is_remembered_although_nobody_tells_what_the_topic_holds() -> None:
    """That is asked later, until there is an answer."""
    client, positions = Client(), OutOfRange({Partition("events", 0): 5})
    client.answers = False
    positions.note(OffsetOutOfRangeError({PLACE: 5}))
    unknown = await _refusal(positions, client)
    client.answers = True
    known = await _refusal(positions, client)

    assert unknown is not None
    assert "events[0] at 5)" in unknown
    assert known is not None
    assert "events[0] at 5, the topic holds 0 to 3)" in known


@pytest.mark.parametrize(
    ("placed", "refused"),
    [
        pytest.param(4, True, id="at the commit that it had"),
        pytest.param(6, True, id="at a later commit of our own"),
        pytest.param(7, True, id="at the very position"),
        pytest.param(0, False, id="back, as only a person sets it"),
        pytest.param(9, False, id="beyond, as only a person sets it"),
    ],
)
async def test_only_an_offset_that_somebody_set_ends_it(placed: int, refused: bool) -> None:
    """A partition that was placed at 4 and found out of range at 7 comes back from a rebalance."""
    starts = {Partition("events", 0): 4}
    client, positions = Client(), OutOfRange(starts)
    positions.note(OffsetOutOfRangeError({PLACE: 7}))
    client.ours = set()
    away = await _refusal(positions, client)
    client.ours, starts[Partition("events", 0)] = {PLACE}, placed

    assert away is None
    assert (await _refusal(positions, client) is not None) is refused


@pytest.mark.apache
async def test_a_rebalance_does_not_make_it_read_on_in_the_middle(broker: TestBroker) -> None:
    """The topic has grown beyond the group's offset by then, and the client would not notice."""
    harness = KafkaHarness(broker)
    await harness.write(*[Raw(b"old")] * 3)
    async with harness.member(Listener()) as source:
        await source.commit({Partition(harness.topic, 0): 5})
    listener = Listener()
    async with harness.member(listener) as source:
        with pytest.raises(BrokerUnavailable, match="at 5, the topic holds 0 to 3"):
            await take(source, 1)
        await harness.write(*[Raw(b"new")] * 6)
        async with harness.member(Listener()):
            await wait_until(lambda: len(listener.assigned) > 1, 30, "a rebalance")
        await wait_until(lambda: len(listener.assigned[-1][0]) == 2, 30, "all partitions to come back")
        with pytest.raises(BrokerUnavailable, match="at 5, the topic holds 0 to 3"):
            await take(source, 1)


@pytest.mark.apache
async def test_a_member_that_waits_for_a_person_still_counts_as_polling(broker: TestBroker) -> None:
    """Or it would leave the group after five minutes, and take its partitions to one that waits, too."""
    harness = KafkaHarness(broker)
    async with harness.member(Listener()) as source:
        await source.commit({Partition(harness.topic, 0): 5})
    async with harness.member(Listener()) as source:
        assert isinstance(source, KafkaEventSource)
        with pytest.raises(BrokerUnavailable, match="out of range"):
            await take(source, 1)
        subscription = source._running_client._subscription
        subscription._last_fetch_ended -= 200
        source._polled_at -= 200
        with suppress(BrokerUnavailable):
            await source.poll(1, 0.1)
        idle_s = subscription.fetcher_idle_time

    assert idle_s < 100

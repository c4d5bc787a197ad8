"""OutOfRange: positions that name no record of the topic, remembered while the group stands there."""

import asyncio
from collections.abc import Mapping

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError, OffsetOutOfRangeError

from langgraph_integration.pipeline.delivery import Partition
from workflow_events.errors import BrokerUnavailable

_ASK_S = 3.0

_Held = Mapping[TopicPartition, tuple[int, int]]


class OutOfRange:
    """The client forgets that it was out of range: as soon as the topic has grown beyond the position it
    would read on there, and what lies before would be passed over.

    `starts` is where each partition was placed.
    """

    def __init__(self, starts: Mapping[Partition, int]) -> None:
        self._starts = starts
        self._positions: dict[TopicPartition, tuple[int, int]] = {}
        self._held: _Held | None = None

    def note(self, error: OffsetOutOfRangeError) -> None:
        """These positions are out of range. Nobody is asked for that, and so nothing can fail."""
        for where, offset in error.args[0].items():
            self._positions[where] = self._start(where, offset), offset
        self._held = None

    async def refuse(self, client: AIOKafkaConsumer) -> None:
        """Raise `BrokerUnavailable` while a partition of ours stands at one of them.

        A partition that is placed again, by a rebalance, is at its last commit: between where it was placed
        before and where it was found out of range. Anywhere else it is where somebody has put it.
        """
        for where, (start, offset) in list(self._positions.items()):
            if not start <= self._start(where, offset) <= offset:
                del self._positions[where]
        wrong = sorted(client.assignment() & self._positions.keys())
        if not wrong:
            return
        # what it held when that was found; later the topic may have grown beyond the position
        self._held = self._held or await _what_the_topic_holds(client, list(self._positions))
        texts = [self._text(where, (self._held or {}).get(where)) for where in wrong]
        raise BrokerUnavailable(
            f"the group's offset is out of range ({'; '.join(texts)}): the topic was recreated or kept its "
            "records too briefly. Nothing is skipped silently: when you know what is missing, set the "
            "group's offsets with kafka-consumer-groups.sh --reset-offsets"
        )

    def _start(self, where: TopicPartition, default: int) -> int:
        return self._starts.get(Partition(where.topic, where.partition), default)

    def _text(self, where: TopicPartition, held: tuple[int, int] | None) -> str:
        known = f", the topic holds {held[0]} to {held[1]}" if held else ""
        return f"{where.topic}[{where.partition}] at {self._positions[where][1]}{known}"


async def _what_the_topic_holds(client: AIOKafkaConsumer, places: list[TopicPartition]) -> _Held | None:
    """The first offset of each and the one after the last; None where nobody tells."""
    try:
        async with asyncio.timeout(_ASK_S):
            first, last = await client.beginning_offsets(places), await client.end_offsets(places)
    except (KafkaError, TimeoutError):
        return None
    return {where: (first[where], last[where]) for where in places}

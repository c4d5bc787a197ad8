"""Ends: where the partitions end, and the proof that a broker answers, also while nothing is fetched."""

import asyncio
import time
from collections.abc import Callable, Mapping, Set

from aiokafka import AIOKafkaConsumer, TopicPartition

from langgraph_integration.broker.silence import Silence
from langgraph_integration.pipeline.delivery import Partition

_LOOK_S = 1.0
_ASK_S = 5.0

Asked = asyncio.Task[dict[TopicPartition, int]]


class Ends:
    """What fetches tell of the ends of a client's partitions, and every five seconds a question for them.

    With all slots taken nothing is fetched: without the question the lag would stand still while the topic
    grows, and nobody would notice a broker that is away. Lives on the Kafka loop; what is public may be read
    from any thread.
    """

    def __init__(self, topic: str, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._topic = topic
        self._clock = clock
        self._looked_at = self._asked_at = float("-inf")
        self._asking: Asked | None = None
        self._ends: dict[TopicPartition, int] = {}
        self._newest_ms = 0
        self._answers = 1
        self._silence = Silence(clock=clock)
        self.known: Mapping[Partition, int] = {}
        """The end offset of each partition that is assigned."""

        self.answered_at: float | None = None
        """When a broker last answered a fetch or a question (monotonic seconds)."""

    def look(self, client: AIOKafkaConsumer) -> None:
        """Note what has been told, and begin to ask where that is due. Waits for nothing."""
        now = self._clock()
        if now - self._looked_at < _LOOK_S:
            return
        self._looked_at = now
        ours = client.assignment()
        self._note(client, ours)
        if now - self._asked_at >= _ASK_S:
            self._asked_at = now
            self._ask(client, ours)

    def _note(self, client: AIOKafkaConsumer, ours: Set[TopicPartition]) -> None:
        newest_ms = max((client.last_poll_timestamp(each) or 0 for each in ours), default=0)
        if newest_ms != self._newest_ms:
            self._newest_ms = newest_ms
            self._heard()
        fetched = {each: end for each in ours if (end := client.highwater(each)) is not None}
        # a partition that is not fetched keeps the end of its last fetch, which is behind what was answered
        self._ends = {
            each: max(fetched.get(each, 0), self._ends.get(each, 0))
            for each in sorted(ours)
            if each in fetched or each in self._ends
        }
        self.known = {Partition(each.topic, each.partition): end for each, end in self._ends.items()}

    def _ask(self, client: AIOKafkaConsumer, ours: Set[TopicPartition]) -> None:
        if self._asking is not None:
            return
        # one without a leader would keep the others without an answer; the client has no public way to tell
        led = client._client.cluster.available_partitions_for_topic(self._topic) or ()  # noqa: SLF001
        there = [TopicPartition(self._topic, number) for number in sorted(led)]
        # a member without partitions: one answer tells that there is a broker
        asked = [each for each in there if each in ours] if ours else there[:1]
        if not asked:
            # no topic yet, or no leader: there is nobody to ask
            self._heard()
            return
        self._asking = asyncio.create_task(client.end_offsets(asked), name="ends")
        self._asking.add_done_callback(self._answered)

    def _answered(self, task: Asked) -> None:
        self._asking = None
        if not task.cancelled() and task.exception() is None:
            self._ends |= task.result()
            self._heard()

    def _heard(self) -> None:
        self._answers += 1
        self.answered_at = self._clock()

    def silent_s(self) -> float:
        """For how long no broker has answered anything; counted from now where nobody asked for a while."""
        return self._silence.seconds([self._answers])

    def close(self) -> None:
        """Give up what is being asked. Once the client is stopped: before that it would mind."""
        if self._asking is not None:
            self._asking.cancel()

"""KafkaEventSource: a group member that hands out bytes and commits only what it is told to."""

import asyncio
import logging
import time
from collections.abc import Mapping, Sequence
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import (
    CommitFailedError,
    IllegalStateError,
    KafkaError,
)
from aiokafka.structs import ConsumerRecord, OffsetAndMetadata

from langgraph_integration.broker.aside import aside
from langgraph_integration.broker.assignment import Assignment
from langgraph_integration.broker.commit_mark import CommitMark
from langgraph_integration.broker.ends import Ends
from langgraph_integration.broker.fetching import Fetching
from langgraph_integration.broker.incarnation import Incarnation
from langgraph_integration.broker.inquiry import Inquiry
from langgraph_integration.broker.leaving import stop_within
from langgraph_integration.broker.new_group import start_at_end
from langgraph_integration.broker.silence import Silence
from langgraph_integration.broker.start_policy import StartPolicy
from langgraph_integration.broker.thread import KafkaThread
from langgraph_integration.pipeline.delivery import Delivery, Partition
from langgraph_integration.pipeline.ledger import Position
from langgraph_integration.pipeline.ports import AssignmentListener
from workflow_events.errors import BrokerUnavailable
from workflow_events.settings import KafkaSettings

log = logging.getLogger(__name__)

_LEAVE_S = 2.0  # the guide's "force-closed after 2 seconds"
_CALL_S = 5.0
_JOIN_S = 60.0
_SILENT_S = 10.0
_REBALANCE_S = 30.0  # as long as a service without a poll counts as ready
_KEEP_ALIVE_S = 60.0  # a fifth of aiokafka's max_poll_interval_ms


class KafkaEventSource:
    """The `EventSource` over aiokafka, living on the Kafka thread.

    `store_id` and the topic's id travel in the metadata of every commit, so that a worker of another store
    notices, and one of a topic that was made anew; `None` (a store that ends with its process) neither claims
    the group nor minds who did.
    """

    def __init__(
        self,
        thread: KafkaThread,
        arguments: Mapping[str, Any],
        *,
        settings: KafkaSettings,
        topic: str,
        start_at: str,
        store_id: str | None,
        listener: AssignmentListener,
        revoke_budget_s: float,
    ) -> None:
        self._thread = thread
        self._arguments = dict(arguments)
        self._settings = settings
        self._start_at = start_at
        self._topic = topic
        self._listener = listener
        self._revoke_budget_s = revoke_budget_s
        self._store_id = store_id
        self._incarnation = Incarnation(settings, topic)
        self._policy = StartPolicy(self._arguments, topic, self._incarnation, store_id=store_id)
        self._client: AIOKafkaConsumer | None = None
        self._assignment: Assignment | None = None
        self._polled_at = time.monotonic()
        self._silence = Silence()
        self._inquiry = Inquiry(settings)
        self._fetching: Fetching | None = None
        self.ends = Ends(topic)
        """Where the partitions end, and when a broker last answered."""

    @property
    def policy(self) -> StartPolicy:
        """Where partitions start, and what the last commits said of their store."""
        return self._policy

    async def start(self) -> None:
        """Connect, join the group and place its partitions, so that what is published from now on is seen.

        Raises `BrokerUnavailable` naming the servers; a group that does not answer in time is only logged.
        """
        await self._ask(self._start(asyncio.get_running_loop()))

    def _begin_group(self, topic_id: str | None) -> None:
        start_at_end(
            self._settings,
            group_id=self._arguments["group_id"],
            topic=self._topic,
            metadata=CommitMark(self._store_id, topic_id).encode(),
        )

    async def _start(self, home: asyncio.AbstractEventLoop) -> None:
        client = AIOKafkaConsumer(**self._arguments)
        try:
            await client.start()
            if self._start_at == "latest":
                await aside(self._begin_group, await self._incarnation.learn())
        except BaseException:
            await client.stop()
            raise
        self._assignment = Assignment(
            client, self._policy, self._listener, home, revoke_budget_s=self._revoke_budget_s
        )
        self._fetching = Fetching(client, self._assignment, self._policy)
        self._client = client
        client.subscribe([self._topic], listener=self._assignment)
        try:
            await asyncio.wait_for(self._assignment.joined.wait(), _JOIN_S)
        except TimeoutError:
            log.warning("the group has not answered within %d s", _JOIN_S, extra={"action": "join_overdue"})

    async def poll(self, max_records: int, timeout_s: float) -> Sequence[Delivery]:
        """The next records; see the port."""
        records: Sequence[Delivery] = await self._ask(self._poll(max_records, timeout_s))
        return records

    async def _poll(self, max_records: int, timeout_s: float) -> list[Delivery]:
        client = self._running_client
        assignment, fetching = self._assignment, self._fetching
        assert assignment is not None
        assert fetching is not None
        if not assignment.placed:
            await assignment.place()
        self._incarnation.look()
        await self._refuse_wrong_place(client, fetching)
        if max_records == 0:
            self.ends.look(client)
            await self._keep_alive(client, fetching)
            await asyncio.sleep(timeout_s)
            self._refuse_silence(client, fetching=False)
            return []
        self._polled_at = time.monotonic()
        batches = await fetching.get(int(timeout_s * 1000), max_records)
        self.ends.look(client)
        if batches is None:
            self._refuse_endless_wait(fetching)
            return []
        if not batches:
            self._refuse_silence(client, fetching=not assignment.rebalancing)
        generation = assignment.generation
        return [_delivery(record, generation) for records in batches.values() for record in records]

    async def _refuse_wrong_place(self, client: AIOKafkaConsumer, fetching: Fetching) -> None:
        """Raise where the topic is gone or another one, or the position names no record of it."""
        try:
            self._incarnation.refuse_wrong()
            await fetching.refuse_out_of_range()
        except BrokerUnavailable:
            # whoever waits for a person is still a member
            await self._keep_alive(client, fetching)
            raise

    def _refuse_silence(self, client: AIOKafkaConsumer, *, fetching: bool) -> None:
        fetched = client.assignment() - client.paused() if fetching else ()
        unfetched_s = self._silence.seconds(client.last_poll_timestamp(each) for each in fetched)
        silent_s = max(unfetched_s, self.ends.silent_s())
        if silent_s > _SILENT_S / 2:
            self._inquiry.ask()
        if silent_s > _SILENT_S:
            servers = self._arguments["bootstrap_servers"]
            what = "no answer to a fetch" if unfetched_s > _SILENT_S else "no answer"
            raise BrokerUnavailable(f"Kafka at {servers}: {what} for {silent_s:.0f} s{self._inquiry.answer}")

    def _refuse_endless_wait(self, fetching: Fetching) -> None:
        """Raise where the group has not said for long what is ours, as when no broker answers."""
        if fetching.waiting_s > _REBALANCE_S / 2:
            self._inquiry.ask()
        if fetching.waiting_s > _REBALANCE_S:
            servers = self._arguments["bootstrap_servers"]
            raise BrokerUnavailable(
                f"Kafka at {servers}: the group has assigned no partitions for {fetching.waiting_s:.0f} s"
                f"{self._inquiry.answer}"
            )

    async def _keep_alive(self, client: AIOKafkaConsumer, fetching: Fetching) -> None:
        """Count as polling although nothing is wanted. Rarely, for a pause throws fetched records away."""
        if time.monotonic() - self._polled_at < _KEEP_ALIVE_S:
            return
        running = client.assignment() - client.paused()
        client.pause(*running)
        try:
            await fetching.keep_alive()
        finally:
            client.resume(*(running & client.assignment()))
            self._polled_at = time.monotonic()

    async def pause(self, partitions: Sequence[Partition]) -> None:
        """Stop fetching from these."""
        await self._ask(self._each(partitions, "pause"))

    async def resume(self, partitions: Sequence[Partition]) -> None:
        """Fetch from these again."""
        await self._ask(self._each(partitions, "resume"))

    async def _each(self, partitions: Sequence[Partition], action: str) -> None:
        client = self._running_client
        ours = client.assignment()
        for partition in partitions:
            where = TopicPartition(partition.topic, partition.number)
            if where in ours:
                getattr(client, action)(where)

    async def commit(self, offsets: Mapping[Partition, int]) -> None:
        """Commit the next offset to read of each partition."""
        await self._ask(self._commit(offsets), timeout_s=_CALL_S)

    async def _commit(self, offsets: Mapping[Partition, int]) -> None:
        client = self._running_client
        self._incarnation.refuse_another()
        mark = CommitMark(self._store_id, self._incarnation.placed).encode()
        ours = client.assignment()
        wanted = {
            TopicPartition(partition.topic, partition.number): OffsetAndMetadata(offset, mark)
            for partition, offset in offsets.items()
        }
        wanted = {where: offset for where, offset in wanted.items() if where in ours}
        if wanted:
            await client.commit(wanted)

    async def stop(self) -> bool:
        """Leave the group within two seconds; False if the client had to be abandoned. Never raises."""
        client, self._client = self._client, None
        if client is None:
            return True
        try:
            return await self._thread.call(self._leave(client))
        except (RuntimeError, OSError) as error:
            log.warning("consumer abandoned: %s", error, extra={"action": "consumer_abandoned"})
            return False

    async def _leave(self, client: AIOKafkaConsumer) -> bool:
        try:
            return await stop_within(client, _LEAVE_S)
        finally:
            self.ends.close()

    @property
    def joined(self) -> bool:
        """Whether the group has answered and its partitions are placed."""
        return self._assignment is not None and self._assignment.joined.is_set()

    @property
    def _running_client(self) -> AIOKafkaConsumer:
        if self._client is None:
            raise BrokerUnavailable("the consumer is not connected")
        return self._client

    async def _ask(self, call: Any, timeout_s: float | None = None) -> Any:
        try:
            return await self._thread.call(call, timeout_s=timeout_s)
        except (KafkaError, OSError, IllegalStateError) as error:
            raise broker_unavailable(error, self._arguments["bootstrap_servers"]) from error


def broker_unavailable(error: Exception, servers: object) -> BrokerUnavailable:
    """Our error for one of aiokafka's, with the servers named."""
    if isinstance(error, CommitFailedError):
        return BrokerUnavailable(f"commit refused, the group is rebalancing: {error}")
    return BrokerUnavailable(f"Kafka at {servers}: {type(error).__name__}: {error}")


def _delivery(record: ConsumerRecord[bytes, bytes], generation: int) -> Delivery:
    return Delivery(
        position=Position(record.topic, record.partition, record.offset),
        key=record.key,
        value=record.value,
        timestamp_ms=record.timestamp,
        generation=generation,
        headers=tuple(record.headers),
    )

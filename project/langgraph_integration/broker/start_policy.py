"""Where a partition starts when it is assigned, decided and committed before the first record is read."""

import asyncio
import logging
import time
from collections.abc import Mapping, Sequence
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import IncompatibleBrokerVersion, UnsupportedVersionError
from aiokafka.structs import OffsetAndMetadata

from langgraph_integration.broker.commit_mark import CommitMark
from langgraph_integration.broker.incarnation import Incarnation
from langgraph_integration.pipeline.delivery import Partition

log = logging.getLogger(__name__)

_YIELD_S = 1.0
_LOOK_AGAIN_S = 0.1
_CONNECTION = ("bootstrap_servers", "security_protocol", "ssl_context", "sasl_")


class StartPolicy:
    """A partition goes on at the group's commit, and begins at its beginning where there is none.

    Where `latest` puts a new group is committed before anybody joins (`new_group`): what has no commit then
    is younger than the group.
    """

    def __init__(
        self, arguments: Mapping[str, Any], topic: str, incarnation: Incarnation, *, store_id: str | None
    ) -> None:
        self._connection = {name: value for name, value in arguments.items() if name.startswith(_CONNECTION)}
        self._group_id = arguments["group_id"]
        self._topic = topic
        self._incarnation = incarnation
        self._store_id = store_id
        self.starts: dict[Partition, int] = {}
        """Where each partition began when it was placed."""

        self._yielded_to: str | None = None
        self.foreign_store: str | None = None
        """The id of another store that settled partitions of the group, or `None`."""
        self.metadata_kept: bool | None = None
        """Whether the broker keeps commit metadata; `None` while there was nothing to read."""

    async def place(self, client: AIOKafkaConsumer, partitions: Sequence[Partition]) -> None:
        """Seek every partition to where the group goes on.

        Raises aiokafka's errors, and `BrokerUnavailable` if a commit is of another topic of this name.
        """
        ours = [TopicPartition(each.topic, each.number) for each in partitions]
        committed = {where: await client.committed(where) for where in ours}
        topic_id, marks = await asyncio.gather(self._incarnation.learn(), self._marks(client))
        for where in ours:
            if where in marks:
                self._incarnation.refuse_another(marks[where].topic)
        marked = (marks[where].topic for where in ours if where in marks)
        # where the id cannot be had now, the commit's own is what the next look is compared with
        self._incarnation.placed = topic_id or next(filter(None, marked), None)
        strange = self._is_strange(marks)
        for where, offset in committed.items():
            if offset is not None:
                self._seek(client, where, offset)
        fresh = [where for where, offset in committed.items() if offset is None]
        if fresh:
            await self._begin(client, fresh, strange=strange)

    def _seek(self, client: AIOKafkaConsumer, where: TopicPartition, offset: int) -> None:
        client.seek(where, offset)
        self.starts[Partition(where.topic, where.partition)] = offset

    async def _begin(self, client: AIOKafkaConsumer, fresh: list[TopicPartition], *, strange: bool) -> None:
        offsets = await client.beginning_offsets(fresh)
        for where, offset in offsets.items():
            self._seek(client, where, offset)
        if strange:
            # whoever takes nothing claims nothing, or the rightful worker would find a stranger's mark here
            return
        await self._commit(client, offsets, self._store_id)
        if await self._met_another(client):
            await self._commit(client, offsets, None)
            return
        log.info(
            "group starts at the beginning of %d partitions",
            len(fresh),
            extra={"action": "partitions_started", "group_id": self._group_id},
        )

    async def _met_another(self, client: AIOKafkaConsumer) -> bool:
        """Whether our marks have to go, because another store began the group at the same moment.

        Of two that see each other the one with the greater id withdraws; the other waits for that, for the
        one that it sees may have looked before there was anything to see, and be at work.
        """
        deadline = time.monotonic() + _YIELD_S
        while self._is_strange(await self._marks(client)):
            if str(self.foreign_store) < str(self._store_id) or time.monotonic() > deadline:
                self._yielded_to = self.foreign_store
                return True
            await asyncio.sleep(_LOOK_AGAIN_S)
        return False

    async def _commit(
        self, client: AIOKafkaConsumer, offsets: Mapping[TopicPartition, int], store_id: str | None
    ) -> None:
        mark = CommitMark(store_id, self._incarnation.placed).encode()
        await client.commit({where: OffsetAndMetadata(offset, mark) for where, offset in offsets.items()})

    def _is_strange(self, marks: Mapping[TopicPartition, CommitMark]) -> bool:
        """Whether another store settled partitions of the group; notes which."""
        stores = {mark.store for mark in marks.values() if mark.store is not None}
        if self._store_id in stores:
            self._yielded_to = None
        others = sorted(stores - {self._store_id})
        # whoever has yielded waits on, also where the other did the same and no mark is left
        self.foreign_store = (others[0] if others else self._yielded_to) if self._store_id else None
        return self.foreign_store is not None

    async def _marks(self, client: AIOKafkaConsumer) -> Mapping[TopicPartition, CommitMark]:
        """Of the last commit of every partition, ours or not: aiokafka's own `committed` drops them."""
        numbers = client.partitions_for_topic(self._topic) or ()
        admin = AIOKafkaAdminClient(**self._connection)
        try:
            await admin.start()
            answer = await admin.list_consumer_group_offsets(
                self._group_id, partitions=[TopicPartition(self._topic, number) for number in numbers]
            )
        except (IncompatibleBrokerVersion, UnsupportedVersionError, ValueError) as error:
            # whatever else fails is asked again: nothing is taken before it is known whose commits these are
            log.info("commit metadata cannot be read: %s", error, extra={"action": "metadata_unreadable"})
            self.metadata_kept = False
            return {}
        finally:
            await admin.close()
        found = {where: each.metadata for where, each in answer.items() if each.offset >= 0}
        self.metadata_kept = any(found.values()) if found else None
        return {where: CommitMark.read(metadata) for where, metadata in found.items()}

"""Where a partition starts when it is assigned, decided and committed before the first record is read."""

import json
import logging
from collections.abc import Mapping, Sequence
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import IncompatibleBrokerVersion, UnsupportedVersionError
from aiokafka.structs import OffsetAndMetadata

from langgraph_integration.pipeline.delivery import Partition

log = logging.getLogger(__name__)

_CONNECTION = ("bootstrap_servers", "security_protocol", "ssl_context", "sasl_")


class StartPolicy:
    """A partition goes on at the group's commit, and begins at its beginning where there is none.

    Where `latest` puts a new group is committed before anybody joins (`new_group`): what has no commit then
    is younger than the group.
    """

    def __init__(self, arguments: Mapping[str, Any], *, store_id: str | None, metadata: str) -> None:
        self._connection = {name: value for name, value in arguments.items() if name.startswith(_CONNECTION)}
        self._group_id = arguments["group_id"]
        self._store_id = store_id
        self._metadata = metadata
        self.starts: dict[Partition, int] = {}
        """Where each partition began when it was placed."""

        self.foreign_store: str | None = None
        """The id of another store that settled one of our partitions, or `None`."""
        self.metadata_kept: bool | None = None
        """Whether the broker keeps commit metadata; `None` while there was nothing to read."""

    async def place(self, client: AIOKafkaConsumer, partitions: Sequence[Partition]) -> None:
        """Seek every partition to where the group goes on."""
        ours = [TopicPartition(each.topic, each.number) for each in partitions]
        committed = {where: await client.committed(where) for where in ours}
        known = {where: offset for where, offset in committed.items() if offset is not None}
        fresh = [where for where in ours if where not in known]
        for where in ours:
            if where in known:
                self._seek(client, where, known[where])
        if known:
            await self._check_store(list(known))
        if fresh:
            await self._begin(client, fresh)

    def _seek(self, client: AIOKafkaConsumer, where: TopicPartition, offset: int) -> None:
        client.seek(where, offset)
        self.starts[Partition(where.topic, where.partition)] = offset

    async def _begin(self, client: AIOKafkaConsumer, fresh: list[TopicPartition]) -> None:
        offsets = await client.beginning_offsets(fresh)
        for where, offset in offsets.items():
            self._seek(client, where, offset)
        if self.foreign_store is not None:
            # whoever takes nothing claims nothing, or the rightful worker would find a stranger's mark here
            return
        await client.commit(
            {where: OffsetAndMetadata(offset, self._metadata) for where, offset in offsets.items()}
        )
        log.info(
            "group starts at the beginning of %d partitions",
            len(fresh),
            extra={"action": "partitions_started", "group_id": self._group_id},
        )

    async def _check_store(self, ours: list[TopicPartition]) -> None:
        """Read the metadata of the last commits: aiokafka's own `committed` drops it."""
        admin = AIOKafkaAdminClient(**self._connection)
        try:
            await admin.start()
            answer = await admin.list_consumer_group_offsets(self._group_id, partitions=ours)
        except (IncompatibleBrokerVersion, UnsupportedVersionError, ValueError) as error:
            # whatever else fails is asked again: nothing is taken before it is known whose commits these are
            log.info("commit metadata cannot be read: %s", error, extra={"action": "metadata_unreadable"})
            self.metadata_kept = False
            return
        finally:
            await admin.close()
        stores = [_store_of(each.metadata) for each in answer.values() if each.offset >= 0]
        self.metadata_kept = any(each.metadata for each in answer.values()) if stores else None
        others = sorted({store for store in stores if store is not None and store != self._store_id})
        self.foreign_store = others[0] if others and self._store_id else None


def _store_of(metadata: str | None) -> str | None:
    try:
        store = json.loads(metadata or "null")["store"]
    except (ValueError, TypeError, KeyError):
        return None
    return store if isinstance(store, str) else None

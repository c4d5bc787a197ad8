"""Records with header names that are not UTF-8: Kafka and librdkafka take them, aiokafka's parser raises."""

import random
from collections import defaultdict
from collections.abc import Callable, Mapping
from contextlib import suppress
from itertools import islice
from typing import Any, SupportsIndex

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.consumer.fetcher import READ_UNCOMMITTED, PartitionRecords
from aiokafka.errors import CorruptRecordException, NoError, for_code
from aiokafka.protocol.fetch import FetchRequest
from aiokafka.record.default_records import _DefaultRecordBatchPy
from aiokafka.record.memory_records import _MemoryRecordsPy
from aiokafka.structs import ConsumerRecord

_FETCH_BYTES = 1024 * 1024  # aiokafka's own; a larger batch comes whole
_WAIT_MS = 100  # Tansu answers with nothing where it may not wait
_MAGIC_AT = 16
_WITH_HEADERS = 2


def names_are_unreadable(error: Exception) -> bool:
    """Whether a `getmany` failed over such a record; the parser without C wraps the error."""
    return isinstance(error, UnicodeDecodeError) or isinstance(error.__cause__, UnicodeDecodeError)


async def read_leniently(
    client: AIOKafkaConsumer, offset_of: Callable[[TopicPartition], int | None], max_records: int
) -> Mapping[TopicPartition, list[Any]]:
    """The next records of the partitions that are fetched, at most so many, with such names escaped.

    Which record it is that `getmany` fails over is not to be known from outside, so all partitions are read,
    in any order. Nothing is sought, and what cannot be read here either is left to the next `getmany`.
    """
    wanted: dict[int, list[tuple[TopicPartition, int]]] = defaultdict(list)
    connections = client._client  # noqa: SLF001 - there is no public way to fetch bytes
    for where in client.assignment() - client.paused():
        leader, offset = connections.cluster.leader_for_partition(where), offset_of(where)
        if leader not in (None, -1) and offset is not None:
            wanted[leader].append((where, offset))
    found: dict[TopicPartition, list[Any]] = {}
    for leader, places in wanted.items():
        for where, offset, data in await _fetch(connections, leader, places):
            left = max_records - sum(map(len, found.values()))
            found[where] = _records(where, offset, data, max(0, left))
    return found


async def _fetch(
    connections: Any, leader: int, places: list[tuple[TopicPartition, int]]
) -> list[tuple[TopicPartition, int, bytes]]:
    random.shuffle(places)
    offsets = dict(places)
    topics = [(where.topic, [(where.partition, offset, _FETCH_BYTES)]) for where, offset in places]
    request = FetchRequest(_WAIT_MS, 1, _FETCH_BYTES, READ_UNCOMMITTED, topics)
    response = await connections.send(leader, request)
    found = []
    for topic, partitions in response.topics:
        for partition, code, *_, data in partitions:
            where = TopicPartition(topic, partition)
            if for_code(code) is NoError and data:
                found.append((where, offsets[where], data))
    return found


def _records(
    where: TopicPartition, offset: int, data: bytes, max_records: int
) -> list[ConsumerRecord[bytes, bytes]]:
    records = PartitionRecords(where, _Records(data), None, offset, None, None, True, READ_UNCOMMITTED)
    found: list[ConsumerRecord[bytes, bytes]] = []
    # a batch that rotted ends it, and what lies before it counts
    with suppress(CorruptRecordException):
        found.extend(islice(records, max_records))
    return found


class _Text(bytearray):
    """Bytes of a batch, whose slices can always be decoded."""

    def __getitem__(self, index: SupportsIndex | slice) -> Any:
        piece = super().__getitem__(index)
        return _Text(piece) if isinstance(index, slice) else piece

    def decode(self, encoding: str = "utf-8", errors: str = "backslashreplace") -> str:
        return super().decode(encoding, errors)


class _Batch(_DefaultRecordBatchPy):  # type: ignore[misc]  # final, for type checkers
    _buffer: bytearray

    def _maybe_uncompress(self) -> None:
        super()._maybe_uncompress()
        self._buffer: _Text = _Text(self._buffer)


class _Records(_MemoryRecordsPy):  # type: ignore[misc]  # final, for type checkers
    def next_batch(self, *sizes: int) -> Any:
        batch = self._next_slice
        if batch is None or batch[_MAGIC_AT] < _WITH_HEADERS:
            return super().next_batch(*sizes)
        self._cache_next()
        return _Batch(batch)

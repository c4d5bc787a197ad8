"""Records whose header names are not UTF-8, as clients in C and Go can write them."""

from __future__ import annotations

import struct
from collections.abc import Sequence

from aiokafka import TopicPartition
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import NoError, for_code
from aiokafka.protocol.produce import ProduceRequest
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.util import calc_crc32c


def batch_with_a_strange_header(values: Sequence[bytes]) -> bytes:
    """A batch whose second record has a header with such a name, as clients in C and Go can write."""
    builder = DefaultRecordBatchBuilder(2, 0, 0, -1, -1, -1, 1024 * 1024)
    for number, value in enumerate(values):
        builder.append(number, 0, b"key", value, [("NAME", b"1"), ("empty", None)] if number == 1 else [])
    batch = bytearray(builder.build()).replace(b"NAME", b"N\xffME")
    batch[17:21] = struct.pack(">I", calc_crc32c(bytes(batch[21:])))
    return bytes(batch)


async def produce_batch(servers: str, topic: str, partition: int, batch: bytes) -> None:
    """Write it as it is: no client of ours takes such a name."""
    client = AIOKafkaClient(bootstrap_servers=servers)
    await client.bootstrap()
    try:
        await client.set_topics([topic])
        leader = client.cluster.leader_for_partition(TopicPartition(topic, partition))
        request = ProduceRequest(None, -1, 10_000, [(topic, [(partition, batch)])])
        response = await client.send(leader, request)
        ((_, ((_, code, *_),)),) = response.topics
        assert for_code(code) is NoError
    finally:
        await client.close()

"""What is said where the group's offset names no record of the topic."""

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import OffsetOutOfRangeError

from workflow_events.errors import BrokerUnavailable


async def out_of_range(client: AIOKafkaConsumer, error: OffsetOutOfRangeError) -> BrokerUnavailable:
    """The error that names each partition, where the group stands and what the topic holds."""
    wanted: dict[TopicPartition, int] = (
        error.args[0] if error.args and isinstance(error.args[0], dict) else {}
    )
    texts = []
    for partition, offset in wanted.items():
        first = (await client.beginning_offsets([partition]))[partition]
        last = (await client.end_offsets([partition]))[partition]
        texts.append(
            f"{partition.topic}[{partition.partition}] at {offset}, the topic holds {first} to {last}"
        )
    return BrokerUnavailable(
        f"the group's offset is out of range ({'; '.join(texts) or 'unknown partition'}): the topic was "
        "recreated or kept its records too briefly. Nothing is skipped silently: when you know what is "
        "missing, set the group's offsets with kafka-consumer-groups.sh --reset-offsets"
    )

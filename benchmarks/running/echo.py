"""The floor of latency: a bare client that sends every record back, as soon as it has it."""

from confluent_kafka import Consumer, Producer, TopicPartition

from benchmarks.task import Task


def main(task: Task) -> None:
    """Echo until killed."""
    producer = Producer({"bootstrap.servers": task.servers, "linger.ms": 0, "acks": "all"})
    consumer = Consumer(
        {"bootstrap.servers": task.servers, "group.id": task.group, "enable.auto.commit": False}
    )
    partitions = consumer.list_topics(task.events, timeout=10).topics[task.events].partitions
    consumer.assign([TopicPartition(task.events, number, 0) for number in partitions])
    (task.path / "ready").touch()
    while True:
        message = consumer.poll(1.0)
        if message is not None and message.error() is None:
            producer.produce(task.results, value=message.value(), key=message.key())
            producer.poll(0)


if __name__ == "__main__":
    main(Task.from_arguments())

"""This service without a graph: its processor wrapped, as callers may, by one that waits 0 to 5 ms."""

import asyncio
import logging
import random
from typing import Any

from benchmarks.marks import MARKS
from benchmarks.running.loops import run
from benchmarks.task import Task
from langgraph_integration import ConsumerConfig, LangGraphKafkaConsumer
from langgraph_integration.garbage import settle_garbage
from workflow_events import WorkflowEvent

_LONGEST_S = 0.005


async def main(task: Task) -> None:
    """Consume until killed."""
    config = ConsumerConfig(
        bootstrap_servers=task.servers,
        topic=task.events,
        results_topic=task.results,
        dlq_topic=task.dead_letters,
        group_id=task.group,
        auto_offset_reset="earliest",
        state_url=task.state,
        max_concurrency=task.slots,
        graphs_file=str(task.path / "langgraph.json"),
    )
    consumer = LangGraphKafkaConsumer(config)

    async def process(event: WorkflowEvent) -> dict[str, Any]:
        MARKS.began()
        await asyncio.sleep(random.random() * _LONGEST_S)
        return dict(event.payload.data)

    setattr(consumer.processor, "process_workflow_event", process)  # noqa: B010 - as callers may wrap it
    await consumer.start()
    settle_garbage()  # as the service does
    await consumer.consume_and_process()


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING)
    task = Task.from_arguments()
    run(main(task), task.loop)

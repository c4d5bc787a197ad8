"""The plain design that the guide's listings describe: auto-commit, a task for each message, `to_thread`.

Written by us after those listings, memory saver and result producer included, for comparison alone. They
name no durability, and so it is LangGraph's default, `async`.
"""

import asyncio
import json
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from langgraph.checkpoint.memory import InMemorySaver

from benchmarks import graphs
from benchmarks.task import Task
from workflow_events import EventType, WorkflowEvent, WorkflowResultEvent


async def main(task: Task) -> None:
    """Consume until killed."""
    graph = graphs.build(task.graph, synchronous=True).compile(checkpointer=InMemorySaver())
    invoke: Any = graph.invoke
    producer = AIOKafkaProducer(
        bootstrap_servers=task.servers, value_serializer=lambda value: json.dumps(value).encode()
    )
    consumer = AIOKafkaConsumer(
        task.events,
        bootstrap_servers=task.servers,
        group_id=task.group,
        auto_offset_reset="earliest",
        enable_auto_commit=True,
        value_deserializer=lambda value: json.loads(value.decode()),
    )
    await producer.start()
    await consumer.start()

    async def process(event: WorkflowEvent) -> None:
        config = {"configurable": {"thread_id": str(event.event_id)}}
        state: dict[str, Any]
        if task.no_graph:
            state = await asyncio.to_thread(graphs.sleep_without_graph, event.payload.data)
        else:
            state = await asyncio.to_thread(invoke, event.payload.data, config=config)
        result = WorkflowResultEvent(
            correlation_id=event.event_id,
            workflow_id=event.workflow_id,
            workflow_run_id=event.workflow_run_id,
            result=state,
            status="success",
        )
        await producer.send_and_wait(task.results, result.model_dump(mode="json"))

    tasks = set()
    while True:
        batches = await consumer.getmany(timeout_ms=1000, max_records=10)
        for messages in batches.values():
            for message in messages:
                event = WorkflowEvent(**message.value)
                if event.event_type == EventType.WORKFLOW_TRIGGERED:
                    running = asyncio.create_task(process(event))
                    # the listing holds no reference, so that a run may be collected half-way
                    tasks.add(running)
                    running.add_done_callback(tasks.discard)


if __name__ == "__main__":
    asyncio.run(main(Task.from_arguments()))

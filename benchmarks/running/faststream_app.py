"""FastStream as its documentation shows a concurrent subscriber: `max_workers`, pydantic, a publisher."""

import asyncio
from typing import Any

from faststream import FastStream
from faststream.kafka import KafkaBroker
from langgraph.checkpoint.memory import InMemorySaver

from benchmarks import graphs
from benchmarks.task import Task
from workflow_events import WorkflowEvent, WorkflowResultEvent


async def main(task: Task) -> None:
    """Consume until killed."""
    graph = graphs.build(task.graph).compile(checkpointer=InMemorySaver())
    broker = KafkaBroker(task.servers)
    publisher = broker.publisher(task.results)

    @broker.subscriber(task.events, group_id=task.group, auto_offset_reset="earliest", max_workers=task.slots)
    async def handle(event: WorkflowEvent) -> None:
        if task.no_graph:
            state = await graphs.wait_without_graph(event.payload.data)
        else:
            config: Any = {"configurable": {"thread_id": str(event.event_id)}}
            state = await graph.ainvoke(event.payload.data, config, durability=task.durability)
        await publisher.publish(
            WorkflowResultEvent(
                correlation_id=event.event_id,
                workflow_id=event.workflow_id,
                workflow_run_id=event.workflow_run_id,
                result=dict(state),
                status="success",
            )
        )

    await FastStream(broker).run(log_level=30)


if __name__ == "__main__":
    asyncio.run(main(Task.from_arguments()))

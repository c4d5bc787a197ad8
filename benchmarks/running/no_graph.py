"""This service without a graph: its processor wrapped, as callers may, by one that waits 0 to 5 ms.

Logs, metrics and the collector are the service's own, for it pays for them with every event.
"""

from typing import Any

from benchmarks.graphs import wait_without_graph
from benchmarks.running.loops import run
from benchmarks.task import Task
from langgraph_integration import ConsumerConfig, LangGraphKafkaConsumer
from langgraph_integration.garbage import settle_garbage
from langgraph_integration.ops.logs import configure_logging
from langgraph_integration.ops.metrics import Metrics
from langgraph_integration.ops.settings import LogSettings
from workflow_events import WorkflowEvent


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
    configure_logging(LogSettings.from_env(), secrets=config.secrets())
    consumer = LangGraphKafkaConsumer(config, observe=Metrics().observe)

    async def process(event: WorkflowEvent) -> dict[str, Any]:
        return await wait_without_graph(event.payload.data)

    setattr(consumer.processor, "process_workflow_event", process)  # noqa: B010 - as callers may wrap it
    await consumer.start()
    settle_garbage()
    await consumer.consume_and_process()


if __name__ == "__main__":
    task = Task.from_arguments()
    run(main(task), task.loop)

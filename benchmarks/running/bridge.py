"""kafka-agent-bridge, the way its page shows it: a LangGraphAdapter registered for a topic."""

import asyncio

from kafka_agent_bridge import KafkaAgentBridge
from kafka_agent_bridge.adapters import LangGraphAdapter
from langgraph.checkpoint.memory import InMemorySaver

from benchmarks import graphs
from benchmarks.task import Task


async def main(task: Task) -> None:
    """Consume until killed."""
    graph = graphs.build(task.graph).compile(checkpointer=InMemorySaver())
    bridge = KafkaAgentBridge(bootstrap_servers=task.servers, consumer_group=task.group)
    bridge.register(
        topic=task.events,
        handler=LangGraphAdapter(graph=graph, state_factory=lambda event: event.payload["data"]),
        output_topic=task.results,
    )
    async with bridge:
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(Task.from_arguments()))

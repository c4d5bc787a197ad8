"""The limit: `ainvoke` and nothing else, by as many tasks as there are slots. No Kafka, no results."""

import asyncio
from uuid import uuid4

from langchain_core.runnables import RunnableConfig

from benchmarks import graphs
from benchmarks.marks import MARKS
from benchmarks.running.loops import run
from benchmarks.running.savers import stock_saver
from benchmarks.task import Task


async def main(task: Task) -> None:
    """Run all, and note when the last one ended."""
    numbers = iter(range(task.count))
    async with stock_saver(task.state) as saver:
        graph = graphs.build(task.graph).compile(checkpointer=saver)

        async def work() -> None:
            for number in numbers:
                config: RunnableConfig = {"configurable": {"thread_id": str(uuid4())}}
                await graph.ainvoke({"x": number}, config, durability=task.durability)

        await asyncio.gather(*(work() for _ in range(task.slots)))
        MARKS.ended()


if __name__ == "__main__":
    task = Task.from_arguments()
    run(main(task), task.loop)

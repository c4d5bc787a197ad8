"""The limit: `ainvoke` and nothing else, by as many tasks as there are slots. No Kafka, no results."""

import asyncio
from typing import Any
from uuid import uuid4

from langchain_core.runnables import RunnableConfig

from benchmarks import graphs
from benchmarks.marks import MARKS, Marks
from benchmarks.running.loops import run
from benchmarks.running.savers import stock_saver
from benchmarks.task import Task


async def main(task: Task, marks: Marks = MARKS) -> None:
    """Run all, and note when the first is set up and when the last one ended."""
    numbers = iter(range(task.count))
    form: dict[str, Any] = {}
    if task.tuned:
        # not at the top: the environment of the stock savers has no Kafka client, which this imports
        from langgraph_integration.garbage import settle_garbage

        form["version"] = "v2"
        settle_garbage()
    async with stock_saver(task.state) as saver:
        graph = graphs.build(task.graph).compile(checkpointer=saver)

        async def work() -> None:
            for number in numbers:
                config: RunnableConfig = {"configurable": {"thread_id": str(uuid4())}}
                await graph.ainvoke({"x": number}, config, durability=task.durability, **form)

        # here and not in the first node: before that one begins, as many runs as there are slots are set up
        marks.began()
        await asyncio.gather(*(work() for _ in range(task.slots)))
        marks.ended()


if __name__ == "__main__":
    task = Task.from_arguments()
    run(main(task), task.loop)

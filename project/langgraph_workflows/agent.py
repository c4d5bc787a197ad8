"""A node of the graph that runs the same function in `invoke` and `ainvoke`."""

import asyncio
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from langchain_core.runnables import Runnable, RunnableConfig

from langgraph_workflows.state import MultiAgentState

Update = TypeVar("Update")


class Agent(Runnable[MultiAgentState, Update], Generic[Update]):
    """`work` turns the state into an update. In `ainvoke` that happens on the event loop, unless `is_heavy`.

    A plain function as a node would go through a thread for each call of `ainvoke`, and a coroutine could
    not be called by `invoke`.
    """

    def __init__(
        self,
        work: Callable[[MultiAgentState], Update],
        *,
        is_heavy: Callable[[MultiAgentState], bool] | None = None,
    ) -> None:
        self._work = work
        self._is_heavy = is_heavy

    def invoke(self, input: MultiAgentState, config: RunnableConfig | None = None, **kwargs: Any) -> Update:
        """The update, computed here and now."""
        return self._work(input)

    async def ainvoke(
        self, input: MultiAgentState, config: RunnableConfig | None = None, **kwargs: Any
    ) -> Update:
        """The update; a heavy one is computed in the loop's default thread pool."""
        if self._is_heavy is not None and self._is_heavy(input):
            return await asyncio.to_thread(self._work, input)
        return self._work(input)

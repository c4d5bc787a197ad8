"""LangGraph's own savers, for the contestants that use them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.checkpoint.memory import InMemorySaver


@asynccontextmanager
async def stock_saver(url: str) -> AsyncIterator[BaseCheckpointSaver[str]]:
    """The saver that LangGraph's documentation names for this database, made as it says."""
    if url.startswith("sqlite:"):
        from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver

        async with AsyncSqliteSaver.from_conn_string(url.removeprefix("sqlite:")) as saver:
            await saver.setup()
            yield saver
    elif url.startswith("postgresql:"):
        from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver

        async with AsyncPostgresSaver.from_conn_string(url) as saver:
            await saver.setup()
            yield saver
    else:
        yield InMemorySaver()

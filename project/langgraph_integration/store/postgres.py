"""The store in PostgreSQL: a few connections, each with a thread and batches of its own."""

from langgraph_integration.store.backend import LaneBackend
from langgraph_integration.store.group_commit import Lane
from langgraph_integration.store.postgres_connection import PostgresConnection

WRITERS = 2
"""Connections that write. While one waits for its commit the other gathers and sends."""


async def open_postgres(dsn: str, *, writers: int = WRITERS) -> LaneBackend:
    """Connect, and make the schema `langgraph_kafka` if need be. Raises `StoreUnavailable`."""
    writing = [_lane(f"store-writer-{number}", dsn, writer=True) for number in range(writers)]
    backend = LaneBackend(writing, [_lane("store-reader", dsn, writer=False)])
    await backend.open()
    return backend


def _lane(name: str, dsn: str, *, writer: bool) -> Lane:
    connection = PostgresConnection(dsn, writer=writer)
    return Lane(name, connection.execute, connection.close)

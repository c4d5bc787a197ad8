"""The statement that lists checkpoints, newest first, a page at a time."""

from langgraph_integration.store.commands import ListCheckpoints
from langgraph_integration.store.sql import CHECKPOINT_COLUMNS


def list_statement(query: ListCheckpoints, parameter: str) -> tuple[str, list[str | int]]:
    """SQL and parameters; values never become part of the text."""
    conditions: list[str] = []
    parameters: list[str | int] = []
    for column, value in (
        ("thread_id =", query.thread_id),
        ("checkpoint_ns =", query.checkpoint_ns),
        ("checkpoint_id =", query.checkpoint_id),
        ("checkpoint_id <", query.before),
    ):
        if value is not None:
            conditions.append(f"{column} {parameter}")
            parameters.append(value)
    if query.after_page is not None:
        places = ", ".join([parameter] * 3)
        conditions.append(f"(checkpoint_id, thread_id, checkpoint_ns) < ({places})")
        parameters += query.after_page
    where = f"WHERE {' AND '.join(conditions)}" if conditions else ""
    parameters.append(query.page_size)
    return (
        f"SELECT {CHECKPOINT_COLUMNS} FROM checkpoints {where}"
        f" ORDER BY checkpoint_id DESC, thread_id DESC, checkpoint_ns DESC LIMIT {parameter}",
        parameters,
    )

"""Remembering which records have asked for a run, in one short string."""

from langgraph_integration.pipeline.ledger import Position

ASKS_KEPT = 2048
"""Characters kept of the later asks, about sixty of them: older ones count as new asks again."""


def encode_position(position: Position) -> str:
    """`|topic/partition/offset`. Topic names contain neither of the two separators."""
    return f"|{position.topic}/{position.partition}/{position.offset}|"


def knows(record: Position, asks: str, position: Position) -> bool:
    """Whether this record has asked before: a redelivery, and no new ask. `record` is never forgotten."""
    return position == record or encode_position(position) in asks


def remember(asks: str, position: Position) -> str:
    """`asks` with one more."""
    return (asks + encode_position(position))[-ASKS_KEPT:]

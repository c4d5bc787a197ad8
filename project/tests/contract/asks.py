"""Asks and verdicts for the contract tests."""

from __future__ import annotations

from typing import TypeVar
from uuid import UUID, uuid4

from langgraph_integration.pipeline.ledger import Ask, Claim, Granted, Position, StoredVerdict
from langgraph_integration.store import Store

Answer = TypeVar("Answer")


def ask(
    event_id: UUID | None = None,
    *,
    offset: int = 0,
    attempt: int = 1,
    payload_hash: str = "hash",
    deadline_ms: int | None = None,
) -> Ask:
    """One record of topic `events`, partition 0."""
    position = Position("events", 0, offset)
    return Ask(event_id or uuid4(), attempt, payload_hash, position, "dag", "run", "graph", deadline_ms)


def verdict(status: str = "success", attempt: int = 1, result: bytes = b'{"answer":42}') -> StoredVerdict:
    """A verdict with a result, and for errors with a dead letter."""
    failed = status == "error"
    return StoredVerdict(
        attempt, status, result, b"dead" if failed else None, "permanent" if failed else None
    )


def is_a(kind: type[Answer], claim: Claim) -> Answer:
    """The claim, which must be of this kind."""
    assert isinstance(claim, kind), f"expected {kind.__name__}, got {claim}"
    return claim


async def granted(store: Store, wanted: Ask) -> Granted:
    """The grant of a claim that must succeed."""
    return is_a(Granted, await store.ledger.claim(wanted))

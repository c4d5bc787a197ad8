"""Whatever ids an event brings: no database chokes on them, or mistakes them for a fault of its own."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from langgraph_integration.pipeline.ledger import Settled, StoredVerdict
from tests.contract.asks import ask, granted, is_a
from tests.contract.conftest import Database

HOSTILE = {
    "empty": "",
    "controls": "\x01\x1f\x7f\u2028",
    "quotes": "'; DROP TABLE runs; --",
    "other planes": "\U0001f600" * 50,
    "direction marks": "\u202eabc",
    "100,000 characters": "x" * 100_000,
    "percent and braces": "%s {} %(x)s :name ?1 $1",
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
async def test_an_ask_with_hostile_ids_is_granted_and_settled(database: Database, text: str) -> None:
    """An error here would be taken for a fault of the store, and the intake would wait for ever."""
    wanted = replace(ask(), workflow_id=text, workflow_run_id=text, graph=text or None)
    verdict = StoredVerdict(1, "error", b"\x00\xff result", b"\x00 letter", "invalid")
    async with database.open() as store, asyncio.timeout(20):
        grant = await granted(store, wanted)
        assert await store.ledger.finish(grant.lease, verdict) == 1
        await store.ledger.mark_published(grant.lease, 1)
        settled = is_a(Settled, await store.ledger.claim(wanted))

    assert (settled.verdict, settled.published) == (verdict, True)


@pytest.mark.parametrize("number", [1, 2**31, 2**53])
async def test_attempts_and_deadlines_of_any_size_are_kept(database: Database, number: int) -> None:
    """Headers come from anybody; these are the largest that are read."""
    wanted = ask(attempt=min(number, 1_000_000), deadline_ms=number)
    async with database.open() as store, asyncio.timeout(20):
        grant = await granted(store, wanted)

    assert (grant.attempt, grant.deadline_ms) == (wanted.attempt, number)

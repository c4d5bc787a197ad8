"""Suspects run one at a time, and asking whether it is one's turn never waits."""

from __future__ import annotations

import asyncio

from langgraph_integration.pipeline.solitude import Solitude


async def test_asking_while_it_passes_to_a_waiter_does_not_wait() -> None:
    """The lease of the one who asks would lapse: it is renewed only once it runs."""
    one, ended = asyncio.Semaphore(1), asyncio.Event()

    async def run_next() -> None:
        async with Solitude(one) as second:
            await second.take()
            await ended.wait()

    async with Solitude(one) as first:
        assert await first.taken_at_once()
        waiting = asyncio.create_task(run_next())
        await asyncio.sleep(0)
    async with Solitude(one) as third, asyncio.timeout(5):
        assert not await third.taken_at_once()
    ended.set()
    await waiting
    async with Solitude(one) as last:
        assert await last.taken_at_once()

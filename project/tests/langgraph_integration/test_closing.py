"""Opening several things at once, and closing them within a time."""

from __future__ import annotations

import asyncio
import logging
from contextlib import AsyncExitStack

import pytest

from langgraph_integration.closing import all_at_once, closed_within, meanwhile


async def test_everything_is_closed_in_order() -> None:
    """Last opened, first closed."""
    closed: list[str] = []
    stack = AsyncExitStack()
    stack.callback(closed.append, "first opened")
    stack.callback(closed.append, "last opened")
    await closed_within(stack)

    assert closed == ["last opened", "first opened"]


async def test_what_hangs_is_abandoned_and_the_rest_closed(caplog: pytest.LogCaptureFixture) -> None:
    """A stop does not take longer than it may."""
    closed: list[str] = []
    stack = AsyncExitStack()
    stack.callback(closed.append, "rest")
    stack.push_async_callback(asyncio.Event().wait)
    with caplog.at_level(logging.WARNING):
        await closed_within(stack, seconds=0.05)
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    assert closed == ["rest"]
    assert "did not end within 0.05 s" in caplog.text


async def test_what_fails_is_logged_and_the_rest_closed(caplog: pytest.LogCaptureFixture) -> None:
    """Closing never raises."""
    closed: list[str] = []

    async def fail() -> None:
        raise ValueError("cannot close")

    stack = AsyncExitStack()
    stack.callback(closed.append, "rest")
    stack.push_async_callback(fail)
    with caplog.at_level(logging.WARNING):
        await closed_within(stack)

    assert closed == ["rest"]
    assert "closing failed: cannot close" in caplog.text


async def test_calls_at_once_do_not_wait_for_each_other() -> None:
    """The slowest of them is how long it takes."""
    both = asyncio.Barrier(2)
    async with asyncio.timeout(2):
        await all_at_once([both.wait, both.wait])


async def test_what_opens_beside_others_has_ended_before_the_first_error_is_raised() -> None:
    """Nothing is opened behind the back of whoever closes after a failure."""
    opened: list[str] = []

    async def fail() -> None:
        raise OSError("away")

    async def open_late() -> None:
        await asyncio.sleep(0)
        opened.append("late")

    with pytest.raises(OSError, match="away"):
        await all_at_once([fail, open_late])

    assert opened == ["late"]


async def test_a_call_goes_on_while_the_body_runs() -> None:
    """Both are over when the block is."""
    steps: list[str] = []

    async def connect() -> None:
        steps.append("begun")
        await asyncio.sleep(0)
        steps.append("connected")

    async with meanwhile(connect()):
        steps.append("imported")

    assert steps == ["begun", "imported", "connected"]


async def test_a_body_that_fails_ends_the_call_beside_it() -> None:
    """The body's error is the one that is raised."""
    ended = asyncio.Event()

    async def connect() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    with pytest.raises(ValueError, match="no graph"):
        async with meanwhile(connect()):
            raise ValueError("no graph")

    assert ended.is_set()

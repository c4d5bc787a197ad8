"""A loop that is blocked cannot notice it: a thread looks, and names the run."""

from __future__ import annotations

import asyncio
import logging
import time

import pytest

from langgraph_integration.pipeline.watchdog import LoopWatch
from tests.support import wait_until


def _block(watch: LoopWatch, config: dict[str, object] | None) -> str | None:
    """Block the loop as a synchronous call in an asynchronous node does; what the watch says meanwhile."""
    assert config is not None
    deadline = time.monotonic() + 5
    while watch.blocked_by is None and time.monotonic() < deadline:
        time.sleep(0.01)
    return watch.blocked_by


@pytest.mark.parametrize(
    ("config", "culprit"),
    [({"configurable": {"thread_id": "event-1"}}, "event-1"), ({"configurable": {}}, "unknown")],
)
async def test_the_run_that_blocks_the_loop_is_named(
    config: dict[str, object], culprit: str, caplog: pytest.LogCaptureFixture
) -> None:
    """LangGraph keeps the run's config in its frames; with it comes the line of code."""
    watch = LoopWatch(blocked_after_s=0.1)
    task = asyncio.create_task(watch.run())
    await wait_until(lambda: watch.lag_s >= 0 and watch.beat_at)
    await asyncio.sleep(0)
    with caplog.at_level(logging.WARNING):
        named = _block(watch, config)
    await wait_until(lambda: watch.blocked_by is None, 5, "the loop to be free again")
    task.cancel()
    await asyncio.wait({task})

    assert named == culprit
    assert watch.worst_lag_s >= 0.1
    assert f"by run {culprit} at {__file__}:" in caplog.text

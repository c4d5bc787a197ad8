"""Batches: who waits for what, and who cannot harm whom."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest

from langgraph_integration.store.commands import Command
from langgraph_integration.store.group_commit import Lane, Pending
from tests.support.waiting import wait_until
from workflow_events.errors import StoreUnavailable

MINUTE = timedelta(minutes=1)


@dataclass(frozen=True)
class Named(Command["Named"]):
    """A command that is its own answer."""

    name: str


class Database:
    """Answers a batch when it is let, with the names it was given."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.open = threading.Event()
        self.open.set()
        self.fault: Exception | None = None

    def execute(self, batch: Sequence[Pending]) -> None:
        self.batches.append([pending.command.name for pending in batch if isinstance(pending.command, Named)])
        assert self.open.wait(10)
        if self.fault is not None:
            raise self.fault
        for pending in batch:
            pending.value = pending.command

    def lane(self) -> Lane:
        return Lane("test", self.execute, lambda: None)


async def test_what_gathers_while_one_batch_is_written_is_the_next_batch() -> None:
    """One command goes at once, those that come meanwhile share a transaction, in the order they came."""
    database = Database()
    database.open.clear()
    lane = database.lane()
    first = lane.submit(Named("first"))
    await wait_until(lambda: database.batches, description="the first batch")
    others = [lane.submit(Named(f"{number}")) for number in range(50)]
    database.open.set()
    await asyncio.gather(first, *others)
    assert database.batches == [["first"], [f"{number}" for number in range(50)]]
    assert await lane.close(MINUTE)


async def test_a_cancelled_waiter_harms_nobody() -> None:
    """Its command is carried out all the same, and its neighbours get their answers."""
    database = Database()
    database.open.clear()
    lane = database.lane()
    waiters = [asyncio.ensure_future(lane.submit(Named(f"{number}"))) for number in range(3)]
    waiters[1].cancel()
    database.open.set()
    assert await waiters[0] == Named("0")
    assert await waiters[2] == Named("2")
    assert await lane.close(MINUTE)
    assert [name for batch in database.batches for name in batch] == ["0", "1", "2"]


async def test_closing_writes_what_is_pending() -> None:
    """Whatever was submitted before is answered, whatever comes after is refused."""
    database = Database()
    lane = database.lane()
    pending = [lane.submit(Named(f"{number}")) for number in range(10)]
    assert await lane.close(MINUTE)
    assert await asyncio.gather(*pending) == [Named(f"{number}") for number in range(10)]
    with pytest.raises(StoreUnavailable, match="closed"):
        lane.submit(Named("late"))


async def test_closing_waits_no_longer_than_asked() -> None:
    """A database that hangs does not hold up the stop."""
    database = Database()
    database.open.clear()
    lane = database.lane()
    pending = lane.submit(Named("stuck"))
    assert not await lane.close(timedelta(milliseconds=20))
    database.open.set()
    assert await pending == Named("stuck")
    assert await lane.close(MINUTE)


@pytest.mark.expect_errors
async def test_a_mistake_of_ours_leaves_nobody_waiting() -> None:
    """Whatever an executor raises reaches the callers, and the lane lives on."""
    database = Database()
    database.fault = ZeroDivisionError()
    lane = database.lane()
    with pytest.raises(StoreUnavailable, match="ZeroDivisionError"):
        await lane.submit(Named("first"))
    database.fault = None
    assert await lane.submit(Named("second")) == Named("second")
    assert await lane.close(MINUTE)


def test_a_loop_that_went_away_is_no_trouble() -> None:
    """An answer for a closed loop is dropped; the next caller is served."""
    database = Database()
    database.open.clear()
    lane = database.lane()

    async def leave() -> None:
        lane.submit(Named("left"))

    asyncio.run(leave())
    database.open.set()
    answers: list[Any] = [lane.call(Named("next"))]
    assert answers == [Named("next")]
    assert asyncio.run(lane.close(MINUTE))

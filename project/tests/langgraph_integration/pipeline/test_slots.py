"""The places for runs, counted."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from langgraph_integration.pipeline.slots import OneSlot, Slots


async def test_a_place_is_taken_and_given_back_once() -> None:
    """However often it is closed."""
    slots = Slots(2)
    one = OneSlot(slots)
    taken = (slots.taken, slots.free)
    await one.close()
    await one.close()

    assert taken == (1, 1)
    assert (slots.taken, slots.free, slots.most_taken) == (0, 2, 1)


async def test_a_place_that_is_lent_is_taken_back_when_one_is_free() -> None:
    """A run that waits for its retry does not occupy anything."""
    slots = Slots(1)
    waits, other_done = asyncio.Event(), asyncio.Event()
    first = OneSlot(slots)

    async def retry() -> str:
        async with first.given_back():
            waits.set()
        return "went on"

    task = asyncio.create_task(retry())
    await waits.wait()
    if slots.free:
        second = OneSlot(slots)
        other_done.set()
        await second.close()
    result = await asyncio.wait_for(task, 2)

    assert result == "went on"
    assert (slots.taken, slots.most_taken) == (1, 1)


async def test_a_full_house_makes_the_returning_run_wait() -> None:
    """Never more than the limit, also for a moment."""
    slots = Slots(1)
    first = OneSlot(slots)
    lent, back = asyncio.Event(), asyncio.Event()

    async def retry() -> None:
        async with first.given_back():
            lent.set()
            await back.wait()

    task = asyncio.create_task(retry())
    await lent.wait()
    second = OneSlot(slots)
    back.set()
    await asyncio.wait({task}, timeout=0.05)
    waiting = not task.done()
    await second.close()
    await asyncio.wait_for(task, 2)

    assert waiting
    assert slots.most_taken == 1


async def test_a_place_stays_taken_while_a_thread_of_its_run_goes_on() -> None:
    """A synchronous node that nobody can stop still uses the machine."""
    slots, end = Slots(1), threading.Event()
    one = OneSlot(slots)
    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(end.wait)
        one.threads.add(future)
        future.add_done_callback(one.threads.discard)
        closing = asyncio.create_task(one.close())
        await asyncio.wait({closing}, timeout=0.05)
        held = slots.taken
        end.set()
        await asyncio.wait_for(closing, 2)

    assert held == 1
    assert slots.taken == 0


async def test_a_place_lent_by_a_run_that_was_cancelled_is_not_given_back_twice() -> None:
    """It is somebody else's by then."""
    slots = Slots(1)
    one = OneSlot(slots)
    with pytest.raises(asyncio.CancelledError):
        async with one.given_back():
            raise asyncio.CancelledError
    other = OneSlot(slots)
    await one.close()

    assert slots.taken == 1
    await other.close()
    assert slots.taken == 0


async def test_a_wait_that_was_broken_off_leaves_no_place_until_it_is_taken_again() -> None:
    """Whoever goes on after it must take one, or there were more runs than places."""
    slots = Slots(1)
    one = OneSlot(slots)
    with pytest.raises(LookupError):
        async with one.given_back():
            raise LookupError
    without = slots.taken
    await one.take_again()
    await one.take_again()

    assert (without, slots.taken) == (0, 1)

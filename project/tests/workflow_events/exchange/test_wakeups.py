"""Many answers at once for one event loop."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import Future

import pytest

from workflow_events.exchange.wakeups import LoopWakeups


def answer(asked: list[Future[int]]) -> None:
    """Each with its number."""
    for number, one in enumerate(asked):
        one.set_result(number)


async def test_every_coroutine_gets_its_own_answer() -> None:
    """A thousand of them, given by another thread."""
    wakeups = LoopWakeups(asyncio.get_running_loop())
    asked: list[Future[int]] = [Future() for _ in range(1000)]
    waiting = [asyncio.create_task(wakeups.result_of(one)) for one in asked]
    await asyncio.sleep(0)
    answering = threading.Thread(target=answer, args=(asked,))
    answering.start()

    assert await asyncio.gather(*waiting) == list(range(1000))
    answering.join()


async def test_answers_that_are_there_together_wake_the_loop_once() -> None:
    """While the loop is busy they gather."""
    loop = asyncio.get_running_loop()
    wakeups = LoopWakeups(loop)
    asked: list[Future[int]] = [Future() for _ in range(100)]
    waiting = [asyncio.create_task(wakeups.result_of(one)) for one in asked]
    await asyncio.sleep(0)
    answering = threading.Thread(target=answer, args=(asked,))
    answering.start()
    answering.join()  # the loop does nothing meanwhile
    takings = [handle for handle in loop._ready if "_take_all" in repr(handle)]  # type: ignore[attr-defined]  # asyncio's own queue

    assert len(takings) == 1
    assert await asyncio.gather(*waiting) == list(range(100))


async def test_an_answer_before_the_question_is_taken() -> None:
    """Nothing to wait for."""
    there: Future[str] = Future()
    there.set_result("early")

    assert await LoopWakeups(asyncio.get_running_loop()).result_of(there) == "early"


async def test_an_error_is_raised_where_it_is_awaited() -> None:
    """As a reader that was closed gives it."""
    failed: Future[str] = Future()
    failed.set_exception(RuntimeError("closed"))

    with pytest.raises(RuntimeError, match="closed"):
        await LoopWakeups(asyncio.get_running_loop()).result_of(failed)


async def test_whoever_has_left_is_passed_over() -> None:
    """A cancelled coroutine does not keep the others from their answers."""
    wakeups = LoopWakeups(asyncio.get_running_loop())
    left, stays = Future[int](), Future[int]()
    leaving, staying = (asyncio.create_task(wakeups.result_of(one)) for one in (left, stays))
    await asyncio.sleep(0)
    leaving.cancel()
    left.set_result(1)
    stays.set_result(2)

    assert await staying == 2
    assert leaving.cancelled() or leaving.cancelling()


def test_a_loop_that_is_closed_is_no_trouble_for_the_reader() -> None:
    """The answer comes after everybody has gone home."""
    late: Future[int] = Future()

    async def ask() -> None:
        task = asyncio.create_task(LoopWakeups(asyncio.get_running_loop()).result_of(late))
        await asyncio.sleep(0)
        task.cancel()

    asyncio.run(ask())
    late.set_result(1)

    assert late.done()

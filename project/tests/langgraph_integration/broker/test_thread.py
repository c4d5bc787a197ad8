"""KafkaThread: calls that are never cancelled, on a loop of their own."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator

import pytest

from langgraph_integration.broker.thread import KafkaThread
from tests.support import wait_until


@pytest.fixture
def thread() -> Iterator[KafkaThread]:
    """A started one."""
    started = KafkaThread("kafka-test")
    started.start()
    yield started
    started.stop()


async def _name_of_thread() -> str:
    return threading.current_thread().name


async def test_calls_run_on_the_other_loop(thread: KafkaThread) -> None:
    """Their value and their error come back."""

    async def fail() -> None:
        raise ValueError("there")

    assert await thread.call(_name_of_thread()) == "kafka-test"
    with pytest.raises(ValueError, match="there"):
        await thread.call(fail())


async def test_cancelling_the_caller_leaves_the_call_running(thread: KafkaThread) -> None:
    """A cancelled call of aiokafka would leave its client broken."""
    began, go_on, ended = threading.Event(), threading.Event(), threading.Event()

    async def work() -> None:
        began.set()
        await asyncio.to_thread(go_on.wait)
        ended.set()

    caller = asyncio.create_task(thread.call(work()))
    await wait_until(began.is_set)
    caller.cancel()
    await asyncio.wait({caller})
    go_on.set()
    await wait_until(ended.is_set, description="the call to end by itself")

    assert caller.cancelled()


async def test_a_call_that_takes_too_long_is_left_alone_and_its_error_swallowed(thread: KafkaThread) -> None:
    """Its outcome is unknown."""
    go_on = threading.Event()

    async def work() -> None:
        await asyncio.to_thread(go_on.wait)
        raise ValueError("too late for anybody")

    with pytest.raises(TimeoutError, match=r"within 0\.05 s"):
        await thread.call(work(), timeout_s=0.05)
    go_on.set()
    assert await thread.call(_name_of_thread()) == "kafka-test"


async def test_it_ends_with_its_last_user() -> None:
    """And may be started again."""
    thread = KafkaThread()
    with pytest.raises(RuntimeError, match="not running"):
        await thread.call(_name_of_thread())
    thread.start()
    thread.start()
    thread.stop()
    alive = await thread.call(_name_of_thread())
    thread.stop()
    thread.stop()
    with pytest.raises(RuntimeError, match="not running"):
        await thread.call(_name_of_thread())
    thread.start()
    again = await thread.call(_name_of_thread())
    thread.stop()

    assert alive == again == "kafka"


async def test_calls_that_are_left_at_the_end_are_cancelled() -> None:
    """Whoever waits for them is not left waiting."""
    thread = KafkaThread()
    thread.start()
    began = threading.Event()

    async def for_ever() -> None:
        began.set()
        await asyncio.Event().wait()

    caller = asyncio.create_task(thread.call(for_ever()))
    await wait_until(began.is_set)
    thread.stop()
    await asyncio.wait({caller}, timeout=2)

    assert caller.cancelled()


async def test_its_loop_tells_how_late_it_was(thread: KafkaThread) -> None:
    """Health asks for it."""

    async def block() -> None:
        threading.Event().wait(0.2)

    await wait_until(lambda: thread.beat_at)
    before = thread.beat_at
    await thread.call(block())
    await wait_until(lambda: thread.beat_at > before)

    assert thread.worst_lag_s >= 0.1

"""What the processor does within one ask: a verdict, another try, or the deadline."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import Future
from typing import Any

import pytest

from langgraph_integration.pipeline.happenings import RecordIgnored
from langgraph_integration.pipeline.run_context import current_run
from langgraph_integration.retry import RetryConfig
from langgraph_integration.store import MemoryDatabase
from tests.langgraph_integration.events import event
from tests.langgraph_integration.memory_source import MemoryTopic
from tests.langgraph_integration.pipeline.failures import HttpError
from tests.langgraph_integration.rig import running_rig
from tests.support import wait_until
from workflow_events import EventType, WorkflowEvent
from workflow_events.errors import WorkflowTimeout


async def test_the_processor_may_be_replaced_while_events_come() -> None:
    """It is looked up for each try, so that a caller may wrap it."""
    async with running_rig() as rig:
        rig.publish(event())
        await rig.settled()

        async def other(_: WorkflowEvent) -> dict[str, Any]:
            return {"answer": 43}

        rig.run = other
        rig.publish(event())
        await rig.settled()

    assert [each.result["answer"] for each in rig.sink.decoded()] == [42, 43]


async def test_a_processor_that_returns_no_state_is_a_permanent_error() -> None:
    """Better than an answer that was made up."""

    async def run(_: WorkflowEvent) -> Any:
        return None

    async with running_rig(run) as rig:
        rig.publish(event())
        await rig.settled()

    (result,), (letter,) = rig.sink.decoded(), rig.sink.letters()
    assert "returned NoneType, not a state" in str(result.error)
    assert letter.reason == "permanent"


@pytest.mark.parametrize(("deadline_s", "reason"), [(0.5, "deadline"), (None, "timeout")])
async def test_a_synchronous_node_that_never_ends_holds_no_verdict_up(
    deadline_s: float | None, reason: str
) -> None:
    """A retry beside it would write the same thread: it waits until the deadline, or as long as a run has."""
    node: Future[None] = Future()

    async def run(_: WorkflowEvent) -> dict[str, Any]:
        context = current_run.get()
        assert context is not None
        context.threads.add(node)
        raise WorkflowTimeout("timed out after 300 seconds")

    deadline_ms = None if deadline_s is None else time.time_ns() // 1_000_000 + int(deadline_s * 1000)
    patience_s = 0.2 if deadline_s is None else 600.0
    async with running_rig(run, thread_patience_s=patience_s) as rig:
        rig.publish(event(), deadline_ms=deadline_ms)
        await rig.results(1)
        held = rig.slots.taken
        node.set_result(None)
        await rig.settled()

    assert ([letter.reason for letter in rig.sink.letters()], held) == ([reason], 1)


async def test_a_node_is_waited_for_as_long_as_its_graph_may_run() -> None:
    """Where that is longer than other graphs may."""
    node: Future[None] = Future()

    async def run(_: WorkflowEvent) -> dict[str, Any]:
        context = current_run.get()
        assert context is not None
        if node.done():
            return {"answer": 42}
        context.limit_s = 3600.0
        context.threads.add(node)
        node.add_done_callback(context.threads.discard)
        asyncio.get_running_loop().call_later(0.6, node.set_result, None)
        raise ConnectionError("the other branch failed")

    async with running_rig(run, thread_patience_s=0.1) as rig:
        rig.publish(event())
        await rig.settled()

    assert [each.status for each in rig.sink.decoded()] == ["success"]


async def test_a_graph_that_cancels_itself_is_a_permanent_error() -> None:
    """Nobody cancelled the run: an offset that waits for it would wait for ever."""

    async def run(_: WorkflowEvent) -> dict[str, Any]:
        raise asyncio.CancelledError

    async with running_rig(run) as rig:
        rig.publish(event())
        await rig.settled()

    assert [each.reason for each in rig.sink.letters()] == ["permanent"]


async def test_retries_are_spent_across_a_restart_and_their_wait_is_kept() -> None:
    """A retry that waits long is in the ledger: its slot is free, and the next owner does not start over."""
    database, topic, tries = MemoryDatabase(), MemoryTopic(), []

    async def run(asked: WorkflowEvent) -> dict[str, Any]:
        tries.append(asked)
        raise ConnectionError("no route")

    slow = RetryConfig(max_retries=1, initial_delay=600, max_delay=600)
    async with running_rig(run, database=database, topic=topic, retry=slow, slots=1) as first:
        first.publish(event())
        await wait_until(lambda: first.slots.free == 1 and tries)
        other = first.publish(event(event_type=EventType.WORKFLOW_COMPLETED))
        await wait_until(lambda: not first.tracker.owns(other, 1), description="the free slot to be used")
    topic.committed.clear()
    async with running_rig(run, database=database, topic=topic, retry=slow, owner="b") as second:
        await wait_until(lambda: second.dispatcher.in_flight == 1 and second.slots.free == 10)
        waited = second.sink.order == []

    assert len(tries) == 1
    assert waited


async def test_the_server_decides_how_long_a_retry_waits() -> None:
    """Retry-After, capped by the longest delay."""
    moments: list[float] = []

    async def run(_: WorkflowEvent) -> dict[str, Any]:
        moments.append(time.monotonic())
        if len(moments) == 1:
            raise HttpError("slow down", 429, {"retry-after": "0.3"})
        return {}

    async with running_rig(run, retry=RetryConfig(initial_delay=0.0)) as rig:
        rig.publish(event())
        await rig.settled()

    assert moments[1] - moments[0] >= 0.29


async def test_a_deadline_ends_the_wait_for_a_retry() -> None:
    """The asker gives up at a known time: so do we."""

    async def run(_: WorkflowEvent) -> dict[str, Any]:
        raise ConnectionError("no route")

    async with running_rig(run, retry=RetryConfig(initial_delay=60)) as rig:
        rig.publish(event(), deadline_ms=int(time.time() * 1000) + 300)
        (result,) = await rig.results(1)

    assert (result.status, result.error) == ("error", "deadline exceeded")


async def test_a_later_ask_moves_the_deadline() -> None:
    """Its asker still waits, so the run that was told to stop goes on."""
    asked = event()
    told = asyncio.Event()

    async def run(_: WorkflowEvent) -> dict[str, Any]:
        context = current_run.get()
        assert context is not None
        if not told.is_set():
            from langgraph_integration.pipeline.run_context import Drained

            context.on_drain(lambda _: told.set())
            await told.wait()
            rig.publish(asked, attempt=2, deadline_ms=int(time.time() * 1000) + 60_000)
            await wait_until(lambda: RecordIgnored("absorbed by the live run") in rig.happenings)
            raise Drained("deadline")
        return {"answer": 42}

    async with running_rig(run) as rig:
        rig.publish(asked, deadline_ms=int(time.time() * 1000) + 100)
        (result,) = await rig.results(1)
        await rig.settled()

    assert (result.status, result.attempt) == ("success", 2)

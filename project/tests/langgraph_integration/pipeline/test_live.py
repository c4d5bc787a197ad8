"""A run in flight and its deadline, which is of the wall clock."""

from __future__ import annotations

import asyncio
import gc
import time
import weakref
from typing import Any

from langgraph_integration.pipeline.ledger import Lease, Position
from langgraph_integration.pipeline.live import LiveRun, now_ms
from tests.langgraph_integration.events import event
from tests.langgraph_integration.rig import running_rig
from tests.support import wait_until
from workflow_events import WorkflowEvent
from workflow_events.ids import new_event_id


async def past_its_deadline() -> LiveRun:
    """Its timer has fired."""
    live = LiveRun(Lease(new_event_id(), 1, "a"), Position("events", 0, 0), 1, now_ms() - 1, set())
    await wait_until(live._drain.is_set)
    return live


async def test_a_clock_that_was_put_back_behind_the_deadline_makes_no_wait_short() -> None:
    """Whoever waits in a loop until the deadline would never sleep."""
    live = await past_its_deadline()
    # the same as a clock put back by as much
    live.deadline_ms = now_ms() + 500
    began = time.monotonic()
    await live.wait(0.1)
    slept_s = time.monotonic() - began
    await asyncio.wait_for(live.wait(60), 10)

    assert slept_s >= 0.09
    assert live.deadline_passed()
    live.close()


async def test_a_try_after_the_clock_was_put_back_is_told_of_its_deadline_again() -> None:
    """The timer fires once for each time that it was armed."""
    live = await past_its_deadline()
    live.deadline_ms = now_ms() + 300
    context = live.next_try(fresh=True)
    asked_at_once = context.drain_reason
    await wait_until(lambda: context.drain_reason == "deadline")

    assert asked_at_once is None
    assert live.deadline_passed()
    live.close()


async def test_past_its_deadline_no_wait_is_long() -> None:
    """Nobody waits for the answer any more."""
    live = await past_its_deadline()
    await asyncio.wait_for(live.wait(60), 10)

    assert live.deadline_passed()
    live.close()


async def test_a_run_that_is_over_is_gone_without_the_garbage_collector() -> None:
    """A cycle would keep it, its task and its context until a collection, and make these frequent."""
    seen: list[weakref.ref[LiveRun]] = []

    async def run(asked: WorkflowEvent) -> dict[str, Any]:
        seen.append(weakref.ref(rig.handler.live[asked.event_id]))
        return {"answer": 42}

    async with running_rig(run) as rig:
        gc.disable()
        try:
            for _ in range(3):
                rig.publish(event())
            await rig.settled()
            await wait_until(lambda: rig.dispatcher.in_flight == 0)
        finally:
            gc.enable()
        left = [live for live in seen if live() is not None]

    assert len(seen) == 3
    assert left == []

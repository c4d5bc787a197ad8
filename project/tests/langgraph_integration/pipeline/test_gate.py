"""While our own infrastructure is at fault nothing is taken, and nothing stays held without a reason."""

from __future__ import annotations

import asyncio

import pytest

from langgraph_integration.pipeline.gate import IntakeGate
from tests.support import wait_until
from workflow_events.errors import LeaseLost, RecordTooLarge, StoreUnavailable


async def test_each_holder_has_a_name_and_the_gate_opens_with_the_last_one() -> None:
    """An operator reads who holds it and why."""
    gate = IntakeGate()
    gate.hold("store", "disk full")
    gate.hold("publish", "no broker")
    gate.release("store")
    gate.release("never held")

    assert not gate.is_open
    assert gate.reasons == {"publish": "no broker"}
    gate.release("publish")
    await asyncio.wait_for(gate.wait_open(), 1)
    assert gate.is_open


async def test_a_call_is_repeated_until_the_infrastructure_answers() -> None:
    """The gate is closed meanwhile, with the newest cause."""
    gate = IntakeGate()
    causes = ["locked", "full"]
    seen: list[dict[str, str]] = []

    async def write() -> str:
        seen.append(dict(gate.reasons))
        if causes:
            raise StoreUnavailable(causes.pop(0))
        return "written"

    assert await gate.insist("store", write) == "written"
    assert seen == [{}, {"store": "locked"}, {"store": "full"}]
    assert gate.is_open


@pytest.mark.parametrize("error", [LeaseLost("gone"), RecordTooLarge("5 MB"), ValueError("ours")])
async def test_what_waiting_does_not_mend_is_raised_at_once(error: Exception) -> None:
    """And does not leave the gate closed, whatever had closed it before."""
    gate = IntakeGate()
    errors: list[Exception] = [StoreUnavailable("away"), error]

    async def write() -> None:
        raise errors.pop(0)

    with pytest.raises(type(error)):
        await gate.insist("store", write)
    assert gate.is_open


async def test_whoever_is_cancelled_while_it_insists_leaves_the_gate_open() -> None:
    """Else a lost lease during an outage would stop the intake for ever."""
    gate = IntakeGate()

    async def write() -> None:
        raise StoreUnavailable("away")

    insisting = asyncio.create_task(gate.insist("store", write))
    await wait_until(lambda: not gate.is_open)
    insisting.cancel()
    await asyncio.wait({insisting})

    assert gate.is_open


async def test_one_who_gives_up_does_not_open_the_gate_for_the_others() -> None:
    """Two runs wait for the store; one of them is cancelled."""
    gate = IntakeGate()

    async def write() -> None:
        raise StoreUnavailable("away")

    both = [asyncio.create_task(gate.insist("store", write)) for _ in range(2)]
    await wait_until(lambda: not gate.is_open)
    await asyncio.sleep(0)
    both[0].cancel()
    await asyncio.wait({both[0]})
    held = not gate.is_open
    both[1].cancel()
    await asyncio.wait(both)

    assert held
    assert gate.is_open

"""Several deliveries of one process that ask for the same run, while the database takes its time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import cast

from langgraph_integration.pipeline.ledger import Busy, Granted
from langgraph_integration.store.commands import ClaimRun, Command, FinishRun, ReleaseRun, T
from langgraph_integration.store.ledger import StoreLedger
from langgraph_integration.store.memory import MemoryBackend, MemoryDatabase
from langgraph_integration.store.saver import LedgerSaver
from tests.contract.asks import ask, is_a, verdict
from tests.support.waiting import wait_until


class Unhurried(MemoryBackend):
    """Carries commands out one by one, when it is told to."""

    def __init__(self) -> None:
        super().__init__(MemoryDatabase())
        self.pending: list[Callable[[], None]] = []

    async def run(self, command: Command[T]) -> T:
        """The answer, once `carry_out` has come to this command."""
        answer: asyncio.Future[object] = asyncio.get_running_loop().create_future()
        self.pending.append(lambda: answer.set_result(self.run_blocking(command)))
        return cast(T, await answer)

    def carry_out(self) -> None:
        """The oldest command."""
        self.pending.pop(0)()


async def test_a_claim_is_not_overtaken_by_another_of_its_process() -> None:
    """The first of two claims meets a lease; its next one must not take the run that the second got."""
    backend = Unhurried()
    ledger = StoreLedger(backend, LedgerSaver(backend), owner="we", lease_time=timedelta(minutes=5))
    wanted = ask()
    other = is_a(Granted, backend.run_blocking(ClaimRun(wanted, "other", 300_000, held=False)))

    first = asyncio.create_task(ledger.claim(wanted))
    await wait_until(lambda: len(backend.pending) == 1)
    second = asyncio.create_task(ledger.claim(wanted))
    await wait_until(lambda: len(backend.pending) == 2)
    backend.carry_out()
    assert isinstance(await first, Busy)
    backend.run_blocking(ReleaseRun(other.lease))
    third = asyncio.create_task(ledger.claim(wanted))
    await wait_until(lambda: len(backend.pending) == 2)
    backend.carry_out()
    backend.carry_out()

    assert [type(await claim) for claim in (second, third)] == [Granted, Busy]


def test_giving_a_verdict_back_leaves_the_count_of_its_owners() -> None:
    """Publishing is no run, and the count says how often the process ended during one."""
    database, wanted = MemoryDatabase(), ask()
    is_a(Granted, database.claim(ClaimRun(wanted, "a", 0, held=False)))
    grant = is_a(Granted, database.claim(ClaimRun(wanted, "b", 0, held=False)))
    database.finish(FinishRun(grant.lease, verdict("error")))
    database.release(ReleaseRun(grant.lease))

    assert grant.claims == 2
    assert database.runs[str(wanted.event_id)].claims == 2

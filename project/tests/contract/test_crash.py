"""kill -9: what was acknowledged is there, and runs go on where they were."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import pytest

from langgraph_integration.store import open_store
from tests.contract.asks import ask, granted
from tests.contract.graphs import STEPS, five_steps, thread

WORKER = """
import asyncio, sys
from datetime import timedelta
from langgraph_integration.store import open_store
from tests.contract.asks import ask, granted
from tests.contract.graphs import five_steps, thread

async def main(url):
    async with open_store(url, owner="dead", lease_time=timedelta(0)) as store:
        async def one():
            wanted = ask()
            async def tell(step):
                print(wanted.event_id, step, flush=True)
            while True:
                lease = (await granted(store, wanted)).lease
                config = thread(wanted.event_id, lease.epoch)
                await five_steps(store.saver, tell).ainvoke({"log": []}, config, durability="sync")
                wanted = ask()
        await asyncio.gather(*(one() for _ in range(20)))

asyncio.run(main(sys.argv[1]))
"""


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database that outlives a process."""
    if request.param == "postgres":
        return str(request.getfixturevalue("postgres_dsn"))
    return f"sqlite:{tmp_path / 'state.db'}"


async def test_a_killed_process_repeats_at_most_the_step_it_was_in(url: str) -> None:
    """A step that began shows that the one before it was acknowledged: it must not run again."""
    begun = _killed_while_working(url)
    async with open_store(url, owner="next", lease_time=timedelta(minutes=1)) as store:
        for event_id, last in begun.items():
            ran: list[str] = []

            async def note(step: str, ran: list[str] = ran) -> None:
                ran.append(step)

            grant = await granted(store, ask(event_id))
            config = thread(event_id, grant.lease.epoch)
            graph = five_steps(store.saver, note)
            state = await graph.aget_state(config)
            assert state.created_at is not None, "a step ran before its input was stored"
            result = await graph.ainvoke(None, config) if state.next else state.values
            assert result["log"] == list(STEPS)
            assert "".join(ran) in (STEPS[STEPS.index(last) :], STEPS[STEPS.index(last) + 1 :])


def _killed_while_working(url: str) -> dict[UUID, str]:
    """The last step that each run was seen to begin, by a worker that was killed in the middle."""
    command = [sys.executable, "-c", WORKER, url]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    begun: dict[UUID, str] = {}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as worker:
        assert worker.stdout is not None
        for number, line in enumerate(worker.stdout):
            if number == 300:
                worker.send_signal(signal.SIGKILL)
            words = line.split()
            if len(words) == 2:
                begun[UUID(words[0])] = words[1]
    assert worker.returncode == -signal.SIGKILL
    assert len(begun) > 40
    return begun

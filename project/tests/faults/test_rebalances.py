"""Row 4 of the fault table: workers that come and go without end."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable
from pathlib import Path
from uuid import UUID

import pytest

from kafka_devbroker import Broker
from tests.chaos.crew import Crew
from tests.chaos.evidence import Step
from tests.chaos.nursery import Life
from tests.faults.bench import Bench, run_of
from tests.support import wait_until_sync
from tests.support.status import status

_STORM_S = float(os.environ.get("STORM_SECONDS") or 15)
_CALM_S = 6.0
_BACKLOG = 1500
_LONG_ONE_IN = 15
"""One run of so many takes one to three seconds, so that nobody leaves with empty hands."""

pytestmark = [pytest.mark.apache, pytest.mark.slow, pytest.mark.timeout(240 + 10 * _STORM_S)]


def test_row_04_a_rebalance_storm(
    make_bench: Callable[..., Bench], quick_broker: Broker, tmp_path: Path
) -> None:
    """Four workers, twelve partitions, one leaves and comes back every one to three seconds, with more to do
    than they can: nothing is lost, and at most one execution in a hundred is repeated.
    """
    bench = make_bench(quick_broker, partitions=12)
    crew = Crew(tmp_path, bench.environment(), [f"worker-{number}" for number in range(4)])
    load = _Load(bench)
    try:
        wait_until_sync(lambda: crew.living == 4, 30, "four workers")
        load.keep_up_for(0.0)
        bench.verdict(load.asked[0])
        load.keep_up_for(3.0)
        calm = load.keep_up_for(_CALM_S)
        began, answered = time.monotonic(), load.answered
        while time.monotonic() < began + _STORM_S:
            crew.leave(_somebody_busy(bench, crew), random.uniform(0.0, 0.5))
            load.keep_up_for(random.uniform(1.0, 3.0))
        stormy = (load.answered - answered) / (time.monotonic() - began)
        waiting = len(load.asked) - load.answered
        answers = bench.answers(len(load.asked), 60 + 2 * waiting / stormy)
    finally:
        crew.close()

    steps = bench.steps()
    starts = [step for step in steps if step.what == "start"]
    repeated = len(starts) - 3 * len(load.asked)
    leaves = [life for life in crew.lives if life.asked_at]
    busy = sum(_was_in_a_node(life, steps) for life in leaves)
    status.info("answers a second: %.0f in calm, %.0f in the storm", calm, stormy)
    status.info("%d of %d leaves with a run in a node; at least %d waited", busy, len(leaves), load.fewest)
    status.info("%d of %d executions repeated in %g s of storm", repeated, len(starts), _STORM_S)
    # or it was not the workers that were measured, or nobody had anything to repeat
    assert load.fewest > 0
    assert busy > 0
    assert repeated <= len(starts) / 100
    assert {answer.event_id for answer in answers if answer.status == "success"} == set(map(str, load.asked))
    assert len({answer.digest for answer in answers}) == len(load.asked)


class _Load:
    """More events than four workers answer: a backlog that is filled up again and again."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self.asked: list[UUID] = []
        self.answered = 0
        self.fewest = _BACKLOG
        """The smallest backlog that was found."""

    def keep_up_for(self, seconds: float) -> float:
        """Fill up for so long; how many answers came a second meanwhile."""
        before, began = self.answered, time.monotonic()
        while True:
            self.answered = len(self._bench.answers(0))
            missing = _BACKLOG - (len(self.asked) - self.answered)
            if self.asked:
                self.fewest = min(self.fewest, _BACKLOG - missing)
            events = [
                run_of(b=random.uniform(1.0, 3.0) if random.randrange(_LONG_ONE_IN) == 0 else 0.01)
                for _ in range(missing)
            ]
            self._bench.publish(events)
            self.asked += [each.event_id for each in events]
            took = time.monotonic() - began
            if took >= seconds:
                return (self.answered - before) / took if took else 0.0
            time.sleep(0.2)


def _somebody_busy(bench: Bench, crew: Crew) -> str:
    """A worker that is not leaving already, with a run in a node if there is one."""
    staying = [life for life in crew.lives if life.code is None and life.asked_at is None]
    steps = bench.steps()
    busy = [life.name for life in staying if _in_nodes(life.pid, steps)]
    return random.choice(busy or [life.name for life in staying] or crew.names)


def _in_nodes(pid: int, steps: list[Step]) -> int:
    """How many nodes the process has begun and not ended."""
    return sum(1 if step.what == "start" else -1 for step in steps if step.pid == pid)


def _was_in_a_node(life: Life, steps: list[Step]) -> bool:
    """Whether the process had begun a node and not ended it when it was asked to leave."""
    assert life.asked_at is not None
    return _in_nodes(life.pid, [step for step in steps if step.time <= life.asked_at]) > 0

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
from tests.faults.bench import Bench, run_of
from tests.support import wait_until_sync
from tests.support.status import status

pytestmark = [pytest.mark.apache, pytest.mark.slow, pytest.mark.timeout(240)]

_STORM_S = float(os.environ.get("STORM_SECONDS") or 15)


def test_row_04_a_rebalance_storm(
    make_bench: Callable[..., Bench], quick_broker: Broker, tmp_path: Path
) -> None:
    """Four workers, twelve partitions, one leaves and comes back every one to three seconds: nothing is lost,
    and at most one execution in a hundred is repeated.
    """
    bench = make_bench(quick_broker, partitions=12)
    crew = Crew(tmp_path, bench.environment(), [f"worker-{number}" for number in range(4)])
    asked: list[UUID] = []
    try:
        wait_until_sync(lambda: crew.living == 4, 30, "four workers")
        _publish_for(bench, 3.0, asked)
        bench.verdict(asked[-1])
        calm = _publish_for(bench, 5.0, asked)
        until = time.monotonic() + _STORM_S
        stormy = []
        while time.monotonic() < until:
            crew.leave(random.choice(crew.names), random.uniform(0.0, 0.5))
            stormy.append(_publish_for(bench, random.uniform(1.0, 3.0), asked))
        answers = bench.answers(len(asked), 90)
    finally:
        crew.close()

    starts = [step for step in bench.steps() if step.what == "start"]
    repeated = len(starts) - 3 * len(asked)
    status.info("answers a second: %.0f in calm, %.0f in the storm", calm, sum(stormy) / len(stormy))
    status.info("%d of %d executions repeated in %g s of storm", repeated, len(starts), _STORM_S)
    assert repeated <= len(starts) / 100
    assert {answer.event_id for answer in answers if answer.status == "success"} == set(map(str, asked))
    assert len({answer.digest for answer in answers}) == len(asked)


def _publish_for(bench: Bench, seconds: float, asked: list[UUID]) -> float:
    """Fifty events a second for so long; how many answers came a second meanwhile."""
    before, began = len(bench.answers(0)), time.monotonic()
    while time.monotonic() < began + seconds:
        events = [run_of() for _ in range(10)]
        bench.publish(events)
        asked += [each.event_id for each in events]
        time.sleep(0.2)
    return (len(bench.answers(0)) - before) / (time.monotonic() - began)

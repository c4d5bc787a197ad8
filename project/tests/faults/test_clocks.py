"""Row 13 of the fault table: the clock of a machine jumps."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kafka_devbroker import Broker
from tests.faults.bench import SESSION_S, Bench, Home, Worker, run_of
from tests.support import wait_until_sync
from tests.support.faketime import WallClock

pytestmark = [pytest.mark.apache, pytest.mark.faketime, pytest.mark.slow, pytest.mark.timeout(150)]

_HOUR = 3600
_ONCE = {"a": 1, "b": 1, "c": 1}


@pytest.fixture
def wall_clock(tmp_path: Path) -> WallClock:
    """Of all workers of a test."""
    return WallClock(tmp_path / "clock")


@pytest.fixture
def home(tmp_path: Path, wall_clock: WallClock) -> Iterator[Home]:
    """Where workers come from whose wall clock can be set."""
    with pytest.MonkeyPatch.context() as environment:
        for name, value in wall_clock.environment().items():
            environment.setenv(name, value)
        place = Home(tmp_path)
    yield place
    place.close()


def test_row_13_a_clock_that_jumps(
    make_bench: Callable[..., Bench],
    quick_broker: Broker,
    wall_clock: WallClock,
    state_url: str | None,
    tmp_path: Path,
) -> None:
    """An hour ahead, two hours back, an hour ahead again, with runs in flight: every event has one verdict,
    no node runs twice, and the worker goes on.
    """
    bench = make_bench(quick_broker, state_url=state_url)
    worker = bench.worker(LANGGRAPH_CONFIG=str(_that_sleeps_otherwise(tmp_path)))
    asked = [run_of()]
    bench.publish(asked)
    # librdkafka asks a young broker again for its producer id after a wait that libfaketime makes an hour
    bench.verdict(asked[0].event_id)
    for ahead in (_HOUR, -_HOUR, 0):
        events = [run_of(b=2.5 * SESSION_S, c=0.5) for _ in range(10)] + [run_of() for _ in range(10)]
        bench.publish(events)
        asked += events
        bench.in_node(events[0].event_id, "b")
        wall_clock.jump_to(ahead)
        wait_until_sync(lambda: _is_ahead(bench, worker, ahead), 10, "the clock to jump")  # noqa: B023
        bench.publish(more := [run_of(b=0.2) for _ in range(10)])
        asked += more
        for each in (*events, *more):
            answer = bench.verdict(each.event_id)
            assert (answer.status, answer.path) == ("success", ("a", "b", "c")), answer.error

    wait_until_sync(lambda: bench.committed() == len(asked), 20, "all offsets to be committed")
    assert [bench.runs_of(each.event_id) for each in asked] == [_ONCE] * len(asked)
    assert len({answer.digest for answer in bench.answers(len(asked))}) == len(asked)
    assert len(bench.answers(len(asked))) == len(asked)
    assert bench.letters(0) == []
    assert worker.life.code is None
    assert worker.actions()["lease_lost"] == worker.actions()["intake_paused"] == 0


def _that_sleeps_otherwise(folder: Path) -> Path:
    """The chaos graph in a process with another `time.sleep`: Python's own fails under libfaketime 0.9.10."""
    source = (
        "import threading\nimport time\n\nfrom tests.chaos.graph import graph\n\n"
        "time.sleep = lambda seconds: threading.Event().wait(seconds)\n"
    )
    (folder / "release.py").write_text(source)
    manifest = {
        "graphs": {"chaos": "./release.py:graph"},
        "langgraph_kafka": {"default": "chaos", "graphs": {"chaos": {"durability": "sync"}}},
    }
    (folder / "langgraph.json").write_text(json.dumps(manifest))
    return folder / "langgraph.json"


def _is_ahead(bench: Bench, worker: Worker, seconds: int) -> bool:
    """Whether the worker's last sign of life is dated so."""
    lines = map(json.loads, (bench.folder / "stats.jsonl").read_text().splitlines())
    last = [line["time"] for line in lines if line["pid"] == worker.pid][-1]
    return bool(abs(last - time.time() - seconds) < _HOUR / 2)

"""Row 26 of the fault table: no file descriptors, no threads or no memory left for a worker."""

from __future__ import annotations

import json
import os
import resource
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from kafka_devbroker import Broker
from tests.faults.bench import Bench, Worker, held, run_of
from tests.support import wait_until_sync

pytestmark = [pytest.mark.apache, pytest.mark.slow, pytest.mark.timeout(150)]

_MIB = 2**20
_STACK = 512 * _MIB
_NODE_THREADS = 32
"""As many as the service has on any machine at least; more events at once, and all of them are started."""

_LARGE = "x" * 900_000
_ONCE = {"a": 1, "b": 1, "c": 1}


def test_row_26_no_file_descriptors_left(make_bench: Callable[..., Bench], own_broker: Broker) -> None:
    """The broker comes back and cannot be connected to: intake pauses with the reason, and the same process
    goes on with nothing lost and nothing done twice.
    """
    bench = make_bench(own_broker)
    before, during = [run_of(b=0.2) for _ in range(15)], [run_of(b=0.2) for _ in range(15)]
    worker = bench.worker()
    bench.publish(before)
    bench.answers(3)
    with _limited(worker, resource.RLIMIT_NOFILE, 3):
        own_broker.kill()
        own_broker.restart()
        bench.publish(during)
        worker.wait_for("intake_paused")
        wait_until_sync(lambda: worker.beats() >= 6, 30, "three seconds of its life")
        assert "Too many open files" in worker.log_file.read_text()
        assert not any(bench.is_answered(each.event_id) for each in during)
    for each in (*before, *during):
        assert bench.verdict(each.event_id, 60).status == "success"

    assert worker.life.code is None
    assert [bench.runs_of(each.event_id) for each in (*before, *during)] == [_ONCE] * 30
    assert len({answer.digest for answer in bench.answers(30)}) == 30


def test_row_26_no_thread_can_be_started(bench: Bench, tmp_path: Path) -> None:
    """The threads of synchronous nodes are there from the start: no run fails for want of one."""
    worker = bench.worker(LANGGRAPH_CONFIG=str(_with_large_stacks(tmp_path)))
    first, events = run_of(), [run_of(b=0.5) for _ in range(15)]
    bench.publish([first])
    bench.verdict(first.event_id)
    with _limited(worker, resource.RLIMIT_AS, _address_space(worker) + _STACK // 2):
        bench.publish(events)
        wait_until_sync(lambda: worker.beats() >= 10, 30, "five seconds of its life")
    answers = [bench.verdict(each.event_id, 60) for each in events]
    # a node that a verdict has left behind would still run
    wait_until_sync(lambda: worker.beats() >= 30, 30, "more of its life")

    assert [answer.status for answer in answers] == ["success"] * 15
    assert bench.letters(0) == []
    assert [bench.runs_of(each.event_id) for each in events] == [_ONCE] * 15


@pytest.mark.parametrize("room", [0, 64 * _MIB], ids=["none", "64-MiB"])
def test_row_26_no_memory_left(bench: Bench, room: int) -> None:
    """Whoever is refused memory first decides whether the process ends or only its connections do. Either way
    everything is answered, by itself or by its successor, and nothing ends as an error for that.
    """
    filling = [run_of(b=2.0) for _ in range(_NODE_THREADS + 8)]
    events = [run_of(a=1.0, b=0.5, c=1.0, comment=_LARGE) for _ in range(100)]
    worker = bench.worker()
    bench.publish(filling)
    bench.answers(len(filling))
    with _limited(worker, resource.RLIMIT_AS, _address_space(worker) + room):
        bench.publish(events)
        wait_until_sync(
            lambda: worker.life.code is not None or len(bench.answers(0)) == len(filling) + 100,
            60,
            "the worker to end, or to have answered all",
        )
    ended = worker.life.code is not None
    if ended:
        bench.worker()
    answers = [bench.verdict(each.event_id, 60) for each in events]

    assert ended or "MemoryError" in worker.log_file.read_text()
    assert worker.life.code != 0
    assert [(answer.status, answer.path) for answer in answers] == [("success", ("a", "b", "c"))] * 100
    assert bench.letters(0) == []
    assert all(set(bench.runs_of(each.event_id).values()) <= {1, 2} for each in events)
    assert len({(answer.event_id, answer.digest) for answer in bench.answers(0)}) == len(filling) + 100
    wait_until_sync(lambda: bench.committed() == len(filling) + 100, 20, "all offsets to be committed")


def _limited(worker: Worker, what: int, number: int) -> AbstractContextManager[None]:
    """The soft limit of a worker for the block."""
    before, hard = resource.prlimit(worker.pid, what)

    def limit(soft: int) -> None:
        if worker.life.code is None:
            resource.prlimit(worker.pid, what, (soft, hard))

    return held(lambda: limit(number), lambda: limit(before))


def _address_space(worker: Worker) -> int:
    return int(Path(f"/proc/{worker.pid}/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")


def _with_large_stacks(folder: Path) -> Path:
    """The chaos graph in a process whose next thread needs half a gigabyte of addresses.

    The system's own limit of threads does not hold for root. Here all else has room, and threads have none.
    """
    source = f"import threading\n\nfrom tests.chaos.graph import graph\n\nthreading.stack_size({_STACK})\n"
    (folder / "release.py").write_text(source)
    manifest = {"graphs": {"chaos": "./release.py:graph"}, "langgraph_kafka": {"default": "chaos"}}
    (folder / "langgraph.json").write_text(json.dumps(manifest))
    return folder / "langgraph.json"

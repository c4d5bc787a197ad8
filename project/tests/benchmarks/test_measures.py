"""What is timed, and from when to when."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from benchmarks.contestants import NO_GRAPH, Contestant
from benchmarks.load import publish_backlog
from benchmarks.marks import Marks, read_marks
from benchmarks.measure import Bench, BenchmarkFailed, window
from benchmarks.processes import ROOT, Child, cpu_s, tree_cpu_s
from benchmarks.reader import Reader
from benchmarks.running import bare
from benchmarks.task import Task
from confluent_kafka.admin import AdminClient

from tests.support import wait_until_sync
from tests.support.brokers import TestBroker

_TENTHS = [float(at) for at in range(1, 11)]


def test_one_worker_and_two_are_timed_over_the_same_results() -> None:
    """Both from the result that ends the first tenth to the one before the last tenth."""
    assert window([0.5], _TENTHS, cut=0.1) == window([0.5, 0.7], _TENTHS, cut=0.1) == (1.0, 9.0)


def test_several_workers_are_timed_while_all_work() -> None:
    """The time counts from the moment the last of them begins."""
    assert window([0.5, 3.5], _TENTHS, cut=0.1) == (3.5, 9.0)


def test_nothing_is_cut_unless_it_is_asked_for() -> None:
    """From the first node to the last result."""
    assert window([0.5], _TENTHS, cut=0.0) == (0.5, 10.0)


def test_workers_that_did_not_work_at_one_time_give_no_figure() -> None:
    """Their rate would be that of one."""
    with pytest.raises(BenchmarkFailed, match="at one time"):
        window([0.5, 9.5], _TENTHS, cut=0.1)


async def test_the_clock_of_bare_ainvoke_runs_before_the_first_run_is_set_up() -> None:
    """It is started before the tasks that run the graph are made."""
    marks = _Recorded()

    await bare.main(Task(graph="five", count=8, slots=4), marks)

    assert marks.tasks_there == 1, "nobody but the contestant itself"
    assert marks.has_ended


class _Recorded(Marks):
    def __init__(self) -> None:
        super().__init__()
        self.tasks_there = 0
        self.has_ended = False

    def began(self) -> None:
        self.tasks_there = len(asyncio.all_tasks())

    def ended(self) -> None:
        self.has_ended = True


def test_bare_ainvoke_runs_with_the_services_loop_collector_and_answer(tmp_path: Path) -> None:
    """The second bare contestant comes to its end."""
    task = Task(graph="five", count=8, slots=4, folder=str(tmp_path), loop="uvloop", tuned=True)
    with Child(
        [sys.executable, "-m", "benchmarks.running.bare", task.to_json()], tmp_path / "log", _env(task)
    ):
        wait_until_sync(lambda: any("ended" in mark for mark in read_marks(tmp_path).values()), 30, "its end")


def test_a_lag_is_there_only_where_a_loop_was_measured(tmp_path: Path) -> None:
    """A process without a loop tells none, and not 0."""
    program = "from benchmarks.marks import MARKS; MARKS.began()"
    subprocess.run(
        [sys.executable, "-c", program],
        check=True,
        cwd=ROOT,
        env={"BENCH_MARKS": str(tmp_path), "PYTHONPATH": str(ROOT)},
    )
    (mark,) = read_marks(tmp_path).values()

    assert "lag_s" not in mark


@pytest.mark.apache
@pytest.mark.slow
def test_without_a_graph_every_event_is_logged_and_topics_go_with_the_task(
    broker: TestBroker, tmp_path: Path
) -> None:
    """The service's own log is written in F, and the broker keeps nothing of a task."""
    bench = Bench(broker.bootstrap_servers, broker_pid=0, folder=tmp_path)
    with bench.task(Task(graph="one", count=5, no_graph=True)) as task:
        assert len(publish_backlog(task)) == 5
        reader = Reader(task, task.count)
        log = task.path / "contestant.log"
        with reader.child, Child(NO_GRAPH.command(task), log, NO_GRAPH.env(task)):
            wait_until_sync(lambda: reader.result, 40, "the results")
            wait_until_sync(lambda: len(_of_events(_lines(log))) >= 5, 20, "a line for every event")
    admin = AdminClient({"bootstrap.servers": broker.bootstrap_servers})

    wait_until_sync(lambda: _none_of(admin, task), 20, "the topics to be gone")


def _lines(log: Path) -> list[dict[str, object]]:
    # the last one may be half written
    return [json.loads(line) for line in log.read_text().splitlines(keepends=True) if line.endswith("\n")]


def _of_events(lines: Iterable[dict[str, object]]) -> set[object]:
    return {line["event_id"] for line in lines if "event_id" in line}


def _none_of(admin: AdminClient, task: Task) -> bool:
    return not {task.events, task.results, task.dead_letters} & set(admin.list_topics(timeout=10).topics)


@pytest.mark.slow
def test_fewer_workers_than_were_asked_for_give_no_figure(broker: TestBroker, tmp_path: Path) -> None:
    """One that never began would make the other look like two."""
    bench = Bench(broker.bootstrap_servers, broker_pid=0, folder=tmp_path)
    alone = Contestant("one of two", "no_graph")

    with pytest.raises(BenchmarkFailed, match="1 of 2 processes"):
        bench.run(alone, Task(graph="one", count=5, no_graph=True, workers=2))


@contextmanager
def _running(program: str, log: Path, word: str) -> Iterator[Child]:
    """A child that has said the word."""
    with Child([sys.executable, "-c", program], log) as child:
        child.wait_for(lambda: word in log.read_text())
        yield child


def test_the_time_of_children_that_ended_counts(tmp_path: Path) -> None:
    """PostgreSQL's sessions end with their clients."""
    program = (
        "import subprocess, sys, time\n"
        "work = 'import time\\nwhile time.process_time() < 0.3: pass'\n"
        "subprocess.run([sys.executable, '-c', work], check=True)\n"
        "print('done', flush=True)\n"
        "time.sleep(600)\n"
    )
    with _running(program, tmp_path / "log", "done") as child:
        assert tree_cpu_s(child.pid) >= cpu_s(child.pid) + 0.25


def test_a_killed_child_is_gone_at_once(tmp_path: Path) -> None:
    """Also one that is deaf to SIGTERM."""
    stubborn = (
        "import signal, time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "print('deaf', flush=True)\n"
        "time.sleep(600)\n"
    )
    with _running(stubborn, tmp_path / "log", "deaf") as child:
        began = time.monotonic()
        child.kill()

        assert child.process.poll() is not None
        assert time.monotonic() - began < 5


def _env(task: Task) -> dict[str, str]:
    return {"BENCH_MARKS": task.folder}

"""One run of one contestant, timed from the first node's start to the last result that the reader sees."""

import json
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.request import urlopen

from benchmarks.contestants import Contestant
from benchmarks.load import publish_backlog
from benchmarks.marks import read_marks
from benchmarks.processes import Child, cpu_s, family, peak_mib
from benchmarks.reader import Reader
from benchmarks.task import Task
from tests.support.postgres import fresh_database
from tests.support.topics import create_workflow_topics

PARTITIONS = 6
_LOOK_S = 0.02


@dataclass(frozen=True, slots=True)
class Measure:
    """What one run gave. Times in seconds, memory in MiB; a lag of 0 is one that was not measured."""

    contestant: str
    count: int
    seconds: float
    cpu_ms: float
    peak_mib: float
    lag_s: float
    broker_cpu_ms: float
    facts: Mapping[str, Any] = field(default_factory=dict)
    """What the service's /readyz told at the end, where it was served."""

    @property
    def rate(self) -> float:
        """Events per second."""
        return self.count / self.seconds


class BenchmarkFailed(Exception):
    """A contestant did not bring all results in time."""


class Bench:
    """The broker that all contestants share, and where their files go."""

    def __init__(self, servers: str, broker_pid: int, folder: Path) -> None:
        self.servers = servers
        self.broker_pid = broker_pid
        self._folder = folder

    @contextmanager
    def task(self, template: Task, *, partitions: int = PARTITIONS) -> Iterator[Task]:
        """The template with fresh topics, group, folder and database, removed at the end.

        The template's state is `memory:`, `sqlite:` or the DSN of a PostgreSQL server.
        """
        folder = Path(tempfile.mkdtemp(dir=self._folder))
        (folder / "marks").mkdir()
        topics = create_workflow_topics(self.servers, partitions=partitions)
        stack = ExitStack()
        stack.callback(shutil.rmtree, folder)
        state = f"sqlite:{folder / 'state.db'}" if template.state == "sqlite:" else template.state
        if state.startswith("postgresql:"):
            state = stack.enter_context(fresh_database(state))
        with stack:
            yield replace(
                template,
                servers=self.servers,
                events=topics.events,
                results=topics.results,
                dead_letters=topics.dead_letters,
                group=topics.events,
                folder=str(folder),
                state=state,
            )

    def run(
        self, contestant: Contestant, template: Task, *, partitions: int = PARTITIONS, limit_s: float = 300
    ) -> Measure:
        """One run. Raises `BenchmarkFailed` or RuntimeError with the contestant's log."""
        with self.task(template, partitions=partitions) as task:
            if contestant.publishes:
                publish_backlog(task)
                return self._published(contestant, task, limit_s)
            return self._unpublished(contestant, task, limit_s)

    def _published(self, contestant: Contestant, task: Task, limit_s: float) -> Measure:
        reader = Reader(task, task.count, ok_needed=contestant.all_succeed)
        broker_began_s = cpu_s(self.broker_pid)
        log = task.path / "contestant.log"
        with reader.child, Child(contestant.command(task), log, contestant.env(task)) as child:
            deadline = time.monotonic() + limit_s
            while (result := reader.result) is None:
                if child.process.poll() is not None or time.monotonic() > deadline:
                    raise BenchmarkFailed(
                        f"{contestant.name}: {reader.count} of {task.count} results:\n"
                        f"{log.read_text()[-2000:]}"
                    )
                time.sleep(_LOOK_S)
            processes = family(child.pid)
            cpus = {pid: cpu_s(pid) for pid in processes}
            peak = sum(peak_mib(pid) for pid in processes)
            broker_s = cpu_s(self.broker_pid) - broker_began_s
            marks = read_marks(task.path / "marks")
            serves = contestant.module is None and task.http_port
            facts = served_facts(task.http_port) if serves else {}
        if len(result["arrivals"]) != task.count:
            raise BenchmarkFailed(f"{contestant.name}: {result['others']} results were repeated or failed")
        arrivals = sorted(result["arrivals"].values())
        began, ended = _window(marks, arrivals)
        inside = sum(1 for at in arrivals if began <= at <= ended)
        used_s = sum(cpus[pid] - mark["cpu_s"] for pid, mark in marks.items())
        return Measure(
            contestant.name,
            inside,
            ended - began,
            used_s / task.count * 1000,
            peak,
            max(mark["lag_s"] for mark in marks.values()),
            broker_s / task.count * 1000,
            facts,
        )

    def _unpublished(self, contestant: Contestant, task: Task, limit_s: float) -> Measure:
        log = task.path / "contestant.log"
        with Child(contestant.command(task), log, contestant.env(task)) as child:
            deadline = time.monotonic() + limit_s
            peak = 0.0
            while child.process.poll() is None:
                peak = max(peak, peak_mib(child.pid))
                if time.monotonic() > deadline:
                    raise BenchmarkFailed(f"{contestant.name}: not done after {limit_s:.0f} s")
                time.sleep(_LOOK_S)
            child.check()
            mark = next(iter(read_marks(task.path / "marks").values()))
        used_s = mark["cpu_end_s"] - mark["cpu_s"]
        seconds = mark["ended"] - mark["began"]
        return Measure(
            contestant.name, task.count, seconds, used_s / task.count * 1000, peak, mark["lag_s"], 0.0
        )


def _window(marks: dict[int, dict[str, float]], arrivals: list[float]) -> tuple[float, float]:
    """From the first node to the last result. Of several workers: while all of them worked."""
    began = max(mark["began"] for mark in marks.values())
    if len(marks) == 1:
        return began, arrivals[-1]
    return began, arrivals[int(len(arrivals) * 0.9)]


def served_facts(port: int) -> dict[str, Any]:
    """The facts of the service's /readyz; raises OSError while it is not ready."""
    with urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5) as answer:
        facts: dict[str, Any] = json.load(answer)["facts"]
        return facts


def is_ready(port: int) -> bool:
    """Whether /readyz answers 200."""
    try:
        served_facts(port)
    except OSError:
        return False
    return True

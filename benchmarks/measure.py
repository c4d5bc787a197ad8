"""One run of one contestant, timed from the first node's start to the last result that the reader sees."""

import json
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self
from urllib.request import urlopen

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from benchmarks.contestants import Contestant
from benchmarks.load import publish_backlog
from benchmarks.marks import read_marks
from benchmarks.processes import Child, cpu_s, descendant, family, peak_mib, tree_cpu_s
from benchmarks.reader import Reader
from benchmarks.task import Task
from tests.support.postgres import fresh_database
from tests.support.topics import create_workflow_topics

PARTITIONS = 6
_LOOK_S = 0.02
_DELETED_S = 20.0


@dataclass(frozen=True, slots=True)
class Measure:
    """What one run gave. Times in seconds, memory in MiB; what is `None` was not measured."""

    contestant: str
    count: int
    seconds: float
    cpu_ms: float
    peak_mib: float
    lag_s: float | None
    broker_cpu_ms: float = 0.0
    database_cpu_ms: float | None = None
    """Of a database server, for each event, from before the contestant's start on."""
    others_s: float | None = None
    """Until the last result but that of event 0."""
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
        stack.callback(self._delete, [topics.events, topics.results, topics.dead_letters])
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

    def _delete(self, topics: list[str]) -> None:
        # in a variable: a client that is gone cancels what it was asked
        admin = AdminClient({"bootstrap.servers": self.servers})
        for each in admin.delete_topics(topics).values():
            # what stays costs the broker a little, and ends with it
            with suppress(KafkaException, TimeoutError):
                each.result(_DELETED_S)

    def run(
        self, contestant: Contestant, template: Task, *, partitions: int = PARTITIONS, limit_s: float = 120
    ) -> Measure:
        """One run. Raises `BenchmarkFailed` or RuntimeError with the contestant's log."""
        with self.task(template, partitions=partitions) as task:
            if contestant.publishes:
                return self._published(contestant, task, publish_backlog(task), limit_s)
            return self._unpublished(contestant, task, limit_s)

    def _published(self, contestant: Contestant, task: Task, ids: Sequence[str], limit_s: float) -> Measure:
        reader = Reader(task, task.count, ok_needed=contestant.all_succeed)
        broker_began_s, database = cpu_s(self.broker_pid), _Database.of(task)
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
            database_ms = database.ms_each(task.count) if database else None
            marks = read_marks(task.path / "marks")
            serves = contestant.module is None and task.http_port
            facts = served_facts(task.http_port) if serves else {}
            child.kill()
        if len(result["arrivals"]) != task.count:
            raise BenchmarkFailed(f"{contestant.name}: {result['others']} results were repeated or failed")
        if len(marks) != task.workers or not marks.keys() <= cpus.keys():
            raise BenchmarkFailed(
                f"{contestant.name}: {len(marks)} of {task.workers} processes worked to the end"
            )
        arrivals = sorted(result["arrivals"].values())
        began, ended = window([mark["began"] for mark in marks.values()], arrivals, task.cut)
        inside = sum(1 for at in arrivals if began <= at <= ended)
        used_s = sum(cpus[pid] - mark["cpu_s"] for pid, mark in marks.items())
        others = [at for event_id, at in result["arrivals"].items() if event_id != ids[0]]
        return Measure(
            contestant.name,
            inside,
            ended - began,
            used_s / task.count * 1000,
            peak,
            max((mark["lag_s"] for mark in marks.values() if "lag_s" in mark), default=None),
            broker_s / task.count * 1000,
            database_ms,
            max(others) - began if others else None,
            facts,
        )

    def _unpublished(self, contestant: Contestant, task: Task, limit_s: float) -> Measure:
        log, database = task.path / "contestant.log", _Database.of(task)
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
            contestant.name,
            task.count,
            seconds,
            used_s / task.count * 1000,
            peak,
            mark.get("lag_s"),
            database_cpu_ms=database.ms_each(task.count) if database else None,
        )


@dataclass(frozen=True, slots=True)
class _Database:
    """A PostgreSQL server of ours, and what it had used before."""

    pid: int
    used_s: float

    @classmethod
    def of(cls, task: Task) -> Self | None:
        """None for a task that has none."""
        pid = descendant("postgres") if task.state.startswith("postgresql:") else None
        return None if pid is None else cls(pid, tree_cpu_s(pid))

    def ms_each(self, count: int) -> float:
        """Milliseconds of processor time since then, for each of so many events."""
        return (tree_cpu_s(self.pid) - self.used_s) / count * 1000


def window(began: Sequence[float], arrivals: Sequence[float], cut: float) -> tuple[float, float]:
    """From when all processes work to the last result; both ends are moved inwards by the share `cut` of
    the results. `arrivals` are sorted. Raises `BenchmarkFailed` if they did not all work at one time.
    """
    left_out = int(len(arrivals) * cut)
    start, end = max(began), arrivals[-1 - left_out]
    if left_out:
        start = max(start, arrivals[left_out - 1])
    if start >= end:
        raise BenchmarkFailed("not all processes worked at one time: too few events")
    return start, end


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

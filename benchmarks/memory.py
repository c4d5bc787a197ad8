"""Memory: ten thousand runs that wait at once, and a backlog of a hundred thousand events."""

import time
from dataclasses import replace

from benchmarks.contest import serving, spent, with_port
from benchmarks.load import publish_backlog
from benchmarks.measure import Bench, served_facts
from benchmarks.processes import Child, cpu_s, peak_mib, resident_mib
from benchmarks.ratios import Bar, Section, Spread
from benchmarks.reader import Reader
from benchmarks.settings import Settings
from benchmarks.task import Task

_CROWD = 10_000
_FIRST = 5_000
_BACKLOG = 100_000
_MIB = 1024

_LONG_RUNS = {
    "BENCH_WAIT_S": "600",
    "WORKFLOW_EXECUTION_TIMEOUT": "900",
    "WORKFLOW_SHUTDOWN_TIMEOUT": "1",
}

_EMPTY = Task(graph="one", state="sqlite:")
_REST_S = 0.2  # of processor time in a second


def crowd(bench: Bench, settings: Settings) -> Section:
    """10,000 runs waiting at once in one process."""
    section = Section(
        "crowd",
        "10,000 runs waiting at once in one process, 24 partitions",
        "The most memory the process ever had while all of them were in flight, none of which had succeeded: "
        "`WORKFLOW_DEAD_LETTER_LIMIT` allows as many.",
    )
    count = int(_CROWD * settings.scale)
    template = with_port(replace(_EMPTY, graph="long", count=count, slots=count))
    with bench.task(template, partitions=24) as task:
        publish_backlog(task)
        with serving(task, _LONG_RUNS) as child:
            began, used_s = time.monotonic(), cpu_s(child.pid)
            child.wait_for(lambda: _in_flight(task.http_port) >= count, limit_s=180)
            # taken is not begun: all of them wait in their node once the process has nothing to do
            _wait_for_rest(child)
            settings.say(f"  {count} in flight after {time.monotonic() - began:.1f} s")
            peak = peak_mib(child.pid)
            section.figures.append(spent(child, task, count, since_cpu_s=used_s))
    section.bars.append(Bar(f"{count} waiting: peak memory", Spread.of([peak]), _MIB, "at most", "MiB"))
    return section


def _wait_for_rest(child: Child) -> None:
    used_s = -1.0

    def is_at_rest() -> bool:
        nonlocal used_s
        before_s, used_s = used_s, cpu_s(child.pid)
        time.sleep(1)
        return before_s >= 0 and used_s - before_s < _REST_S

    child.wait_for(is_at_rest, limit_s=180)


def _in_flight(port: int) -> int:
    try:
        return int(served_facts(port)["in_flight"])
    except OSError:
        return 0


def backlog(bench: Bench, settings: Settings) -> Section:
    """I: a hundred thousand events in one go."""
    count = int(_BACKLOG * settings.scale)
    section = Section(
        "I",
        f"I: a backlog of {count:,} events, one step, SQLite, durability `exit`",
        f"Resident memory at the end beside that after the first {_FIRST:,}.",
    )
    template = with_port(replace(_EMPTY, count=count, durability="exit"))
    with bench.task(template) as task:
        publish_backlog(task)
        reader = Reader(task, count)
        with reader.child, serving(task) as child:
            child.wait_for(lambda: reader.count >= _FIRST, limit_s=300)
            early, began, counted = resident_mib(child.pid), time.monotonic(), reader.count
            used_s = cpu_s(child.pid)
            child.wait_for(lambda: reader.result is not None, limit_s=3600)
            late, seconds = resident_mib(child.pid), time.monotonic() - began
            section.figures.append(spent(child, task, count - counted, since_cpu_s=used_s))
    section.bars.append(Bar("resident memory, end over start", Spread.of([late / early]), 1.10, "at most"))
    section.figures.append(
        ("resident memory after the first 5,000 and at the end", f"{early:.0f}, {late:.0f} MiB")
    )
    section.figures.append(("events per second", f"{(count - counted) / seconds:.0f}"))
    return section

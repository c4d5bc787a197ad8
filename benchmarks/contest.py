"""A contest: contestants on one workload, run in turn; and the service alone, for what is no contest."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import partial

from benchmarks.contestants import SERVICE, Contestant
from benchmarks.measure import Bench, Measure, is_ready, served_facts
from benchmarks.processes import Child, cpu_s, peak_mib
from benchmarks.ratios import Section, interleaved
from benchmarks.settings import Settings
from benchmarks.task import Task
from kafka_devbroker.net import free_ports

Runs = Mapping[str, tuple[Contestant, Task]]
"""What runs against each other, by the label in the report."""

_FEWEST = 20


def contest(
    bench: Bench,
    settings: Settings,
    key: str,
    title: str,
    text: str,
    runs: Runs,
    *,
    extra: Runs | None = None,
) -> Section:
    """The section with the measures of these; contestants that are not installed are left out.

    Those of `extra` are in no ratio: three repetitions are enough for them.
    """
    section = Section(key, title, text)
    for group, pairs in ((runs, settings.pairs), (extra or {}, min(3, settings.pairs))):
        there = {
            label: partial(bench.run, contestant, scaled(task, settings))
            for label, (contestant, task) in group.items()
            if _is_there(contestant, settings)
        }
        measures, failures = interleaved(there, pairs, settings.say)
        section.measures |= measures
        section.failures += failures
    return section


def scaled(task: Task, settings: Settings) -> Task:
    """The task with as many events as this run of the benchmarks wants."""
    return replace(task, count=max(min(_FEWEST, task.count), int(task.count * settings.scale)))


def _is_there(contestant: Contestant, settings: Settings) -> bool:
    if why := contestant.why_missing():
        settings.say(f"  {contestant.name}: left out, {why}")
    return not why


@contextmanager
def serving(task: Task, env: Mapping[str, str] | None = None) -> Iterator[Child]:
    """The service on `task`, ready. The task has a port of its own (see `with_port`)."""
    with Child(
        SERVICE.command(task), task.path / "service.log", SERVICE.env(task) | dict(env or {})
    ) as child:
        child.wait_for(lambda: is_ready(task.http_port))
        yield child


def spent(child: Child, task: Task, count: int, *, since_cpu_s: float) -> tuple[str, str]:
    """What a service that still runs took for `count` events, as a line of the report."""
    each_ms = (cpu_s(child.pid) - since_cpu_s) / count * 1000
    lag_ms = float(served_facts(task.http_port)["main_loop_worst_lag_s"]) * 1000
    figure = f"{each_ms:.2f} ms, {peak_mib(child.pid):.0f} MiB, {lag_ms:.0f} ms"
    return "processor time per event, peak memory, worst lag of the graphs' loop", figure


def with_port(task: Task) -> Task:
    """The task with a free port for health and metrics."""
    return replace(task, http_port=free_ports(1)[0])


def seconds(measure: Measure) -> float:
    """How long it took; for bars."""
    return measure.seconds

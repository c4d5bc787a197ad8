"""Workload G: from an event's publication to its result, when nothing else is going on."""

import statistics
import time
from dataclasses import replace

from confluent_kafka import Consumer, Producer, TopicPartition

from benchmarks.contest import serving, spent, with_port
from benchmarks.contestants import STOCK
from benchmarks.load import event
from benchmarks.measure import Bench
from benchmarks.processes import Child, cpu_s, python
from benchmarks.ratios import Bar, Section, Spread
from benchmarks.settings import Settings
from benchmarks.task import Task
from workflow_events.codec import encode

_ASKS = 300
_WARM = 50
_WARM_BROKER = 10_000
_ADDED_S = 0.005


def idle_latency(bench: Bench, settings: Settings) -> Section:
    """G: an echo of two bare clients, a bare run, and the service, one event at a time."""
    section = Section(
        "G",
        "G: latency when idle, five steps, one event at a time",
        "From `produce` to the moment the asker has the result. The floor is the same client with a "
        "process that only sends every record back; a bare run is one `ainvoke` with the stock saver of "
        "that state on asyncio's loop, durability `sync`; the service is on uvloop, with its own saver and "
        "ledger, durability `sync`.",
    )
    for state, name in (("memory:", "memory"), ("sqlite:", "SQLite, sync")):
        p50s, floors, bares, spreads = [], [], [], []
        for _ in range(settings.pairs):
            floor = _echo(bench)
            times, figure = _service(bench, state)
            bare = _bare_run_s(bench, state)
            p50, p99 = _quantile(times, 50), _quantile(times, 99)
            p50s.append(p50 - _quantile(floor, 50) - bare)
            floors.append(_quantile(floor, 50))
            bares.append(bare)
            spreads.append(p99 / p50)
            settings.say(
                f"  {name}: p50 {p50 * 1000:.1f} p95 {_quantile(times, 95) * 1000:.1f} "
                f"p99 {p99 * 1000:.1f} ms, echo {floors[-1] * 1000:.1f} ms, bare run {bare * 1000:.1f} ms"
            )
            section.figures += [
                (
                    f"{name}: p50 / p95 / p99; echo p50; bare run",
                    f"{p50 * 1000:.1f} / {_quantile(times, 95) * 1000:.1f} / {p99 * 1000:.1f} ms; "
                    f"{floors[-1] * 1000:.1f} ms; {bare * 1000:.1f} ms",
                ),
                figure,
            ]
        section.bars.append(
            Bar(f"{name}: p50 above echo floor and bare run", Spread.of(p50s), _ADDED_S, "at most", "s")
        )
        section.bars.append(Bar(f"{name}: p99 over p50", Spread.of(spreads), 4.0, "at most"))
    return section


def warm_broker(bench: Bench) -> None:
    """Record after record, each by itself, as results come: batches make the broker's Java compile less."""
    _echo(bench, _WARM_BROKER)


def _quantile(times: list[float], percent: int) -> float:
    return statistics.quantiles(times, n=100, method="inclusive")[percent - 1]


def _task(state: str) -> Task:
    return Task(graph="five", state=state)


def _echo(bench: Bench, asks: int = _ASKS) -> list[float]:
    with bench.task(_task("memory:")) as task:
        program = [python(), "-m", "benchmarks.running.echo", task.to_json()]
        with Child(program, task.path / "echo.log") as child:
            child.wait_for((task.path / "ready").exists)
            return _ask(task, asks)


def _service(bench: Bench, state: str) -> tuple[list[float], tuple[str, str]]:
    with bench.task(with_port(_task(state))) as task, serving(task) as child:
        used_s = cpu_s(child.pid)
        times = _ask(task)
        return times, spent(child, task, _WARM + _ASKS, since_cpu_s=used_s)


def _ask(task: Task, asks: int = _ASKS) -> list[float]:
    """The times of so many asks, one after the other, the first few left out."""
    producer = Producer({"bootstrap.servers": task.servers, "linger.ms": 0, "acks": "all"})
    consumer = Consumer({"bootstrap.servers": task.servers, "group.id": "asker", "enable.auto.commit": False})
    partitions = consumer.list_topics(task.results, timeout=10).topics[task.results].partitions
    consumer.assign([TopicPartition(task.results, number, 0) for number in partitions])
    times = []
    for number in range(_WARM + asks):
        made = event(number)
        began = time.perf_counter()
        producer.produce(task.events, value=encode(made), key=str(made.event_id))
        producer.flush()
        while (message := consumer.poll(5.0)) is None or message.error() is not None:
            pass
        times.append(time.perf_counter() - began)
    consumer.close()
    return times[_WARM:]


def _bare_run_s(bench: Bench, state: str) -> float:
    return bench.run(STOCK, replace(_task(state), count=_ASKS, slots=1)).seconds / _ASKS

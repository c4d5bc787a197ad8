"""Workloads B to F: graphs that wait, and no graph at all."""

from dataclasses import replace

from benchmarks.contest import Runs, contest, seconds, with_port
from benchmarks.contestants import (
    BARE,
    BRIDGE,
    FASTSTREAM,
    NAIVE,
    NO_GRAPH,
    PARALLEL_CONSUMER,
    SERVICE,
)
from benchmarks.graphs import BLOCKING_S, MIXED_S, SLOW_S
from benchmarks.measure import Bench
from benchmarks.ratios import Bar, Section, Spread
from benchmarks.settings import Settings
from benchmarks.task import Task

_WAIT = Task(count=1000, graph="wait")
_OURS = "langgraph-kafka"
_BARE = "bare ainvoke, all at once"
_ALL_AT_ONCE = (
    "Our service is told that 1,000 dead letters at once would do "
    "(`WORKFLOW_DEAD_LETTER_LIMIT=0.5/200/1000`): by default a process starts 200 runs, and more as they "
    "succeed (200, 400, 800 in flight)."
)
_SLOWER = 1.2


def waits(bench: Bench, settings: Settings) -> Section:
    """B: a thousand events whose graph waits one second."""
    task = with_port(replace(_WAIT, slots=1000))
    runs: Runs = {
        _BARE: (BARE, task),
        _OURS: (SERVICE, task),
        "FastStream": (FASTSTREAM, task),
        "naive": (NAIVE, replace(task, count=36)),
        "kafka-agent-bridge": (BRIDGE, replace(task, count=6)),
    }
    section = contest(
        bench,
        settings,
        "B",
        "B: 1,000 events whose graph waits 1 s, 1,000 slots",
        "Nothing to compute: whoever runs them one after the other, or in a small pool of threads, is "
        "slow. The naive design and kafka-agent-bridge get fewer events; their rates are comparable. State "
        "in memory; loops, savers and durability are those of A in memory. "
        f"{_ALL_AT_ONCE}",
        runs,
    )
    section.at_most("all results visible", _OURS, seconds, 2.3)
    section.figures += _lags(section)
    return section


def chains(bench: Bench, settings: Settings) -> Section:
    """C: three nodes of one second each, a thousand runs at once."""
    task = with_port(replace(_WAIT, graph="chain", slots=1000))
    section = contest(
        bench,
        settings,
        "C",
        "C: 1,000 runs of three nodes that wait 1 s each, 1,000 slots",
        "Bare LangGraph (asyncio's loop, `InMemorySaver`, durability `sync`) starts them all at once; its "
        "figure has neither Kafka nor results. The service: uvloop, its own saver in memory, durability "
        f"`sync`. {_ALL_AT_ONCE}",
        {_BARE: (BARE, task), _OURS: (SERVICE, task)},
    )
    section.at_most("all results visible", _OURS, seconds, 4.5)
    section.at_most(
        "worst lag of the Kafka thread", _OURS, lambda each: float(each.facts["kafka_loop_worst_lag_s"]), 0.05
    )
    section.figures += _lags(section)
    return section


def blocking(bench: Bench, settings: Settings) -> Section:
    """D: synchronous nodes that sleep."""
    task = replace(_WAIT, graph="blocking", slots=200)
    runs: Runs = {
        f"{size} threads": (SERVICE, replace(task, sync_threads=size, count=size * 10)) for size in (32, 128)
    }
    section = contest(
        bench,
        settings,
        "D",
        "D: runs of a synchronous node that sleeps 0.5 s, ten for each thread",
        "Limited by the pool that was configured (WORKFLOW_SYNC_THREADS), not by asyncio's default of "
        "CPUs + 4 threads. State in memory.",
        runs,
    )
    for label, (_, one) in runs.items():
        ideal_s = one.count * settings.scale / one.sync_threads * BLOCKING_S
        section.at_most(f"{label} (ideal {ideal_s:.1f} s)", label, seconds, ideal_s * 1.2)
    return section


def mixed(bench: Bench, settings: Settings) -> Section:
    """E: short and long runs among each other."""
    task = replace(_WAIT, graph="mixed")
    even = "langgraph-kafka, without the slow run"
    section = contest(
        bench,
        settings,
        "E",
        f"E: 1,000 runs of 1 ms to 0.2 s and one of {SLOW_S:g} s, 100 slots",
        "The slow run holds one slot and nobody else; its partition goes on: all the others are held against "
        "the same load without it. State in memory; loops, savers and durability are those of A in memory.",
        {
            _OURS: (SERVICE, task),
            even: (SERVICE, replace(task, graph="short")),
            "FastStream": (FASTSTREAM, task),
        },
    )
    ideal_s = max(SLOW_S, task.count * settings.scale * sum(MIXED_S) / len(MIXED_S) / task.slots)
    section.at_most(f"all results visible (ideal {ideal_s:.1f} s)", _OURS, seconds, ideal_s * 1.2)
    section.figures += [
        (f"all but the slow run, {label}", f"{Spread.of([each.others_s or 0.0 for each in measures])} s")
        for label, measures in section.measures.items()
    ]
    pairs = zip(section.measures.get(_OURS, []), section.measures.get(even, []), strict=False)
    if slower := [(mine.others_s or 0.0) / alone.seconds for mine, alone in pairs]:
        text = "time for all but the slow run, over the same load without it"
        section.bars.append(Bar(text, Spread.of(slower), _SLOWER, "at most"))
    return section


def no_graph(bench: Bench, settings: Settings) -> Section:
    """F: the machinery alone."""
    # the loop that the service takes by default
    task = replace(_WAIT, graph="one", count=10_000, loop="uvloop", no_graph=True)
    section = contest(
        bench,
        settings,
        "F",
        "F: no graph, 10,000 events that wait 0 to 5 ms, 100 slots, one process",
        "Decode, claim, settle, log, count, publish and commit, with a processor that only waits: uvloop, "
        "the service's collector, state in memory. Confluent's parallel-consumer (Java, any order) waits "
        "as long and sends a result, without decoding or a ledger; its virtual machine compiles while the "
        "time runs. FastStream (asyncio's loop, a handler that waits) and the naive design (asyncio's "
        "loop, a function that sleeps in its default threads) decode, publish and keep nothing; they get "
        "fewer events. kafka-agent-bridge is left out: what it offers runs a graph.",
        {
            _OURS: (NO_GRAPH, task),
            "parallel-consumer": (PARALLEL_CONSUMER, task),
            "FastStream": (FASTSTREAM, replace(task, count=5_000)),
            "naive": (NAIVE, replace(task, count=2_000)),
        },
    )
    section.at_most("all results visible", _OURS, seconds, 2.0)
    return section


def _lags(section: Section) -> list[tuple[str, str]]:
    facts = [each.facts for each in section.measures.get(_OURS, [])]
    return [
        (f"worst lag of the {loop}", f"{Spread.of([each[name] for each in facts]).median * 1000:.0f} ms")
        for loop, name in (
            ("graphs' loop", "main_loop_worst_lag_s"),
            ("Kafka thread", "kafka_loop_worst_lag_s"),
        )
        if facts
    ]

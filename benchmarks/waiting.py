"""Workloads B to F: graphs that wait, and no graph at all."""

from dataclasses import replace

from benchmarks.contestants import BRIDGE, FASTSTREAM, NAIVE, NO_GRAPH, SERVICE
from benchmarks.graphs import BLOCKING_S, MIXED_S, SLOW_S
from benchmarks.measure import Bench, Measure
from benchmarks.ratios import Section, Spread
from benchmarks.settings import Settings
from benchmarks.task import Task
from benchmarks.throughput import Runs, measured
from kafka_devbroker.net import free_ports

_FIRST = Task(count=1000, graph="wait")


def waits(bench: Bench, settings: Settings) -> Section:
    """B: a thousand events whose graph waits one second."""
    section = Section(
        "B",
        "B: 1,000 events whose graph waits 1 s, 1,000 slots",
        "Nothing to compute: whoever runs them one after the other, or in a small pool of threads, is slow. "
        "The naive design and kafka-agent-bridge get fewer events; their rates are comparable.",
    )
    task = replace(_FIRST, slots=1000, http_port=free_ports(1)[0])
    runs: Runs = {
        "langgraph-kafka": (SERVICE, task),
        "FastStream": (FASTSTREAM, task),
        "naive": (NAIVE, replace(task, count=60)),
        "kafka-agent-bridge": (BRIDGE, replace(task, count=20)),
    }
    measured(bench, settings, section, runs)
    section.at_most("all results visible", "langgraph-kafka", _seconds, 2.3)
    section.figures += _lags(section, "langgraph-kafka")
    return section


def chains(bench: Bench, settings: Settings) -> Section:
    """C: three nodes of one second each, a thousand runs at once."""
    section = Section(
        "C",
        "C: 1,000 runs of three nodes that wait 1 s each, 1,000 slots",
        "Bare LangGraph, all started at once, takes 4.4 s and its loop is late by 0.9 s.",
    )
    task = replace(_FIRST, graph="chain", slots=1000, http_port=free_ports(1)[0])
    measured(bench, settings, section, {"langgraph-kafka": (SERVICE, task)})
    section.at_most("all results visible", "langgraph-kafka", _seconds, 4.5)
    section.at_most(
        "worst lag of the Kafka thread",
        "langgraph-kafka",
        lambda each: float(each.facts["kafka_loop_worst_lag_s"]),
        0.05,
    )
    section.figures += _lags(section, "langgraph-kafka")
    return section


def blocking(bench: Bench, settings: Settings) -> Section:
    """D: synchronous nodes that sleep."""
    section = Section(
        "D",
        "D: 640 runs of a synchronous node that sleeps 0.5 s",
        "Limited by the pool that was configured (WORKFLOW_SYNC_THREADS), not by asyncio's default of "
        "CPUs + 4 threads.",
    )
    task = replace(_FIRST, graph="blocking", count=640, slots=200)
    runs: Runs = {
        f"{size} threads": (SERVICE, replace(task, sync_threads=size, count=size * 10))
        for size in (32, 64, 128)
    }
    measured(bench, settings, section, runs)
    for label, (_, one) in runs.items():
        ideal_s = one.count / one.sync_threads * BLOCKING_S * settings.scale
        section.at_most(f"{label} (ideal {ideal_s:.1f} s)", label, _seconds, ideal_s * 1.2)
    return section


def mixed(bench: Bench, settings: Settings) -> Section:
    """E: short and long runs among each other."""
    section = Section(
        "E",
        f"E: 2,000 runs of 1 ms to 0.2 s and one of {SLOW_S:g} s, 100 slots",
        "The slow run holds one slot and nobody else; its partition goes on.",
    )
    task = replace(_FIRST, graph="mixed", count=2000)
    runs: Runs = {"langgraph-kafka": (SERVICE, task), "FastStream": (FASTSTREAM, task)}
    measured(bench, settings, section, runs)
    ideal_s = max(SLOW_S, task.count * settings.scale * sum(MIXED_S) / len(MIXED_S) / task.slots)
    section.at_most(
        f"all results visible (ideal {ideal_s:.1f} s)", "langgraph-kafka", _seconds, ideal_s * 1.2
    )
    return section


def no_graph(bench: Bench, settings: Settings) -> Section:
    """F: the machinery alone."""
    section = Section(
        "F",
        "F: no graph, 10,000 events that wait 0 to 5 ms, 100 slots, one process",
        "Decode, claim, settle, publish and commit, with a processor that only waits. Confluent's "
        "parallel-consumer on Java reports 2.06 to 2.83 s for the same load without results or ledger.",
    )
    task = replace(_FIRST, graph="one", count=10_000)
    measured(bench, settings, section, {"langgraph-kafka": (NO_GRAPH, task)})
    section.at_most("all results visible", "langgraph-kafka", _seconds, 2.0)
    return section


def _seconds(measure: Measure) -> float:
    return measure.seconds


def _lags(section: Section, label: str) -> list[tuple[str, str]]:
    facts = [each.facts for each in section.measures.get(label, [])]
    return [
        (f"worst lag of the {loop}", f"{Spread.of([each[name] for each in facts]).median * 1000:.0f} ms")
        for loop, name in (
            ("graphs' loop", "main_loop_worst_lag_s"),
            ("Kafka thread", "kafka_loop_worst_lag_s"),
        )
        if facts
    ]

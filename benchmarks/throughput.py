"""Workload A: the graph of five steps that does nothing, in each state and durability."""

import os
from dataclasses import replace
from statistics import median

from benchmarks.contest import Runs, contest
from benchmarks.contestants import BARE, BRIDGE, FASTSTREAM, NAIVE, SERVICE, STOCK
from benchmarks.measure import Bench
from benchmarks.ratios import Section
from benchmarks.settings import Settings
from benchmarks.task import Task

FIVE = Task(count=1000, graph="five")
_STOCK = 150  # the stock savers are slow, and as slow with few events as with many
_CUT = 0.1
_SERVICE = (
    "The service: uvloop, tuned collector, the newer form of `ainvoke`'s answer, its own saver and ledger."
)
_TUNED = "bare ainvoke, same loop and collector"


def memory(bench: Bench, settings: Settings) -> Section:
    """A in memory, beside all peers."""
    runs: Runs = {
        "bare ainvoke": (BARE, FIVE),
        "langgraph-kafka": (SERVICE, FIVE),
        _TUNED: (BARE, replace(FIVE, loop="uvloop", tuned=True)),
        "FastStream": (FASTSTREAM, replace(FIVE, count=500)),
        "naive": (NAIVE, replace(FIVE, count=300)),
        "kafka-agent-bridge": (BRIDGE, replace(FIVE, count=60)),
    }
    section = contest(
        bench,
        settings,
        "A-memory",
        "A: five steps that do nothing, state in memory, one worker, 100 slots",
        f"What the service costs on top of LangGraph. {_SERVICE} Durability is `sync` where nothing else is "
        "said. Bare `ainvoke`: asyncio's loop, Python's own collector, `InMemorySaver`; beside it the same "
        "with loop, collector and form of answer as the service has them. FastStream: asyncio's loop, "
        "`InMemorySaver`. The naive design: asyncio's loop, `invoke` in its default threads, "
        "`InMemorySaver`, durability not named, as in the guide's listing, so LangGraph's default `async`. "
        "kafka-agent-bridge: asyncio's loop, `InMemorySaver`, that default too, one event after the other. "
        "Peers get fewer events; rates are comparable.",
        runs,
    )
    section.ratio("over bare `ainvoke`", "langgraph-kafka", "bare ainvoke", 0.90)
    section.beside("over bare `ainvoke` with the same loop, collector and answer", "langgraph-kafka", _TUNED)
    section.ratio("over the naive design", "langgraph-kafka", "naive", 1.9)
    section.ratio("over FastStream", "langgraph-kafka", "FastStream", 1.2)
    section.ratio("over kafka-agent-bridge", "langgraph-kafka", "kafka-agent-bridge", 8.0)
    return section


def sqlite(bench: Bench, settings: Settings) -> Section:
    """A on SQLite in each durability, beside memory and the stock saver."""
    file = replace(FIVE, state="sqlite:")
    runs: Runs = {
        "memory": (SERVICE, FIVE),
        "SQLite, sync": (SERVICE, file),
        "stock saver, sync": (STOCK, replace(file, count=_STOCK)),
    }
    section = contest(
        bench,
        settings,
        "A-sqlite",
        "A: the same, state in SQLite (WAL, synchronous FULL), ledger included",
        f"{_SERVICE} Durability `sync`, and in rows of their own the others. Beside our memory figure, and "
        "bare `ainvoke` on asyncio's loop with LangGraph's `AsyncSqliteSaver` on the same file system, as it "
        "makes it (WAL, synchronous FULL), durability `sync`.",
        runs,
        extra={
            f"SQLite, {durability}": (SERVICE, replace(file, durability=durability))
            for durability in ("async", "exit")
        },
    )
    section.ratio("`sync` over memory", "SQLite, sync", "memory", 0.75)
    section.ratio("`sync` over the stock saver", "SQLite, sync", "stock saver, sync", 3.0)
    return section


def postgres(bench: Bench, settings: Settings) -> Section:
    """A on PostgreSQL beside the stock saver; its server takes its share of the same cores."""
    key, title = "A-postgres", "A: the same, state in PostgreSQL, its server on the same cores"
    with settings.postgres() as dsn:
        if dsn is None:
            settings.say("  no PostgreSQL server here, left out")
            return Section(key, title, "Left out: no PostgreSQL server here.")
        kept = replace(FIVE, state=dsn)
        runs: Runs = {
            "PostgreSQL, sync": (SERVICE, kept),
            "stock saver, sync": (STOCK, replace(kept, count=_STOCK)),
        }
        section = contest(
            bench,
            settings,
            key,
            title,
            f"`fsync` and `synchronous_commit` on. {_SERVICE} Durability `sync`. Beside bare `ainvoke` on "
            "asyncio's loop with LangGraph's `AsyncPostgresSaver` (one connection), durability `sync`.",
            runs,
            extra={"PostgreSQL, exit": (SERVICE, replace(kept, durability="exit"))},
        )
    section.ratio("`sync` over the stock saver", "PostgreSQL, sync", "stock saver, sync", 2.0)
    section.figures += _profile(section)
    return section


def _profile(section: Section) -> list[tuple[str, str]]:
    """Where the processor time of an event goes, by contestant; medians."""
    cores = len(os.sched_getaffinity(0))
    figures = []
    for label, measures in section.measures.items():
        spent = {
            "its own": median(each.cpu_ms for each in measures),
            "PostgreSQL": median(each.database_cpu_ms or 0.0 for each in measures),
            "broker": median(each.broker_cpu_ms for each in measures),
        }
        there_ms = cores * median(each.seconds / each.count for each in measures) * 1000
        parts = (f"{who} {ms:.2f} ms ({ms / there_ms:.0%})" for who, ms in spent.items() if ms)
        figures.append(
            (
                f"profile of an event, {label}",
                f"{', '.join(parts)} of the {there_ms:.2f} ms that {cores} cores have for it",
            )
        )
    return figures


def two_workers(bench: Bench, settings: Settings) -> Section:
    """A with two workers on two cores."""
    longer = replace(FIVE, count=2500, cut=_CUT, state="sqlite:")
    runs: Runs = {"one worker": (SERVICE, longer), "two workers": (SERVICE, replace(longer, workers=2))}
    section = contest(
        bench,
        settings,
        "A-workers",
        "A: two workers beside one, work bound by the processor",
        f"{_SERVICE} One SQLite file, durability `sync`: state that ends with its process lets the second "
        "worker's coming repeat results. The same time counts for both: from the first tenth of the results, "
        "and not before all workers work, to the last tenth. Broker and reader take their share of the "
        "same cores.",
        runs,
    )
    section.ratio("two workers over one", "two workers", "one worker", 1.7)
    section.figures += _profile(section)
    return section

"""Workload A: the graph of five steps that does nothing, in each state and durability."""

from dataclasses import replace

from benchmarks.contest import Runs, contest
from benchmarks.contestants import BARE, BRIDGE, FASTSTREAM, NAIVE, SERVICE, STOCK
from benchmarks.measure import Bench
from benchmarks.ratios import Section
from benchmarks.settings import Settings
from benchmarks.task import Task

FIVE = Task(count=1500, graph="five")
_STOCK = 300  # the stock savers are slow, and as slow with few events as with many


def memory(bench: Bench, settings: Settings) -> Section:
    """A in memory, beside all peers."""
    runs: Runs = {
        "bare ainvoke": (BARE, FIVE),
        "langgraph-kafka": (SERVICE, FIVE),
        "FastStream": (FASTSTREAM, replace(FIVE, count=1000)),
        "naive": (NAIVE, replace(FIVE, count=500)),
        "kafka-agent-bridge": (BRIDGE, replace(FIVE, count=200)),
    }
    section = contest(
        bench,
        settings,
        "A-memory",
        "A: five steps that do nothing, state in memory, one worker, 100 slots",
        "What the service costs on top of LangGraph: bare `ainvoke` with `InMemorySaver` is the limit. "
        "kafka-agent-bridge runs one event after the other.",
        runs,
    )
    section.ratio("over bare `ainvoke`", "langgraph-kafka", "bare ainvoke", 0.90)
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
        "Beside our memory figure, and bare `ainvoke` with LangGraph's `AsyncSqliteSaver` on the same file "
        "system, durability `sync`.",
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
            "`fsync` and `synchronous_commit` on. Beside bare `ainvoke` with LangGraph's "
            "`AsyncPostgresSaver`, durability `sync`.",
            runs,
            extra={"PostgreSQL, exit": (SERVICE, replace(kept, durability="exit"))},
        )
    section.ratio("`sync` over the stock saver", "PostgreSQL, sync", "stock saver, sync", 2.0)
    return section


def two_workers(bench: Bench, settings: Settings) -> Section:
    """A with two workers on two cores."""
    longer = replace(FIVE, count=3000)
    runs: Runs = {"one worker": (SERVICE, longer), "two workers": (SERVICE, replace(longer, workers=2))}
    section = contest(
        bench,
        settings,
        "A-workers",
        "A: two workers beside one, work bound by the processor",
        "Counted while all workers work. Broker and reader take their share of the same cores.",
        runs,
    )
    section.ratio("two workers over one", "two workers", "one worker", 1.7)
    for label, measures in section.measures.items():
        broker = sum(each.broker_cpu_ms for each in measures) / len(measures)
        section.figures.append((f"broker's processor time per event, {label}", f"{broker:.2f} ms"))
    return section

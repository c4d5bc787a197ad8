"""Workload A: the graph of five steps that does nothing, in each state and durability."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial

from benchmarks.contestants import BARE, BRIDGE, FASTSTREAM, NAIVE, SERVICE, STOCK, Contestant
from benchmarks.measure import Bench, Measure
from benchmarks.ratios import Section, interleaved
from benchmarks.settings import Settings
from benchmarks.task import Task

FIVE = Task(count=2000, graph="five")

Runs = Mapping[str, tuple[Contestant, Task]]


def measured(bench: Bench, settings: Settings, section: Section, runs: Runs) -> Section:
    """The section with the measures of these; contestants that are not installed are left out."""
    there: dict[str, Callable[[], Measure]] = {}
    for label, (contestant, task) in runs.items():
        if not contestant.installed:
            settings.say(f"  {label}: not installed, left out")
            continue
        scaled = replace(task, count=max(20, int(task.count * settings.scale)))
        there[label] = partial(bench.run, contestant, scaled)
    section.measures = interleaved(there, settings.pairs, settings.say)
    return section


def memory(bench: Bench, settings: Settings) -> Section:
    """A in memory, beside all peers."""
    section = Section(
        "A-memory",
        "A: five steps that do nothing, state in memory, one worker, 100 slots",
        "What the service costs on top of LangGraph: bare `ainvoke` with `InMemorySaver` is the limit.",
    )
    runs: Runs = {
        "bare ainvoke": (BARE, FIVE),
        "langgraph-kafka": (SERVICE, FIVE),
        "FastStream": (FASTSTREAM, FIVE),
        "naive": (NAIVE, replace(FIVE, count=1000)),
        "kafka-agent-bridge": (BRIDGE, replace(FIVE, count=200)),
    }
    measured(bench, settings, section, runs)
    section.ratio("over bare `ainvoke`", "langgraph-kafka", "bare ainvoke", 0.90)
    section.ratio("over the naive design", "langgraph-kafka", "naive", 1.9)
    section.ratio("over FastStream", "langgraph-kafka", "FastStream", 1.2)
    section.ratio("over kafka-agent-bridge", "langgraph-kafka", "kafka-agent-bridge", 8.0)
    return section


def sqlite(bench: Bench, settings: Settings) -> Section:
    """A on SQLite in each durability, beside memory and the stock saver."""
    section = Section(
        "A-sqlite",
        "A: the same, state in SQLite (WAL, synchronous FULL), ledger included",
        "Beside our memory figure, and bare `ainvoke` with LangGraph's `AsyncSqliteSaver` on the same file "
        "system, durability `sync`.",
    )
    file = replace(FIVE, state="sqlite:")
    runs: Runs = {
        "memory": (SERVICE, FIVE),
        "SQLite, sync": (SERVICE, file),
        "SQLite, async": (SERVICE, replace(file, durability="async")),
        "SQLite, exit": (SERVICE, replace(file, durability="exit")),
        "stock saver, sync": (STOCK, replace(file, count=600)),
    }
    measured(bench, settings, section, runs)
    section.ratio("`sync` over memory", "SQLite, sync", "memory", 0.75)
    section.ratio("`sync` over the stock saver", "SQLite, sync", "stock saver, sync", 3.0)
    return section


def postgres(bench: Bench, settings: Settings) -> Section:
    """A on PostgreSQL beside the stock saver; its server takes its share of the same cores."""
    section = Section(
        "A-postgres",
        "A: the same, state in PostgreSQL (fsync and synchronous_commit on), server on the same cores",
        "Beside bare `ainvoke` with LangGraph's `AsyncPostgresSaver`, durability `sync`.",
    )
    with settings.postgres() as dsn:
        if dsn is None:
            settings.say("  no PostgreSQL server here, left out")
            return section
        kept = replace(FIVE, state=dsn)
        runs: Runs = {
            "PostgreSQL, sync": (SERVICE, kept),
            "PostgreSQL, exit": (SERVICE, replace(kept, durability="exit")),
            "stock saver, sync": (STOCK, replace(kept, count=600)),
        }
        measured(bench, settings, section, runs)
    section.ratio("`sync` over the stock saver", "PostgreSQL, sync", "stock saver, sync", 2.0)
    return section


def two_workers(bench: Bench, settings: Settings) -> Section:
    """A with two workers on two cores."""
    section = Section(
        "A-workers",
        "A: two workers beside one, work bound by the processor",
        "Counted while all workers work. Broker and reader take their share of the same cores.",
    )
    longer = replace(FIVE, count=4000)
    runs: Runs = {"one worker": (SERVICE, longer), "two workers": (SERVICE, replace(longer, workers=2))}
    measured(bench, settings, section, runs)
    section.ratio("two workers over one", "two workers", "one worker", 1.7)
    for label, measures in section.measures.items():
        broker = sum(each.broker_cpu_ms for each in measures) / len(measures)
        section.figures.append((f"broker's processor time per event, {label}", f"{broker:.2f} ms"))
    return section

"""`python -m benchmarks`: run, print, write docs/benchmarks.*"""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from benchmarks import latency, memory, startup, throughput, waiting
from benchmarks.contestants import NO_GRAPH
from benchmarks.measure import Bench
from benchmarks.processes import descendant
from benchmarks.ratios import Section, told
from benchmarks.report import show, write
from benchmarks.settings import Settings
from benchmarks.task import Task
from kafka_devbroker import running_broker

_WARM_EVENTS = 10_000

Workload = Callable[[Bench, Settings], Section]

WORKLOADS: Mapping[str, Workload] = {
    "A-memory": throughput.memory,
    "A-sqlite": throughput.sqlite,
    "A-postgres": throughput.postgres,
    "A-workers": throughput.two_workers,
    "B": waiting.waits,
    "C": waiting.chains,
    "D": waiting.blocking,
    "E": waiting.mixed,
    "F": waiting.no_graph,
    "G": latency.idle_latency,
    "I": memory.backlog,
    "crowd": memory.crowd,
    "start": startup.startup,
}
QUICK = ("A-memory", "A-sqlite", "B", "F", "G", "start")


def main(arguments: list[str]) -> int:
    """Exit code 0, also where a bar is not met: a figure is no defect; 1 if a contestant failed."""
    options = _options(arguments)
    console = Console(stderr=True, width=110)
    wanted = options.only.split(",") if options.only else list(WORKLOADS if options.full else QUICK)
    unknown = [name for name in wanted if name not in WORKLOADS]
    if unknown:
        console.print(f"unknown: {', '.join(unknown)}; known: {', '.join(WORKLOADS)}")
        return 2
    pairs = options.pairs or (7 if options.full else 3)
    settings = Settings(pairs, options.scale, lambda text: console.print(text, highlight=False))
    # ratios need many pairs; what waits for seconds differs little from one time to the next
    fewer = replace(settings, pairs=options.pairs or (3 if options.full else 1))
    began = time.monotonic()
    sections, failed = [], False
    with running_broker("apache") as broker, tempfile.TemporaryDirectory(prefix="benchmarks-") as folder:
        bench = Bench(broker.bootstrap_servers, descendant("java") or 0, Path(folder))
        console.print("[bold]warming the broker[/]")
        # what comes first would pay for the compiler of the broker's Java
        bench.run(NO_GRAPH, Task(graph="one", count=_WARM_EVENTS, no_graph=True))
        latency.warm_broker(bench)
        for name in wanted:
            console.print(f"[bold]{name}[/]")
            section = run_workload(name, WORKLOADS[name], bench, settings if name.startswith("A-") else fewer)
            failed = failed or bool(section.failures)
            sections.append(section)
            show(console, section)
            if not options.dry:
                # each time: a run that is broken off half-way has its figures too
                took = f"{(time.monotonic() - began) / 60:.0f} min, {pairs} pairs for A"
                write(sections, {"run": f"{took}, scale {options.scale:g}"})
    return 1 if failed else 0


def run_workload(name: str, workload: Workload, bench: Bench, settings: Settings) -> Section:
    """Its section with the time it took; one that tells the failure where it raised."""
    began = time.monotonic()
    try:
        section = workload(bench, settings)
    except Exception as error:  # noqa: BLE001 - whatever ails one workload, the others are run
        section = Section(name, name, "This workload did not come to its end.")
        section.failures.append(f"{name}: {told(error)}")
    section.figures.append(("the workload took", f"{(time.monotonic() - began) / 60:.1f} min"))
    return section


def _options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--full", action="store_true", help="all workloads, and seven pairs for A")
    parser.add_argument("--only", help="these workloads, separated by commas", metavar="NAMES")
    parser.add_argument(
        "--pairs", type=int, help="repetitions; default 3 for A and 1 for the rest, with --full 7 and 3"
    )
    parser.add_argument("--scale", type=float, default=1.0, help="multiplies the number of events")
    parser.add_argument("--dry", action="store_true", help="print only, leave docs/ as it is")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

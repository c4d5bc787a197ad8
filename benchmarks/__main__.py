"""`python -m benchmarks`: run, print, write docs/benchmarks.*"""

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from rich.console import Console

from benchmarks import latency, memory, startup, throughput, waiting
from benchmarks.measure import Bench
from benchmarks.processes import family
from benchmarks.ratios import Section
from benchmarks.report import show, write
from benchmarks.settings import Settings
from kafka_devbroker import running_broker

Workload = Callable[[Bench, Settings], Section]

QUICK: Mapping[str, Workload] = {
    "A-memory": throughput.memory,
    "A-sqlite": throughput.sqlite,
    "A-postgres": throughput.postgres,
    "A-workers": throughput.two_workers,
    "B": waiting.waits,
    "C": waiting.chains,
    "F": waiting.no_graph,
    "G": latency.idle_latency,
    "start": startup.startup,
}
FULL: Mapping[str, Workload] = {
    "D": waiting.blocking,
    "E": waiting.mixed,
    "crowd": memory.crowd,
    "I": memory.backlog,
}


def main(arguments: list[str]) -> int:
    """Exit code 0, also where a bar is not met: a figure is no defect; 1 if a contestant failed."""
    options = _options(arguments)
    console = Console(stderr=True, width=110)
    workloads = {**QUICK, **(FULL if options.full or options.only else {})}
    wanted = options.only.split(",") if options.only else list(workloads)
    unknown = [name for name in wanted if name not in workloads]
    if unknown:
        console.print(f"unknown: {', '.join(unknown)}; known: {', '.join(workloads)}")
        return 2
    pairs = options.pairs or (7 if options.full else 3)
    settings = Settings(pairs, options.scale, options.full, lambda text: console.print(text, highlight=False))
    began = time.monotonic()
    sections = []
    with running_broker("apache") as broker, tempfile.TemporaryDirectory(prefix="benchmarks-") as folder:
        bench = Bench(broker.bootstrap_servers, _broker_pid(), Path(folder))
        for name in wanted:
            console.print(f"[bold]{name}[/]")
            section = workloads[name](bench, settings)
            sections.append(section)
            show(console, section)
            if not options.dry:
                # each time: a run that is broken off half-way has its figures too
                took = f"{(time.monotonic() - began) / 60:.0f} min, {pairs} repetitions"
                write(sections, {"run": f"{took}, scale {options.scale:g}"})
    return 0


def _options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--full", action="store_true", help="seven repetitions, and the long workloads")
    parser.add_argument("--only", help="these workloads, separated by commas", metavar="NAMES")
    parser.add_argument("--pairs", type=int, help="repetitions; default 3, with --full 7")
    parser.add_argument("--scale", type=float, default=1.0, help="multiplies the number of events")
    parser.add_argument("--dry", action="store_true", help="print only, leave docs/ as it is")
    return parser.parse_args(arguments)


def _broker_pid() -> int:
    """The Java process among our children."""
    for pid in family(os.getpid()):
        if Path(f"/proc/{pid}/comm").read_text().strip() == "java":
            return pid
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""The report: a table on the screen, docs/benchmarks.md, .json and .svg."""

import json
import os
import platform
import re
import subprocess
import sys
import sysconfig
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from benchmarks.measure import Measure
from benchmarks.picture import picture
from benchmarks.processes import ROOT, python
from benchmarks.ratios import Bar, Section, Spread

DOCS = ROOT / "docs"
_OURS = ("langgraph", "langgraph-checkpoint", "aiokafka", "confluent-kafka", "pydantic", "orjson", "psycopg")
_PEERS = ("faststream", "kafka-agent-bridge", "langgraph-checkpoint-sqlite", "langgraph-checkpoint-postgres")


def show(console: Console, section: Section) -> None:
    """The section as tables on the screen."""
    if section.measures:
        table = Table(title=section.title, title_justify="left")
        for column in _COLUMNS:
            table.add_column(column)
        for row in _rows(section):
            table.add_row(*row)
        console.print(table)
    for bar in section.bars:
        mark = "[green]met[/]" if bar.met else "[red]not met[/]"
        console.print(f"  {_plain(bar)}: {mark}")
    for what, figure in section.figures:
        console.print(f"  {what}: {figure}", highlight=False)
    for failure in section.failures:
        console.print(f"  [red]failed:[/] {escape(failure)}", highlight=False)


def write(sections: Sequence[Section], how: dict[str, str]) -> list[Path]:
    """Write the three files of docs/ and return their paths."""
    facts = machine() | how
    text, data, image = DOCS / "benchmarks.md", DOCS / "benchmarks.json", DOCS / "benchmarks.svg"
    text.write_text(page(sections, facts))
    content = {"run": facts, "sections": [asdict(section) for section in sections]}
    data.write_text(json.dumps(content, indent=1, default=str) + "\n")
    image.write_text(picture(sections))
    return [text, data, image]


def machine() -> dict[str, str]:
    """Where and on what this ran."""
    memory = re.search(r"MemTotal:\s+(\d+)", Path("/proc/meminfo").read_text())
    processor = re.search(r"model name\s*: (.+)", Path("/proc/cpuinfo").read_text())
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "processor": processor[1] if processor else platform.machine(),
        "cores": str(len(os.sched_getaffinity(0))),
        "memory": f"{int(memory[1]) // 1024 // 1024} GiB" if memory else "unknown",
        "load before": f"{os.getloadavg()[0]:.1f}",
        "system": platform.platform(terse=True),
        "Python": f"{platform.python_version()}, {_build()}",
        "versions": ", ".join(f"{name} {version(name)}" for name in _OURS),
        "peers": _peers(),
    }


def _build() -> str:
    # a build without profile-guided optimisation is slower by a tenth and more, ours and LangGraph alike
    if "--enable-optimizations" in (sysconfig.get_config_var("CONFIG_ARGS") or ""):
        return "built with optimisations"
    if sys.base_prefix == "/usr":
        # Debian profiles its build, and names no such argument
        return "the system's own"
    return "built without --enable-optimizations"


def _peers() -> str:
    program = (
        "from importlib.metadata import version\n"
        f"print(', '.join(f'{{name}} {{version(name)}}' for name in {_PEERS!r}))"
    )
    interpreter = python(".venv-bench")
    if not Path(interpreter).exists():
        return "not installed (make bench installs them)"
    done = subprocess.run([interpreter, "-c", program], capture_output=True, text=True, check=False)
    return done.stdout.strip() or "incomplete"


_COLUMNS = ("contestant", "events/s", "seconds", "CPU ms/event", "peak MiB", "loop lag ms")


def _rows(section: Section) -> list[tuple[str, ...]]:
    return [
        (
            label,
            Spread.of([each.rate for each in measures]).text(0),
            Spread.of([each.seconds for each in measures]).text(),
            Spread.of([each.cpu_ms for each in measures]).text(),
            f"{max(each.peak_mib for each in measures):.0f}",
            _lag(measures),
        )
        for label, measures in section.measures.items()
    ]


def _lag(measures: Sequence[Measure]) -> str:
    # nodes in threads have no loop to be measured, and Java has none
    known = [each.lag_s for each in measures if each.lag_s is not None]
    return f"{Spread.of(known).median * 1000:.0f}" if known else "-"


def _plain(bar: Bar) -> str:
    unit = f" {bar.unit}" if bar.unit else ""
    digits = 0 if bar.unit == "MiB" else 3 if bar.unit == "s" else 2
    return f"{bar.text}: {bar.spread.text(digits)}{unit}, wanted {bar.kind} {bar.limit:g}{unit}"


def page(sections: Sequence[Section], facts: dict[str, Any]) -> str:
    """The text of docs/benchmarks.md."""
    lines = [
        "# Benchmarks",
        "",
        "<!-- Written by `python -m benchmarks` (make bench, make bench-full): run it, do not edit. -->",
        "",
        "Contestants run in turn, in one run, on one Apache Kafka broker that shares the machine. The "
        "backlog is loaded first, a reader in a process of its own sees the results, and time runs from "
        "the start of the first node to the last visible result (of bare `ainvoke`, from before the first "
        "run is set up, to the end of the last). A lag of `-` was not measured. Median (minimum-maximum) "
        "over repetitions; ratios are taken pair by pair. Every figure is in "
        "[benchmarks.json](benchmarks.json).",
        "",
        "![rates beside each other](benchmarks.svg)",
        "",
        "| | |",
        "|---|---|",
        *(f"| {name} | {value} |" for name, value in facts.items()),
        "",
    ]
    lines += [
        "H, thousands of waiters on one reader, needs Airflow: "
        "`.venv-airflow/bin/python -m benchmarks.airflow_waits --waits 5000`.",
        "",
    ]
    for section in sections:
        lines += [f"## {section.title}", "", section.text, ""]
        if section.measures:
            lines += [f"| {' | '.join(_COLUMNS)} |", "|" + "---|" * len(_COLUMNS)]
            lines += [f"| {' | '.join(row)} |" for row in _rows(section)]
            lines.append("")
        if section.bars:
            lines += ["| bar | figure | wanted | |", "|---|---|---|---|", *map(_bar_row, section.bars), ""]
        if section.figures:
            lines += [f"- {what}: {figure}" for what, figure in section.figures]
            lines.append("")
        if section.failures:
            lines += [f"- **Failed**: {_one_line(each)}" for each in section.failures]
            lines.append("")
    return "\n".join(lines).rstrip() + "\n"


def _one_line(failure: str) -> str:
    """Its first line: what follows is a log, which is on the screen and in the JSON."""
    return failure.partition("\n")[0][:300]


def _bar_row(bar: Bar) -> str:
    figure, _, wanted = _plain(bar).removeprefix(f"{bar.text}: ").partition(", wanted ")
    return f"| {bar.text} | {figure} | {wanted} | {'met' if bar.met else '**not met**'} |"

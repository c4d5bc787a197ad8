"""How long a process takes until it is of use."""

import subprocess
import time
from pathlib import Path

from benchmarks.contest import serving, with_port
from benchmarks.measure import Bench
from benchmarks.processes import python
from benchmarks.ratios import Bar, Section, Spread
from benchmarks.settings import Settings
from benchmarks.task import Task

_READY_S = 2.5
_HELP_S = 0.4


def startup(bench: Bench, settings: Settings) -> Section:
    """From the start of the process to /readyz 200, and to the end of --help."""
    section = Section(
        "start",
        "Start",
        "Topics and group exist, bytecode is compiled, `group.initial.rebalance.delay.ms=0`, SQLite.",
    )
    ready, helped = [], []
    with bench.task(with_port(Task(graph="five", state="sqlite:"))) as task:
        for number in range(settings.pairs + 1):
            began = time.monotonic()
            with serving(task):
                # the first start makes the group
                ready += [time.monotonic() - began] if number else []
            began = time.monotonic()
            program = str(Path(python()).with_name("langgraph-kafka"))
            subprocess.run([program, "--help"], check=True, capture_output=True)
            helped.append(time.monotonic() - began)
    settings.say(f"  ready after {min(ready):.2f} to {max(ready):.2f} s")
    section.bars.append(Bar("process start to /readyz 200", Spread.of(ready), _READY_S, "at most", "s"))
    section.bars.append(Bar("`langgraph-kafka --help`", Spread.of(helped), _HELP_S, "at most", "s"))
    return section

"""`python -m tests.chaos`: one run, its report, and 1 as exit code if an invariant was broken."""

from __future__ import annotations

import argparse
import logging
import sys
import time
from pathlib import Path

from tests.chaos.nemesis import MOODS
from tests.chaos.oracle import judge
from tests.chaos.programme import prepared, working_folder
from tests.chaos.report import Summary, write_report
from tests.chaos.settings import RunSettings


def told(arguments: list[str] | None = None) -> RunSettings:
    """The settings that the command line asks for."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--store", choices=["sqlite", "postgres"], default="sqlite")
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--nodes", type=int, choices=[1, 3], default=1)
    parser.add_argument("--mood", choices=list(MOODS), default="fierce", help="how hard it is on them")
    parser.add_argument("--static", action="store_true", help="static membership")
    parser.add_argument("--report", type=Path, help="a folder that does not exist yet")
    given = parser.parse_args(arguments)
    report = given.report or working_folder() / f"{given.store}-{given.nodes}-{given.seed}"
    return RunSettings(**{**vars(given), "report": report})


def main(arguments: list[str] | None = None) -> int:
    """The exit code."""
    settings = told(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", stream=sys.stderr)
    logging.info("%s", settings.command())
    began = time.time()
    with prepared(settings) as run:
        evidence = run.carry_out()
        verdicts = judge(evidence)
        summary = Summary.of(settings, evidence, verdicts, began)
        write_report(run, evidence, summary)
    sys.stdout.write(summary.text())
    return 0 if summary.good else 1


if __name__ == "__main__":
    sys.exit(main())

"""`make chaos-long`: many runs, on both databases, on one broker and on three, until enough was killed.

Every run has a seed of its own; the sums over all of them, and what broke, stand in the report folder's
`total.md`. Runs that are there already count, so that it can be interrupted and taken up again.
"""

from __future__ import annotations

import argparse
import json
import logging
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from langgraph_integration.pipeline.faults import FAULT_POINTS
from tests.chaos.programme import working_folder

log = logging.getLogger(__name__)

_VARIANTS = (
    ("--store", "sqlite"),
    ("--store", "postgres"),
    ("--store", "sqlite", "--static"),
    ("--store", "postgres", "--nodes", "3"),
)


def main(arguments: list[str] | None = None) -> int:
    """1 if any run broke an invariant or the bar was not reached, else 0."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.long", description=__doc__)
    parser.add_argument("--seed", type=int, default=1000, help="of the first run; the next has the next")
    parser.add_argument("--seconds", type=float, default=240.0, help="of each run")
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument("--events", type=int, default=20_000)
    parser.add_argument("--runs", type=int, default=30, help="at most")
    parser.add_argument("--pace", type=float, default=3.0)
    parser.add_argument("--folder", type=Path, default=working_folder() / "long")
    given = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", stream=sys.stderr)
    given.folder.mkdir(parents=True, exist_ok=True)
    for number in range(given.runs):
        total = Total(given.folder)
        if total.enough(given.kills, given.events):
            break
        seed = given.seed + number
        report = given.folder / f"seed-{seed}"
        if report.exists():
            continue
        variant = _VARIANTS[number % len(_VARIANTS)]
        command = [sys.executable, "-m", "tests.chaos", "--seed", str(seed), "--report", str(report)]
        command += ["--seconds", str(given.seconds), "--pace", str(given.pace), *variant]
        done = subprocess.run(command, check=False, stdout=subprocess.DEVNULL)
        log.info("seed %d, %s: exit code %d", seed, " ".join(variant), done.returncode)
        (given.folder / "total.md").write_text(Total(given.folder).text())
    total = Total(given.folder)
    sys.stdout.write(total.text())
    return 0 if total.good and total.enough(given.kills, given.events) else 1


class Total:
    """The sums over the runs in a folder."""

    def __init__(self, folder: Path) -> None:
        self.runs = sorted(_summaries(folder), key=lambda run: int(run["seed"]))

    @property
    def good(self) -> bool:
        return bool(self.runs) and not any(found for run in self.runs for found in run["broken"].values())

    @property
    def points(self) -> Mapping[str, int]:
        points: Counter[str] = Counter()
        for run in self.runs:
            points.update(run["by_point"])
        return points

    def enough(self, kills: int, events: int) -> bool:
        """Whether the bar is reached, on each database and at each fault point."""
        by_store: Counter[str] = Counter()
        for run in self.runs:
            by_store[run["store"]] += run["kills"]
        return (
            self.sum("kills") >= kills
            and self.sum("events") >= events
            and all(by_store[store] >= 0.3 * kills for store in ("sqlite", "postgres"))
            and all(self.points[point] >= 0.02 * kills for point in FAULT_POINTS)
        )

    def sum(self, name: str) -> int:
        return sum(int(run[name]) for run in self.runs)

    def text(self) -> str:
        """The table."""
        names = ("events", "kills", "kills_in_flight", "pauses", "executions", "repeated_executions")
        head = ("seed", "store", "wall s", *(name.replace("_", " ") for name in names), "broken")
        rows = [
            (run["seed"], run["store"], round(run["wall_s"]), *(run[name] for name in names), _broken(run))
            for run in self.runs
        ]
        wall = round(sum(run["wall_s"] for run in self.runs))
        rows.append(("all", "", wall, *(self.sum(name) for name in names), "no" if self.good else "YES"))
        lines = [_row(head), _row(["---"] * len(head)), *map(_row, rows), ""]
        lines.append(
            "At fault points: " + ", ".join(f"{point} {self.points[point]}" for point in FAULT_POINTS)
        )
        lines += ["", *(f"- `{run['command']}`" for run in self.runs)]
        return "\n".join(lines) + "\n"


def _summaries(folder: Path) -> Iterator[dict[str, Any]]:
    for file in folder.glob("*/summary.json"):
        yield json.loads(file.read_text())


def _broken(run: Mapping[str, Any]) -> str:
    return ", ".join(name for name, found in run["broken"].items() if found) or "no"


def _row(cells: Any) -> str:
    return "| " + " | ".join(str(cell) for cell in cells) + " |"


if __name__ == "__main__":
    sys.exit(main())

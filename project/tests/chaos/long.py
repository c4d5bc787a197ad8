"""`make chaos-long`: many runs, on both databases, on one broker and on three, until enough was killed.

Every run has a seed of its own; the sums over all of them, and what broke, stand in the report folder's
`total.md`. Runs that came to their end already count, so that it can be interrupted and taken up again; what
was left of one that was cut off is set aside. One that ended by itself without a summary, or not in its time,
stays and makes the total bad. Journals, histories and logs are kept, compressed.
"""

from __future__ import annotations

import argparse
import gzip
import json
import logging
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

from langgraph_integration.pipeline.faults import FAULT_POINTS
from tests.chaos.nemesis import MOODS
from tests.chaos.programme import working_folder

log = logging.getLogger(__name__)

LONGEST_S = 900.0
"""How much longer than its faults a run may take, to start, to come to rest, and to be judged."""

_PATIENCE_S = 60.0
_CHAOS = (sys.executable, "-m", "tests.chaos")
_CUT_OFF = (-signal.SIGHUP, -signal.SIGINT, -signal.SIGTERM)
_FAILED = "failed.json"
_VARIANTS = (
    ("--store", "sqlite"),
    ("--store", "postgres"),
    ("--store", "sqlite", "--static"),
    ("--store", "postgres", "--nodes", "3"),
    ("--store", "postgres", "--static"),
    ("--store", "sqlite", "--nodes", "3"),
)


def main(arguments: list[str] | None = None) -> int:
    """1 if any run broke an invariant or the bar was not reached, else 0."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.long", description=__doc__)
    parser.add_argument("--seed", type=int, default=1000, help="of the first run; the next has the next")
    parser.add_argument("--seconds", type=float, default=300.0, help="of each run")
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument("--events", type=int, default=20_000)
    parser.add_argument("--runs", type=int, default=30, help="at most")
    parser.add_argument("--mood", choices=list(MOODS), default="enduring")
    parser.add_argument("--folder", type=Path, default=working_folder() / "long")
    parser.add_argument("--side-by-side", type=int, default=2, help="runs at once; they mostly wait")
    given = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", stream=sys.stderr)
    given.folder.mkdir(parents=True, exist_ok=True)
    programme = Programme(given)
    with ThreadPoolExecutor(given.side_by_side) as pool:
        lanes = [pool.submit(programme.work_off) for _ in range(given.side_by_side)]
    for lane in lanes:
        lane.result()
    total = Total(given.folder)
    sys.stdout.write(total.text())
    if programme.cut_off.is_set():
        return 128 + signal.SIGINT
    return 0 if total.good and total.enough(given.kills, given.events) else 1


class Programme:
    """The runs that are still to be made; several lanes may work them off at once.

    A run that was ended by a signal that asks to end sets `cut_off`, and no more are begun.
    """

    def __init__(
        self, given: argparse.Namespace, *, chaos: Sequence[str] = _CHAOS, longest_s: float = LONGEST_S
    ) -> None:
        self.cut_off = threading.Event()
        self._given = given
        self._chaos = chaos
        self._limit_s = given.seconds + longest_s
        self._numbers = iter(range(given.runs))
        self._turn = threading.Lock()

    def work_off(self) -> None:
        """One run after another until there is enough of them."""
        while (number := self._next()) is not None:
            self._run(self._given.seed + number, _VARIANTS[number % len(_VARIANTS)])

    def _next(self) -> int | None:
        """The next run that nobody has made, or None if no more are needed."""
        with self._turn:
            folder, given = self._given.folder, self._given
            if self.cut_off.is_set() or Total(folder).enough(given.kills, given.events):
                return None
            return next((n for n in self._numbers if not self._is_done(folder, self._given.seed + n)), None)

    @staticmethod
    def _is_done(folder: Path, seed: int) -> bool:
        report = folder / f"seed-{seed}"
        return (report / "summary.json").exists() or (report / _FAILED).exists()

    def _run(self, seed: int, variant: Sequence[str]) -> None:
        folder, given = self._given.folder, self._given
        report = folder / f"seed-{seed}"
        if report.exists():
            report.rename(folder / f"cut-off-{seed}-{time.time():.0f}")
        command = [*self._chaos, "--seed", str(seed), "--report", str(report)]
        command += ["--seconds", str(given.seconds), "--mood", given.mood, *variant]
        code = _exit_code(command, self._limit_s)
        log.info("seed %d, %s: exit code %s", seed, " ".join(variant), code)
        if code in _CUT_OFF:
            self.cut_off.set()
        elif _came_to_its_end(report, code):
            compress(report)
        else:
            _note_failure(report, seed, command[len(self._chaos) :], code)
        with self._turn:
            (folder / "total.md").write_text(Total(folder).text())


def _exit_code(command: Sequence[str], limit_s: float) -> int | None:
    """The exit code, or None if the run was not over in time; it is ended then."""
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as run:
        try:
            return run.wait(limit_s)
        except subprocess.TimeoutExpired:
            # asked first, so that it takes broker and database with it
            run.send_signal(signal.SIGINT)
            with suppress(subprocess.TimeoutExpired):
                run.wait(_PATIENCE_S)
            run.kill()
            return None


def _came_to_its_end(report: Path, code: int | None) -> bool:
    """Whether there is a summary, and the exit code says the same."""
    summary = report / "summary.json"
    if not summary.exists():
        return False
    broken = any(json.loads(summary.read_text())["broken"].values())
    return code == (1 if broken else 0)


def _note_failure(report: Path, seed: int, arguments: Sequence[str], code: int | None) -> None:
    report.mkdir(exist_ok=True)
    ended = "not over in time" if code is None else f"ended with exit code {code}"
    if not (report / "summary.json").exists():
        ended += ", no summary"
    store = arguments[arguments.index("--store") + 1]
    failure = {"seed": seed, "store": store, "ended": ended, "command": " ".join(arguments)}
    (report / _FAILED).write_text(json.dumps(failure))


class Total:
    """The sums over the runs in a folder."""

    def __init__(self, folder: Path) -> None:
        self.runs = sorted(_summaries(folder, "summary.json"), key=lambda run: int(run["seed"]))
        self.failed = sorted(_summaries(folder, _FAILED), key=lambda run: int(run["seed"]))

    @property
    def good(self) -> bool:
        broken = any(found for run in self.runs for found in run["broken"].values())
        return bool(self.runs) and not self.failed and not broken

    @property
    def points(self) -> Mapping[str, int]:
        points: Counter[str] = Counter()
        for run in self.runs:
            points.update(run["by_point"])
        return points

    @property
    def kills_by_store(self) -> Mapping[str, int]:
        by_store: Counter[str] = Counter(sqlite=0, postgres=0)
        for run in self.runs:
            by_store[run["store"]] += run["kills"]
        return by_store

    def enough(self, kills: int, events: int) -> bool:
        """Whether the bar is reached, on each database and at each fault point."""
        by_store = self.kills_by_store
        return (
            self.sum("kills") >= kills
            and self.sum("kills_in_flight") >= 0.8 * self.sum("kills")
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
        nothing = ["-"] * (len(names) + 1)
        rows += [(run["seed"], run["store"], *nothing, run["ended"]) for run in self.failed]
        wall = round(sum(run["wall_s"] for run in self.runs))
        rows.append(("all", "", wall, *(self.sum(name) for name in names), "no" if self.good else "YES"))
        share = 100 * self.sum("kills_in_flight") / max(1, self.sum("kills"))
        lines = [_row(head), _row(["---"] * len(head)), *map(_row, rows), ""]
        lines.append(
            "At fault points: " + ", ".join(f"{point} {self.points[point]}" for point in FAULT_POINTS)
        )
        by_store = ", ".join(f"{store} {number}" for store, number in self.kills_by_store.items())
        lines += ["", f"Kills by database: {by_store}; with a run in flight: {share:.0f} %"]
        lines += ["", *(f"- `{run['command']}`" for run in [*self.runs, *self.failed])]
        return "\n".join(lines) + "\n"


def compress(report: Path) -> None:
    """Keep the evidence of a run that is over small; its database and counters are gone with it."""
    for file in [*report.glob("*.jsonl"), *report.glob("*.log")]:
        with file.open("rb") as source, gzip.open(f"{file}.gz", "wb", compresslevel=3) as target:
            shutil.copyfileobj(source, target)
        file.unlink()
    for file in report.glob("state.db*"):
        file.unlink()
    for folder in report.glob("*.tries"):
        shutil.rmtree(folder)


def _summaries(folder: Path, name: str) -> Iterator[dict[str, Any]]:
    for file in folder.glob(f"seed-*/{name}"):
        yield json.loads(file.read_text())


def _broken(run: Mapping[str, Any]) -> str:
    return ", ".join(name for name, found in run["broken"].items() if found) or "no"


def _row(cells: Any) -> str:
    return "| " + " | ".join(str(cell) for cell in cells) + " |"


if __name__ == "__main__":
    sys.exit(main())

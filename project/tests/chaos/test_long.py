"""The long programme: a run that came to no good end is not passed over."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import pytest

from tests.chaos.long import Programme, Total

GOOD_RUN = """
import json, pathlib, sys
report = pathlib.Path(sys.argv[sys.argv.index("--report") + 1])
report.mkdir()
names = ("events", "kills", "kills_in_flight", "pauses", "executions", "repeated_executions")
summary = dict.fromkeys(names, 1) | {
    "seed": int(sys.argv[sys.argv.index("--seed") + 1]), "store": "sqlite", "wall_s": 1.0,
    "command": "a run", "by_point": {}, "broken": {"I1": []},
}
(report / "summary.json").write_text(json.dumps(summary))
"""

# the signal may have been inherited as ignored, from whoever began the tests in the background
ENDLESS_RUN = """
import signal, threading
signal.signal(signal.SIGINT, signal.default_int_handler)
threading.Event().wait()
"""


def programme(folder: Path, code: str, *, runs: int = 1, longest_s: float = 60.0) -> Programme:
    """A programme whose runs are this piece of Python."""
    given = argparse.Namespace(
        folder=folder, seed=7, runs=runs, kills=1000, events=1000, seconds=0.0, mood="enduring"
    )
    return Programme(given, chaos=(sys.executable, "-c", code), longest_s=longest_s)


def test_runs_with_summaries_make_a_good_total(tmp_path: Path) -> None:
    """What the other tests spoil."""
    programme(tmp_path, GOOD_RUN, runs=2).work_off()

    assert Total(tmp_path).good
    assert Total(tmp_path).sum("events") == 2


@pytest.mark.parametrize(
    ("code", "longest_s", "ended"),
    [
        ("raise SystemExit(3)", 60.0, "ended with exit code 3, no summary"),
        ("import os; os.kill(os.getpid(), 9)", 60.0, "ended with exit code -9, no summary"),
        (ENDLESS_RUN, 0.2, "not over in time, no summary"),
        (GOOD_RUN + "raise SystemExit(1)", 60.0, "ended with exit code 1"),
    ],
    ids=["by itself", "killed", "too long", "after its summary"],
)
def test_a_run_that_ended_badly_makes_the_total_bad(
    tmp_path: Path, code: str, longest_s: float, ended: str
) -> None:
    """It is listed, and does not become good by being made again."""
    programme(tmp_path, GOOD_RUN).work_off()
    (tmp_path / "seed-7").rename(tmp_path / "seed-6")

    programme(tmp_path, code, longest_s=longest_s).work_off()
    programme(tmp_path, GOOD_RUN).work_off()

    assert not Total(tmp_path).good
    assert f"| {ended} |" in (tmp_path / "total.md").read_text()


def test_a_run_that_was_cut_off_is_made_again(tmp_path: Path) -> None:
    """An interrupt ends the lane; the next time what it left is set aside."""
    interrupted = programme(tmp_path, "import os; os.kill(os.getpid(), 15)", runs=2)
    (tmp_path / "seed-7").mkdir()
    interrupted.work_off()

    assert interrupted.cut_off.is_set()
    assert not list(tmp_path.glob("seed-*"))

    programme(tmp_path, GOOD_RUN).work_off()
    assert Total(tmp_path).good

"""What the report says, and that one failure does not end the rest."""

from __future__ import annotations

from io import StringIO
from pathlib import Path

from benchmarks.__main__ import run_workload
from benchmarks.measure import Bench, Measure
from benchmarks.picture import picture
from benchmarks.ratios import Section, interleaved
from benchmarks.report import page, show
from benchmarks.settings import Settings
from rich.console import Console


def _measure(*, lag_s: float | None = None) -> Measure:
    return Measure("x", 100, 2.0, 1.5, 80.0, lag_s)


def _silent(_: str) -> None:
    pass


class _Contestant:
    """Fails from its n-th run on."""

    def __init__(self, fails_from: int | None = None) -> None:
        self.runs = 0
        self._fails_from = fails_from

    def __call__(self) -> Measure:
        self.runs += 1
        if self._fails_from is not None and self.runs >= self._fails_from:
            raise OSError("no space left")
        return _measure()


def test_a_contestant_that_fails_leaves_the_turns_to_the_others() -> None:
    """What it had measured before stays."""
    good, late, never = _Contestant(), _Contestant(fails_from=2), _Contestant(fails_from=1)

    measures, failures = interleaved({"good": good, "late": late, "never": never}, 3, _silent)

    assert {label: len(each) for label, each in measures.items()} == {"good": 3, "late": 1}
    assert sorted(failures) == [
        "late, repetition 2: OSError: no space left",
        "never, repetition 1: OSError: no space left",
    ]
    assert (late.runs, never.runs) == (2, 1)


def test_a_workload_that_fails_is_a_section_that_says_so(tmp_path: Path) -> None:
    """The report shows it; the run goes on."""

    def broken(bench: Bench, settings: Settings) -> Section:
        raise OSError("the broker is gone\nand its log")

    bench = Bench("nowhere:1", 0, tmp_path)
    section = run_workload("G", broken, bench, Settings(1, 1.0, _silent))

    assert section.failures == ["G: OSError: the broker is gone\nand its log"]
    assert "- **Failed**: G: OSError: the broker is gone\n" in page([section], {})
    assert "the workload took" in dict(section.figures)


def test_ratios_are_of_turns_that_both_had() -> None:
    """Nothing is said about one that is not there."""
    section = Section("k", "title", "text", {"ours": [_measure()] * 3, "theirs": [_measure()]})
    section.ratio("over theirs", "ours", "theirs", 0.9)
    section.beside("over nobody", "ours", "gone")
    section.beside("over theirs too", "ours", "theirs")

    assert section.bars[0].spread.count == 1
    assert dict(section.figures)["over theirs too"] == "1.00; in processor time per event 1.00"
    assert "over nobody" not in dict(section.figures)


def test_a_lag_that_was_not_measured_is_a_dash() -> None:
    """On the screen and on the page."""
    section = Section("k", "title", "text", {"java": [_measure()], "loop": [_measure(lag_s=0.012)]})
    out = StringIO()
    show(Console(file=out, width=110), section)

    text = page([section], {})
    assert "| java | 50 | 2.00 | 1.50 | 80 | - |" in text
    assert "| loop | 50 | 2.00 | 1.50 | 80 | 12 |" in text
    assert "-" in out.getvalue()


def test_the_picture_takes_sections_without_rates() -> None:
    """As those of failed workloads are."""
    assert picture([Section("k", "title", "text")]).startswith("<svg")

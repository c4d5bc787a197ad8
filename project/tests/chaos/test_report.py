"""What is left of a run for its readers: the command that repeats it, its picture, its evidence."""

from __future__ import annotations

import gzip
import json
from dataclasses import replace
from pathlib import Path

import pytest

from tests.chaos.__main__ import told
from tests.chaos.evidence import Evidence, Process, Settled, Step
from tests.chaos.good_run import DEADLY, GOOD, good_run
from tests.chaos.judge import main
from tests.chaos.kept import NAME, keep, kept
from tests.chaos.long import compress
from tests.chaos.nemesis import MOODS
from tests.chaos.oracle import judge
from tests.chaos.recoveries import quantile, recoveries
from tests.chaos.report import Summary
from tests.chaos.settings import RunSettings
from tests.chaos.timeline import timeline

SETTINGS = RunSettings(seed=7, report=Path("report"), seconds=20.0)


@pytest.mark.parametrize("mood", MOODS)
@pytest.mark.parametrize("static", [False, True], ids=["dynamic", "static"])
def test_the_printed_command_repeats_the_run(mood: str, static: bool) -> None:
    """Pasted as it stands."""
    settings = replace(SETTINGS, store="postgres", nodes=3, mood=mood, static=static)

    arguments = settings.command().removeprefix("python -m tests.chaos ").split()

    assert replace(told(arguments), report=settings.report) == settings


def test_a_take_over_is_timed_from_the_kill_to_the_first_sign_of_life() -> None:
    """DEADLY was in node b when w1 was killed at 102.25; w2 goes on at 105.0."""
    (recovery,) = recoveries(good_run())

    assert recovery.event_id == DEADLY
    assert recovery.heir == 2
    assert recovery.seconds == pytest.approx(2.75)


def test_an_heir_that_has_only_the_verdict_to_send_shows_life_by_it() -> None:
    """Killed after its last node."""
    evidence = good_run()
    evidence.processes.append(Process("w3", 3, 90.0, 100.9, -9))
    evidence.steps = [replace(step, pid=3) if step.event_id == GOOD else step for step in evidence.steps]
    evidence.settled[0] = Settled(GOOD, 1, 1, 101.0)

    assert [round(each.seconds, 2) for each in recoveries(evidence)] == [0.1, 2.75]


def test_a_run_that_waited_for_its_next_try_is_no_take_over() -> None:
    """Its heir waits on, and that is not what a recovery takes."""
    evidence = good_run()
    evidence.steps.append(Step(DEADLY, "b", "raise", 1, 1, 102.24))

    assert recoveries(evidence) == []


def test_the_report_tells_and_shows_the_take_overs() -> None:
    """In the table, in the summary and in the picture."""
    evidence = good_run()
    evidence.outages.append((104.0, 104.5, "store"))
    summary = Summary.of(SETTINGS, evidence, judge(evidence), 0.0)

    assert summary.recovery_s == {"median": 2.75, "p95": 2.75, "largest": 2.75}
    assert "| 1; s until then: median 2.8, p95 2.8, largest 2.8 |" in summary.text()
    assert "| of them without an outage | 0; s" in summary.text()
    assert f"<title>{DEADLY} taken over, 2.8 s after the kill</title>" in timeline(evidence)


def test_the_report_tells_of_stalls() -> None:
    """How many, and how long."""
    evidence = good_run()
    assert "| stalls | none |" in Summary.of(SETTINGS, evidence, judge(evidence), 0.0).text()

    evidence.stalls += [(101.0, 103.5, "disk"), (105.0, 106.2, "machine"), (107.0, 108.1, "disk")]
    summary = Summary.of(SETTINGS, evidence, judge(evidence), 0.0)

    assert (summary.stalls, summary.stalled_s, summary.longest_stall_s) == (
        {"disk": 2, "machine": 1},
        4.8,
        2.5,
    )
    assert "| stalls | 2 of the disk, 1 of the machine; 4.8 s, the longest 2.5 s |" in summary.text()


def test_quantiles_are_values_that_were_seen() -> None:
    """The 95th of a hundred; nothing of nothing."""
    hundred = [float(number) for number in range(100, 0, -1)]

    assert [quantile(hundred, share) for share in (0.5, 0.95, 1.0)] == [50.0, 95.0, 100.0]
    assert quantile([], 0.5) == 0.0


def _everything(evidence: Evidence) -> Evidence:
    evidence.outages.append((50.0, 51.0, "store"))
    evidence.stalls.append((60.0, 61.5, "disk"))
    evidence.processes[1] = replace(evidence.processes[1], pauses=((104.0, 104.1),))
    evidence.asks[0] = replace(evidence.asks[0], lasts={"a": 0.5})
    evidence.claims[DEADLY] = 3
    return evidence


def test_kept_evidence_is_the_same_when_it_is_read_again(tmp_path: Path) -> None:
    """Also after what is large was compressed."""
    evidence = _everything(good_run())
    keep(evidence, tmp_path)
    compress(tmp_path)

    assert kept(tmp_path) == evidence


def test_evidence_of_before_stalls_and_tokens_can_still_be_judged(tmp_path: Path) -> None:
    """It is judged without what it does not have."""
    keep(good_run(), tmp_path)
    with gzip.open(tmp_path / NAME, "rt") as file:
        known = json.load(file)
    del known["stalls"]
    for each in (*known["asks"], *known["answers"]):
        each.pop("token", None)
        each.pop("tokens", None)
    with gzip.open(tmp_path / NAME, "wt") as file:
        json.dump(known, file)

    assert not any(judge(kept(tmp_path)).values())


def test_a_folder_can_be_judged_anew(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """By an oracle that may have become stricter since."""
    good, bad, old = tmp_path / "good", tmp_path / "bad", tmp_path / "old"
    for folder in (good, bad, old):
        folder.mkdir()
    keep(good_run(), good)
    spoiled = good_run()
    del spoiled.answers[0]
    keep(spoiled, bad)

    assert main([str(good)]) == 0
    assert "contradictions" not in capsys.readouterr().out
    assert main([str(good), str(bad)]) == 1
    assert "LOST" in capsys.readouterr().out
    assert main([str(old), str(bad)]) == 2
    assert f"{old}\n- no evidence.json.gz" in capsys.readouterr().out

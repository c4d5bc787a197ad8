"""What a person reads after a run: a page of Markdown and a picture of the time line."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from langgraph_integration.pipeline.faults import FAULT_POINTS
from tests.chaos.evidence import Evidence
from tests.chaos.executions import in_flight
from tests.chaos.recoveries import Recovery, quantile, recoveries
from tests.chaos.settings import RunSettings
from tests.chaos.timeline import timeline

if TYPE_CHECKING:
    from tests.chaos.programme import Run

_SHOWN = 20
_SHARES: Mapping[str, float] = {"median": 0.5, "p95": 0.95, "largest": 1.0}


@dataclass(frozen=True, slots=True)
class Summary:
    """The figures of a run."""

    command: str
    store: str
    seed: int
    wall_s: float
    events: int
    records: int
    answers: int
    dead_letters: int
    kills: int
    kills_in_flight: int
    by_point: Mapping[str, int]
    pauses: int
    leaves: int
    outages: Mapping[str, int]
    stalls: Mapping[str, int]
    """How often the machine stood still, or its disk."""
    stalled_s: float
    longest_stall_s: float
    executions: int
    repeated_executions: int
    repeated_answers: int
    largest_lag: int
    takeovers: int
    """Runs that a kill interrupted and another process went on with."""
    recovery_s: Mapping[str, float]
    """How long that took: median, 95th percentile, largest."""
    calm_takeovers: int
    """Those with broker and database there all the time."""
    calm_recovery_s: Mapping[str, float]
    broken: Mapping[str, Sequence[str]]

    @property
    def good(self) -> bool:
        return not any(self.broken.values())

    @classmethod
    def of(
        cls, settings: RunSettings, evidence: Evidence, broken: Mapping[str, Sequence[str]], began: float
    ) -> Summary:
        kills = evidence.kills()
        starts = Counter((step.event_id, step.node) for step in evidence.steps if step.what == "start")
        copies = Counter((answer.event_id, answer.attempt) for answer in evidence.answers)
        runs, marks = evidence.steps_by_event(), evidence.settled_by_event()
        taken = recoveries(evidence)
        calm = [each for each in taken if not each.disturbed]
        stalled = [until - since for since, until, _ in evidence.stalls]
        return cls(
            command=settings.command(),
            store=settings.store,
            seed=settings.seed,
            wall_s=round(time.time() - began, 1),
            events=len({ask.event_id for ask in evidence.asks if ask.role == "first"}),
            records=len(evidence.asks),
            answers=len(evidence.answers),
            dead_letters=len(evidence.letters),
            kills=len(kills),
            kills_in_flight=sum(in_flight(each, runs, marks) for each in kills),
            by_point=dict(Counter(each.point for each in kills if each.point)),
            pauses=sum(len(each.pauses) for each in evidence.processes),
            leaves=sum(each.asked_to_end for each in evidence.processes) - settings.workers,
            outages=dict(Counter(what for _, _, what in evidence.outages)),
            stalls=dict(Counter(what for _, _, what in evidence.stalls)),
            stalled_s=round(sum(stalled), 2),
            longest_stall_s=round(max(stalled, default=0.0), 2),
            executions=sum(starts.values()),
            repeated_executions=sum(count - 1 for count in starts.values()),
            repeated_answers=sum(count - 1 for count in copies.values()),
            largest_lag=max((sample.lag for sample in evidence.samples), default=0),
            takeovers=len(taken),
            recovery_s=_quantiles(taken),
            calm_takeovers=len(calm),
            calm_recovery_s=_quantiles(calm),
            broken=broken,
        )

    def text(self) -> str:
        """The page."""
        points = ", ".join(f"{name} {self.by_point.get(name, 0)}" for name in FAULT_POINTS)
        outages, stalls = map(_counted, (self.outages, self.stalls))
        if self.stalls:
            stalls += f"; {self.stalled_s:.1f} s, the longest {self.longest_stall_s:.1f} s"
        waits, calm = map(_listed, (self.recovery_s, self.calm_recovery_s))
        share = 100 * self.kills_in_flight / max(1, self.kills)
        lines = [
            f"# Fault programme, seed {self.seed}: {'all invariants hold' if self.good else 'BROKEN'}",
            "",
            f"`{self.command}` ({self.wall_s:g} s)",
            "",
            "| what | number |",
            "|---|---|",
            f"| events (records) | {self.events:,} ({self.records:,}) |",
            f"| results, dead letters | {self.answers:,}, {self.dead_letters:,} |",
            f"| SIGKILLs, with a run in flight | {self.kills}, {self.kills_in_flight} ({share:.0f} %) |",
            f"| of them at a fault point | {points} |",
            f"| SIGSTOPs, leaves | {self.pauses}, {self.leaves} |",
            f"| outages | {outages} |",
            f"| stalls | {stalls} |",
            f"| node executions, repeated | {self.executions:,}, {self.repeated_executions:,} |",
            f"| repeated results | {self.repeated_answers:,} |",
            f"| largest lag | {self.largest_lag:,} |",
            f"| runs taken over after a kill | {self.takeovers:,}; s until then: {waits} |",
            f"| of them without an outage | {self.calm_takeovers:,}; s until then: {calm} |",
            "",
            "![time line](timeline.svg)",
            "",
        ]
        return "\n".join(lines + findings(self.broken)) + "\n"


def _counted(numbers: Mapping[str, int]) -> str:
    return ", ".join(f"{number} of the {what}" for what, number in numbers.items()) or "none"


def _quantiles(taken: Sequence[Recovery]) -> Mapping[str, float]:
    seconds = [each.seconds for each in taken]
    return {name: round(quantile(seconds, share), 2) for name, share in _SHARES.items()}


def _listed(values: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {value:.1f}" for name, value in values.items())


def findings(broken: Mapping[str, Sequence[str]]) -> list[str]:
    """A line for each invariant, and for the first of what contradicts it."""
    lines: list[str] = []
    for name, found in broken.items():
        lines.append(f"- **{name}**: " + ("holds" if not found else f"{len(found)} contradictions"))
        lines += [f"  - {each}" for each in found[:_SHOWN]]
    return lines


def write_report(run: Run, evidence: Evidence, summary: Summary) -> None:
    """`report.md`, `timeline.svg`, `summary.json` in the run's folder, beside journal, history and logs."""
    folder = run.settings.report
    (folder / "report.md").write_text(summary.text())
    (folder / "timeline.svg").write_text(timeline(evidence))
    (folder / "summary.json").write_text(json.dumps(asdict(summary), indent=1))
    deeds = [{"time": at, **asdict(deed)} for at, deed in run.nemesis.done]
    (folder / "deeds.jsonl").write_text("".join(json.dumps(deed) + "\n" for deed in deeds))

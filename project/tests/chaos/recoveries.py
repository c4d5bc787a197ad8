"""How long runs stood still after a SIGKILL, until another process went on with them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tests.chaos.evidence import Evidence, Process, Settled, Step
from tests.chaos.executions import is_held


@dataclass(frozen=True, slots=True)
class Recovery:
    """One run that a kill interrupted. Times are seconds since 1970."""

    event_id: str
    lost_at: float
    back_at: float
    """The first sign of life by another process: a node begins, or the verdict is settled."""
    heir: int
    disturbed: bool
    """Broker or database were away for some of that time."""

    @property
    def seconds(self) -> float:
        return self.back_at - self.lost_at


def recoveries(evidence: Evidence) -> list[Recovery]:
    """In the order of the take-overs. A run that was waiting for its next try is not counted: its heir goes
    on waiting.
    """
    runs, marks = evidence.steps_by_event(), evidence.settled_by_event()
    found = [
        recovery
        for killed in evidence.kills()
        for event_id, steps in runs.items()
        for recovery in _of_run(event_id, killed, steps, marks.get(event_id, []), evidence.outages)
    ]
    return sorted(found, key=lambda each: each.back_at)


def _of_run(
    event_id: str,
    killed: Process,
    steps: Sequence[Step],
    marks: Sequence[Settled],
    outages: Sequence[tuple[float, float, str]],
) -> Iterator[Recovery]:
    if not is_held(killed, steps, marks):
        return
    own = [step for step in steps if step.pid == killed.pid and step.time <= killed.ended]
    if own and own[-1].what == "raise":
        return
    signs = [(step.time, step.pid) for step in steps] + [(mark.time, mark.pid) for mark in marks]
    theirs = [(at, pid) for at, pid in signs if at > killed.ended and pid != killed.pid]
    back = min(theirs, default=None)
    if back is not None:
        disturbed = any(since <= back[0] and until >= killed.ended for since, until, _ in outages)
        yield Recovery(event_id, killed.ended, *back, disturbed)


def quantile(values: Sequence[float], share: float) -> float:
    """The least value that the share of all does not exceed; 0 of none."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else 0.0

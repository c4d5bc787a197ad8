"""How many claims of a run are explained by what became of its owners."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from tests.chaos.evidence import Answer, Ask, Evidence, Step
from tests.chaos.executions import PENDING_S


def explained_claims(answer: Answer, asks: Sequence[Ask], steps: Sequence[Step], evidence: Evidence) -> int:
    """The last claim, which runs nothing any more, and one for each owner before it that was lost.

    An owner that noted steps must itself have been killed, stopped, ended, or cut off from its store. One
    that was killed between its claim and its first step left no trace, so any process may have been it; but
    each took an epoch, and its lease had to lapse before the next one's claim.
    """
    began = min((ask.time for ask in asks if ask.attempt == answer.attempt), default=answer.time)
    mine = sorted(
        (step for step in steps if began <= step.time <= answer.time),
        key=lambda step: (step.epoch, step.time),
    )
    owners = [list(group) for _, group in groupby(mine, key=lambda step: step.epoch)]
    blows = _blows(evidence)
    # since when nobody who is known had it, how long it could not be claimed from then on, under which epoch
    explained, free, lapse, epoch = 1, began, 0.0, 0
    for own, heirs in zip(owners, [*owners[1:], []], strict=True):
        unseen = _unseen(blows, free + lapse, own[0].time, evidence)
        explained += min(unseen, own[0].epoch - epoch - 1)
        lost = _lost_at(own, heirs[0].time if heirs else answer.time, evidence)
        if lost is None:
            # given back in good order, which takes its claim back too
            free, lapse = own[-1].time, 0.0
        else:
            explained, free, lapse = explained + 1, lost, _lapse_s(evidence)
        epoch = own[0].epoch
    return explained + _unseen(blows, free + lapse, answer.time, evidence)


def _lost_at(own: Sequence[Step], end: float, evidence: Evidence) -> float | None:
    since = own[0].time - PENDING_S
    lost = [begun for begun, over, what in evidence.outages if what == "store" and over >= since]
    for process in evidence.processes:
        if process.pid == own[0].pid:
            lost.append(process.ended)
            lost += [begun for begun, over in process.pauses if over >= since]
    return min((at for at in lost if at <= end), default=None)


def _unseen(blows: Sequence[float], since: float, until: float, evidence: Evidence) -> int:
    """How many owners one after the other may have been lost then without a trace."""
    count = 0
    for at in blows:
        if since <= at <= until:
            count, since = count + 1, at + _lapse_s(evidence)
    return count


def _blows(evidence: Evidence) -> list[float]:
    blows = [process.ended for process in evidence.kills()]
    blows += [begun for process in evidence.processes for begun, _ in process.pauses]
    return sorted([*blows, *(begun for begun, _, what in evidence.outages if what == "store")])


def _lapse_s(evidence: Evidence) -> float:
    """How long the lease of a lost owner lasts at least: it is renewed three times in its time."""
    return evidence.lease_s * 2 / 3

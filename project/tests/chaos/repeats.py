"""I2: repeats are equal to the byte, and what befell their senders explains each of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise

from tests.chaos.evidence import CLOCKS_S, Answer, Ask, Evidence, Letter, Process, Settled, Step
from tests.chaos.owed import STAMPS_S, answers_to, is_verdict_for, refusals

REBALANCE_S = 15.0
"""How long after a process came, went or stopped partitions may still move: its start or its session, and the
ten seconds that the others have to join again. Who does not is not known any more, and joins once more.
"""

BACK_S = 4.0
"""How long after an outage a verdict may be appended that its sender gives up, having queued it before."""

SENT_S = 1.0
"""How long before its append a verdict may have been sent, and its sender lost in between. Less than what is
left of a lost owner's lease, or the first copy of its heir would be taken for one of its own.
"""

NOTHING_SENT = ("after-claim", "before-finish", "after-finish")
"""Fault points that come before anything is sent."""

Verdict = Answer | Letter
Moment = tuple[float, int]
"""When, and which process."""
Gap = tuple[float, float]
"""When a copy was appended, and when the next."""
Cause = Callable[[Gap], bool]
"""Whether it can be why there is a next copy."""


def only_known_repeats(evidence: Evidence) -> Iterator[str]:
    """I2: repeats are equal to the byte; a repeated ask, or the loss of a sender, explains each of them."""
    trouble = _Trouble.of(evidence)
    answers, letters = evidence.answers_by_event(), evidence.letters_by_event()
    steps, settled = evidence.steps_by_event(), evidence.settled_by_event()
    for event_id, asks in evidence.asks_by_event().items():
        own = letters.get(event_id, [])
        refused = refusals(asks, own)
        course = _Course(
            event_id,
            asks=[ask for ask in asks if (ask.partition, ask.offset) not in refused],
            answers=answers.get(event_id, []),
            steps=steps.get(event_id, []),
            settled=settled.get(event_id, []),
        )
        yield from course.repeats(course.answers, trouble)
        yield from course.repeats([each for each in own if each.reason != "conflict"], trouble)
    yield from _letters_of_records(evidence, trouble)


@dataclass(frozen=True, slots=True)
class _Course:
    """What is known about one event; without the asks that were refused."""

    event_id: str
    asks: Sequence[Ask]
    answers: Sequence[Answer]
    steps: Sequence[Step]
    settled: Sequence[Settled]

    def repeats(self, records: Sequence[Verdict], trouble: _Trouble) -> Iterator[str]:
        """Contradictions in the verdicts, or dead letters, of each attempt."""
        by_attempt: defaultdict[int, list[Verdict]] = defaultdict(list)
        for record in sorted(records, key=lambda each: each.time):
            by_attempt[record.attempt].append(record)
        for attempt, copies in by_attempt.items():
            what = "dead letter of attempt" if isinstance(copies[0], Letter) else "attempt"
            if len({each.digest for each in copies}) > 1:
                yield f"{self.event_id}: {what} {attempt} was repeated with other bytes"
            again = self._asked_again(attempt, copies[-1].time)
            times = [each.time for each in copies]
            left = _unexplained(list(pairwise(times)), self._causes(attempt, times, again, trouble))
            if left:
                yield (
                    f"{self.event_id}: {what} {attempt} was published {len(copies)} times; neither the loss "
                    f"of who had sent it nor one of {len(again)} repeated asks explains {left} of the repeats"
                )

    def _asked_again(self, attempt: int, until: float) -> list[float]:
        """When it was asked for after the first time, of what the verdict of this attempt may answer."""
        verdict = next((each for each in self.answers if each.attempt == attempt), None)
        raised = min((ask.time for ask in self.asks if ask.attempt == attempt), default=0.0)
        earlier = [each for each in self.answers if each.attempt < attempt and each.time <= raised]
        asked = [
            ask.time
            for ask in self.asks
            if ask.time <= until + STAMPS_S
            and (ask.attempt <= attempt or (verdict is not None and is_verdict_for(ask, verdict)))
            and not answers_to(ask, earlier)
        ]
        return sorted(asked)[1:]

    def _causes(
        self, attempt: int, times: Sequence[float], again: Sequence[float], trouble: _Trouble
    ) -> list[Cause]:
        """What can have had it sent again, each once: every ask of its own, and every loss of a process that
        may have sent the copy before.

        The last run of the graph ties the first verdict to a process. A repeated ask is answered by one that
        leaves no trace of its own but the line of its success, and so is a verdict without a run: any
        process may have been lost on the way to those.
        """
        # what was sent as its process was killed may be appended after its death
        since = max((step.time for step in self.steps if step.time <= times[0]), default=times[0])
        marks = [each for each in self.settled if each.attempt == attempt]
        # an ask repeated before that leaves both records to be answered after a kill
        done = marks and not (again and again[0] <= marks[0].time)
        until = (marks[0].time if done else times[-1]) + CLOCKS_S
        runners = {step.pid for step in self.steps if since <= step.time <= until}
        settlers = {mark.pid for mark in marks if mark.time <= until}
        orphaned = trouble.orphaned(runners, settlers, since, until)
        asked = again[0] if again else float("inf")

        def explains(loss: _Loss, gap: Gap) -> bool:
            known = loss.pid is None or loss.pid in runners | settlers
            of_run = loss.fits(gap) if known else loss.fits_a_stranger(gap, orphaned)
            return (of_run and loss.since <= until) or loss.fits_a_stranger(gap, asked)

        asks: list[Cause] = [lambda gap, at=at: gap[1] >= at - STAMPS_S for at in again]  # type: ignore[misc]  # mypy cannot infer a default argument
        return [*asks, *(partial(explains, loss) for loss in trouble.losses)]


@dataclass(frozen=True, slots=True)
class _Loss:
    """A kill, a pause or an outage: from when to when, and how late what was sent till then is appended."""

    since: float
    until: float
    late_s: float
    process: Process | None = None
    """None = an outage, which anybody suffers."""

    @property
    def pid(self) -> int | None:
        return self.process.pid if self.process else None

    def fits(self, gap: Gap) -> bool:
        """Whether the first copy was sent before or, of a pause or an outage, in it, and the next since then.

        Who was stopped on the way may send after its heir has, too.
        """
        return gap[0] <= self.until + self.late_s and self.since <= gap[1] + CLOCKS_S

    def fits_a_stranger(self, gap: Gap, free: float) -> bool:
        """The same of a process without another trace, that may have had it since `free`; it must have been
        there, and where it died says what it can have sent.
        """
        if min(gap[0], self.until) + CLOCKS_S < free or not self.fits(gap):
            return False
        if self.process is None:
            return True
        sent = self.process.point not in NOTHING_SENT or gap[0] <= self.until + CLOCKS_S
        return sent and self.process.started < gap[0]


@dataclass(frozen=True, slots=True)
class _Trouble:
    """All that takes a verdict from its sender before it is marked as sent."""

    losses: Sequence[_Loss]
    ends: Sequence[Moment]
    """The beginnings of pauses, and the ends of processes: what they had goes to somebody else."""
    starts: Sequence[Moment]
    outages: Sequence[tuple[float, float]]

    @classmethod
    def of(cls, evidence: Evidence) -> _Trouble:
        losses = [_Loss(since, until, BACK_S) for since, until, _ in evidence.outages]
        losses += [_Loss(each.ended, each.ended, SENT_S, each) for each in evidence.kills()]
        losses += [
            _Loss(since, until, SENT_S, each) for each in evidence.processes for since, until in each.pauses
        ]
        pauses = [(since, process.pid) for process in evidence.processes for since, _ in process.pauses]
        return cls(
            sorted(losses, key=lambda loss: loss.since),
            sorted([*pauses, *((process.ended, process.pid) for process in evidence.processes)]),
            [(process.started, process.pid) for process in evidence.processes],
            [(since, until) for since, until, _ in evidence.outages],
        )

    def orphaned(self, runners: set[int], settlers: set[int], since: float, until: float) -> float:
        """When a run's verdict was taken from one that ran or settled it; infinite = never.

        Its heir has nothing to run any more and may be lost without a trace, so from then on it may have been
        anybody.
        """
        handed_over = bool(settlers) and not settlers & runners
        if not runners or handed_over:
            return since
        begins = [at for at, pid in self.ends if pid in runners | settlers and at >= since - CLOCKS_S]
        begins += [max(begun, since) for begun, over in self.outages if begun <= until and over >= since]
        return min(begins, default=float("inf"))

    def of_partitions(self, since: float, until: float) -> int:
        """How often a record may have been delivered again that has no row to say that it is done with."""
        moves = [*self.ends, *self.starts]
        away = sum(begun <= until and over >= since - REBALANCE_S - CLOCKS_S for begun, over in self.outages)
        return away + sum(since - REBALANCE_S <= at <= until + CLOCKS_S for at, _ in moves)


def _unexplained(gaps: Sequence[Gap], causes: Sequence[Cause]) -> int:
    """How many gaps are left when each of the others has a cause of its own."""
    taken: dict[int, int] = {}

    def place(gap: int, tried: set[int]) -> bool:
        for number, cause in enumerate(causes):
            if number not in tried and cause(gaps[gap]):
                tried.add(number)
                if number not in taken or place(taken[number], tried):
                    taken[number] = gap
                    return True
        return False

    return sum(not place(gap, set()) for gap in range(len(gaps)))


def _letters_of_records(evidence: Evidence, trouble: _Trouble) -> Iterator[str]:
    """Refusals have no row: each delivery sends one, and no trace tells which process it was."""
    events = {ask.event_id for ask in evidence.asks if ask.event_id is not None}
    by_id: defaultdict[str, list[Letter]] = defaultdict(list)
    for letter in sorted(evidence.letters, key=lambda each: each.time):
        by_id[letter.dlq_id].append(letter)
    for dlq_id, copies in by_id.items():
        if len({each.digest for each in copies}) > 1:
            yield f"the dead letter {dlq_id} was repeated with other bytes"
        if copies[0].reason != "conflict" and copies[0].event_id in events:
            continue
        moves = trouble.of_partitions(copies[0].time, copies[-1].time)
        if len(copies) - 1 > moves:
            yield (
                f"the dead letter {dlq_id} ({copies[0].reason}) was sent {len(copies)} times, with {moves} "
                "moves of partitions"
            )

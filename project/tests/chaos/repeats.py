"""I2: repeats are equal to the byte, and what befell their senders explains each of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tests.chaos.evidence import CLOCKS_S, Answer, Ask, Evidence, Letter, Settled, Step
from tests.chaos.owed import STAMPS_S, answers_to, is_verdict_for, refusals

MOVE_S = 4.0
"""How long after a process came, went or stopped its partitions may still move: its session, and a round of
joining again.
"""

Verdict = Answer | Letter
Blow = tuple[float, int]
"""When, and which process."""


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
            losses = self._losses(attempt, [each.time for each in copies], again, trouble)
            if len(copies) - 1 > len(again) + losses:
                yield (
                    f"{self.event_id}: {what} {attempt} was published {len(copies)} times, with {losses} "
                    f"losses of who may have sent it and {len(again)} repeated asks"
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

    def _losses(self, attempt: int, times: Sequence[float], again: Sequence[float], trouble: _Trouble) -> int:
        """What can have had it sent again, for each ask of its own.

        The last run of the graph ties the first verdict to a process. A repeated ask is answered by one that
        leaves no trace of its own but the line of its success, and so is a verdict without a run: any
        process may have been lost on the way to those.
        """
        if len(times) < 2:
            return 0
        # what was sent as its process was killed may be appended after its death
        since = max((step.time for step in self.steps if step.time <= times[0]), default=times[0])
        marks = [each for each in self.settled if each.attempt == attempt]
        # an ask repeated before that leaves both records to be answered after a kill
        done = marks and not (again and again[0] <= marks[0].time)
        until = marks[0].time if done else times[-1]
        runners = {step.pid for step in self.steps if since <= step.time <= until}
        settlers = {mark.pid for mark in marks if mark.time <= until + CLOCKS_S}
        losses = trouble.of_run(runners, settlers, since, until)
        return losses + sum(trouble.of_anyone(at, times[-1]) for at in again)


@dataclass(frozen=True, slots=True)
class _Trouble:
    """All that takes a verdict from its sender before it is marked as sent."""

    blows: Sequence[Blow]
    """Kills and the beginnings of pauses."""
    ends: Sequence[Blow]
    """These, and the ends of other processes: what they had goes to somebody else."""
    starts: Sequence[Blow]
    outages: Sequence[tuple[float, float]]

    @classmethod
    def of(cls, evidence: Evidence) -> _Trouble:
        pauses = [(since, process.pid) for process in evidence.processes for since, _ in process.pauses]
        blows = sorted([*pauses, *((process.ended, process.pid) for process in evidence.kills())])
        ends = sorted([*pauses, *((process.ended, process.pid) for process in evidence.processes)])
        starts = [(process.started, process.pid) for process in evidence.processes]
        return cls(blows, ends, starts, [(since, until) for since, until, _ in evidence.outages])

    def of_run(self, runners: set[int], settlers: set[int], since: float, until: float) -> int:
        """How often a run's verdict may have been left half sent in that time.

        That begins with the loss of one that ran or settled it. Its heir has nothing to run any more and may
        be lost without a trace, so from then on it may have been anybody.
        """
        outages = self._away(since, until)
        handed_over = bool(settlers) and not settlers & runners
        begins = [at for at, pid in self.ends if pid in runners | settlers and at >= since - CLOCKS_S]
        begins += [max(begun, since) for begun, over in self.outages if begun <= until and over >= since]
        if not runners or handed_over:
            begins.append(since)
        begin = min(begins, default=until + 1.0)
        return outages + _count(self.blows, max(begin, since) - CLOCKS_S, until)

    def of_anyone(self, since: float, until: float) -> int:
        return self._away(since, until) + _count(self.blows, since - CLOCKS_S, until)

    def of_partitions(self, since: float, until: float) -> int:
        """How often a record may have been delivered again that has no row to say that it is done with."""
        moves = [*self.ends, *self.starts]
        return self._away(since - MOVE_S, until) + _count(moves, since - MOVE_S, until)

    def _away(self, since: float, until: float) -> int:
        return sum(begun <= until and over >= since - CLOCKS_S for begun, over in self.outages)


def _count(blows: Sequence[Blow], since: float, until: float) -> int:
    return sum(since <= at <= until + CLOCKS_S for at, _ in blows)


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

"""I3: which executions of nodes count, and which of them were needless."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from tests.chaos.evidence import CLOCKS_S, Answer, Ask, Evidence, Process, Settled, Step
from tests.chaos.recipes import NODES, WAIT_S

PENDING_S = 5.0
"""How long after its node's end a checkpoint may still wait for its commit, where nothing else holds it up,
and how much longer than its recipe says a node may take; also how long after a pause or an outage a worker
may learn that somebody else has its run.
"""

WRITTEN_S = 3.0
"""How long after a failure the wait before the next try may still be unwritten; less than `WAIT_S` and more
than a transaction takes.
"""

Span = tuple[float, float]


def no_needless_execution(evidence: Evidence) -> Iterator[str]:
    """I3: a node of an event runs again only if its process ended, stopped or lost its store before the
    checkpoint was certain, or the node itself failed; and never after the verdict. A process that is asked
    to end lets its nodes come to theirs as long as it has time for that.
    """
    processes = {process.pid: process for process in evidence.processes}
    away = [(since, until) for since, until, what in evidence.outages if what == "store"]
    answers, asks = evidence.answers_by_event(), evidence.asks_by_event()
    marks = evidence.settled_by_event()
    for event_id, steps in evidence.steps_by_event().items():
        lasts = next((ask.lasts for ask in asks.get(event_id, []) if ask.lasts), {})
        course = _Course(steps, marks.get(event_id, []), processes, away, evidence.drain_s, lasts)
        for node in NODES:
            runs = [step for step in steps if step.node == node and step.what == "start"]
            needless = [run for run in runs if not course.cut_short(run)]
            if len(needless) > 1:
                where = ", ".join(f"pid {run.pid} epoch {run.epoch}" for run in needless)
                yield (
                    f"{event_id}: node {node} ran {len(needless)} times to its end, or was given up for no "
                    f"reason ({where})"
                )
            for run in runs:
                left = course.drain_left(run)
                if left is not None:
                    yield (
                        f"{event_id}: node {node} was cut short in pid {run.pid}, epoch {run.epoch}, by an "
                        f"orderly end, with {left:.1f} s of the drain left"
                    )
                failed = course.waited_too_short(run, asks.get(event_id, []))
                if failed is not None:
                    yield (
                        f"{event_id}: node {node} ran again in pid {run.pid}, epoch {run.epoch}, "
                        f"{run.time - failed.time:.3f} s after it was told to wait {WAIT_S:g} s"
                    )
                verdict = _verdict_before(run, answers.get(event_id, []), asks.get(event_id, []))
                if verdict is not None and not course.unaware(run):
                    yield (
                        f"{event_id}: node {node} ran in pid {run.pid}, epoch {run.epoch}, "
                        f"{run.time - verdict.time:.3f} s after the verdict {verdict.status}"
                    )


@dataclass(frozen=True, slots=True)
class _Course:
    """What happened to one event: its steps in the order of time, and all that can cut one short."""

    steps: Sequence[Step]
    marks: Sequence[Settled]
    processes: Mapping[int, Process]
    away: Sequence[Span]
    drain_s: float
    lasts: Mapping[str, float]
    """How long each node takes; its recipe says so."""

    def cut_short(self, run: Step) -> bool:
        """Whether this execution did not count: it failed, or its checkpoint may never have been stored."""
        own = [each for each in self.steps if _same_owner(each, run) and each.time >= run.time]
        if any(each.node == run.node and each.what in ("raise", "die") for each in own):
            return True
        process = self.processes.get(run.pid)
        if process is None or self._was_stored(run, own):
            return False
        end = next((each.time for each in own if each.node == run.node and each.what == "end"), None)
        disturbed = sorted([*process.pauses, *self.away])
        if end is None:
            due = _certain_at(run.time + self.lasts.get(run.node, 0.0), disturbed)
            # whoever was asked to end may cut it short, but not before its time: see `drain_left`
            ends = [process.ended] if process.killed else []
            ends += [process.asked_at] if process.asked_at is not None else []
            stopped = any(since <= due and until >= run.time - PENDING_S for since, until in disturbed)
            return stopped or any(at <= due for at in ends)
        certain = _certain_at(end, disturbed)
        # a pause or an outage in which the lease lapsed, or the end of the process with the write unsent
        return (process.killed and process.ended <= certain) or any(
            since <= certain and until >= run.time - PENDING_S for since, until in disturbed
        )

    def drain_left(self, run: Step) -> float | None:
        """The seconds its process still had for it when it gave it up and ended; None = it did not."""
        process = self.processes.get(run.pid)
        if process is None or process.killed or process.asked_at is None:
            return None
        own = [each for each in self.steps if _same_owner(each, run) and each.time > run.time]
        over = any(each.node == run.node and each.what != "start" for each in own)
        disturbed = [*process.pauses, *self.away]
        if over or any(
            until >= run.time - PENDING_S and since <= process.ended for since, until in disturbed
        ):
            return None
        left = process.asked_at + self.drain_s - process.ended
        return left if left > CLOCKS_S else None

    def waited_too_short(self, run: Step, asks: Sequence[Ask]) -> Step | None:
        """The failure that told this node to wait, if it ran again before that was over. The wait may be lost
        with a process that ends, stops or loses its store before it is written; a greater attempt has none.
        """
        failed = next((each for each in self.steps if each.what == "raise" and each.node == run.node), None)
        if not any(ask.kind == "told-to-wait" for ask in asks) or failed is None or run.time <= failed.time:
            return None
        process = self.processes.get(failed.pid)
        written = failed.time + WRITTEN_S
        lost = [(process.ended, process.ended), *process.pauses] if process else []
        unwritten = any(since <= written and until >= failed.time for since, until in [*lost, *self.away])
        raised = any(ask.attempt > 1 and ask.time <= run.time + CLOCKS_S for ask in asks)
        early = run.time + CLOCKS_S < failed.time + WAIT_S
        return failed if early and not unwritten and not raised else None

    def unaware(self, run: Step) -> bool:
        """Whether its process may not have known yet that its lease had lapsed: because it had been stopped,
        because it could not ask, or because somebody else has the lease only since now.
        """
        pauses = self.processes[run.pid].pauses if run.pid in self.processes else ()
        disturbed = any(until >= run.time - PENDING_S for _, until in [*pauses, *self.away])
        heirs = [each.time for each in self.steps if each.epoch > run.epoch]
        return bool(heirs) and (disturbed or run.time < min(heirs) + PENDING_S)

    def _was_stored(self, run: Step, own: Sequence[Step]) -> bool:
        """Whether what followed proves that the checkpoint after it was stored.

        That is a later node under the same lease, or at once under the next one; or the same process told
        of the verdict before anybody else had the run.
        """
        if any(each.node > run.node and each.what == "start" for each in own):
            return True
        heirs = [each for each in self.steps if each.epoch > run.epoch]
        if heirs and min(heirs, key=lambda each: (each.epoch, each.time)).node > run.node:
            return True
        if not any(each.node == run.node and each.what == "end" for each in own):
            return False
        inherited_at = min((each.time for each in heirs), default=float("inf"))
        return any(mark.pid == run.pid and run.time <= mark.time < inherited_at for mark in self.marks)


def _verdict_before(run: Step, answers: Sequence[Answer], asks: Sequence[Ask]) -> Answer | None:
    """An answer that was there when this execution began, with nothing asked that it does not answer."""
    attempt = max((ask.attempt for ask in asks if ask.time <= run.time + CLOCKS_S), default=1)
    return next(
        (
            answer
            for answer in answers
            if answer.time + CLOCKS_S < run.time and (answer.status == "success" or answer.attempt >= attempt)
        ),
        None,
    )


def _certain_at(end: float, disturbed: Sequence[Span]) -> float:
    """When the checkpoint of a node that ended then must be stored; what disturbs the writing, or the node,
    puts it off.
    """
    certain = end + PENDING_S
    for since, until in disturbed:
        if since <= certain and until >= end:
            certain = max(certain, until + PENDING_S)
    return certain


def _same_owner(one: Step, other: Step) -> bool:
    return one.pid == other.pid and one.epoch == other.epoch


def in_flight(
    process: Process, runs: Mapping[str, Sequence[Step]], marks: Mapping[str, Sequence[Settled]]
) -> bool:
    """Whether a worker ended in the middle of a run: begun here, taken over by nobody, and not settled.

    `runs` and `marks` are the steps and log lines by event, of all processes and in the order of time.
    """
    return any(is_held(process, steps, marks.get(event_id, [])) for event_id, steps in runs.items())


def is_held(process: Process, steps: Sequence[Step], marks: Sequence[Settled]) -> bool:
    """The same for one event with these steps and log lines."""
    known = [step for step in steps if step.time <= process.ended + CLOCKS_S]
    if not any(step.pid == process.pid for step in known):
        return False
    last = max(known, key=lambda step: (step.epoch, step.time))
    return last.pid == process.pid and not any(
        last.time <= mark.time <= process.ended + CLOCKS_S for mark in marks
    )

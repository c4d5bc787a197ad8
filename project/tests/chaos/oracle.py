"""The oracle: six invariants, each a function of the evidence that returns what contradicts it."""

from __future__ import annotations

import bisect
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from itertools import groupby

from tests.chaos.evidence import CLOCKS_S, ErrorLine, Evidence, Process
from tests.chaos.executions import no_needless_execution
from tests.chaos.owed import answers_to, refusals
from tests.chaos.repeats import REBALANCE_S, only_known_repeats
from tests.chaos.verdicts import one_verdict

STALE_S = 60.0
"""How long after an outage a client may meet a node of which its metadata do not know yet that it is back:
they are half a minute old at most, and a new look has to come through.
"""

IDLE_TASKS = 10
"""How many tasks more a worker may have at rest than the smallest number it was ever seen with."""

GROWTH = 32 * 2**20
"""How many bytes a worker may hold more than at its first look; of 3,180 workers none came to 18 MiB."""

AFTER_OUTAGE_S = 10.0
"""How long after the broker is back, or a stopped process goes on, a client's library may complain."""

GRACE_S = 3.0
"""How much longer ago than a session a stall may be: a heartbeat that it cut off has its own time to fail."""

STOP_S, START_S = 12.0, 2.0
"""How long a stop looks for a broker that is away, and how long a start takes to install its handlers."""

Invariant = Callable[[Evidence], Iterator[str]]
_Lags = Mapping[int, list[tuple[float, float]]]


def never_past_unsettled(evidence: Evidence) -> Iterator[str]:
    """I4: no committed offset is beyond a record that had no verdict at that time."""
    verdicts = _settled_at(evidence)
    for partition, positions in verdicts.items():
        offsets = [offset for offset, _, _ in positions]
        latest: list[tuple[float, str]] = []
        for _, at, what in positions:
            latest.append(max(latest[-1], (at, what)) if latest else (at, what))
        for sample in evidence.samples:
            count = bisect.bisect_left(offsets, sample.committed.get(partition, 0))
            if count and latest[count - 1][0] > sample.time + CLOCKS_S:
                at, what = latest[count - 1]
                yield (
                    f"partition {partition}: offset {sample.committed[partition]} was committed at "
                    f"{sample.time:.3f}, but {what} had its verdict at {at:.3f}"
                )
                break


def _settled_at(evidence: Evidence) -> Mapping[int, list[tuple[int, float, str]]]:
    """Per partition: offset, time of the verdict, and which record that is, in the order of offsets."""
    answers, letters = evidence.answers_by_event(), evidence.letters_by_event()
    # of several at one place, the first one sent
    by_age = sorted(evidence.letters, key=lambda letter: letter.time, reverse=True)
    unreadable = {(letter.partition, letter.offset): letter.time for letter in by_age}
    asks = evidence.asks_by_event()
    refused = {event_id: refusals(own, letters.get(event_id, [])) for event_id, own in asks.items()}
    found: defaultdict[int, list[tuple[int, float, str]]] = defaultdict(list)
    for ask in sorted(evidence.asks, key=lambda each: (each.partition, each.offset)):
        place = ask.partition, ask.offset
        if ask.role == "other-type":
            continue
        if ask.event_id is None:
            times = [unreadable[place]] if place in unreadable else []
        else:
            sent = refused[ask.event_id].get(place) or answers_to(ask, answers.get(ask.event_id, []))
            times = [each.time for each in sent]
        what = f"{ask.role} {ask.event_id} (attempt {ask.attempt}) at {ask.offset}"
        found[ask.partition].append((ask.offset, min(times, default=float("inf")), what))
    return found


def comes_to_rest(evidence: Evidence) -> Iterator[str]:
    """I5: the lag goes back to nothing, and so do tasks and memory."""
    if not evidence.samples:
        yield "nobody looked at the lag"
        return
    last = evidence.samples[-1]
    if last.lag:
        yield f"a lag of {last.lag} is left: committed {dict(last.committed)}, ends {dict(last.ends)}"
    sizes = sorted(evidence.sizes, key=lambda size: (size.pid, size.time))
    least = min((size.tasks for size in sizes), default=0)
    at_rest = {process.pid for process in evidence.processes if process.at_rest}
    for pid, group in groupby(sizes, key=lambda size: size.pid):
        own = list(group)
        if pid in at_rest and own[-1].tasks > least + IDLE_TASKS:
            yield f"pid {pid}: {own[-1].tasks} tasks at rest, {least} are needed"
        most = max(size.rss for size in own)
        if most > own[0].rss + GROWTH:
            yield f"pid {pid}: grew from {own[0].rss >> 20} to {most >> 20} MiB"
    for process in evidence.processes:
        if process.asked_to_end and process.code not in (0, -9) and not _stop_excused(process, evidence):
            yield f"{process.name} (pid {process.pid}) ended with code {process.code}"
        elif not process.asked_to_end and process.code != -9 and not _could_not_start(process, evidence):
            yield f"{process.name} (pid {process.pid}) ended by itself with code {process.code}"


def _stop_excused(process: Process, evidence: Evidence) -> bool:
    """A stop while broker or database are away may leave a commit unknown (1); one during the first imports
    ends the process as SIGTERM always does.
    """
    away = any(
        since <= process.ended and until >= process.ended - STOP_S for since, until, _ in evidence.outages
    )
    at_once = process.ended - process.started < START_S
    return (process.code == 1 and away) or (process.code == -15 and at_once)


def _could_not_start(process: Process, evidence: Evidence) -> bool:
    """A start needs broker and database: without them it says so and ends, for its supervisor to repeat."""
    return process.code == 1 and any(
        process.started <= until and process.ended >= since for since, until, _ in evidence.outages
    )


def no_unexpected_error(evidence: Evidence) -> Iterator[str]:
    """I6: no line at ERROR in any log, but those of the Kafka library that what was done to its broker, its
    process or its group explains, or that the machine stood still; and of a start without broker or database.
    """
    lags = evidence.lags()
    for line in evidence.errors:
        away = _away(evidence, line.time, AFTER_OUTAGE_S)
        start = line.logger == "langgraph_integration.service" and "cannot run" in line.text and away
        if not start and not _is_the_librarys(line, "broker" in away, evidence, lags):
            yield f"{line.worker}: {line.text[:500]}"


def _away(evidence: Evidence, at: float, after_s: float) -> set[str]:
    """What is away then, or was until so long ago."""
    return {what for since, until, what in evidence.outages if since <= at <= until + after_s}


def _is_the_librarys(line: ErrorLine, broker_away: bool, evidence: Evidence, lags: _Lags) -> bool:
    """Whether the Kafka library calls an error here what it puts right by itself."""
    if line.logger == "asyncio" and "Unclosed AIOKafkaConnection" in line.text:
        # leaving takes two seconds at most: a client whose broker does not answer is abandoned
        return broker_away and _is_stopping(line, evidence)
    if not line.logger.startswith("aiokafka"):
        return False
    if broker_away or _stood_still(line, evidence, lags):
        return True
    if line.logger == "aiokafka.consumer.group_coordinator" and "Heartbeat session expired" in line.text:
        return _was_stalled(line, evidence)
    if "OffsetCommit failed" in line.text:
        # of a generation that is over, or of a member that was too slow to join the next one
        return _moved(line.time, evidence)
    return "StaleMetadata: Broker id" in line.text and "broker" in _away(evidence, line.time, STALE_S)


def _stood_still(line: ErrorLine, evidence: Evidence, lags: _Lags) -> bool:
    """Whether its process was stopped, or had no turn for long, then or not long before."""
    return any(
        since <= line.time <= until + AFTER_OUTAGE_S
        for process in evidence.processes
        if process.name == line.worker
        for since, until in [*process.pauses, *lags.get(process.pid, ())]
    )


def _was_stalled(line: ErrorLine, evidence: Evidence) -> bool:
    """Whether the machine stood still in the session before the line. A lease is as long as a session."""
    since_when = line.time - evidence.lease_s - GRACE_S
    return any(since <= line.time and until >= since_when for since, until, _ in evidence.stalls)


def _is_stopping(line: ErrorLine, evidence: Evidence) -> bool:
    return any(
        process.name == line.worker
        and process.asked_at is not None
        and process.asked_at <= line.time <= process.ended + CLOCKS_S
        for process in evidence.processes
    )


def _moved(at: float, evidence: Evidence) -> bool:
    """Whether a member came, went or stopped not long before."""
    moves = [time for each in evidence.processes for time in (each.started, each.ended)]
    moves += [time for each in evidence.processes for pause in each.pauses for time in pause]
    return any(at - REBALANCE_S <= time <= at + CLOCKS_S for time in moves)


INVARIANTS: Mapping[str, Invariant] = {
    "I1": one_verdict,
    "I2": only_known_repeats,
    "I3": no_needless_execution,
    "I4": never_past_unsettled,
    "I5": comes_to_rest,
    "I6": no_unexpected_error,
}


def judge(evidence: Evidence) -> dict[str, list[str]]:
    """Per invariant, what contradicts it; all lists are empty for a good run."""
    return {name: list(invariant(evidence)) for name, invariant in INVARIANTS.items()}

"""The oracle: six invariants, each a function of the evidence that returns what contradicts it."""

from __future__ import annotations

import bisect
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from itertools import groupby

from tests.chaos.evidence import CLOCKS_S, ErrorLine, Evidence, Process
from tests.chaos.executions import no_needless_execution
from tests.chaos.owed import answers_to, refusals
from tests.chaos.repeats import only_known_repeats
from tests.chaos.verdicts import one_verdict

LOST_AND_FOUND = ("OffsetCommit failed", "Heartbeat session expired", "StaleMetadata: Broker id")
"""What the Kafka library calls an error and puts right by itself: a member was too slow for its session and
joins again; the coordinator went back to a node of which metadata, minutes old, do not know that it is up.
"""

IDLE_TASKS = 10
"""How many tasks more a worker may have at rest than the smallest number it was ever seen with."""

GROWTH = 32 * 2**20
"""How many bytes a worker may hold more than at its first look; of 3,180 workers none came to 18 MiB."""

AFTER_OUTAGE_S = 10.0
"""How long after the broker is back, or a stopped process goes on, a client's library may complain."""

STOP_S, START_S = 12.0, 2.0
"""How long a stop looks for a broker that is away, and how long a start takes to install its handlers."""

Invariant = Callable[[Evidence], Iterator[str]]


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
    """I6: no line at ERROR in any log, but those of the Kafka library while the broker is away or
    after a SIGSTOP, and of a start without broker or database.
    """
    for line in evidence.errors:
        away = {
            what for since, until, what in evidence.outages if since <= line.time <= until + AFTER_OUTAGE_S
        }
        library = line.logger.startswith("aiokafka") and (
            "broker" in away
            or _was_paused(line, evidence)
            or any(words in line.text for words in LOST_AND_FOUND)
        )
        start = line.logger == "langgraph_integration.service" and "cannot run" in line.text and away
        if not library and not start:
            yield f"{line.worker}: {line.text[:500]}"


INVARIANTS: Mapping[str, Invariant] = {
    "I1": one_verdict,
    "I2": only_known_repeats,
    "I3": no_needless_execution,
    "I4": never_past_unsettled,
    "I5": comes_to_rest,
    "I6": no_unexpected_error,
}


def _was_paused(line: ErrorLine, evidence: Evidence) -> bool:
    return any(
        since <= line.time <= until + AFTER_OUTAGE_S
        for process in evidence.processes
        if process.name == line.worker
        for since, until in process.pauses
    )


def judge(evidence: Evidence) -> dict[str, list[str]]:
    """Per invariant, what contradicts it; all lists are empty for a good run."""
    return {name: list(invariant(evidence)) for name, invariant in INVARIANTS.items()}

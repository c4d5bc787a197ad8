"""The oracle: six invariants, each a function of the evidence that returns what contradicts it."""

from __future__ import annotations

import bisect
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from itertools import groupby

from tests.chaos.evidence import CLOCKS_S, Answer, Ask, ErrorLine, Evidence, Letter, Process, Settled, Step
from tests.chaos.executions import no_needless_execution
from tests.chaos.recipes import NODES

MEMBERSHIP_LOST = ("OffsetCommit failed", "Heartbeat session expired")
"""What the Kafka library calls an error when a member was too slow for its session: it joins again."""

IDLE_TASKS = 10
"""How many tasks more a worker may have at rest than the smallest number it was ever seen with."""

AFTER_OUTAGE_S = 10.0
"""How long after the broker is back, or a stopped process goes on, a client's library may complain."""

STOP_S, START_S = 12.0, 2.0
"""How long a stop looks for a broker that is away, and how long a start takes to install its handlers."""

Invariant = Callable[[Evidence], Iterator[str]]


def one_verdict(evidence: Evidence) -> Iterator[str]:
    """I1: one verdict for every ask, its dead letter exactly where the table of endings has one."""
    missing = evidence.acknowledged - {(ask.partition, ask.offset) for ask in evidence.asks}
    if missing:
        yield f"{len(missing)} acknowledged records are not on the topic: {sorted(missing)[:5]}"
    answers = evidence.answers_by_event()
    letters = _letters_by_event(evidence)
    asked = evidence.asks_by_event()
    for event_id, asks in asked.items():
        yield from _verdicts_of(
            event_id, asks, answers.get(event_id, []), letters.get(event_id, []), evidence
        )
    for event_id in answers.keys() - asked.keys():
        yield f"{event_id}: answered, and never asked"
    yield from _letters_of_records(evidence)


def _verdicts_of(
    event_id: str, asks: list[Ask], answers: list[Answer], letters: list[Letter], evidence: Evidence
) -> Iterator[str]:
    runs = [ask for ask in asks if ask.role != "conflict"]
    for attempt, copies in _by_attempt(answers).items():
        if len({answer.result_id for answer in copies}) > 1:
            statuses = sorted({answer.status for answer in copies})
            yield f"{event_id}: attempt {attempt} has {len(copies)} answers of different ids: {statuses}"
        if attempt not in {ask.attempt for ask in asks}:
            yield f"{event_id}: an answer to attempt {attempt}, which was never asked"
    for ask in runs:
        if not _is_answered(ask, answers):
            yield f"{event_id}: attempt {ask.attempt} ({ask.role}, {ask.kind}) has no answer: LOST"
    for answer in answers:
        yield from _wrong_ending(event_id, answer, asks[0], letters, evidence)
    errors = {answer.attempt for answer in answers if answer.status == "error"}
    for letter in letters:
        if letter.reason != "conflict" and letter.attempt not in errors:
            yield f"{event_id}: a dead letter ({letter.reason}) for {letter.attempt} without its error"


def _is_answered(ask: Ask, answers: list[Answer]) -> bool:
    """By a verdict of its attempt or of a later one, or by a success from before that was sent again."""
    return any(
        answer.attempt >= ask.attempt or (answer.status == "success" and answer.time >= ask.time - CLOCKS_S)
        for answer in answers
    )


def _wrong_ending(
    event_id: str, answer: Answer, first: Ask, letters: list[Letter], evidence: Evidence
) -> Iterator[str]:
    mine = [each for each in letters if each.attempt == answer.attempt and each.reason != "conflict"]
    if (answer.status == "error") != bool(mine):
        yield f"{event_id}: status {answer.status} with {len(mine)} dead letters"
    if answer.status in ("success", "failure") and answer.path != NODES:
        yield f"{event_id}: ended with the path {list(answer.path)}: its state is not that of one run"
    reasons = {letter.reason for letter in mine}
    if answer.status not in _endings(first) and reasons != {"crash-loop"}:
        yield f"{event_id}: {first.kind} ended as {answer.status} ({answer.error})"
    if "crash-loop" in reasons and first.kind not in ("crash-loop", "deadly"):
        claims = evidence.claims.get(event_id, 0)
        if claims <= evidence.max_claims:
            yield f"{event_id}: called a crash loop after {claims} claims, {evidence.max_claims} are allowed"


def _endings(first: Ask) -> set[str]:
    match first.kind:
        case "good" | "flaky" | "deadly":
            return {"success"}
        case "failing":
            return {"failure"}
        case "mended":
            return {"success", "error"}
        case "exhausted" | "broken" | "crash-loop" | None:
            return {"error"}


def _letters_of_records(evidence: Evidence) -> Iterator[str]:
    """Conflicts and unreadable records: one distinct letter at their own position, none for the others."""
    by_position: defaultdict[tuple[int, int], list[Letter]] = defaultdict(list)
    for letter in evidence.letters:
        by_position[letter.partition, letter.offset].append(letter)
    for ask in evidence.asks:
        found = by_position.get((ask.partition, ask.offset), [])
        if ask.role == "garbage" and {letter.reason for letter in found} != {"invalid"}:
            yield f"garbage at {ask.partition}/{ask.offset} has the dead letters {[x.reason for x in found]}"
        if ask.role == "other-type" and found:
            yield f"an event of another type at {ask.partition}/{ask.offset} became a dead letter"
        if len({letter.dlq_id for letter in found if letter.reason in ("invalid", "conflict")}) > 1:
            yield f"the record at {ask.partition}/{ask.offset} has several dead letters of different ids"
    for event_id, asks in evidence.asks_by_event().items():
        if any(ask.role == "conflict" for ask in asks):
            # either payload may have come first, when the first owner was stopped between the two
            letters = [each for ask in asks for each in by_position.get((ask.partition, ask.offset), [])]
            if not any(letter.reason == "conflict" for letter in letters):
                yield f"{event_id}: two payloads, and no dead letter that says conflict"


def only_known_repeats(evidence: Evidence) -> Iterator[str]:
    """I2: repeats are equal to the byte; a kill or a repeated ask explains each of them."""
    settled = _first_settled(evidence)
    yield from _other_letters(evidence)
    disturbed = sorted([process.ended for process in evidence.kills()] + [at for at, _ in _pauses(evidence)])
    outages = [(since, until) for since, until, _ in evidence.outages]
    asks = evidence.asks_by_event()
    steps: defaultdict[str, list[float]] = defaultdict(list)
    for step in evidence.steps:
        steps[step.event_id].append(step.time)
    for event_id, answers in evidence.answers_by_event().items():
        for attempt, copies in _by_attempt(answers).items():
            if len({answer.digest for answer in copies}) > 1:
                yield f"{event_id}: attempt {attempt} was repeated with other bytes"
            repeats = len(copies) - 1
            if repeats == 0:
                continue
            asked_again = len([ask for ask in asks.get(event_id, []) if ask.role != "conflict"]) - 1
            # what was sent as its process was killed may be appended after its death
            since = max((at for at in steps[event_id] if at <= copies[0].time), default=copies[0].time)
            since -= CLOCKS_S
            marked = settled.get((event_id, attempt))
            # a repeated ask opens the window anew, and a kill in it leaves both records to be answered
            until = marked.time if marked and not asked_again else copies[-1].time
            kills = bisect.bisect_right(disturbed, until + CLOCKS_S) - bisect.bisect_left(disturbed, since)
            kills += sum(start <= until and end >= since for start, end in outages)
            if repeats > asked_again + kills * (1 + asked_again):
                yield (
                    f"{event_id}: attempt {attempt} was published {len(copies)} times with {kills} kills "
                    f"before it was marked and {asked_again} repeated asks"
                )


def _other_letters(evidence: Evidence) -> Iterator[str]:
    digests: defaultdict[str, set[str]] = defaultdict(set)
    for letter in evidence.letters:
        digests[letter.dlq_id].add(letter.digest)
    for dlq_id, found in digests.items():
        if len(found) > 1:
            yield f"the dead letter {dlq_id} was repeated with other bytes"


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
    answers = evidence.answers_by_event()
    lettered: defaultdict[tuple[int, int], list[Letter]] = defaultdict(list)
    for letter in evidence.letters:
        lettered[letter.partition, letter.offset].append(letter)
    found: defaultdict[int, list[tuple[int, float, str]]] = defaultdict(list)
    for ask in sorted(evidence.asks, key=lambda each: (each.partition, each.offset)):
        if ask.role in ("conflict", "other-type"):
            continue
        letters = lettered.get((ask.partition, ask.offset), [])
        times = [each.time for each in letters if ask.role == "garbage" or each.reason == "conflict"]
        for answer in answers.get(ask.event_id or "", []):
            # an earlier success answers a greater attempt too
            if answer.attempt >= ask.attempt or answer.status == "success":
                times.append(answer.time)
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
        if own[-1].rss > 2 * own[0].rss + 100 * 2**20:
            yield f"pid {pid}: grew from {own[0].rss >> 20} to {own[-1].rss >> 20} MiB"
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
            or any(words in line.text for words in MEMBERSHIP_LOST)
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


def in_flight(process: Process, steps: list[Step], settled: list[Settled]) -> bool:
    """Whether a worker had begun a run when it ended whose verdict it had not published.

    `steps` and `settled` are those of this process.
    """
    done = {(each.event_id) for each in settled}
    return any(step.event_id not in done for step in steps if step.time >= process.started)


def _by_attempt(answers: list[Answer]) -> Mapping[int, list[Answer]]:
    found: defaultdict[int, list[Answer]] = defaultdict(list)
    for answer in sorted(answers, key=lambda each: each.time):
        found[answer.attempt].append(answer)
    return found


def _letters_by_event(evidence: Evidence) -> Mapping[str, list[Letter]]:
    found: defaultdict[str, list[Letter]] = defaultdict(list)
    for letter in evidence.letters:
        if letter.event_id is not None:
            found[letter.event_id].append(letter)
    return found


def _first_settled(evidence: Evidence) -> Mapping[tuple[str, int], Settled]:
    found: dict[tuple[str, int], Settled] = {}
    for each in sorted(evidence.settled, key=lambda settled: settled.time):
        found.setdefault((each.event_id, each.attempt), each)
    return found


def _pauses(evidence: Evidence) -> list[tuple[float, float]]:
    return [pause for process in evidence.processes for pause in process.pauses]

"""I1: which verdicts and dead letters there must be, and which there must not."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

from tests.chaos.claims import explained_claims
from tests.chaos.evidence import Answer, Ask, Evidence, Letter, Step
from tests.chaos.owed import answers_to, refusals
from tests.chaos.recipes import NODES


def one_verdict(evidence: Evidence) -> Iterator[str]:
    """I1: one verdict for every ask, after it; its dead letter exactly where the table of endings has one."""
    missing = evidence.acknowledged - {(ask.partition, ask.offset) for ask in evidence.asks}
    if missing:
        yield f"{len(missing)} acknowledged records are not on the topic: {sorted(missing)[:5]}"
    answers, letters, steps = (
        evidence.answers_by_event(),
        evidence.letters_by_event(),
        evidence.steps_by_event(),
    )
    asked = evidence.asks_by_event()
    for event_id, asks in asked.items():
        mine, own = answers.get(event_id, []), letters.get(event_id, [])
        yield from _unanswered(event_id, asks, mine, own)
        yield from _verdicts_of(event_id, asks, mine, own)
        yield from _states_of_others(event_id, asks, mine, own)
        for answer in mine:
            yield from _wrong_ending(event_id, answer, asks[0], own)
            if _is_crash_loop(answer, own) and asks[0].kind not in ("crash-loop", "deadly"):
                yield from _needless_blame(answer, asks, steps.get(event_id, []), evidence)
    for event_id in answers.keys() - asked.keys():
        yield f"{event_id}: answered, and never asked"
    yield from _letters_of_records(evidence)


def _unanswered(
    event_id: str, asks: Sequence[Ask], answers: Sequence[Answer], letters: Sequence[Letter]
) -> Iterator[str]:
    refused = refusals(asks, letters)
    sides = {ask.role == "conflict" for ask in asks if (ask.partition, ask.offset) in refused}
    # either payload may have come first, when the first owner was stopped between the two
    if len(sides) > 1:
        yield f"{event_id}: asks of both payloads were refused as conflicts"
    if sides == {False} and not any(ask.role == "conflict" for ask in asks):
        yield f"{event_id}: refused as a conflict, and has one payload only"
    for ask in asks:
        if (ask.partition, ask.offset) not in refused and not answers_to(ask, answers):
            before = f", {len(answers)} from before it" if answers else ""
            yield (
                f"{event_id}: attempt {ask.attempt} ({ask.role}, {ask.kind}) at {ask.partition}/{ask.offset} "
                f"has no answer{before}: LOST"
            )


def _verdicts_of(
    event_id: str, asks: Sequence[Ask], answers: Sequence[Answer], letters: Sequence[Letter]
) -> Iterator[str]:
    by_attempt: defaultdict[int, list[Answer]] = defaultdict(list)
    for answer in answers:
        by_attempt[answer.attempt].append(answer)
    for attempt, copies in by_attempt.items():
        if len({answer.result_id for answer in copies}) > 1:
            statuses = sorted({answer.status for answer in copies})
            yield f"{event_id}: attempt {attempt} has {len(copies)} answers of different ids: {statuses}"
        if attempt not in {ask.attempt for ask in asks}:
            yield f"{event_id}: an answer to attempt {attempt}, which was never asked"
    errors = {answer.attempt for answer in answers if answer.status == "error"}
    for letter in letters:
        if letter.reason != "conflict" and letter.attempt not in errors:
            yield f"{event_id}: a dead letter ({letter.reason}) for {letter.attempt} without its error"


def _states_of_others(
    event_id: str, asks: Sequence[Ask], answers: Sequence[Answer], letters: Sequence[Letter]
) -> Iterator[str]:
    """Each node has run for this event, with the payload that was not refused."""
    refused = refusals(asks, letters)
    tokens = {ask.token for ask in asks if (ask.partition, ask.offset) not in refused and ask.token}
    own = {(token,) * len(NODES) for token in tokens}
    for answer in answers:
        told = answer.status in ("success", "failure") and answer.tokens is not None
        if told and own and answer.tokens not in own:
            yield f"{event_id}: the state is not of its payload: {answer.tokens}, and not {sorted(tokens)}"


def _wrong_ending(event_id: str, answer: Answer, first: Ask, letters: Sequence[Letter]) -> Iterator[str]:
    mine = _letters_of(answer, letters)
    if (answer.status == "error") != bool(mine):
        yield f"{event_id}: status {answer.status} with {len(mine)} dead letters"
    if answer.status in ("success", "failure") and answer.path != NODES:
        yield f"{event_id}: ended with the path {list(answer.path)}: its state is not that of one run"
    reasons = {letter.reason for letter in mine}
    if answer.status not in _endings(first) and reasons != {"crash-loop"}:
        yield f"{event_id}: {first.kind} ended as {answer.status} ({answer.error})"
    elif not reasons <= {_reason(first), "crash-loop"}:
        yield f"{event_id}: {first.kind} has a dead letter that says {', '.join(sorted(reasons))}"


def _is_crash_loop(answer: Answer, letters: Sequence[Letter]) -> bool:
    return any(letter.reason == "crash-loop" for letter in _letters_of(answer, letters))


def _needless_blame(
    answer: Answer, asks: Sequence[Ask], steps: Sequence[Step], evidence: Evidence
) -> Iterator[str]:
    """An event that does not end its process may be called a crash loop only if others ended it so often."""
    claims, event_id = evidence.claims.get(answer.event_id, 0), answer.event_id
    if claims <= evidence.max_claims:
        yield f"{event_id}: called a crash loop after {claims} claims, {evidence.max_claims} are allowed"
    explained = explained_claims(answer, asks, steps, evidence)
    if claims > explained:
        yield f"{event_id}: {claims} claims count against it, {explained} are explained by lost owners"


def _letters_of(answer: Answer, letters: Sequence[Letter]) -> list[Letter]:
    return [each for each in letters if each.attempt == answer.attempt and each.reason != "conflict"]


def _endings(first: Ask) -> set[str]:
    match first.kind:
        case "good" | "flaky" | "told-to-wait" | "deadly":
            return {"success"}
        case "failing":
            return {"failure"}
        case "mended":
            return {"success", "error"}
        case "exhausted" | "broken" | "crash-loop" | None:
            return {"error"}


def _reason(first: Ask) -> str | None:
    """What its dead letter says; a crash loop is another matter, see `_needless_blame`."""
    match first.kind:
        case "broken" | "mended":
            return "permanent"
        case "exhausted":
            return "retries-exhausted"
        case "crash-loop":
            return "crash-loop"
        case "good" | "flaky" | "told-to-wait" | "deadly" | "failing":
            return None
        case None:
            return "invalid"


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
        if any(ask.role == "conflict" for ask in asks) and not refusals(asks, _found(asks, by_position)):
            yield f"{event_id}: two payloads, and no dead letter that says conflict"


def _found(asks: Sequence[Ask], by_position: Mapping[tuple[int, int], list[Letter]]) -> list[Letter]:
    return [each for ask in asks for each in by_position.get((ask.partition, ask.offset), [])]

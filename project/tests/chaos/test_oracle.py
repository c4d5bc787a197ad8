"""The oracle itself: a good run passes, and each way of being wrong is named by the invariant it breaks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.chaos.evidence import (
    Answer,
    Ask,
    ErrorLine,
    Evidence,
    Letter,
    Process,
    Sample,
    Settled,
    Size,
    Step,
)
from tests.chaos.executions import in_flight
from tests.chaos.nursery import Life
from tests.chaos.oracle import INVARIANTS, judge
from tests.chaos.programme import identity
from tests.chaos.repeats import only_known_repeats

GOOD, BAD, DEADLY = "good", "bad", "deadly"
"""Event ids: one that succeeds, one that ends as an error, one whose first worker was killed in node b."""

Spoil = Callable[[Evidence], None]


def _answer(event_id: str, at: float, status: str = "success", attempt: int = 1) -> Answer:
    path = ("a", "b", "c") if status != "error" else ()
    return Answer(
        event_id, attempt, status, f"{event_id}/{attempt}/{status}", f"{event_id}-{attempt}", at, path
    )


def _letter(event_id: str, at: float, offset: int, reason: str = "permanent") -> Letter:
    return Letter(f"dlq-{event_id}", event_id, 1, reason, 0, offset, f"letter-{event_id}", at)


def _steps(event_id: str, pid: int, at: float, nodes: str = "abc", epoch: int = 1) -> list[Step]:
    times = [at + index / 10 for index in range(2 * len(nodes))]
    return [
        Step(event_id, node, what, epoch, pid, times[2 * index + (what == "end")])
        for index, node in enumerate(nodes)
        for what in ("start", "end")
    ]


def _sizes(since: float, until: float) -> list[Size]:
    """Of w2, as often as a worker notes its size."""
    times = [since + index / 2 for index in range(int(2 * (until - since)) + 1)]
    return [Size(2, at, 9, 2**27) for at in times]


def good_run() -> Evidence:
    """Three events, a conflict, a line of garbage and a second attempt; one worker killed at 102.25."""
    cut = [*_steps(DEADLY, 1, 102.0, "ab")[:3]]
    return Evidence(
        asks=[
            Ask("first", GOOD, 1, 0, 0, 100.0, "good"),
            Ask("first", BAD, 1, 0, 1, 100.1, "broken"),
            Ask("first", DEADLY, 1, 0, 2, 100.2, "good"),
            Ask("conflict", GOOD, 1, 0, 3, 100.3, "good"),
            Ask("garbage", None, 1, 0, 4, 100.4),
            Ask("raised", BAD, 2, 0, 5, 101.5, "broken"),
        ],
        acknowledged={(0, offset) for offset in range(6)},
        answers=[
            _answer(GOOD, 101.0),
            _answer(BAD, 101.1, "error"),
            _answer(DEADLY, 106.0),
            _answer(BAD, 106.5, "error", attempt=2),
        ],
        letters=[
            _letter(BAD, 101.1, 1),
            replace(_letter(GOOD, 101.2, 3, "conflict"), dlq_id="dlq-at-3"),
            replace(_letter(GOOD, 101.3, 4, "invalid"), event_id=None, dlq_id="dlq-at-4"),
            replace(_letter(BAD, 106.4, 5), attempt=2, dlq_id="dlq-at-5"),
        ],
        steps=[
            *_steps(GOOD, 1, 100.2),
            *_steps(BAD, 1, 100.3, "a")[:1],
            Step(BAD, "a", "raise", 1, 1, 100.4),
            *cut,
            *_steps(DEADLY, 2, 105.0, "bc", epoch=2),
            Step(BAD, "a", "start", 2, 2, 106.3),
            Step(BAD, "a", "raise", 2, 2, 106.35),
        ],
        settled=[
            Settled(GOOD, 1, 1, 101.01),
            Settled(BAD, 1, 1, 101.11),
            Settled(DEADLY, 1, 2, 106.01),
            Settled(BAD, 2, 2, 106.51),
        ],
        processes=[
            Process("w1", 1, 99.0, 102.25, -9),
            Process("w2", 2, 103.0, 110.0, 0, asked_at=109.9, at_rest=True),
        ],
        samples=[
            Sample(100.5, {0: 0}, {0: 5}),
            Sample(101.5, {0: 2}, {0: 5}),
            Sample(106.2, {0: 5}, {0: 6}),
            Sample(107.0, {0: 6}, {0: 6}),
        ],
        sizes=[Size(1, 100.0, 8, 2**27), *_sizes(104.0, 109.5)],
    )


def test_a_good_run_contradicts_nothing() -> None:
    """Kills, repeats that a kill explains, errors with their dead letters: all of it is allowed."""
    assert judge(good_run()) == {name: [] for name in INVARIANTS}


def _an_answer_is_missing(evidence: Evidence) -> None:
    del evidence.answers[0]


def _an_acknowledged_record_is_gone(evidence: Evidence) -> None:
    evidence.acknowledged.add((0, 17))


def _two_verdicts(evidence: Evidence) -> None:
    evidence.answers.append(replace(_answer(GOOD, 101.5, "error")))


def _a_verdict_nobody_asked_for(evidence: Evidence) -> None:
    evidence.answers.append(_answer("stranger", 101.5))


def _an_error_without_its_letter(evidence: Evidence) -> None:
    del evidence.letters[0]


def _a_success_with_a_letter(evidence: Evidence) -> None:
    evidence.letters.append(_letter(GOOD, 101.0, 0))


def _a_state_of_two_runs(evidence: Evidence) -> None:
    evidence.answers[0] = replace(evidence.answers[0], path=("a", "a", "b", "c"))


def _a_good_one_ends_as_an_error(evidence: Evidence) -> None:
    evidence.answers[0] = _answer(GOOD, 101.0, "error")
    evidence.letters.append(_letter(GOOD, 101.0, 0))


def _a_crash_loop_without_crashes(evidence: Evidence) -> None:
    evidence.answers[2] = _answer(DEADLY, 106.0, "error")
    evidence.letters.append(_letter(DEADLY, 106.0, 2, "crash-loop"))


def _a_crash_loop_after_one_crash(evidence: Evidence) -> None:
    _a_crash_loop_without_crashes(evidence)
    evidence.claims[DEADLY] = evidence.max_claims + 1


def _asked_again(evidence: Evidence, event_id: str, at: float) -> Ask:
    """The last record of the topic: the first ask of the event once more, committed at 107.0."""
    ask = Ask("again", event_id, 1, 0, 6, at, "good")
    evidence.asks.append(ask)
    evidence.acknowledged.add((0, 6))
    evidence.samples[-1] = Sample(107.0, {0: 7}, {0: 7})
    return ask


def _a_repeated_ask_is_passed_over(evidence: Evidence) -> None:
    _asked_again(evidence, GOOD, 105.0)


def _a_repeated_ask_is_answered_too_late(evidence: Evidence) -> None:
    _asked_again(evidence, GOOD, 105.0)
    evidence.answers.append(_answer(GOOD, 107.5))


def _a_repeated_ask_is_refused(evidence: Evidence) -> None:
    again = _asked_again(evidence, BAD, 103.0)
    evidence.letters.append(replace(_letter(BAD, 103.2, again.offset, "conflict"), dlq_id="dlq-at-6"))


def _both_payloads_are_refused(evidence: Evidence) -> None:
    again = _asked_again(evidence, GOOD, 103.0)
    evidence.letters.append(replace(_letter(GOOD, 103.2, again.offset, "conflict"), dlq_id="dlq-at-6"))


def _a_commit_runs_ahead_of_a_refusal(evidence: Evidence) -> None:
    evidence.letters[1] = replace(evidence.letters[1], time=107.5)


def _a_letter_gives_another_reason(evidence: Evidence) -> None:
    evidence.letters[0] = replace(evidence.letters[0], reason="timeout")


def _no_letter_for_the_conflict(evidence: Evidence) -> None:
    del evidence.letters[1]


def _no_letter_for_the_garbage(evidence: Evidence) -> None:
    del evidence.letters[2]


def _another_text_in_the_repeat(evidence: Evidence) -> None:
    evidence.answers.append(replace(_answer(DEADLY, 106.005), digest="other"))


def _a_repeat_without_a_reason(evidence: Evidence) -> None:
    evidence.answers.append(_answer(DEADLY, 106.5))


def _a_repeat_and_the_death_of_a_stranger(evidence: Evidence) -> None:
    # killed between the last step and the mark, but the one that ran it goes on and marks it
    evidence.processes.append(Process("w3", 3, 80.0, 105.9, -9))
    evidence.answers.append(_answer(DEADLY, 106.005))


def _late(evidence: Evidence, *times: float) -> None:
    """One that w1 had run when it was killed at 102.25; w2 sends its verdict at these times and marks it."""
    evidence.asks.append(Ask("first", "late", 1, 0, 6, 101.5, "good"))
    evidence.steps += _steps("late", 1, 101.6)
    evidence.answers += [_answer("late", at) for at in times]
    evidence.settled.append(Settled("late", 1, 2, times[-1] + 0.03))


def _an_heir_that_nobody_hurts_sends_twice(evidence: Evidence) -> None:
    # the first owner was lost before it sent anything: that explains the heir, and no repeat
    _late(evidence, 105.0, 105.02)


def _an_heir_sends_twice_after_the_death_of_a_stranger(evidence: Evidence) -> None:
    # there was no copy yet
    evidence.processes.append(Process("w3", 3, 100.0, 103.5, -9))
    _late(evidence, 105.0, 105.02)


def _an_heir_sends_twice_and_a_stranger_dies_later(evidence: Evidence) -> None:
    evidence.processes.append(Process("w3", 3, 100.0, 105.5, -9))
    _late(evidence, 105.0, 105.02)


def _one_death_explains_two_repeats(evidence: Evidence) -> None:
    _late(evidence, 102.2, 104.0, 104.02)


def _a_repeat_beside_a_death_at_a_claim(evidence: Evidence) -> None:
    # appended after its death, and nobody who dies there has sent anything for what it claims
    evidence.processes.append(Process("w3", 3, 100.0, 104.5, -9, point="after-claim"))
    _late(evidence, 104.7, 105.5)


def _a_repeat_long_after_an_outage(evidence: Evidence) -> None:
    evidence.outages.append((102.1, 102.4, "broker"))
    _late(evidence, 106.9, 106.95)


def _a_repeat_for_an_ask_that_was_answered_before(evidence: Evidence) -> None:
    evidence.answers.append(_answer(BAD, 106.6, "error", attempt=2))


def _a_letter_is_repeated_without_a_reason(evidence: Evidence) -> None:
    evidence.letters.append(replace(evidence.letters[0], time=101.105))


def _a_refusal_is_repeated_without_a_reason(evidence: Evidence) -> None:
    # the start of w1 was the only move of partitions
    evidence.letters += [replace(evidence.letters[1], time=at) for at in (101.3, 101.4)]


def _another_text_in_the_letter(evidence: Evidence) -> None:
    evidence.letters.append(replace(evidence.letters[0], digest="other"))


def _a_node_runs_twice(evidence: Evidence) -> None:
    evidence.steps += _steps(GOOD, 2, 105.0, "a", epoch=2)


def _a_finished_node_runs_again_after_a_kill(evidence: Evidence) -> None:
    # node b had begun, so the checkpoint after a was stored
    evidence.steps += _steps(DEADLY, 2, 104.0, "a", epoch=2)


def _the_last_node_runs_again_after_its_verdict(evidence: Evidence) -> None:
    # its first process was killed, but 1.25 s after it had told of the verdict
    evidence.steps += _steps(GOOD, 2, 105.0, "c", epoch=2)


def _the_last_node_runs_again_before_a_pause(evidence: Evidence) -> None:
    lived = replace(evidence.processes[0], ended=120.0, code=0, asked_at=119.9, pauses=((111.0, 112.0),))
    evidence.processes[0] = lived
    evidence.steps += _steps(GOOD, 2, 105.0, "c", epoch=2)


def _a_node_runs_after_an_error_nobody_asked_again(evidence: Evidence) -> None:
    evidence.steps += [Step(BAD, "a", "start", 3, 2, 107.0), Step(BAD, "a", "raise", 3, 2, 107.1)]


def _a_node_runs_again_long_after_its_end(evidence: Evidence) -> None:
    # no verdict yet, but its first process was killed ten seconds after it
    evidence.processes.append(Process("w3", 3, 80.0, 95.0, -9))
    evidence.steps += _steps(DEADLY, 3, 85.0, "a", epoch=0)


def _a_node_runs_again_though_an_heir_had_its_checkpoint(evidence: Evidence) -> None:
    evidence.steps = [each for each in evidence.steps if (each.event_id, each.pid) != (DEADLY, 1)]
    evidence.steps += _steps(DEADLY, 1, 102.0, "a")
    evidence.steps += _steps(DEADLY, 2, 105.4, "a", epoch=3)


def _a_node_is_cut_short_by_an_orderly_end(evidence: Evidence) -> None:
    evidence.processes.append(Process("w3", 3, 80.0, 95.0, 0, asked_at=94.0))
    evidence.steps.append(Step(DEADLY, "a", "start", 0, 3, 93.9))


def _a_node_is_given_up_long_before_a_kill(evidence: Evidence) -> None:
    # its process lives 24 s longer than the node takes, and nothing disturbs it
    evidence.asks[2] = replace(evidence.asks[2], time=70.0)
    evidence.processes.append(Process("w3", 3, 60.0, 99.5, -9))
    evidence.steps.append(Step(DEADLY, "a", "start", 0, 3, 75.0))


def _a_node_is_given_up_long_before_a_stop(evidence: Evidence) -> None:
    evidence.processes.append(Process("w3", 3, 60.0, 99.5, 0, asked_at=85.0, pauses=((90.0, 93.0),)))
    evidence.steps.append(Step(DEADLY, "a", "start", 0, 3, 75.0))


def _five_owners_in_a_row_lose_a_run(evidence: Evidence) -> None:
    # all of them are killed, but 18 s later and more
    evidence.asks[2] = replace(evidence.asks[2], time=60.0)
    for number in range(5):
        evidence.processes.append(Process("w3", 10 + number, 50.0, 99.5, -9))
        evidence.steps.append(Step(DEADLY, "a", "start", number - 5, 10 + number, 61.0 + 5 * number))


def _told_to_wait(evidence: Evidence, lost: float, again: float) -> None:
    """A node failed in w3 at 96.05, which was killed then, and ran again in w2."""
    evidence.asks[2] = replace(evidence.asks[2], time=95.0, kind="told-to-wait")
    evidence.processes.append(Process("w3", 3, 80.0, lost, -9))
    evidence.processes[1] = replace(evidence.processes[1], started=90.0)
    evidence.steps = [step for step in evidence.steps if step.event_id != DEADLY]
    evidence.steps += [
        Step(DEADLY, "a", "start", 1, 3, 96.0),
        Step(DEADLY, "a", "raise", 1, 3, 96.05),
        *_steps(DEADLY, 2, again, epoch=2),
    ]


def _an_heir_does_not_wait(evidence: Evidence) -> None:
    _told_to_wait(evidence, 99.5, 101.5)


def _a_process_does_not_wait(evidence: Evidence) -> None:
    _told_to_wait(evidence, 103.0, 101.0)
    evidence.steps = [replace(step, pid=3) if step.event_id == DEADLY else step for step in evidence.steps]


def _a_commit_runs_ahead_of_a_second_attempt(evidence: Evidence) -> None:
    evidence.samples[2] = Sample(106.2, {0: 6}, {0: 6})


def _a_commit_runs_ahead(evidence: Evidence) -> None:
    evidence.samples[1] = Sample(101.5, {0: 3}, {0: 5})


def _a_lag_is_left(evidence: Evidence) -> None:
    evidence.samples[-1] = Sample(107.0, {0: 4}, {0: 5})


def _tasks_are_left(evidence: Evidence) -> None:
    evidence.sizes[-1] = replace(evidence.sizes[-1], tasks=60)


def _memory_grows(evidence: Evidence) -> None:
    evidence.sizes[-1] = replace(evidence.sizes[-1], rss=2**30)


def _memory_grows_somewhat(evidence: Evidence) -> None:
    evidence.sizes[1] = replace(evidence.sizes[1], rss=evidence.sizes[1].rss - 40 * 2**20)


def _a_worker_gives_up(evidence: Evidence) -> None:
    evidence.processes[1] = replace(evidence.processes[1], asked_at=None, code=1)


def _a_stop_ends_badly(evidence: Evidence) -> None:
    evidence.processes[1] = replace(evidence.processes[1], code=1)


def _an_error_is_logged(evidence: Evidence) -> None:
    evidence.errors.append(ErrorLine("w1", 101.0, "langgraph_integration", "delivery handler failed"))


def _librarys(text: str, worker: str = "w2", at: float = 108.0) -> ErrorLine:
    logger = "asyncio" if "Unclosed" in text else "aiokafka.consumer.group_coordinator"
    return ErrorLine(worker, at, logger, text)


EXPIRED = "Heartbeat session expired - marking coordinator dead"
UNKNOWN = "OffsetCommit failed for group chaos due to group error ([Error 25] UnknownMemberIdError: chaos)"
PASSED_OVER = (
    "OffsetCommit failed for group chaos due to group error ([Error 22] IllegalGenerationError: chaos)"
)
STALE = "Unable connect to node with id 1: StaleMetadata: Broker id 1 not in current metadata"
UNCLOSED = "Unclosed AIOKafkaConnection"


def _a_session_expires_in_calm(evidence: Evidence) -> None:
    evidence.errors.append(_librarys(EXPIRED))


def _a_session_expires_beside_a_kill(evidence: Evidence) -> None:
    # heartbeats go on in a rebalance
    evidence.errors.append(_librarys(EXPIRED, at=104.0))


def _a_commit_fails(evidence: Evidence, line: str) -> None:
    """The last move of a partition is the start of w2 at 103.0."""
    evidence.processes[1] = replace(evidence.processes[1], ended=130.0, asked_at=129.9)
    evidence.errors.append(_librarys(line, at=118.5))


def _a_member_is_forgotten_in_calm(evidence: Evidence) -> None:
    _a_commit_fails(evidence, UNKNOWN)


def _a_commit_of_no_generation_in_calm(evidence: Evidence) -> None:
    _a_commit_fails(evidence, PASSED_OVER)


def _a_node_is_not_known_in_calm(evidence: Evidence) -> None:
    evidence.errors.append(_librarys(STALE))


def _a_connection_is_left_open_at_a_stop_in_calm(evidence: Evidence) -> None:
    evidence.errors.append(_librarys(UNCLOSED, at=109.95))


def _a_connection_is_left_open_in_an_outage(evidence: Evidence) -> None:
    # but by nobody who was told to end
    evidence.outages.append((107.0, 109.0, "broker"))
    evidence.errors.append(_librarys(UNCLOSED))


WRONG: list[tuple[str, Spoil]] = [
    ("I1", _an_answer_is_missing),
    ("I1", _an_acknowledged_record_is_gone),
    ("I1", _two_verdicts),
    ("I1", _a_verdict_nobody_asked_for),
    ("I1", _an_error_without_its_letter),
    ("I1", _a_success_with_a_letter),
    ("I1", _a_state_of_two_runs),
    ("I1", _a_good_one_ends_as_an_error),
    ("I1", _a_crash_loop_without_crashes),
    ("I1", _a_crash_loop_after_one_crash),
    ("I1", _a_repeated_ask_is_passed_over),
    ("I1", _a_repeated_ask_is_refused),
    ("I1", _both_payloads_are_refused),
    ("I1", _a_letter_gives_another_reason),
    ("I1", _no_letter_for_the_conflict),
    ("I1", _no_letter_for_the_garbage),
    ("I2", _another_text_in_the_repeat),
    ("I2", _a_repeat_without_a_reason),
    ("I2", _a_repeat_and_the_death_of_a_stranger),
    ("I2", _an_heir_that_nobody_hurts_sends_twice),
    ("I2", _an_heir_sends_twice_after_the_death_of_a_stranger),
    ("I2", _an_heir_sends_twice_and_a_stranger_dies_later),
    ("I2", _one_death_explains_two_repeats),
    ("I2", _a_repeat_beside_a_death_at_a_claim),
    ("I2", _a_repeat_long_after_an_outage),
    ("I2", _a_repeat_for_an_ask_that_was_answered_before),
    ("I2", _a_letter_is_repeated_without_a_reason),
    ("I2", _a_refusal_is_repeated_without_a_reason),
    ("I2", _another_text_in_the_letter),
    ("I3", _a_node_runs_twice),
    ("I3", _a_finished_node_runs_again_after_a_kill),
    ("I3", _the_last_node_runs_again_after_its_verdict),
    ("I3", _the_last_node_runs_again_before_a_pause),
    ("I3", _a_node_runs_after_an_error_nobody_asked_again),
    ("I3", _a_node_runs_again_long_after_its_end),
    ("I3", _a_node_runs_again_though_an_heir_had_its_checkpoint),
    ("I3", _a_node_is_cut_short_by_an_orderly_end),
    ("I3", _a_node_is_given_up_long_before_a_kill),
    ("I3", _a_node_is_given_up_long_before_a_stop),
    ("I3", _five_owners_in_a_row_lose_a_run),
    ("I3", _an_heir_does_not_wait),
    ("I3", _a_process_does_not_wait),
    ("I4", _a_commit_runs_ahead),
    ("I4", _a_commit_runs_ahead_of_a_refusal),
    ("I4", _a_repeated_ask_is_passed_over),
    ("I4", _a_repeated_ask_is_answered_too_late),
    ("I4", _a_commit_runs_ahead_of_a_second_attempt),
    ("I5", _a_lag_is_left),
    ("I5", _tasks_are_left),
    ("I5", _memory_grows),
    ("I5", _memory_grows_somewhat),
    ("I5", _a_worker_gives_up),
    ("I5", _a_stop_ends_badly),
    ("I6", _an_error_is_logged),
    ("I6", _a_session_expires_in_calm),
    ("I6", _a_session_expires_beside_a_kill),
    ("I6", _a_member_is_forgotten_in_calm),
    ("I6", _a_commit_of_no_generation_in_calm),
    ("I6", _a_node_is_not_known_in_calm),
    ("I6", _a_connection_is_left_open_at_a_stop_in_calm),
    ("I6", _a_connection_is_left_open_in_an_outage),
]


@pytest.mark.parametrize(
    ("invariant", "spoil"), WRONG, ids=[f"{name}-{spoil.__name__.strip('_')}" for name, spoil in WRONG]
)
def test_each_wrong_run_is_called_wrong(invariant: str, spoil: Spoil) -> None:
    """An oracle that cannot say no proves nothing."""
    evidence = good_run()
    spoil(evidence)

    assert judge(evidence)[invariant]


def _an_unsent_checkpoint(evidence: Evidence) -> None:
    # killed 0.15 s after the node's end, and nothing shows that its checkpoint was committed
    evidence.steps = [each for each in evidence.steps if (each.event_id, each.pid) != (DEADLY, 1)]
    evidence.steps += [*_steps(DEADLY, 1, 102.0, "a"), *_steps(DEADLY, 2, 104.5, "a", epoch=2)]


def _an_outage_before_the_kill(evidence: Evidence) -> None:
    evidence.outages.append((84.0, 95.0, "store"))
    evidence.processes.append(Process("w3", 3, 80.0, 97.0, -9))
    evidence.steps += _steps(DEADLY, 3, 84.5, "a", epoch=0)


def _a_lease_lost_in_a_pause(evidence: Evidence) -> None:
    # it goes on with what it was at, and is told at its next write
    evidence.processes.append(Process("w3", 3, 80.0, 110.0, 0, asked_at=109.9, pauses=((84.55, 106.5),)))
    evidence.steps += [Step(DEADLY, "a", "start", 0, 3, 84.5), Step(DEADLY, "a", "end", 0, 3, 106.55)]


def _a_start_noted_after_a_pause(evidence: Evidence) -> None:
    evidence.processes.append(Process("w3", 3, 80.0, 110.0, 0, asked_at=109.9, pauses=((84.5, 106.5),)))
    evidence.steps += [Step(DEADLY, "a", "start", 0, 3, 106.55), Step(DEADLY, "a", "end", 0, 3, 106.6)]


def _a_drain_without_an_end(evidence: Evidence) -> None:
    evidence.processes.append(Process("w3", 3, 60.0, 95.5, 0, asked_at=70.4))
    evidence.steps.append(Step(DEADLY, "a", "start", 0, 3, 70.0))


def _a_wait_that_was_kept(evidence: Evidence) -> None:
    _told_to_wait(evidence, 99.5, 102.1)


def _a_wait_that_was_not_written(evidence: Evidence) -> None:
    _told_to_wait(evidence, 96.2, 99.0)


def _a_wait_that_a_greater_attempt_ended(evidence: Evidence) -> None:
    _told_to_wait(evidence, 99.5, 101.5)
    evidence.asks.append(Ask("raised", DEADLY, 2, 0, 6, 101.0, "told-to-wait"))


@pytest.mark.parametrize(
    "excused",
    [
        _an_unsent_checkpoint,
        _an_outage_before_the_kill,
        _a_lease_lost_in_a_pause,
        _a_start_noted_after_a_pause,
        _a_drain_without_an_end,
        _a_wait_that_was_kept,
        _a_wait_that_was_not_written,
        _a_wait_that_a_greater_attempt_ended,
    ],
    ids=lambda excused: excused.__name__.strip("_"),
)
def test_a_node_may_run_again_where_its_checkpoint_is_not_certain(excused: Spoil) -> None:
    """What a crash, a pause or an outage can undo is not called a needless execution."""
    evidence = good_run()
    excused(evidence)

    assert judge(evidence)["I3"] == []


def _node_lasts(evidence: Evidence, seconds: float) -> None:
    evidence.asks[2] = replace(evidence.asks[2], lasts={"a": seconds})


def test_a_kill_excuses_a_node_as_long_as_its_recipe_makes_it_last() -> None:
    """And for as long as its end may be late."""
    evidence = good_run()
    _a_node_is_given_up_long_before_a_kill(evidence)
    _node_lasts(evidence, 19.0)
    assert judge(evidence)["I3"]

    _node_lasts(evidence, 20.0)
    assert judge(evidence)["I3"] == []


def test_a_pause_puts_off_when_a_node_must_have_ended() -> None:
    """It was stopped for most of the time."""
    evidence = good_run()
    _a_node_is_given_up_long_before_a_kill(evidence)
    evidence.processes[-1] = replace(evidence.processes[-1], pauses=((75.5, 95.0),))

    assert judge(evidence)["I3"] == []


def _paused_till(evidence: Evidence, until: float) -> None:
    evidence.processes[1] = replace(evidence.processes[1], pauses=((until - 3.0, until),))


def _without_a_turn_till(evidence: Evidence, until: float) -> None:
    evidence.sizes = [*_sizes(20.0, until - 3.0), *_sizes(until, 109.5)]


def _broker_away_till(evidence: Evidence, until: float) -> None:
    evidence.outages.append((until - 3.0, until, "broker"))


@pytest.mark.parametrize(
    ("line", "excuse", "last"),
    [
        (EXPIRED, _paused_till, 10.0),
        (EXPIRED, _without_a_turn_till, 10.0),
        (EXPIRED, _broker_away_till, 10.0),
        (STALE, _broker_away_till, 60.0),
    ],
)
def test_what_the_library_puts_right_by_itself_is_no_error_of_ours(
    line: str, excuse: Callable[[Evidence, float], None], last: float
) -> None:
    """Where something befell its process or its broker, not long before; and only from its own logger."""
    for before, logger, errors in (
        (last - 1.0, "aiokafka", 0),
        (last + 1.0, "aiokafka", 1),
        (last - 1.0, "langgraph_integration.engine", 1),
    ):
        evidence = good_run()
        evidence.processes[1] = replace(evidence.processes[1], started=20.0)
        excuse(evidence, 108.0 - before)
        evidence.errors.append(ErrorLine("w2", 108.0, logger, line))

        assert len(judge(evidence)["I6"]) == errors


@pytest.mark.parametrize("line", [PASSED_OVER, UNKNOWN])
def test_a_commit_may_be_of_a_generation_that_is_over(line: str) -> None:
    """Somebody came, and the group has another one, perhaps without this member."""
    evidence = good_run()
    _a_commit_fails(evidence, line)
    evidence.processes[1] = replace(evidence.processes[1], started=104.0)

    assert judge(evidence)["I6"] == []


def test_a_client_whose_broker_is_away_may_be_abandoned_at_the_stop() -> None:
    """Its connection is then found by the garbage collector, which says so."""
    evidence = good_run()
    evidence.outages.append((107.0, 109.0, "broker"))
    evidence.errors.append(_librarys(UNCLOSED, at=109.95))

    assert judge(evidence)["I6"] == []


def test_a_kill_explains_a_repeat_that_was_on_its_way_then() -> None:
    """Sent, the process killed at 102.25, appended, and sent again by the heir."""
    evidence = good_run()
    evidence.asks.append(Ask("first", "late", 1, 0, 6, 101.5, "good"))
    evidence.steps += _steps("late", 1, 101.6)
    evidence.answers += [_answer("late", 102.4), _answer("late", 103.0)]
    evidence.settled.append(Settled("late", 1, 2, 103.1))
    assert not list(only_known_repeats(evidence))

    evidence.steps += _steps("late", 2, 102.35, "c")[:1]
    assert len(list(only_known_repeats(evidence))) == 1


def test_after_the_loss_of_who_ran_it_an_heir_may_be_lost_unseen() -> None:
    """It has no node to run, and sends, and is killed before it can say so."""
    evidence = good_run()
    evidence.asks.append(Ask("first", "late", 1, 0, 6, 101.5, "good"))
    evidence.steps += _steps("late", 1, 101.6)
    evidence.answers += [_answer("late", at) for at in (102.3, 104.0, 104.5)]
    evidence.settled.append(Settled("late", 1, 2, 104.6))
    assert len(list(only_known_repeats(evidence))) == 1

    evidence.processes.append(Process("w3", 3, 100.0, 104.1, -9))
    assert not list(only_known_repeats(evidence))


def test_a_repeated_ask_may_have_been_sent_twice_by_anybody() -> None:
    """Whoever answers again notes nothing before it is done, so it is not known who was killed over it."""
    evidence = good_run()
    _asked_again(evidence, GOOD, 103.0)
    evidence.answers += [_answer(GOOD, at) for at in (103.2, 105.0)]
    assert len(list(only_known_repeats(evidence))) == 1

    evidence.processes.append(Process("w3", 3, 100.0, 103.3, -9))
    assert judge(evidence) == {name: [] for name in INVARIANTS}


def test_two_asks_of_one_live_run_have_one_answer() -> None:
    """The second one is absorbed, and the verdict comes after both."""
    evidence = good_run()
    _asked_again(evidence, DEADLY, 105.3)

    assert judge(evidence) == {name: [] for name in INVARIANTS}


def test_owners_that_were_lost_explain_a_crash_loop_of_the_innocent() -> None:
    """Four of them noted a step before they were killed; w1 and w4 may have been killed at their claims."""
    evidence = good_run()
    _a_crash_loop_without_crashes(evidence)
    evidence.asks[2] = replace(evidence.asks[2], time=82.0)
    evidence.claims[DEADLY] = 7
    evidence.steps = [step for step in evidence.steps if step.event_id != DEADLY]
    for number in range(4):
        at = 84.0 + 3 * number
        evidence.steps.append(Step(DEADLY, "b", "start", number + 1, 10 + number, at))
        evidence.processes.append(Process("w3", 10 + number, at - 1, at + 0.5, -9))
    assert len(judge(evidence)["I1"]) == 1

    evidence.processes.append(Process("w4", 20, 93.0, 95.1, -9))
    assert judge(evidence)["I1"] == []


def test_a_kill_is_in_flight_only_where_it_ends_a_run() -> None:
    """Not in one that was settled, nor in one that somebody else has had since."""
    evidence = good_run()
    killed = evidence.processes[0]

    def held(process: Process) -> bool:
        return in_flight(process, evidence.steps_by_event(), evidence.settled_by_event())

    assert held(killed)
    assert not held(replace(killed, ended=101.5))

    evidence.steps += _steps(DEADLY, 2, 102.22, "b", epoch=2)
    assert not held(killed)


def test_processes_that_had_the_same_id_are_told_apart() -> None:
    """A run of some minutes uses up the ids of the system: what one has done is not the other's."""
    lives = [Life("w", 7, 10.0, ended=20.0), Life("v", 7, 30.0, ended=40.0, namesakes=1), Life("u", 8, 5.0)]

    assert identity(7, 9.9, lives) == identity(7, 20.0, lives) == 7
    assert identity(7, 29.9, lives) == identity(7, 35.0, lives) == lives[1].identity != 7
    assert identity(8, 1000.0, lives) == 8

"""Ways of being wrong, each with the invariant that it breaks; each changes the evidence of a good run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from tests.chaos.evidence import Ask, ErrorLine, Evidence, Process, Sample, Settled, Step
from tests.chaos.good_run import BAD, DEADLY, GOOD, answer, letter, steps, token

Spoil = Callable[[Evidence], None]


def _an_answer_is_missing(evidence: Evidence) -> None:
    del evidence.answers[0]


def _an_acknowledged_record_is_gone(evidence: Evidence) -> None:
    evidence.acknowledged.add((0, 17))


def _two_verdicts(evidence: Evidence) -> None:
    evidence.answers.append(replace(answer(GOOD, 101.5, "error")))


def _a_verdict_nobody_asked_for(evidence: Evidence) -> None:
    evidence.answers.append(answer("stranger", 101.5))


def _an_error_without_its_letter(evidence: Evidence) -> None:
    del evidence.letters[0]


def _a_success_with_a_letter(evidence: Evidence) -> None:
    evidence.letters.append(letter(GOOD, 101.0, 0))


def _a_state_of_two_runs(evidence: Evidence) -> None:
    evidence.answers[0] = replace(evidence.answers[0], path=("a", "a", "b", "c"))


def _two_answers_have_each_others_states(evidence: Evidence) -> None:
    one, other = evidence.answers[0], evidence.answers[2]
    evidence.answers[0] = replace(one, tokens=other.tokens)
    evidence.answers[2] = replace(other, tokens=one.tokens)


def _one_node_ran_for_another_event(evidence: Evidence) -> None:
    evidence.answers[0] = replace(evidence.answers[0], tokens=(token(GOOD), token(DEADLY), token(GOOD)))


def _the_payload_that_was_refused_is_answered(evidence: Evidence) -> None:
    evidence.answers[0] = replace(evidence.answers[0], tokens=(token("other payload"),) * 3)


def _a_state_without_tokens(evidence: Evidence) -> None:
    evidence.answers[0] = replace(evidence.answers[0], tokens=())


def _a_good_one_ends_as_an_error(evidence: Evidence) -> None:
    evidence.answers[0] = answer(GOOD, 101.0, "error")
    evidence.letters.append(letter(GOOD, 101.0, 0))


def a_crash_loop_without_crashes(evidence: Evidence) -> None:
    evidence.answers[2] = answer(DEADLY, 106.0, "error")
    evidence.letters.append(letter(DEADLY, 106.0, 2, "crash-loop"))


def _a_crash_loop_after_one_crash(evidence: Evidence) -> None:
    a_crash_loop_without_crashes(evidence)
    evidence.claims[DEADLY] = evidence.max_claims + 1


def asked_again(evidence: Evidence, event_id: str, at: float) -> Ask:
    """The last record of the topic: the first ask of the event once more, committed at 107.0."""
    ask = Ask("again", event_id, 1, 0, 6, at, "good")
    evidence.asks.append(ask)
    evidence.acknowledged.add((0, 6))
    evidence.samples[-1] = Sample(107.0, {0: 7}, {0: 7})
    return ask


def _a_repeated_ask_is_passed_over(evidence: Evidence) -> None:
    asked_again(evidence, GOOD, 105.0)


def _a_repeated_ask_is_answered_too_late(evidence: Evidence) -> None:
    asked_again(evidence, GOOD, 105.0)
    evidence.answers.append(answer(GOOD, 107.5))


def _a_repeated_ask_is_refused(evidence: Evidence) -> None:
    again = asked_again(evidence, BAD, 103.0)
    evidence.letters.append(replace(letter(BAD, 103.2, again.offset, "conflict"), dlq_id="dlq-at-6"))


def _both_payloads_are_refused(evidence: Evidence) -> None:
    again = asked_again(evidence, GOOD, 103.0)
    evidence.letters.append(replace(letter(GOOD, 103.2, again.offset, "conflict"), dlq_id="dlq-at-6"))


def _a_commit_runs_ahead_of_a_refusal(evidence: Evidence) -> None:
    evidence.letters[1] = replace(evidence.letters[1], time=107.5)


def _a_letter_gives_another_reason(evidence: Evidence) -> None:
    evidence.letters[0] = replace(evidence.letters[0], reason="timeout")


def _no_letter_for_the_conflict(evidence: Evidence) -> None:
    del evidence.letters[1]


def _no_letter_for_the_garbage(evidence: Evidence) -> None:
    del evidence.letters[2]


def _another_text_in_the_repeat(evidence: Evidence) -> None:
    evidence.answers.append(replace(answer(DEADLY, 106.005), digest="other"))


def _a_repeat_without_a_reason(evidence: Evidence) -> None:
    evidence.answers.append(answer(DEADLY, 106.5))


def _a_repeat_and_the_death_of_a_stranger(evidence: Evidence) -> None:
    # killed between the last step and the mark, but the one that ran it goes on and marks it
    evidence.processes.append(Process("w3", 3, 80.0, 105.9, -9))
    evidence.answers.append(answer(DEADLY, 106.005))


def _late(evidence: Evidence, *times: float) -> None:
    """One that w1 had run when it was killed at 102.25; w2 sends its verdict at these times and marks it."""
    evidence.asks.append(Ask("first", "late", 1, 0, 6, 101.5, "good"))
    evidence.steps += steps("late", 1, 101.6)
    evidence.answers += [answer("late", at) for at in times]
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
    evidence.answers.append(answer(BAD, 106.6, "error", attempt=2))


def _a_letter_is_repeated_without_a_reason(evidence: Evidence) -> None:
    evidence.letters.append(replace(evidence.letters[0], time=101.105))


def _a_refusal_is_repeated_without_a_reason(evidence: Evidence) -> None:
    # the start of w1 was the only move of partitions
    evidence.letters += [replace(evidence.letters[1], time=at) for at in (101.3, 101.4)]


def _another_text_in_the_letter(evidence: Evidence) -> None:
    evidence.letters.append(replace(evidence.letters[0], digest="other"))


def _a_node_runs_twice(evidence: Evidence) -> None:
    evidence.steps += steps(GOOD, 2, 105.0, "a", epoch=2)


def _a_finished_node_runs_again_after_a_kill(evidence: Evidence) -> None:
    # node b had begun, so the checkpoint after a was stored
    evidence.steps += steps(DEADLY, 2, 104.0, "a", epoch=2)


def _the_last_node_runs_again_after_its_verdict(evidence: Evidence) -> None:
    # its first process was killed, but 1.25 s after it had told of the verdict
    evidence.steps += steps(GOOD, 2, 105.0, "c", epoch=2)


def _the_last_node_runs_again_before_a_pause(evidence: Evidence) -> None:
    lived = replace(evidence.processes[0], ended=120.0, code=0, asked_at=119.9, pauses=((111.0, 112.0),))
    evidence.processes[0] = lived
    evidence.steps += steps(GOOD, 2, 105.0, "c", epoch=2)


def _a_node_runs_after_an_error_nobody_asked_again(evidence: Evidence) -> None:
    evidence.steps += [Step(BAD, "a", "start", 3, 2, 107.0), Step(BAD, "a", "raise", 3, 2, 107.1)]


def _a_node_runs_again_long_after_its_end(evidence: Evidence) -> None:
    # no verdict yet, but its first process was killed ten seconds after it
    evidence.processes.append(Process("w3", 3, 80.0, 95.0, -9))
    evidence.steps += steps(DEADLY, 3, 85.0, "a", epoch=0)


def _a_node_runs_again_though_an_heir_had_its_checkpoint(evidence: Evidence) -> None:
    evidence.steps = [each for each in evidence.steps if (each.event_id, each.pid) != (DEADLY, 1)]
    evidence.steps += steps(DEADLY, 1, 102.0, "a")
    evidence.steps += steps(DEADLY, 2, 105.4, "a", epoch=3)


def _a_node_is_cut_short_by_an_orderly_end(evidence: Evidence) -> None:
    evidence.processes.append(Process("w3", 3, 80.0, 95.0, 0, asked_at=94.0))
    evidence.steps.append(Step(DEADLY, "a", "start", 0, 3, 93.9))


def a_node_is_given_up_long_before_a_kill(evidence: Evidence) -> None:
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


def told_to_wait(evidence: Evidence, lost: float, again: float) -> None:
    """A node failed in w3 at 96.05, which was killed then, and ran again in w2."""
    evidence.asks[2] = replace(evidence.asks[2], time=95.0, kind="told-to-wait")
    evidence.processes.append(Process("w3", 3, 80.0, lost, -9))
    evidence.processes[1] = replace(evidence.processes[1], started=90.0)
    evidence.steps = [step for step in evidence.steps if step.event_id != DEADLY]
    evidence.steps += [
        Step(DEADLY, "a", "start", 1, 3, 96.0),
        Step(DEADLY, "a", "raise", 1, 3, 96.05),
        *steps(DEADLY, 2, again, epoch=2),
    ]


def _an_heir_does_not_wait(evidence: Evidence) -> None:
    told_to_wait(evidence, 99.5, 101.5)


def _a_process_does_not_wait(evidence: Evidence) -> None:
    told_to_wait(evidence, 103.0, 101.0)
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


def librarys(text: str, worker: str = "w2", at: float = 108.0) -> ErrorLine:
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
    evidence.errors.append(librarys(EXPIRED))


def _a_session_expires_beside_a_kill(evidence: Evidence) -> None:
    # heartbeats go on in a rebalance
    evidence.errors.append(librarys(EXPIRED, at=104.0))


def _a_session_expires_long_after_a_stall(evidence: Evidence) -> None:
    evidence.stalls.append((99.5, 102.9, "machine"))
    evidence.errors.append(librarys(EXPIRED))


def _a_session_expires_before_a_stall(evidence: Evidence) -> None:
    evidence.stalls.append((108.1, 111.0, "disk"))
    evidence.errors.append(librarys(EXPIRED))


def _another_line_of_the_library_after_a_stall(evidence: Evidence) -> None:
    evidence.stalls.append((104.0, 107.9, "machine"))
    evidence.errors.append(librarys(STALE))


def _an_error_of_ours_after_a_stall(evidence: Evidence) -> None:
    evidence.stalls.append((104.0, 107.9, "machine"))
    evidence.errors.append(ErrorLine("w2", 108.0, "langgraph_integration.engine", EXPIRED))


def a_commit_fails(evidence: Evidence, line: str) -> None:
    """The last move of a partition is the start of w2 at 103.0."""
    evidence.processes[1] = replace(evidence.processes[1], ended=130.0, asked_at=129.9)
    evidence.errors.append(librarys(line, at=118.5))


def _a_member_is_forgotten_in_calm(evidence: Evidence) -> None:
    a_commit_fails(evidence, UNKNOWN)


def _a_commit_of_no_generation_in_calm(evidence: Evidence) -> None:
    a_commit_fails(evidence, PASSED_OVER)


def _a_node_is_not_known_in_calm(evidence: Evidence) -> None:
    evidence.errors.append(librarys(STALE))


def _a_connection_is_left_open_at_a_stop_in_calm(evidence: Evidence) -> None:
    evidence.errors.append(librarys(UNCLOSED, at=109.95))


def _a_connection_is_left_open_in_an_outage(evidence: Evidence) -> None:
    # but by nobody who was told to end
    evidence.outages.append((107.0, 109.0, "broker"))
    evidence.errors.append(librarys(UNCLOSED))


WRONG: list[tuple[str, Spoil]] = [
    ("I1", _an_answer_is_missing),
    ("I1", _an_acknowledged_record_is_gone),
    ("I1", _two_verdicts),
    ("I1", _a_verdict_nobody_asked_for),
    ("I1", _an_error_without_its_letter),
    ("I1", _a_success_with_a_letter),
    ("I1", _a_state_of_two_runs),
    ("I1", _two_answers_have_each_others_states),
    ("I1", _one_node_ran_for_another_event),
    ("I1", _the_payload_that_was_refused_is_answered),
    ("I1", _a_state_without_tokens),
    ("I1", _a_good_one_ends_as_an_error),
    ("I1", a_crash_loop_without_crashes),
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
    ("I3", a_node_is_given_up_long_before_a_kill),
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
    ("I6", _a_session_expires_long_after_a_stall),
    ("I6", _a_session_expires_before_a_stall),
    ("I6", _another_line_of_the_library_after_a_stall),
    ("I6", _an_error_of_ours_after_a_stall),
    ("I6", _a_member_is_forgotten_in_calm),
    ("I6", _a_commit_of_no_generation_in_calm),
    ("I6", _a_node_is_not_known_in_calm),
    ("I6", _a_connection_is_left_open_at_a_stop_in_calm),
    ("I6", _a_connection_is_left_open_in_an_outage),
]

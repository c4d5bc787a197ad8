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
from tests.chaos.nursery import Life
from tests.chaos.oracle import INVARIANTS, judge, only_known_repeats
from tests.chaos.programme import identity

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
            Process("w2", 2, 103.0, 110.0, 0, asked_to_end=True, at_rest=True),
        ],
        samples=[
            Sample(100.5, {0: 0}, {0: 5}),
            Sample(101.5, {0: 2}, {0: 5}),
            Sample(106.2, {0: 5}, {0: 6}),
            Sample(107.0, {0: 6}, {0: 6}),
        ],
        sizes=[Size(1, 100.0, 8, 2**27), Size(2, 104.0, 9, 2**27), Size(2, 109.0, 9, 2**27)],
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


def _no_letter_for_the_conflict(evidence: Evidence) -> None:
    del evidence.letters[1]


def _no_letter_for_the_garbage(evidence: Evidence) -> None:
    del evidence.letters[2]


def _another_text_in_the_repeat(evidence: Evidence) -> None:
    evidence.answers.append(replace(_answer(DEADLY, 106.005), digest="other"))


def _a_repeat_without_a_reason(evidence: Evidence) -> None:
    evidence.answers.append(_answer(DEADLY, 106.5))


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
    lived = replace(evidence.processes[0], ended=120.0, code=0, asked_to_end=True, pauses=((111.0, 112.0),))
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


def _a_worker_gives_up(evidence: Evidence) -> None:
    evidence.processes[1] = replace(evidence.processes[1], asked_to_end=False, code=1)


def _a_stop_ends_badly(evidence: Evidence) -> None:
    evidence.processes[1] = replace(evidence.processes[1], code=1)


def _an_error_is_logged(evidence: Evidence) -> None:
    evidence.errors.append(ErrorLine("w1", 101.0, "langgraph_integration", "delivery handler failed"))


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
    ("I1", _no_letter_for_the_conflict),
    ("I1", _no_letter_for_the_garbage),
    ("I2", _another_text_in_the_repeat),
    ("I2", _a_repeat_without_a_reason),
    ("I2", _another_text_in_the_letter),
    ("I3", _a_node_runs_twice),
    ("I3", _a_finished_node_runs_again_after_a_kill),
    ("I3", _the_last_node_runs_again_after_its_verdict),
    ("I3", _the_last_node_runs_again_before_a_pause),
    ("I3", _a_node_runs_after_an_error_nobody_asked_again),
    ("I3", _a_node_runs_again_long_after_its_end),
    ("I3", _a_node_runs_again_though_an_heir_had_its_checkpoint),
    ("I4", _a_commit_runs_ahead),
    ("I4", _a_commit_runs_ahead_of_a_second_attempt),
    ("I5", _a_lag_is_left),
    ("I5", _tasks_are_left),
    ("I5", _memory_grows),
    ("I5", _a_worker_gives_up),
    ("I5", _a_stop_ends_badly),
    ("I6", _an_error_is_logged),
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
    evidence.processes.append(Process("w3", 3, 80.0, 110.0, 0, asked_to_end=True, pauses=((84.55, 106.5),)))
    evidence.steps += [Step(DEADLY, "a", "start", 0, 3, 84.5), Step(DEADLY, "a", "end", 0, 3, 106.55)]


def _a_start_noted_after_a_pause(evidence: Evidence) -> None:
    evidence.processes.append(Process("w3", 3, 80.0, 110.0, 0, asked_to_end=True, pauses=((84.5, 106.5),)))
    evidence.steps += [Step(DEADLY, "a", "start", 0, 3, 106.55), Step(DEADLY, "a", "end", 0, 3, 106.6)]


@pytest.mark.parametrize(
    "excused",
    [
        _an_unsent_checkpoint,
        _an_outage_before_the_kill,
        _a_lease_lost_in_a_pause,
        _a_start_noted_after_a_pause,
    ],
    ids=lambda excused: excused.__name__.strip("_"),
)
def test_a_node_may_run_again_where_its_checkpoint_is_not_certain(excused: Spoil) -> None:
    """What a crash, a pause or an outage can undo is not called a needless execution."""
    evidence = good_run()
    excused(evidence)

    assert judge(evidence)["I3"] == []


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


def test_processes_that_had_the_same_id_are_told_apart() -> None:
    """A run of some minutes uses up the ids of the system: what one has done is not the other's."""
    lives = [Life("w", 7, 10.0, ended=20.0), Life("v", 7, 30.0, ended=40.0, namesakes=1), Life("u", 8, 5.0)]

    assert identity(7, 9.9, lives) == identity(7, 20.0, lives) == 7
    assert identity(7, 29.9, lives) == identity(7, 35.0, lives) == lives[1].identity != 7
    assert identity(8, 1000.0, lives) == 8

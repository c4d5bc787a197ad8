"""The oracle itself: a good run passes, and each way of being wrong is named by the invariant it breaks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.chaos.evidence import Ask, ErrorLine, Evidence, Process, Settled, Step
from tests.chaos.executions import in_flight
from tests.chaos.good_run import DEADLY, GOOD, answer, good_run, sizes, steps
from tests.chaos.nursery import Life
from tests.chaos.oracle import INVARIANTS, judge
from tests.chaos.programme import identity
from tests.chaos.repeats import only_known_repeats
from tests.chaos.spoils import (
    EXPIRED,
    PASSED_OVER,
    STALE,
    UNCLOSED,
    UNKNOWN,
    WRONG,
    Spoil,
    a_commit_fails,
    a_crash_loop_without_crashes,
    a_node_is_given_up_long_before_a_kill,
    asked_again,
    librarys,
    told_to_wait,
)


def test_a_good_run_contradicts_nothing() -> None:
    """Kills, repeats that a kill explains, errors with their dead letters: all of it is allowed."""
    assert judge(good_run()) == {name: [] for name in INVARIANTS}


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
    evidence.steps += [*steps(DEADLY, 1, 102.0, "a"), *steps(DEADLY, 2, 104.5, "a", epoch=2)]


def _an_outage_before_the_kill(evidence: Evidence) -> None:
    evidence.outages.append((84.0, 95.0, "store"))
    evidence.processes.append(Process("w3", 3, 80.0, 97.0, -9))
    evidence.steps += steps(DEADLY, 3, 84.5, "a", epoch=0)


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
    told_to_wait(evidence, 99.5, 102.1)


def _a_wait_that_was_not_written(evidence: Evidence) -> None:
    told_to_wait(evidence, 96.2, 99.0)


def _a_wait_that_a_greater_attempt_ended(evidence: Evidence) -> None:
    told_to_wait(evidence, 99.5, 101.5)
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
    a_node_is_given_up_long_before_a_kill(evidence)
    _node_lasts(evidence, 19.0)
    assert judge(evidence)["I3"]

    _node_lasts(evidence, 20.0)
    assert judge(evidence)["I3"] == []


def test_a_pause_puts_off_when_a_node_must_have_ended() -> None:
    """It was stopped for most of the time."""
    evidence = good_run()
    a_node_is_given_up_long_before_a_kill(evidence)
    evidence.processes[-1] = replace(evidence.processes[-1], pauses=((75.5, 95.0),))

    assert judge(evidence)["I3"] == []


def _paused_till(evidence: Evidence, until: float) -> None:
    evidence.processes[1] = replace(evidence.processes[1], pauses=((until - 3.0, until),))


def _without_a_turn_till(evidence: Evidence, until: float) -> None:
    evidence.sizes = [*sizes(20.0, until - 3.0), *sizes(until, 109.5)]


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


@pytest.mark.parametrize("what", ["machine", "disk"])
@pytest.mark.parametrize(("ended", "errors"), [(107.9, 0), (103.1, 0), (102.9, 1)])
def test_a_session_may_expire_in_a_stall_of_the_machine(what: str, ended: float, errors: int) -> None:
    """A session of 2 s before the line at 108.0, and 3 s of grace."""
    evidence = good_run()
    evidence.stalls.append((ended - 2.0, ended, what))
    evidence.errors.append(librarys(EXPIRED))

    assert len(judge(evidence)["I6"]) == errors


def test_a_state_may_be_of_the_payload_that_came_second() -> None:
    """The other one was refused then, because nobody had the first yet."""
    evidence = good_run()
    first, conflict = evidence.asks[0], evidence.asks[3]
    evidence.asks[0] = replace(first, role="conflict", token=conflict.token)
    evidence.asks[3] = replace(conflict, role="first", token=first.token)
    assert len(judge(evidence)["I1"]) == 1

    evidence.answers[0] = replace(evidence.answers[0], tokens=(str(conflict.token),) * 3)
    assert judge(evidence)["I1"] == []


@pytest.mark.parametrize("line", [PASSED_OVER, UNKNOWN])
def test_a_commit_may_be_of_a_generation_that_is_over(line: str) -> None:
    """Somebody came, and the group has another one, perhaps without this member."""
    evidence = good_run()
    a_commit_fails(evidence, line)
    evidence.processes[1] = replace(evidence.processes[1], started=104.0)

    assert judge(evidence)["I6"] == []


def test_a_client_whose_broker_is_away_may_be_abandoned_at_the_stop() -> None:
    """Its connection is then found by the garbage collector, which says so."""
    evidence = good_run()
    evidence.outages.append((107.0, 109.0, "broker"))
    evidence.errors.append(librarys(UNCLOSED, at=109.95))

    assert judge(evidence)["I6"] == []


def test_a_kill_explains_a_repeat_that_was_on_its_way_then() -> None:
    """Sent, the process killed at 102.25, appended, and sent again by the heir."""
    evidence = good_run()
    evidence.asks.append(Ask("first", "late", 1, 0, 6, 101.5, "good"))
    evidence.steps += steps("late", 1, 101.6)
    evidence.answers += [answer("late", 102.4), answer("late", 103.0)]
    evidence.settled.append(Settled("late", 1, 2, 103.1))
    assert not list(only_known_repeats(evidence))

    evidence.steps += steps("late", 2, 102.35, "c")[:1]
    assert len(list(only_known_repeats(evidence))) == 1


def test_after_the_loss_of_who_ran_it_an_heir_may_be_lost_unseen() -> None:
    """It has no node to run, and sends, and is killed before it can say so."""
    evidence = good_run()
    evidence.asks.append(Ask("first", "late", 1, 0, 6, 101.5, "good"))
    evidence.steps += steps("late", 1, 101.6)
    evidence.answers += [answer("late", at) for at in (102.3, 104.0, 104.5)]
    evidence.settled.append(Settled("late", 1, 2, 104.6))
    assert len(list(only_known_repeats(evidence))) == 1

    evidence.processes.append(Process("w3", 3, 100.0, 104.1, -9))
    assert not list(only_known_repeats(evidence))


def test_a_repeated_ask_may_have_been_sent_twice_by_anybody() -> None:
    """Whoever answers again notes nothing before it is done, so it is not known who was killed over it."""
    evidence = good_run()
    asked_again(evidence, GOOD, 103.0)
    evidence.answers += [answer(GOOD, at) for at in (103.2, 105.0)]
    assert len(list(only_known_repeats(evidence))) == 1

    evidence.processes.append(Process("w3", 3, 100.0, 103.3, -9))
    assert judge(evidence) == {name: [] for name in INVARIANTS}


def test_two_asks_of_one_live_run_have_one_answer() -> None:
    """The second one is absorbed, and the verdict comes after both."""
    evidence = good_run()
    asked_again(evidence, DEADLY, 105.3)

    assert judge(evidence) == {name: [] for name in INVARIANTS}


def test_owners_that_were_lost_explain_a_crash_loop_of_the_innocent() -> None:
    """Four of them noted a step before they were killed; w1 and w4 may have been killed at their claims."""
    evidence = good_run()
    a_crash_loop_without_crashes(evidence)
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

    evidence.steps += steps(DEADLY, 2, 102.22, "b", epoch=2)
    assert not held(killed)


def test_processes_that_had_the_same_id_are_told_apart() -> None:
    """A run of some minutes uses up the ids of the system: what one has done is not the other's."""
    lives = [Life("w", 7, 10.0, ended=20.0), Life("v", 7, 30.0, ended=40.0, namesakes=1), Life("u", 8, 5.0)]

    assert identity(7, 9.9, lives) == identity(7, 20.0, lives) == 7
    assert identity(7, 29.9, lives) == identity(7, 35.0, lives) == lives[1].identity != 7
    assert identity(8, 1000.0, lives) == 8

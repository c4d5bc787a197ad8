"""Histories of the whole pipeline, random ones and some that are told step by step."""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.faults.machine import EVENTS, Pipeline, all_done, subject_of
from tests.faults.world import LEASE_S, WAIT_S, How, World


def _with_a_run_of_a() -> Pipeline:
    """Worker a has asked for the first event, and it is granted."""
    machine = Pipeline()
    machine.ask(event_id=EVENTS[0], number=0, attempt=1)
    machine.poll("a")
    _next_of(machine.world, "claim", "done")
    return machine


@pytest.mark.timeout(300)
def test_no_history_loses_an_event_or_gives_it_two_verdicts() -> None:
    """Real dispatcher, handler, keeper, ledger and committer, in every order that Hypothesis can think of."""
    examples = int(os.environ.get("HISTORIES") or 60)
    run_state_machine_as_test(
        Pipeline,
        settings=settings(
            max_examples=examples,
            stateful_step_count=60,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_a_renewal_beside_a_release_strands_no_record() -> None:
    """A lease is given back, the answer is under way, a renewal misses the row, and the partition returns."""
    machine = _with_a_run_of_a()
    machine.rebalance(number=0, how="done")
    _next_of(machine.world, "run", "done")
    _next_of(machine.world, "release", "late")
    machine.renew("a")
    _next_of(machine.world, "renew", "done")
    machine.rebalance(number=0, how="done")

    machine.teardown()


def test_an_heir_waits_for_what_is_left_of_a_wait() -> None:
    """A run fails, its wait is written down, its worker dies, and its lease lapses before that is over."""
    machine = _with_a_run_of_a()
    _next_of(machine.world, "run", "refused")
    _next_of(machine.world, "retry", "done")
    machine.crash("a")
    machine.time_passes(LEASE_S + 1)
    machine.poll("a")
    _next_of(machine.world, "claim", "done")
    assert not _has(machine.world, "run")

    machine.world.loop.turn(WAIT_S - LEASE_S)
    assert _has(machine.world, "run")
    machine.waits_are_kept()
    machine.teardown()
    assert machine.world.executions[EVENTS[0]] == 2


def test_a_refusal_reads_the_same_after_another_grant_of_its_id() -> None:
    """A conflict's dead letter is sent, its worker dies, the event is asked again, and it comes back."""
    machine, failing = Pipeline(), EVENTS[1]
    machine.ask(event_id=failing, number=0, attempt=1)
    machine.poll("a")
    all_done(machine.world)
    machine.ask_for_something_else(choice=0, number=1, attempt=1)
    machine.poll("b")
    _next_of(machine.world, "claim", "done")
    _next_of(machine.world, "publish", "unknown")
    machine.crash("b")
    machine.ask(event_id=failing, number=0, attempt=2)
    machine.poll("a")
    all_done(machine.world)
    machine.poll("b")

    machine.teardown()
    machine.repeats_are_equal()
    machine.errors_have_their_dead_letter()
    machine.one_payload_is_refused()
    assert machine.world.executions[failing] == 2
    assert [subject_of(value)[0] for value in machine.world.letters].count("conflict") == 2


def test_a_moment_that_is_shorter_than_the_lease_excuses_nothing() -> None:
    """Whoever runs has its lease for all of it, and nobody else may run."""
    machine = _with_a_run_of_a()
    machine.time_passes(LEASE_S / 2)
    assert not machine.world.excuses

    machine.renew("a")
    _next_of(machine.world, "renew", "done")
    machine.time_passes(LEASE_S / 2)
    machine.time_passes(1.0)
    assert not machine.world.excuses

    machine.time_passes(LEASE_S / 2)
    machine.time_passes(LEASE_S / 2)
    assert machine.world.excuses[EVENTS[0]] == 1
    machine.teardown()


def test_nobody_else_runs_what_has_its_lease() -> None:
    """The same event on the other worker's partition, while time passes that no lease lapses in."""
    machine = _with_a_run_of_a()
    machine.time_passes(LEASE_S / 2)
    machine.ask(event_id=EVENTS[0], number=1, attempt=1)
    machine.poll("b")
    _next_of(machine.world, "claim", "done")
    machine.time_passes(1.0)

    machine.teardown()
    assert not machine.world.excuses


def _has(world: World, what: str) -> bool:
    return any(step.what == what for step in world.steps)


def _next_of(world: World, what: str, how: How) -> None:
    world.resolve(next(step for step in world.steps if step.what == what), how)

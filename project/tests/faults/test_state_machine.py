"""Random histories of the whole pipeline: crashes at every step, unknown commits, rebalances, stops."""

from __future__ import annotations

import os
from collections import defaultdict
from uuid import UUID

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from langgraph_integration.pipeline.delivery import Partition
from tests.faults.world import LEASE_S, WAIT_S, How, Worker, World
from tests.langgraph_integration.events import event, headers_of, value_of
from workflow_events import WorkflowResultEvent

EVENTS = [UUID(int=number, version=4) for number in range(1, 5)]
WORKERS = ("a", "b")
PARTITIONS = (0, 1)
HOWS: tuple[How, ...] = ("done", "done", "done", "refused", "unknown", "late")


class Pipeline(RuleBasedStateMachine):
    """Two workers share two partitions; every step of theirs happens when and how a rule says."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World()
        self.lives = 0
        self.workers = {name: self._born(name) for name in WORKERS}
        for number, name in zip(PARTITIONS, WORKERS, strict=True):
            self.workers[name].assign([self._partition(number)])

    def _born(self, name: str) -> Worker:
        self.lives += 1
        return Worker(self.world, f"{name}-{self.lives}")

    def _partition(self, number: int) -> Partition:
        return Partition(self.world.topic.name, number)

    @rule(event_id=st.sampled_from(EVENTS), number=st.sampled_from(PARTITIONS), attempt=st.integers(1, 2))
    def ask(self, event_id: UUID, number: int, attempt: int) -> None:
        """An event is published, perhaps again, perhaps on the other partition."""
        asked = event({"fails": event_id.int % 2 == 0}, event_id=event_id)
        position = self.world.topic.append(
            value_of(asked),
            key=str(event_id).encode(),
            headers=headers_of(asked, attempt=attempt),
            partition=number,
        )
        self.world.asked.append((self._partition(number), position.offset, event_id, attempt))

    @rule(name=st.sampled_from(WORKERS))
    def poll(self, name: str) -> None:
        self.workers[name].poll()

    @precondition(lambda self: self.world.steps)
    @rule(choice=st.integers(0, 1000), how=st.sampled_from(HOWS))
    def happen(self, choice: int, how: How) -> None:
        """One of the waiting steps is done, refused, or done without its caller hearing of it, or not yet.

        A run that is refused fails as if its model were away: it is tried again after a wait that is written
        down.
        """
        step = self.world.steps[choice % len(self.world.steps)]
        # a claim whose answer is as late as its lease is long is executed under a lease that has lapsed
        surely = (step.what == "run" and how != "refused") or (step.what == "claim" and how == "late")
        self.world.resolve(step, "done" if surely else how)

    @rule(name=st.sampled_from(WORKERS))
    def commit(self, name: str) -> None:
        self.workers[name].commit()

    @rule(name=st.sampled_from(WORKERS))
    def renew(self, name: str) -> None:
        self.workers[name].renew()

    @rule(name=st.sampled_from(WORKERS))
    def crash(self, name: str) -> None:
        """A worker ends where it is, and another takes its place and its partitions."""
        old = self.workers[name]
        partitions = list(old.positions)
        old.crash()
        self.workers[name] = self._born(name)
        self.workers[name].assign(partitions)

    @rule(name=st.sampled_from(WORKERS), how=st.sampled_from(HOWS))
    def stop(self, name: str, how: How) -> None:
        """A worker leaves, its runs are drained or cancelled; another takes its place and its partitions."""
        old = self.workers[name]
        partitions = list(old.positions)
        old.stop(how)
        self.workers[name] = self._born(name)
        self.workers[name].assign(partitions)

    @rule(number=st.sampled_from(PARTITIONS), how=st.sampled_from(HOWS))
    def rebalance(self, number: int, how: How) -> None:
        """All partitions are revoked, and one goes to the other worker, which its runs are handed over to."""
        moving = self._partition(number)
        owned = {name: set(worker.positions) ^ {moving} for name, worker in self.workers.items()}
        for worker in self.workers.values():
            worker.revoke(how)
        for name, worker in self.workers.items():
            worker.assign(sorted(owned[name], key=lambda each: each.number))

    @rule(seconds=st.sampled_from([1.0, LEASE_S / 2, LEASE_S + 1]))
    def time_passes(self, seconds: float) -> None:
        """Leases that nobody renewed lapse: whoever held one is a zombie now."""
        self.world.loop.turn(seconds)
        for worker in self.workers.values():
            worker.excuse_lapsed()

    @invariant()
    def commits_nothing_unanswered(self) -> None:
        """What lies before the committed offset is answered, or will be at another record of its event."""
        committed = self.world.topic.committed
        answers = self._answers()
        open_events = {
            event_id for partition, offset, event_id, _ in self.world.asked if offset >= committed[partition]
        }
        for partition, offset, event_id, attempt in self.world.asked:
            if offset < committed[partition] and event_id not in open_events:
                assert _answered(attempt, answers[event_id]), f"{event_id} was committed without an answer"

    @invariant()
    def repeats_are_equal(self) -> None:
        """One attempt has one verdict, to the byte."""
        for event_id, answers in self._answers().items():
            by_attempt = defaultdict(set)
            for answer in answers:
                by_attempt[answer.attempt].add((answer.status, answer.result_id, answer.timestamp))
            assert all(len(found) == 1 for found in by_attempt.values()), f"{event_id} has two verdicts"

    @invariant()
    def waits_are_kept(self) -> None:
        """What failed is not tried again before its time, by whoever has it then."""
        assert not self.world.early

    @invariant()
    def errors_have_their_dead_letter(self) -> None:
        """It is there before the error is."""
        errors = {answer.result_id for answer in self.world.decoded() if answer.status == "error"}
        assert len(errors) <= len(set(self.world.letters))

    def teardown(self) -> None:
        """Nothing fails any more: everything that was asked comes to its end."""
        try:
            for _ in range(200):
                if all(
                    self.world.topic.committed[each] >= self.world.topic.end(each)
                    for each in self.world.topic.all_partitions
                ):
                    break
                self._a_good_moment()
            answers = self._answers()
            for _, _, event_id, attempt in self.world.asked:
                assert _answered(attempt, answers[event_id]), f"{event_id} was lost"
            for event_id, count in self.world.executions.items():
                attempts = len({attempt for _, _, asked, attempt in self.world.asked if asked == event_id})
                assert count <= attempts + self.world.excuses[event_id], f"{event_id} ran {count} times"
        finally:
            self.world.close()

    def _a_good_moment(self) -> None:
        for worker in self.workers.values():
            worker.poll()
            worker.renew()
        while self.world.steps:
            self.world.resolve(self.world.steps[0], "done")
        for worker in self.workers.values():
            worker.commit()
        while self.world.steps:
            self.world.resolve(self.world.steps[0], "done")
        self.world.loop.turn(LEASE_S / 4)

    def _answers(self) -> defaultdict[UUID, list[WorkflowResultEvent]]:
        found: defaultdict[UUID, list[WorkflowResultEvent]] = defaultdict(list)
        for answer in self.world.decoded():
            found[answer.correlation_id].append(answer)
        return found


def _answered(attempt: int, answers: list[WorkflowResultEvent]) -> bool:
    return any((answer.attempt or 1) >= attempt or answer.status == "success" for answer in answers)


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

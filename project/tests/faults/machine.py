"""Random histories of the whole pipeline: crashes at every step, unknown commits, rebalances, stops."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable
from typing import Any
from uuid import UUID

from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
)

from langgraph_integration.pipeline.delivery import Partition
from tests.faults.world import LEASE_S, How, Worker, World
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
        self.others: dict[tuple[Partition, int], bool] = {}
        """By position, whether the record has the other payload of its event."""
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
        self._publish({"fails": event_id.int % 2 == 0}, event_id, number, attempt)

    @precondition(lambda self: self.world.asked)
    @rule(choice=st.integers(0, 1000), number=st.sampled_from(PARTITIONS), attempt=st.integers(1, 2))
    def ask_for_something_else(self, choice: int, number: int, attempt: int) -> None:
        """A known id comes with another payload: whichever is taken first, the other one is refused."""
        _, _, event_id, _ = self.world.asked[choice % len(self.world.asked)]
        self._publish({"fails": event_id.int % 2 == 0, "other": True}, event_id, number, attempt)

    def _publish(self, data: dict[str, Any], event_id: UUID, number: int, attempt: int) -> None:
        asked = event(data, event_id=event_id)
        position = self.world.topic.append(
            value_of(asked),
            key=str(event_id).encode(),
            headers=headers_of(asked, attempt=attempt),
            partition=number,
        )
        self.world.asked.append((self._partition(number), position.offset, event_id, attempt))
        self.others[self._partition(number), position.offset] = "other" in data

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
        answers, refused = self._answers(), self._refused()
        open_events = {
            event_id for partition, offset, event_id, _ in self.world.asked if offset >= committed[partition]
        }
        for partition, offset, event_id, attempt in self.world.asked:
            settled = offset < committed[partition] and event_id not in open_events
            if settled and (partition, offset) not in refused:
                assert _answered(attempt, answers[event_id]), f"{event_id} was committed without an answer"

    @invariant()
    def repeats_are_equal(self) -> None:
        """One attempt has one verdict, and a record that is refused one dead letter, to the byte."""
        _all_equal((_verdict_of(value), value) for value in self.world.results)
        _all_equal((subject_of(value), value) for value in self.world.letters)

    @invariant()
    def one_payload_is_refused(self) -> None:
        """Always the same one, and none where nothing else was asked for."""
        refused = self._refused()
        for event_id in EVENTS:
            own = [ask[:2] for ask in self.world.asked if ask[2] == event_id]
            sides = {self.others[place] for place in own if place in refused}
            assert len(sides) < 2, f"both payloads of {event_id} are refused"
            assert not sides or {self.others[place] for place in own} == {False, True}

    @invariant()
    def waits_are_kept(self) -> None:
        """What failed is not tried again before its time, by whoever has it then."""
        assert not self.world.early

    @invariant()
    def errors_have_their_dead_letter(self) -> None:
        """That of its event and attempt, and it is there before the error is."""
        errors = {
            _verdict_of(value) for value in self.world.results if json.loads(value)["status"] == "error"
        }
        assert errors <= {subject_of(value) for value in self.world.letters}

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
            self._everything_came_to_its_end()
        finally:
            self.world.close()

    def _everything_came_to_its_end(self) -> None:
        answers, refused = self._answers(), self._refused()
        taken = [ask for ask in self.world.asked if ask[:2] not in refused]
        for _, _, event_id, attempt in taken:
            assert _answered(attempt, answers[event_id]), f"{event_id} was lost"
        for event_id in answers:
            payloads = {self.others[ask[:2]] for ask in taken if ask[2] == event_id}
            assert len(payloads) == 1, f"{event_id} was answered for {len(payloads)} payloads"
        for event_id, count in self.world.executions.items():
            attempts = len({attempt for _, _, asked, attempt in taken if asked == event_id})
            assert count <= attempts + self.world.excuses[event_id], f"{event_id} ran {count} times"

    def _refused(self) -> set[tuple[Partition, int]]:
        """Where the records stand that brought another payload than the one that was taken."""
        return {
            (self._partition(letter["origin"]["partition"]), letter["origin"]["offset"])
            for letter in map(json.loads, self.world.letters)
            if letter["reason"] == "conflict"
        }

    def _a_good_moment(self) -> None:
        for worker in self.workers.values():
            worker.poll()
            worker.renew()
        all_done(self.world)
        for worker in self.workers.values():
            worker.commit()
        all_done(self.world)
        self.world.loop.turn(LEASE_S / 4)

    def _answers(self) -> defaultdict[UUID, list[WorkflowResultEvent]]:
        found: defaultdict[UUID, list[WorkflowResultEvent]] = defaultdict(list)
        for answer in self.world.decoded():
            found[answer.correlation_id].append(answer)
        return found


def _answered(attempt: int, answers: list[WorkflowResultEvent]) -> bool:
    return any((answer.attempt or 1) >= attempt or answer.status == "success" for answer in answers)


def _verdict_of(result: bytes) -> tuple[object, ...]:
    """Event id and attempt."""
    told = json.loads(result)
    return told["correlation_id"], told["attempt"]


def subject_of(letter: bytes) -> tuple[object, ...]:
    """Event id and attempt of the verdict that it goes with; of a conflict, where its record stands."""
    told = json.loads(letter)
    if told["reason"] == "conflict":
        return "conflict", told["origin"]["partition"], told["origin"]["offset"]
    return told["original_event"]["event_id"], told["attempt"]


def _all_equal(records: Iterable[tuple[tuple[object, ...], bytes]]) -> None:
    seen: dict[tuple[object, ...], bytes] = {}
    for subject, value in records:
        assert seen.setdefault(subject, value) == value, f"{subject} has two texts"


def all_done(world: World) -> None:
    """Every step, and whatever comes of it."""
    while world.steps:
        world.resolve(world.steps[0], "done")

"""What may be committed while runs finish in any order."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from langgraph_integration.pipeline.delivery import Partition
from langgraph_integration.pipeline.ledger import Position
from langgraph_integration.pipeline.offsets import OffsetTracker

HERE = Partition("events", 0)


def _at(offset: int) -> Position:
    return Position("events", 0, offset)


def _tracker(*offsets: int) -> OffsetTracker:
    tracker = OffsetTracker()
    tracker.assign(HERE, 1)
    assert all(tracker.admit(_at(offset), 1) for offset in offsets)
    return tracker


def test_nothing_is_committed_before_anything_was_received() -> None:
    """A partition that is only assigned has no offset of ours."""
    tracker = OffsetTracker()
    tracker.assign(HERE, 1)

    assert tracker.committable() == {}
    assert tracker.watermark(HERE) is None


def test_the_lowest_unsettled_offset_holds_the_commit_back() -> None:
    """Later events may be done; they are redelivered after a crash rather than the slow one lost."""
    tracker = _tracker(4, 5, 6, 7)
    for offset in (4, 6, 7):
        tracker.settle(_at(offset), 1)

    assert tracker.committable() == {HERE: 5}
    tracker.settle(_at(5), 1)
    assert tracker.committable() == {HERE: 8}


def test_what_was_only_received_changes_no_commit() -> None:
    """It would only say whose store the partition belongs to, and its worker may have the wrong one."""
    tracker = _tracker(5, 6, 7)
    assert tracker.committable() == {}
    tracker.settle(_at(6), 1)
    assert tracker.committable() == {}


def test_gaps_are_no_obstacle() -> None:
    """Compaction and transaction markers leave offsets that never come."""
    tracker = _tracker(3, 10, 500)
    for offset in (3, 10):
        tracker.settle(_at(offset), 1)

    assert tracker.committable() == {HERE: 500}


def test_what_was_committed_is_not_committed_again() -> None:
    """A quiet consumer sends no commits."""
    tracker = _tracker(0)
    tracker.settle(_at(0), 1)
    tracker.mark_committed({HERE: 1})

    assert tracker.committable() == {}


def test_a_record_is_admitted_once() -> None:
    """Told by a repeat, or by something older than what was received."""
    tracker = _tracker(4, 5)

    assert not tracker.admit(_at(5), 1)
    assert not tracker.admit(_at(2), 1)
    assert tracker.unsettled(HERE) == 2


def test_a_record_read_under_an_earlier_assignment_is_void() -> None:
    """It will be read again by whoever owns the partition now."""
    tracker = _tracker()
    tracker.assign(HERE, 3)

    assert not tracker.admit(_at(0), 1)
    assert not tracker.admit(Position("events", 9, 0), 3)
    assert tracker.admit(_at(0), 3)


def test_a_run_that_ends_after_its_partition_left_changes_nothing() -> None:
    """Its offset belongs to the new owner."""
    tracker = _tracker(0, 1)
    tracker.forget(HERE)
    tracker.settle(_at(0), 1)

    assert tracker.committable() == {}
    assert not tracker.owns(_at(1), 1)
    assert tracker.unsettled(HERE) == 0
    assert tracker.oldest_age_s(HERE) == 0.0
    assert tracker.watermark(HERE) is None


def test_a_run_of_an_earlier_assignment_settles_nothing() -> None:
    """Its offset may be another record's by now, in a topic that was made anew."""
    tracker = _tracker(0)
    tracker.assign(HERE, 2)
    tracker.admit(_at(0), 2)
    tracker.settle(_at(0), 1)

    assert tracker.owns(_at(0), 2)
    assert tracker.committable() == {}


def test_the_age_of_the_oldest_unsettled_offset_is_known() -> None:
    """It is what tells a stuck run from an idle topic."""
    now = [100.0]
    tracker = OffsetTracker(clock=lambda: now[0])
    tracker.assign(HERE, 1)
    tracker.admit(_at(0), 1)
    now[0] = 107.0
    tracker.admit(_at(1), 1)

    assert tracker.oldest_age_s(HERE) == 7.0
    tracker.settle(_at(0), 1)
    assert tracker.oldest_age_s(HERE) == 0.0


@given(st.lists(st.integers(0, 1000), unique=True, min_size=1, max_size=60), st.randoms())
def test_everything_settled_means_everything_committed(offsets: list[int], chance: object) -> None:
    """In whatever order runs finish, the end is the offset after the last record."""
    received = sorted(offsets)
    tracker = _tracker(*received)
    for offset in offsets:
        tracker.settle(_at(offset), 1)

    assert tracker.committable() == {HERE: received[-1] + 1}


class CommitNeverPasses(RuleBasedStateMachine):
    """Any order of receiving, settling, committing, losing and regaining a partition.

    The model is a log of offsets with gaps; `done` is what is durable. Whatever was committed, no offset
    below it may be undone.
    """

    def __init__(self) -> None:
        super().__init__()
        self.tracker = OffsetTracker()
        self.generation = 0
        self.next_read = 0
        self.committed = 0
        self.received: set[int] = set()
        self.done: set[int] = set()
        self.owned = False

    @rule()
    def assign(self) -> None:
        self.generation += 1
        self.tracker.assign(HERE, self.generation)
        self.next_read = self.committed
        self.owned = True

    @precondition(lambda self: self.owned)
    @rule()
    def revoke(self) -> None:
        self.tracker.forget(HERE)
        self.owned = False

    @precondition(lambda self: self.owned)
    @rule(gap=st.integers(0, 5))
    def receive(self, gap: int) -> None:
        known = sorted(offset for offset in self.received if offset >= self.next_read)
        offset = known[0] if known else max(self.received, default=-1) + 1 + gap
        admitted = self.tracker.admit(_at(offset), self.generation)
        assert admitted
        self.received.add(offset)
        self.next_read = offset + 1

    @rule(offset=st.integers(0, 60), stale=st.integers(1, 3))
    def receive_what_is_void(self, offset: int, stale: int) -> None:
        assert not self.tracker.admit(_at(offset), self.generation - stale)

    @precondition(lambda self: self.received)
    @rule(data=st.data())
    def settle(self, data: st.DataObject) -> None:
        offset = data.draw(st.sampled_from(sorted(self.received)))
        self.done.add(offset)
        self.tracker.settle(_at(offset), data.draw(st.integers(max(0, self.generation - 2), self.generation)))

    @rule(confirmed=st.booleans())
    def commit(self, confirmed: bool) -> None:
        offsets = self.tracker.committable()
        if HERE in offsets:
            self.committed = offsets[HERE]
            if confirmed:
                self.tracker.mark_committed(offsets)

    @invariant()
    def no_undone_offset_is_below_the_commit(self) -> None:
        undone = self.received - self.done
        assert all(offset >= self.committed for offset in undone), (self.committed, undone)


CommitNeverPasses.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestCommitNeverPasses = CommitNeverPasses.TestCase

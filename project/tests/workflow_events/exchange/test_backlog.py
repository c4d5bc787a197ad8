"""Which records are still to be read."""

from hypothesis import given
from hypothesis import strategies as st

from workflow_events.exchange.backlog import Backlog


def test_history_is_read_when_every_range_is() -> None:
    """Empty ranges are from the start."""
    backlog = Backlog({0: (5, 7), 1: (3, 3), 2: (9, 1)})
    assert not backlog.done
    assert backlog.remaining == 2
    assert backlog.positions() == {0: 5}

    backlog.read(1, 100)
    backlog.read(0, 6)
    assert backlog.positions() == {0: 6}
    backlog.read(0, 7)

    assert backlog.done


def test_reading_again_does_not_go_back() -> None:
    """A record seen twice changes nothing."""
    backlog = Backlog({0: (0, 10)})
    backlog.read(0, 8)
    backlog.read(0, 3)

    assert backlog.positions() == {0: 8}


def test_the_end_of_a_partition_ends_its_range() -> None:
    """Its last offsets may be no records."""
    backlog = Backlog({0: (0, 10), 1: (0, 1)})
    backlog.finish(0)
    backlog.finish(7)

    assert backlog.positions() == {1: 0}


def test_only_the_first_measure_moves_an_end() -> None:
    """Under traffic the partition's end runs away."""
    backlog = Backlog({0: (0, 1)})
    assert not backlog.measured(0)
    assert backlog.measured(1)

    backlog.measure(0, 45)
    backlog.measure(0, 1000)

    assert backlog.remaining == 45
    backlog.measure(1, 10)
    assert backlog.positions() == {0: 0}


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 50)), min_size=1))
def test_included_records_are_all_read(places: list[tuple[int, int]]) -> None:
    """One way through the topic passes all of them."""
    backlog = Backlog({})
    for partition, offset in places:
        backlog.include(partition, offset)

    passed = set()
    for partition, offset in backlog.positions().items():
        current = offset
        while backlog.positions().get(partition) == current:
            passed.add((partition, current))
            current += 1
            backlog.read(partition, current)

    assert passed >= set(places)
    assert backlog.done

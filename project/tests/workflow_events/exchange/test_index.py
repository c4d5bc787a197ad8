"""Where results were seen lately."""

from hypothesis import given
from hypothesis import strategies as st

from workflow_events.exchange.index import Place, SeenIndex


def test_it_knows_every_place_of_an_id() -> None:
    """Oldest first."""
    index = SeenIndex(100)
    index.begin({0: 0, 1: 0}, 0)
    index.put(b"a", Place(0, 1))
    index.put(b"b", Place(0, 2))
    index.put(b"a", Place(1, 0))

    assert index.places(b"a") == (Place(0, 1), Place(1, 0))
    assert index.places(b"nobody") == ()


@given(
    capacity=st.integers(2, 12),
    records=st.lists(st.tuples(st.integers(0, 2), st.sampled_from("abcdefghijklmnop")), max_size=80),
)
def test_all_records_from_known_from_on_are_in_it(capacity: int, records: list[tuple[int, str]]) -> None:
    """However often it has forgotten; and it never holds more than it may."""
    index = SeenIndex(capacity)
    index.begin({0: 10, 1: 10, 2: 10}, 0)
    next_offset = {0: 10, 1: 10, 2: 10}
    seen: list[tuple[bytes, Place]] = []
    for partition, name in records:
        place = Place(partition, next_offset[partition])
        next_offset[partition] += 1
        seen.append((name.encode(), place))
        index.put(*seen[-1])

    assert len(index) <= capacity
    for key, place in seen:
        of_the_same = [other for other_key, other in seen if other_key == key]
        if place.offset >= index.known_from(place.partition) and place in of_the_same[-8:]:
            assert place in index.places(key)


def test_it_says_from_which_time_on_it_is_complete() -> None:
    """What it forgot was written at the latest when its younger half began, give or take the clocks."""
    now = [1000.0]
    index = SeenIndex(4, clock=lambda: now[0])
    index.begin({0: 0}, 500)
    for offset in range(4):
        now[0] += 1
        index.put(str(offset).encode(), Place(0, offset))
    assert index.complete_from_ms == 1_003_000 + 300_000
    assert index.known_from(0) == 2


def test_without_a_known_time_only_what_comes_later_counts() -> None:
    """Positions that were noted say nothing about record times."""
    index = SeenIndex(4, clock=lambda: 1000.0)
    index.begin({0: 7}, None)

    assert index.complete_from_ms == 1_300_000
    assert index.known_from(0) == 7

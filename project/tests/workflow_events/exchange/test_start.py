"""Where a wait begins to read."""

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

from workflow_events.exchange import StartPoint
from workflow_events.exchange.start import CLOCK_MARGIN, distinct
from workflow_events.ids import event_time, new_event_id


def test_a_version_7_id_is_looked_for_from_five_minutes_before_it_was_made() -> None:
    """Its result cannot be older, whatever the clocks say."""
    event_id = new_event_id()
    made = event_time(event_id)
    assert made is not None

    assert StartPoint.before(event_id) == StartPoint.at(made - timedelta(minutes=5))


def test_any_other_id_is_looked_for_from_the_beginning() -> None:
    """It does not say when it was made; nor is one from the future believed."""
    tomorrow = int((datetime.now(UTC) + CLOCK_MARGIN * 2).timestamp() * 1000)
    from_tomorrow = UUID(int=tomorrow << 80 | 0x7 << 76 | 0b10 << 62)

    assert StartPoint.before(uuid4()) == StartPoint.beginning()
    assert StartPoint.before(from_tomorrow) == StartPoint.beginning()


def test_a_start_point_goes_through_json() -> None:
    """Another process can go on waiting."""
    for start in (StartPoint({0: 5, 11: 0}, 1234), StartPoint.at(datetime.now(UTC)), StartPoint.beginning()):
        assert StartPoint.from_dict(start.to_dict()) == start


def test_of_several_starts_the_noted_ones_and_the_earliest_time_matter() -> None:
    """The others lie behind it."""
    early, late = StartPoint(time_ms=1), StartPoint(time_ms=2)
    first, second = StartPoint({0: 1}, 9), StartPoint({0: 2}, 9)

    assert distinct([late, first, early, second]) == [first, second, early]
    assert distinct([early, StartPoint.beginning()]) == [StartPoint.beginning()]
    assert distinct([]) == []

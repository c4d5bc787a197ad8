"""Identities."""

from datetime import UTC, datetime, timedelta
from threading import Thread
from uuid import NAMESPACE_URL, RFC_4122, UUID, uuid4, uuid5

from hypothesis import given
from hypothesis import strategies as st

from workflow_events.ids import dead_letter_id, dead_letter_id_at, event_time, new_event_id, result_id


def test_new_ids_are_version_7_and_say_when_they_were_made() -> None:
    """To the millisecond, which a late reader seeks by."""
    before = datetime.now(UTC) - timedelta(milliseconds=1)
    event_id = new_event_id()

    made = event_time(event_id)

    assert event_id.version == 7
    assert event_id.variant == RFC_4122
    assert made is not None
    assert before <= made <= datetime.now(UTC) + timedelta(milliseconds=1)


def test_ids_of_one_process_sort_as_they_were_made() -> None:
    """Also many within one millisecond."""
    made = [new_event_id() for _ in range(5000)]

    assert made == sorted(made)
    assert [str(one) for one in made] == sorted(str(one) for one in made)


def test_ids_of_many_threads_differ() -> None:
    """Nobody waits for somebody else's result."""
    made: list[UUID] = []
    threads = [Thread(target=lambda: made.extend(new_event_id() for _ in range(500))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(set(made)) == 2000


@given(st.integers(min_value=0, max_value=2**128 - 1))
def test_any_uuid_has_a_time_or_none(number: int) -> None:
    """Only version 7 carries one, and a year beyond 9999 counts as none."""
    event_id = UUID(int=number)

    made = event_time(event_id)

    assert made is None or (event_id.version == 7 and made.tzinfo is UTC)


def test_the_time_of_a_known_id() -> None:
    """The example of RFC 9562, appendix A.6."""
    assert event_time(UUID("017F22E2-79B0-7CC3-98C4-DC0C0C07398F")) == datetime(
        2022, 2, 22, 19, 22, 22, tzinfo=UTC
    )
    assert event_time(uuid4()) is None
    assert event_time(UUID(int=(2**48 - 1) << 80 | 0x7 << 76 | 0b10 << 62)) is None


def test_a_verdict_has_one_id_however_often_it_is_published() -> None:
    """The id depends on event, attempt and status alone, in the way the contract fixes."""
    event_id = uuid4()

    assert result_id(event_id, 2, "error") == uuid5(event_id, "2/error")
    assert dead_letter_id(event_id, 2) == uuid5(event_id, "2/dead-letter")
    assert dead_letter_id_at("events", 3, 17) == uuid5(NAMESPACE_URL, "kafka://events/3/17")
    assert len({result_id(event_id, a, s) for a in (1, 2) for s in ("success", "error")}) == 4

"""Record headers."""

from hypothesis import given
from hypothesis import strategies as st

from workflow_events.headers import RecordHeaders


def test_headers_are_read_back_as_written() -> None:
    """All of them."""
    headers = RecordHeaders(
        "id", attempt=3, deadline_ms=1_700_000_000_000, traceparent="00-a-b-01", tracestate="x=1"
    )

    assert RecordHeaders.parse(headers.to_list()) == headers


def test_what_is_not_set_is_not_written() -> None:
    """Only the attempt always is."""
    assert RecordHeaders().to_list() == [("attempt", b"1")]


def test_a_record_without_headers_is_a_first_attempt() -> None:
    """As other producers write it."""
    assert RecordHeaders.parse(None) == RecordHeaders.parse([]) == RecordHeaders(None, 1, None, None, None)


def test_what_cannot_be_read_counts_as_absent() -> None:
    """A bad header is no reason to refuse a record."""
    for bad in (b"x", b"0", b"-1", b"", None, b"\xff", b"9" * 20, "²".encode(), b"1.5", b"2147483648"):
        parsed = RecordHeaders.parse(
            [("attempt", bad), ("deadline_ms", b"soon"), ("correlation_id", b"\xff")]
        )
        assert parsed == RecordHeaders()


def test_the_last_of_two_headers_counts() -> None:
    """As Kafka's own lastHeader."""
    assert RecordHeaders.parse([("attempt", b"1"), ("attempt", b"2")]).attempt == 2


@given(
    st.lists(
        st.tuples(st.sampled_from(["attempt", "deadline_ms", "traceparent", "x"]), st.none() | st.binary())
    )
)
def test_no_headers_make_it_fail(headers: list[tuple[str, bytes | None]]) -> None:
    """Whatever bytes they hold."""
    parsed = RecordHeaders.parse(headers)

    assert parsed.attempt >= 1
    assert parsed.deadline_ms is None or parsed.deadline_ms >= 1

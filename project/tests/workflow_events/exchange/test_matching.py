"""Whose result a record is."""

import json
from uuid import uuid4

from hypothesis import given
from hypothesis import strategies as st

from tests.workflow_events.samples import a_result
from workflow_events.codec import encode
from workflow_events.exchange.matching import candidate_keys, canonical_key, id_key

OURS, OTHER = uuid4(), uuid4()
MINE = id_key(OURS)
BODY = encode(a_result(OURS))


def test_a_header_settles_it() -> None:
    """The text is not looked at: foreign records cost nothing."""
    headers = [("attempt", b"1"), ("correlation_id", id_key(OTHER))]

    assert candidate_keys(MINE, headers, BODY) == (id_key(OTHER),)


def test_without_a_header_key_and_text_count() -> None:
    """As other producers write: keyed by the id, by something else, or not at all."""
    assert candidate_keys(MINE, None, None) == (MINE,)
    assert candidate_keys(None, None, BODY) == (MINE,)
    assert candidate_keys(b"quarterly-report", [], BODY) == (MINE,)
    assert candidate_keys(id_key(OTHER), [], BODY) == (id_key(OTHER), MINE)


def test_spelling_does_not_matter() -> None:
    """Upper case, no dashes, spaces around the colon."""
    for spelling in (str(OURS).upper(), OURS.hex):
        text = json.dumps({"correlation_id": spelling}, separators=(",", "  :  ")).encode()
        assert candidate_keys(None, None, text) == (MINE,)
        assert candidate_keys(spelling.encode(), None, None) == (MINE,)
        assert candidate_keys(None, [("correlation_id", spelling.encode())], None) == (MINE,)


def test_what_names_no_id_has_none() -> None:
    """Other keys, other texts, nothing."""
    assert candidate_keys(None, None, None) == ()
    assert candidate_keys(b"order-17", [("correlation_id", None)], b'{"correlation_id": "no"}') == ()
    assert candidate_keys(b"\xff" * 36, [("correlation_id", b"\xff")], b"\xff") == ()


@given(
    st.none() | st.binary(), st.lists(st.tuples(st.text(), st.none() | st.binary())), st.none() | st.binary()
)
def test_no_bytes_make_it_fail(
    key: bytes | None, headers: list[tuple[str, bytes | None]], value: bytes | None
) -> None:
    """Whatever is on the topic."""
    assert all(canonical_key(found) == found for found in candidate_keys(key, headers, value))

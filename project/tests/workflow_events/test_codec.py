"""Records to events and back, and what happens to those that are none."""

import json
import math
from contextlib import suppress
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.workflow_events.samples import a_result, an_event
from tests.workflow_events.test_strict_json import JSON_VALUES
from workflow_events import EventType, WorkflowEvent
from workflow_events.codec import decode_event, decode_result, encode, payload_hash
from workflow_events.errors import InvalidEvent, InvalidRecord, NotJson, UnsupportedVersion

GOOD = json.loads(encode(an_event()))
EVENT_ID = GOOD["event_id"]


def record(**changes: Any) -> bytes:
    """A valid record's bytes with some fields changed; `...` takes a field away."""
    fields = {name: value for name, value in {**GOOD, **changes}.items() if value is not ...}
    return json.dumps(fields).encode()


@given(
    st.dictionaries(st.text(st.characters(codec="utf-8")), JSON_VALUES),
    st.uuids(),
    st.text("ab-_", max_size=9),
)
def test_an_event_survives_the_wire(data: dict[str, Any], event_id: UUID, workflow_id: str) -> None:
    """Whatever JSON its payload holds."""
    event = an_event(payload={"data": data}, event_id=event_id, workflow_id=workflow_id)

    assert decode_event(encode(event)) == event


def test_a_result_survives_the_wire() -> None:
    """With and without what only our writers know."""
    for result in (a_result(), a_result(status="failure", attempt=2, result_id=uuid4())):
        assert decode_result(encode(result)) == result


def test_the_wire_has_exactly_the_fields_of_the_dump() -> None:
    """A reader in another language sees what `model_dump` shows."""
    event = an_event(graph="mine")

    assert json.loads(encode(event)) == event.model_dump(mode="json")
    assert "graph" not in json.loads(encode(an_event()))


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(
    st.binary(max_size=200)
    | JSON_VALUES.map(lambda value: json.dumps(value).encode())
    | st.dictionaries(st.sampled_from([*GOOD, "graph", "new"]), JSON_VALUES).map(
        lambda changes: json.dumps({**GOOD, **changes}).encode()
    )
)
@example(b'{"event_id": {"a": 1}}')
@example(b"[" * 10_000)
def test_any_bytes_give_an_event_or_invalid_event(data: bytes) -> None:
    """Never anything else: the service's loop relies on it."""
    with suppress(InvalidEvent):
        assert isinstance(decode_event(data), WorkflowEvent)


@pytest.mark.parametrize(
    "data",
    [
        None,
        b"",
        b"not json",
        b"null",
        b"[]",
        b'"text"',
        b"{}",
        b"[" * 10_000 + b"]" * 10_000,
        b"\xff\xfe\x00",
        json.dumps(GOOD).encode()[:-20],
    ],
    ids=lambda data: repr(data)[:16],
)
def test_what_is_no_event_is_invalid(data: bytes | None) -> None:
    """No retry will mend it."""
    with pytest.raises(InvalidEvent):
        decode_event(data)


@pytest.mark.parametrize(
    "data",
    [
        record(source="jenkins"),
        record(metadata={"environment": "nowhere"}),
        record(event_type="workflow.unheard-of"),
        record(payload=...),
        json.dumps({"metadata": None, **GOOD, "source": None}).encode(),
        json.dumps(GOOD).encode()[:-2],
        json.dumps(GOOD | {"payload": {"data": {"x": math.nan}}}).encode(),
        json.dumps({"first": math.inf, **GOOD}).encode(),
        json.dumps(GOOD).replace("quarterly", "\\ud800").encode(),
        json.dumps(GOOD).encode()[:-1] + b', "workflow_id": "again"}',
        json.dumps(GOOD).encode()[:-1] + b', "deep":' + b"[" * 10_000 + b"]" * 10_000 + b"}",
        json.dumps(GOOD).replace("quarterly", "caf\xe9").encode("latin-1"),
    ],
    ids=["source", "environment", "type", "no-payload", "late-id", "cut-off", "nan", "late-id-inf",
         "surrogate", "key-twice", "deep", "latin-1"],
)  # fmt: skip
def test_an_invalid_event_still_says_whose_it_is(data: bytes) -> None:
    """Its asker gets an error result instead of silence."""
    with pytest.raises(InvalidEvent) as caught:
        decode_event(data)

    assert caught.value.event_id == EVENT_ID


@pytest.mark.parametrize(
    "data",
    [
        record(event_id="not-a-uuid"),
        record(event_id=17),
        record(event_id=...),
        record(event_id=..., payload={"data": {"event_id": EVENT_ID}}),
        b'{"payload": {"event_id": "' + EVENT_ID.encode() + b'"}, "x": NaN}',
        json.dumps(GOOD).encode()[:-1] + b', "event_id": "' + str(uuid4()).encode() + b'"}',
        b'{"x": NaN, "event_id": "' + EVENT_ID.encode() + b'", "event_id": "' + str(uuid4()).encode() + b'"}',
    ],
    ids=["no-uuid", "number", "absent", "in-payload", "in-payload-nan", "another", "two"],
)
def test_an_id_that_is_not_certain_is_not_given(data: bytes) -> None:
    """An error result for the wrong asker would be worse than none."""
    with pytest.raises(InvalidEvent) as caught:
        decode_event(data)

    assert caught.value.event_id is None


def test_the_error_names_fields_and_not_their_values() -> None:
    """Its text travels in results and logs; a value may be a secret."""
    with pytest.raises(InvalidEvent) as caught:
        decode_event(record(source="s3cret", workflow_id=["s3cret"]))

    assert "source" in str(caught.value)
    assert "workflow_id" in str(caught.value)
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize("version", ["2.0", "10.3", "002.0", "9" * 5000 + ".0"], ids=lambda text: text[:6])
def test_a_newer_major_version_is_a_permanent_error_of_its_own(version: str) -> None:
    """Even if nothing else of the record can be understood."""
    newer = record(metadata={"version": version}, payload="another shape")

    with pytest.raises(UnsupportedVersion, match=r"newer than 1\.x") as caught:
        decode_event(newer)

    assert caught.value.event_id == EVENT_ID


@pytest.mark.parametrize("version", ["1.0", "1.99", "01.5", "0.9", "latest", "2", "2.0.1", "v2.0", ""])
def test_every_other_version_reads_as_1(version: str) -> None:
    """Only N.M with N above 1 is a newer major version."""
    event = decode_event(record(metadata={"environment": "dev", "version": version}))

    assert event.metadata.version == version


def test_unknown_fields_are_tolerated_everywhere() -> None:
    """A newer writer may send them."""
    event = decode_event(
        record(new=1, payload={"data": {}, "new": 1}, metadata={"environment": "dev", "new": [1]})
    )

    assert str(event.event_id) == EVENT_ID


@pytest.mark.parametrize("kind", list(EventType))
def test_every_type_of_event_can_be_read(kind: EventType) -> None:
    """Whether it starts a run is for the service to say."""
    assert decode_event(record(event_type=kind.value)).event_type is kind


def test_a_record_larger_than_the_limit_is_not_parsed_but_known() -> None:
    """Its size is refused before its text is looked at."""
    large = record(payload={"data": {"text": "x" * 1000}})

    with pytest.raises(InvalidEvent, match="more than the 1000") as caught:
        decode_event(large, max_bytes=1000)

    assert caught.value.event_id == EVENT_ID
    assert decode_event(large, max_bytes=len(large)).event_id == UUID(EVENT_ID)


def test_a_number_that_json_cannot_carry_is_an_error_that_names_the_path() -> None:
    """When writing, before anything is sent."""
    with pytest.raises(NotJson, match=r"^payload\.data\.rows\[1\] is nan"):
        encode(an_event(payload={"data": {"rows": [1.0, math.nan]}}))


@pytest.mark.parametrize("data", [None, b"[]", b"{}", b"\xff", encode(an_event())])
def test_what_is_no_result_is_an_invalid_record(data: bytes | None) -> None:
    """Readers skip it with a warning."""
    with pytest.raises(InvalidRecord):
        decode_result(data)


def test_the_payload_hash_is_of_what_is_asked_for() -> None:
    """Not of when, by whom or under which id."""
    event = an_event(payload={"data": {"a": 1, "b": [2, {"c": 3, "d": 4}]}})
    same = an_event(payload={"data": {"b": [2, {"d": 4, "c": 3}], "a": 1}}, source="fastapi")

    assert payload_hash(event) == payload_hash(same)
    assert len(payload_hash(event)) == 64
    changes: list[dict[str, Any]] = [
        {"payload": {"data": {"a": 2}}},
        {"workflow_id": "other"},
        {"workflow_run_id": "other"},
        {"graph": "other"},
    ]
    assert len({payload_hash(event)} | {payload_hash(an_event(**change)) for change in changes}) == 5


def test_the_payload_hash_of_a_redelivery_is_the_same() -> None:
    """What was read back from the wire hashes as what was written."""
    event = an_event(payload={"data": {"é": 0.1, "big": 2**70, "list": [1, 2.0, None]}})

    assert payload_hash(decode_event(encode(event))) == payload_hash(event)

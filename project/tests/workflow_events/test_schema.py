"""Events and results as Python objects."""

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from uuid import UUID, uuid4

import pytest
from pydantic import ValidationError
from pydantic_core import PydanticSerializationError

from tests.workflow_events.samples import EVENT_FIELDS, a_result, an_event
from workflow_events import (
    EventSource,
    EventType,
    WorkflowEvent,
    WorkflowEventMetadata,
    WorkflowEventPayload,
    WorkflowResultEvent,
)


def test_a_plain_dump_is_ready_for_json() -> None:
    """Id and time come out as strings, enums equal theirs, and json.dumps takes it all."""
    event = an_event()

    dumped = event.model_dump()

    assert dumped["event_id"] == str(event.event_id)
    assert dumped["timestamp"] == event.timestamp.isoformat()
    assert dumped["event_type"] == "workflow.triggered"
    assert dumped["source"] == "airflow"
    assert json.loads(json.dumps(dumped)) == json.loads(event.model_dump_json())


def test_an_event_has_the_promised_fields_and_no_others() -> None:
    """Callers compare whole records; an optional field that is not set does not show."""
    assert list(an_event().model_dump()) == [
        "event_id", "event_type", "timestamp", "source",
        "workflow_id", "workflow_run_id", "payload", "metadata",
    ]  # fmt: skip
    assert an_event(graph="mine").model_dump()["graph"] == "mine"


def test_a_result_has_the_promised_fields_and_no_others() -> None:
    """As for events: `attempt` and `result_id` show when they are known."""
    assert list(a_result().model_dump()) == [
        "correlation_id", "workflow_id", "workflow_run_id", "result", "status", "error", "timestamp",
    ]  # fmt: skip
    known = a_result(attempt=2, result_id=uuid4()).model_dump()
    assert known["attempt"] == 2
    assert isinstance(known["result_id"], str)
    assert isinstance(known["correlation_id"], str)


@pytest.mark.parametrize("original", [an_event(), an_event(graph="mine")], ids=["plain", "graph"])
def test_an_event_is_rebuilt_from_its_dump(original: WorkflowEvent) -> None:
    """By keywords, by validation of a dict, and from JSON text."""
    assert WorkflowEvent(**original.model_dump()) == original
    assert WorkflowEvent.model_validate(original.model_dump(mode="json")) == original
    assert WorkflowEvent.model_validate_json(original.model_dump_json()) == original


def test_a_result_is_rebuilt_from_its_dump() -> None:
    """By keywords and from JSON text."""
    original = a_result(status="error", attempt=3)

    assert WorkflowResultEvent(**original.model_dump()) == original
    assert WorkflowResultEvent.model_validate_json(original.model_dump_json()) == original


def test_attributes_keep_their_types() -> None:
    """Code that reads attributes gets an id, a moment and enum members."""
    event = an_event()

    assert isinstance(event.event_id, UUID)
    assert isinstance(event.timestamp, datetime)
    assert event.event_type is EventType.WORKFLOW_TRIGGERED
    assert event.source.value == "airflow"
    assert isinstance(EventSource.AIRFLOW, str)


@pytest.mark.parametrize("missing", list(EVENT_FIELDS))
def test_a_missing_field_is_an_error_that_names_it(missing: str) -> None:
    """Type, source, both workflow ids, payload and metadata have no defaults."""
    fields = {name: value for name, value in EVENT_FIELDS.items() if name != missing}

    with pytest.raises(ValidationError, match=missing):
        WorkflowEvent.model_validate(fields)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("event_type", "workflow.exploded"),
        ("source", "jenkins"),
        ("event_id", "not-a-uuid"),
        ("timestamp", "yesterday"),
        ("workflow_id", None),
        ("payload", {}),
        ("payload", {"data": [1, 2]}),
        ("metadata", {"environment": "production"}),
        ("metadata", {"environment": "dev\n"}),
        ("metadata", {"version": "1.0"}),
    ],
)
def test_a_bad_field_is_an_error(field: str, value: Any) -> None:
    """Nothing is guessed or repaired."""
    with pytest.raises(ValidationError, match=field):
        an_event(**{field: value})


def test_environment_is_checked_by_a_pattern() -> None:
    """The error says what is accepted."""
    with pytest.raises(ValidationError, match=r"dev\|staging\|prod") as caught:
        WorkflowEventMetadata(environment="test")

    assert caught.value.errors()[0]["type"] == "string_pattern_mismatch"


def test_what_is_accepted_without_asking() -> None:
    """An empty workflow id, an empty payload, any version, and fields nobody knows yet."""
    event = an_event(
        workflow_id="", payload={"data": {}}, metadata={"environment": "prod", "version": "x"}, new=1
    )

    assert event.workflow_id == ""
    assert event.payload == WorkflowEventPayload(data={})
    assert event.metadata.version == "x"
    assert WorkflowEventMetadata(environment="staging").version == "1.0"


def test_a_time_without_zone_is_utc_and_one_with_a_zone_keeps_it() -> None:
    """So that two times can always be compared."""
    assert an_event(timestamp="2025-01-27T12:00:00").timestamp == datetime(2025, 1, 27, 12, tzinfo=UTC)
    there = timezone(timedelta(hours=2))
    assert an_event(timestamp="2025-01-27T12:00:00+02:00").timestamp == datetime(
        2025, 1, 27, 12, tzinfo=there
    )


def test_generated_ids_differ_and_generated_times_are_now_in_utc() -> None:
    """Whoever gives neither gets both."""
    before = datetime.now(UTC)
    first, second = an_event(), an_event()

    assert first.event_id != second.event_id
    assert before <= first.timestamp <= datetime.now(UTC)
    assert first.timestamp.tzinfo is UTC


@pytest.mark.parametrize("status", ["done", "", None, "SUCCESS"])
def test_an_unknown_status_is_refused(status: Any) -> None:
    """There are three, and readers branch on them."""
    with pytest.raises(ValidationError, match="status"):
        a_result(status=status)


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity"])
def test_a_number_that_json_cannot_carry_is_refused_and_not_made_null(number: str) -> None:
    """By pydantic's own reader and writer too, each naming the path."""
    for model in (an_event(), a_result()):
        where = "data" if isinstance(model, WorkflowEvent) else "result"
        text = model.model_dump_json().replace(f'"{where}":{{', f'"{where}":{{"rows":[{{"x":{number}}}],', 1)
        with pytest.raises(ValidationError, match=r"rows\[0\]\.x is .*JSON cannot carry"):
            type(model).model_validate_json(text)

        inside = model.payload.data if isinstance(model, WorkflowEvent) else model.result
        inside["x"] = [0.5, float(number)]
        with pytest.raises(PydanticSerializationError, match=r"x\[1\] is .*JSON cannot carry"):
            model.model_dump_json()


def test_a_value_that_contains_itself_is_an_error_of_the_writer() -> None:
    """And no endless search for a number in it."""
    event = an_event()
    event.payload.data["again"] = event.payload.data

    with pytest.raises((ValueError, PydanticSerializationError), match="Circular"):
        event.model_dump_json()

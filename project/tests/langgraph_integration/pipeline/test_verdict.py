"""The bytes of a verdict: those of the schema's own model, which the writer does not make."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, assert_never

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from langgraph_integration.pipeline.asked import read
from langgraph_integration.pipeline.delivery import Delivery
from langgraph_integration.pipeline.ledger import Position, StoredVerdict
from langgraph_integration.pipeline.outcome import Failed, Outcome, Succeeded, Unfulfilled
from langgraph_integration.pipeline.verdict import VerdictWriter
from tests.langgraph_integration.events import event, value_of
from tests.langgraph_integration.rig import MemorySink
from workflow_events import WorkflowEvent, WorkflowResultEvent
from workflow_events.codec import encode
from workflow_events.errors import NotJson, WorkflowFailed
from workflow_events.ids import result_id


class Colour(StrEnum):
    RED = "red"


class Name(str):
    """A text of a library's own, as state may hold them."""


_TEXTS = st.text(st.characters(codec="utf-8"))
_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | _TEXTS
    | st.datetimes(timezones=st.none() | st.just(UTC))
    | st.uuids(),
    lambda inner: st.lists(inner) | st.dictionaries(_TEXTS, inner),
    max_leaves=15,
)
# by name and not drawn: a text of another type that equals a drawn one confuses Hypothesis
_OWN_TEXTS: dict[str, Any] = {Name("a"): Name("b"), Colour.RED: [Colour.RED, {Name("c"): Colour.RED}]}
_RESULTS = st.dictionaries(_TEXTS, _VALUES, max_size=5)
_FAILURES = st.builds(
    Failed,
    reason=st.sampled_from(["permanent", "timeout", "crash-loop"]),
    message=_TEXTS,
    cause=st.builds(WorkflowFailed, _TEXTS),
    retry_count=st.integers(0, 9),
)
_OUTCOMES = st.builds(Succeeded, _RESULTS) | st.builds(Unfulfilled, _RESULTS, _TEXTS) | _FAILURES
_MOMENTS = st.datetimes(timezones=st.just(UTC))


def _written(asked: WorkflowEvent, attempt: int, outcome: Outcome, now: datetime) -> StoredVerdict:
    delivery = Delivery(Position("events", 0, 7), b"key", value_of(asked), 0, 1)
    writer = VerdictWriter(MemorySink(), max_event_bytes=1_000_000)
    return writer.write(delivery, read(delivery, max_bytes=1_000_000), attempt, outcome, now=now)


def _modelled(asked: WorkflowEvent, attempt: int, outcome: Outcome, now: datetime) -> WorkflowResultEvent:
    match outcome:
        case Succeeded(result=result):
            said: dict[str, Any] = {"status": "success", "result": result, "error": None}
        case Unfulfilled(result=result, error=text):
            said = {"status": "failure", "result": result, "error": text}
        case Failed(message=text):
            said = {"status": "error", "result": {}, "error": text}
        case _:
            assert_never(outcome)
    return WorkflowResultEvent(
        correlation_id=asked.event_id,
        workflow_id=asked.workflow_id,
        workflow_run_id=asked.workflow_run_id,
        timestamp=now,
        attempt=attempt,
        result_id=result_id(asked.event_id, attempt, said["status"]),
        **said,
    )


@settings(deadline=None)
@given(st.builds(event, workflow_id=_TEXTS, workflow_run_id=_TEXTS), st.integers(1), _OUTCOMES, _MOMENTS)
@example(event(), 1, Succeeded(_OWN_TEXTS), datetime(2026, 1, 1, tzinfo=UTC))
@example(event(workflow_id=""), 2**31 - 1, Unfulfilled({}, ""), datetime(2026, 1, 1, tzinfo=UTC))
@example(event(), 1, Succeeded({"n": 10**40, "none": None, "x": 1e308}), datetime(2026, 1, 1, tzinfo=UTC))
def test_a_result_is_written_as_its_model_would_be(
    asked: WorkflowEvent, attempt: int, outcome: Outcome, now: datetime
) -> None:
    """To the byte, whatever the outcome, its texts and its data: fields, their order, what is left out."""
    assert _written(asked, attempt, outcome, now).result == encode(_modelled(asked, attempt, outcome, now))


@pytest.mark.parametrize(
    "result", [{"rows": [1, float("nan")]}, {"x": object()}, {"half": "\ud800"}, {"a": {"\ud800": 1}}]
)
def test_what_json_cannot_carry_is_refused_with_the_models_words(result: dict[str, Any]) -> None:
    """The asker reads the path of the value."""
    asked, now = event(), datetime(2026, 1, 1, tzinfo=UTC)
    with pytest.raises(NotJson) as refused:
        encode(_modelled(asked, 1, Succeeded(result), now))

    verdict = _written(asked, 1, Succeeded(result), now)

    said = Failed(
        "result-invalid",
        f"The workflow finished, but its result cannot be sent: {refused.value}",
        refused.value,
    )
    assert verdict.reason == "result-invalid"
    assert verdict.result == encode(_modelled(asked, 1, said, now))


def test_a_key_that_is_no_text_ends_in_an_answer() -> None:
    """Nothing but an answer to the asker comes of it, although the model would refuse to be made."""
    verdict = _written(event(), 1, Succeeded({1: 2}), datetime.now(UTC))  # type: ignore[dict-item]  # the point

    assert (verdict.status, verdict.reason) == ("error", "result-invalid")

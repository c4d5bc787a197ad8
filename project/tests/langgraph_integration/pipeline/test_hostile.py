"""Whatever bytes a producer writes: every record comes to an end, and those behind it flow."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from langgraph_integration.pipeline.asked import read
from langgraph_integration.pipeline.delivery import Delivery
from langgraph_integration.pipeline.ledger import Position
from langgraph_integration.pipeline.outcome import Failed, Succeeded
from langgraph_integration.pipeline.verdict import VerdictWriter
from tests.langgraph_integration.events import event, value_of
from tests.langgraph_integration.rig import MemorySink, running_rig
from workflow_events.codec import decode_result, parse_json
from workflow_events.dead_letter import DeadLetterEvent

_FIELDS = json.loads(value_of(event({"task": "t"})))
_SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.just("\ud800") | st.just("\x00")
)
_JSON = st.recursive(
    _SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3)
)


@st.composite
def _spoiled_events(draw: st.DrawFn) -> bytes:
    """An event with fields replaced by anything that Python writes as JSON, then perhaps cut or damaged."""
    fields: dict[str, Any] = dict(_FIELDS)
    for name in draw(st.lists(st.sampled_from(sorted(fields)), max_size=3)):
        fields[name] = draw(_JSON)
    data = json.dumps(fields, ensure_ascii=draw(st.booleans())).encode("utf-8", "surrogatepass")
    if draw(st.booleans()):
        at = draw(st.integers(0, len(data)))
        data = data[:at] + draw(st.binary(max_size=4)) + data[at + draw(st.integers(0, 4)) :]
    return data


_VALUES = st.none() | st.binary(max_size=200) | _spoiled_events()
_KEYS = st.none() | st.binary(max_size=40) | st.uuids().map(lambda key: str(key).encode())
_HEADERS = st.lists(st.tuples(st.text(max_size=15), st.binary(max_size=20)), max_size=4) | st.lists(
    st.tuples(st.sampled_from(["attempt", "deadline_ms", "correlation_id"]), st.binary(max_size=20)),
    max_size=3,
)
_TIMES = st.integers(-(2**63), 2**63 - 1)


@settings(max_examples=150, deadline=None)
@given(_VALUES, _KEYS, _HEADERS, _TIMES, st.integers(700, 5000))
def test_any_record_is_read_and_any_verdict_on_it_can_be_written(
    value: bytes | None, key: bytes | None, headers: list[tuple[str, bytes]], time_ms: int, limit: int
) -> None:
    """Reading never raises; error result and dead letter are JSON whatever the record held."""
    position = Position("events", 0, 7)
    delivery = Delivery(position, key, value, time_ms, 1, tuple(headers))
    sink = MemorySink()
    sink.result_limit_bytes = sink.dead_letter_limit_bytes = 1_000_000
    writer = VerdictWriter(sink, max_event_bytes=limit)

    asked = read(delivery, max_bytes=limit)
    assert (asked.event is None) == (asked.error is not None)
    failed = Failed("invalid", "Invalid event: \ud800", ValueError("\ud800 and \x00"))
    for outcome in (failed, Succeeded({"echo": asked.workflow_id})):
        verdict = writer.write(delivery, asked, asked.headers.attempt, outcome, now=delivery.time)
        assert (verdict.result is None) == (asked.event_id is None)
        if verdict.result is not None:
            assert decode_result(verdict.result).correlation_id == asked.event_id
        if verdict.dead_letter is not None:
            letter = DeadLetterEvent.model_validate(parse_json(verdict.dead_letter))
            assert letter.origin is not None
            assert letter.origin.offset == 7


async def test_a_nul_in_an_id_reaches_the_asker_and_not_the_database() -> None:
    """JSON may carry it, PostgreSQL refuses it: an ask that cannot be stored would be stuck for ever."""
    asked = event(workflow_id="a\x00b", workflow_run_id="\x00", graph="g\x00")
    delivery = Delivery(Position("events", 0, 0), None, value_of(asked), 0, 1)
    ask = read(delivery, max_bytes=10_000).ask(delivery)
    async with running_rig() as rig:
        rig.publish(asked)
        (result,) = await rig.results(1)

    assert (ask.workflow_id, ask.workflow_run_id, ask.graph) == ("a\ufffdb", "\ufffd", "g\ufffd")
    assert (result.workflow_id, result.workflow_run_id) == ("a\x00b", "\x00")


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(_VALUES, _KEYS, _HEADERS), min_size=1, max_size=8))
async def test_a_good_event_behind_any_bad_ones_is_answered(
    records: list[tuple[bytes | None, bytes | None, list[tuple[str, bytes]]]],
) -> None:
    """All offsets are settled and committed; nothing is stuck."""
    good = event()
    async with running_rig() as rig:
        for value, key, headers in records:
            rig.topic.append(value, key=key, headers=headers)
        rig.publish(good)
        await rig.settled()

    assert good.event_id in [result.correlation_id for result in rig.sink.decoded()]

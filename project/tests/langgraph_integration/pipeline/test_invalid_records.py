"""Records that are no event of ours: answered where somebody can be, and kept to the byte."""

from __future__ import annotations

import asyncio
import json
from base64 import b64decode
from collections.abc import Callable
from typing import Any

import pytest

from langgraph_integration.store import MemoryDatabase
from tests.langgraph_integration.events import event, value_of
from tests.langgraph_integration.memory_source import MemoryTopic
from tests.langgraph_integration.rig import running_rig
from tests.support import wait_until
from workflow_events import WorkflowEvent
from workflow_events.ids import dead_letter_id, dead_letter_id_at

INVALID: dict[str, Callable[[bytes], bytes | None]] = {
    "not JSON": lambda _: b"no json at all",
    "an empty record": lambda _: b"",
    "a tombstone": lambda _: None,
    "an array": lambda _: b"[1,2]",
    "a wrong schema": lambda value: value.replace(b'"payload"', b'"pay"'),
    "NaN": lambda value: value.replace(b'"test"', b"NaN"),
    "1e400": lambda value: value.replace(b'"test"', b"1e400"),
    "wrong encoding": lambda value: value.decode().encode("utf-16"),
    "bytes that are no UTF-8": lambda value: value.replace(b"test", b"\xff\xfe"),
    "10,000 levels": lambda value: value.replace(b'"test"', b"[" * 10_000 + b"]" * 10_000),
    "a key twice": lambda value: value.replace(b'"task"', b'"task":1,"task"'),
    "half a surrogate pair": lambda value: value.replace(b"test", b"\\ud800"),
    "a newer major version": lambda value: value.replace(b'"1.0"', b'"2.0"'),
    "an unknown type": lambda value: value.replace(b"workflow.triggered", b"workflow.paused"),
    "an environment that is none": lambda value: value.replace(b'"dev"', b'"moon"'),
    "more bytes than are read": lambda value: value.replace(b"test", b"x" * 200_000),
}


@pytest.mark.parametrize("spoil", INVALID.values(), ids=INVALID.keys())
async def test_an_invalid_event_with_a_readable_id_gets_an_error_and_a_dead_letter(
    spoil: Callable[[bytes], bytes | None],
) -> None:
    """The id is in the body or in the key; the original bytes are kept."""
    asked = event()
    value = spoil(value_of(asked))
    async with running_rig() as rig:
        rig.topic.append(value, key=str(asked.event_id).encode())
        await rig.settled()

    (result,), (letter,) = rig.sink.decoded(), rig.sink.letters()
    assert (result.status, letter.reason) == ("error", "invalid")
    assert result.correlation_id == asked.event_id
    assert str(result.error).startswith("Invalid event: ")
    assert letter.origin is not None
    kept = letter.origin.value_b64
    assert (None if kept is None else b64decode(kept)) == value
    assert letter.dlq_id == dead_letter_id(asked.event_id, 1)


async def test_ids_that_can_be_read_of_an_invalid_event_are_told() -> None:
    """Those that cannot are empty in the result and null in the dead letter."""
    body = {"event_id": "11111111-1111-4111-8111-111111111111", "workflow_id": "dag"}
    async with running_rig() as rig:
        rig.topic.append(json.dumps(body).encode())
        await rig.settled()

    (result,), (letter,) = rig.sink.decoded(), rig.sink.letters()
    assert (result.workflow_id, result.workflow_run_id) == ("dag", "")
    assert letter.context == {"workflow_id": "dag", "workflow_run_id": None}


@pytest.mark.parametrize("spoil", INVALID.values(), ids=INVALID.keys())
async def test_an_invalid_event_without_a_readable_id_gets_a_dead_letter_alone(
    spoil: Callable[[bytes], bytes | None],
) -> None:
    """There is nobody to answer; its id comes from where the record stands."""
    value = spoil(value_of(event()).replace(b'"event_id"', b'"event_ix"'))
    async with running_rig() as rig:
        where = rig.topic.append(value, key=b"no id")
        await rig.settled()

    (letter,) = rig.sink.letters()
    assert rig.sink.results == []
    assert (letter.reason, letter.dlq_id) == ("invalid", dead_letter_id_at("events", 0, where.offset))
    assert letter.origin is not None
    kept = letter.origin.value_b64
    assert (None if kept is None else b64decode(kept)) == value


async def test_an_event_that_its_next_owner_may_not_read_gets_an_error_and_no_conflict() -> None:
    """Its record is known, whatever is made of its bytes: the limit was lowered after it killed a process."""
    database, topic, asked = MemoryDatabase(), MemoryTopic(), event({"text": "x" * 2000})
    begun = asyncio.Event()

    async def run(_: WorkflowEvent) -> dict[str, Any]:
        begun.set()
        await asyncio.sleep(3600)
        return {}

    async with running_rig(run, database=database, topic=topic, max_event_bytes=100_000) as first:
        first.publish(asked)
        await wait_until(begun.is_set)
    async with running_rig(database=database, topic=topic, owner="b", max_event_bytes=1000) as second:
        await second.settled()

    assert first.sink.order == []
    (result,), (letter,) = second.sink.decoded(), second.sink.letters()
    assert (result.status, result.correlation_id) == ("error", asked.event_id)
    assert (letter.reason, letter.dlq_id) == ("invalid", dead_letter_id(asked.event_id, 1))

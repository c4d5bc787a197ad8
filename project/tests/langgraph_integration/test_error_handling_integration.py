"""The table of endings on a real broker, and that nothing stops the consumer."""

from __future__ import annotations

import asyncio
from base64 import b64decode, b64encode
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from tests.langgraph_integration.conftest import MakeConfig
from tests.langgraph_integration.events import event, value_of
from tests.langgraph_integration.running import consuming
from tests.langgraph_integration.topics import (
    Raw,
    letter_of,
    publish,
    raw,
    read,
    read_letters,
    read_results,
    send,
)
from tests.support.brokers import TestBroker
from tests.support.status import status
from workflow_events import EventType, WorkflowEvent, WorkflowResultEvent
from workflow_events.dead_letter import DeadLetterEvent
from workflow_events.exchange.partitions import headers_of
from workflow_events.headers import RecordHeaders
from workflow_events.settings import TopicNames

TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

GRAPHS = """
import asyncio
from typing import Any, TypedDict
from langgraph.graph import StateGraph
from langgraph.types import interrupt

tries = {}

class State(TypedDict, total=False):
    how: str
    key: str
    answer: Any
    failure: str

async def node(state: State) -> State:
    how, key = state["how"], state.get("key", "")
    tries[key] = tries.get(key, 0) + 1
    if how == "fails permanently":
        raise ValueError("bad input")
    if how == "fails for ever":
        raise ConnectionError("no route")
    if how == "fails twice" and tries[key] <= 2:
        raise ConnectionError("no route yet")
    if how == "takes too long":
        await asyncio.sleep(60)
    if how == "asks a person":
        interrupt("really?")
    if how == "cannot be met":
        return {"failure": "no such column: price"}
    if how == "is not JSON":
        return {"answer": b"raw"}
    if how == "is too large":
        return {"answer": "x" * 400_000}
    return {"answer": tries[key]}

graph = StateGraph(State).add_node(node).set_entry_point("node").set_finish_point("node").compile()
"""

RETRIED = "Processing failed after retries: "


@dataclass(frozen=True)
class Ending:
    status: str
    error: str
    reason: str | None = None
    retries: int = 0


ENDINGS = {
    "finishes": Ending("success", ""),
    "fails twice": Ending("success", ""),
    "cannot be met": Ending("failure", "no such column: price"),
    "asks a person": Ending("error", "interrupted to ask a person", "interrupted"),
    "fails permanently": Ending("error", RETRIED + "bad input", "permanent"),
    "is not JSON": Ending("error", "result.answer is a bytes", "result-invalid"),
    "is too large": Ending("error", "its topic takes", "result-invalid"),
    "fails for ever": Ending("error", RETRIED + "no route", "retries-exhausted", 3),
    "takes too long": Ending("error", "timed out after 0.5 seconds", "timeout", 3),
}


@dataclass(frozen=True)
class Kafka:
    """Short ways to the test's topics."""

    broker: TestBroker
    topics: TopicNames

    async def send(self, records: list[Raw]) -> None:
        await asyncio.to_thread(send, self.broker.bootstrap_servers, self.topics.events, records)

    async def publish(self, events: list[WorkflowEvent]) -> None:
        await asyncio.to_thread(publish, self.broker.bootstrap_servers, self.topics.events, events)

    async def results(self, number: int) -> list[WorkflowResultEvent]:
        return await asyncio.to_thread(
            read_results, self.broker.bootstrap_servers, self.topics.results, number
        )

    async def letters(self, number: int) -> list[DeadLetterEvent]:
        return await asyncio.to_thread(
            read_letters, self.broker.bootstrap_servers, self.topics.dead_letters, number
        )


@pytest.fixture
def kafka(broker: TestBroker, topics: TopicNames) -> Kafka:
    return Kafka(broker, topics)


@pytest.mark.each_broker
@pytest.mark.topics(config={"max.message.bytes": "300000"})
async def test_every_ending_of_a_run(
    kafka: Kafka, make_config: MakeConfig, graph_folder: Callable[..., str]
) -> None:
    """All at once, and each gets the row of its own in the table."""
    events = {how: event({"how": how, "key": how}) for how in ENDINGS}
    events["names no graph that we have"] = event({"how": "finishes"}, graph="nope")
    expected = {
        **ENDINGS,
        "names no graph that we have": Ending("error", "unknown graph 'nope'; known: graph", "invalid"),
    }
    await kafka.publish(list(events.values()))
    config = make_config(graphs_file=graph_folder(GRAPHS), execution_timeout=0.5)
    async with consuming(config):
        results = {each.correlation_id: each for each in await kafka.results(len(events))}
        letters = await kafka.letters(sum(1 for each in expected.values() if each.reason))

    assert len(results) == len(events)
    for how, ending in expected.items():
        asked = events[how]
        result = results[asked.event_id]
        status.info("%s: %s %s", how, result.status, result.error)
        assert (how, result.status) == (how, ending.status)
        assert ending.error in (result.error or "")
        about = [
            each for each in letters if (each.original_event or {}).get("event_id") == str(asked.event_id)
        ]
        assert [(each.reason, each.retry_count) for each in about] == (
            [(ending.reason, ending.retries)] if ending.reason else []
        )
    assert results[events["fails twice"].event_id].result["answer"] == 3


async def test_the_consumer_goes_on_after_any_error(
    kafka: Kafka, make_config: MakeConfig, graph_folder: Callable[..., str]
) -> None:
    """Bad ones before, between and after the good ones; other types ask for nothing."""
    good = [event({"how": "finishes", "key": str(number)}) for number in range(3)]
    records = [
        Raw(b"no json"),
        raw(good[0]),
        Raw(None, b"tombstone"),
        raw(event({"how": "fails permanently"})),
        raw(good[1]),
        Raw(b"\xff\xfe"),
        raw(event(event_type=EventType.WORKFLOW_FAILED)),
        raw(good[2]),
    ]
    await kafka.send(records)
    async with consuming(make_config(graphs_file=graph_folder(GRAPHS))):
        results = await kafka.results(4)
        letters = await kafka.letters(4)

    succeeded = {each.correlation_id for each in results if each.status == "success"}
    assert succeeded == {each.event_id for each in good}
    assert sorted(each.reason or "" for each in letters) == ["invalid", "invalid", "invalid", "permanent"]


async def test_a_dead_letter_keeps_the_record_byte_for_byte(kafka: Kafka, make_config: MakeConfig) -> None:
    """Key, headers and value, also those that are no text; and where it stood."""
    value, key = b"\x00\xff\xfe no text", b"\xfekey"
    headers: list[tuple[str, bytes | None]] = [("h", b"\xff"), ("empty", b""), ("null", None)]
    await kafka.send([Raw(value, key, headers, partition=2)])
    async with consuming(make_config()):
        (letter,) = await kafka.letters(1)

    origin = letter.origin
    assert origin is not None
    assert b64decode(origin.value_b64 or "") == value
    assert b64decode(origin.key_b64 or "") == key
    assert origin.headers == [("h", b64encode(b"\xff").decode()), ("empty", ""), ("null", None)]
    assert (origin.topic, origin.partition, origin.offset) == (kafka.topics.events, 2, 0)
    assert letter.original_event is None


@pytest.mark.topics(config={"max.message.bytes": "2000000"})
async def test_what_is_too_large_for_the_dead_letter_topic_keeps_hash_size_and_head(
    kafka: Kafka, make_config: MakeConfig
) -> None:
    """The rest can be read where it stands."""
    value = b"x" * 1_800_000
    await kafka.send([Raw(value)])
    async with consuming(make_config()):
        (letter,) = await kafka.letters(1)

    origin = letter.origin
    assert origin is not None
    assert origin.value_b64 is None
    assert origin.value_bytes == len(value)
    assert b64decode(origin.value_head_b64 or "") == value[: 64 * 1024]


async def test_the_first_of_two_payloads_under_one_id_is_answered(
    kafka: Kafka, make_config: MakeConfig
) -> None:
    """The second one is a conflict: a dead letter, and never a result on that id."""
    first = event({"task": "mine"})
    second = event({"task": "yours"}, event_id=first.event_id)
    await kafka.publish([first])
    async with consuming(make_config()):
        await kafka.results(1)
        await kafka.publish([second])
        (letter,) = await kafka.letters(1)
        results = await kafka.results(1)

    assert [each.status for each in results] == ["success"]
    assert letter.reason == "conflict"
    assert b64decode(letter.origin.value_b64 or "") == value_of(second) if letter.origin else False


async def test_a_repeated_ask_gets_the_same_bytes(kafka: Kafka, make_config: MakeConfig) -> None:
    """A reader drops the repeat by its result id."""
    asked = event()
    await kafka.publish([asked])
    async with consuming(make_config()):
        await kafka.results(1)
        await kafka.publish([asked])
        messages = await asyncio.to_thread(read, kafka.broker.bootstrap_servers, kafka.topics.results, 2)

    assert messages[0].value() == messages[1].value()


async def test_results_and_letters_are_keyed_by_the_event(kafka: Kafka, make_config: MakeConfig) -> None:
    """So that all of one run meet in one partition; and they carry the asker's trace on."""
    asked = event(graph="nope")
    key = str(asked.event_id).encode()
    trace = [("traceparent", TRACEPARENT.encode()), ("tracestate", b"vendor=1")]
    await kafka.send([Raw(value_of(asked), key, trace)])
    async with consuming(make_config()):
        servers = kafka.broker.bootstrap_servers
        (result,) = await asyncio.to_thread(read, servers, kafka.topics.results, 1)
        (letter,) = await asyncio.to_thread(read, servers, kafka.topics.dead_letters, 1)

    assert result.key() == letter.key() == key
    assert result.partition() == letter.partition()
    expected = RecordHeaders(str(asked.event_id), traceparent=TRACEPARENT, tracestate="vendor=1")
    assert RecordHeaders.parse(headers_of(result)) == RecordHeaders.parse(headers_of(letter)) == expected
    assert letter_of(letter).reason == "invalid"

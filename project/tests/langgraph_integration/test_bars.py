"""The bars of the main job: volume, bad records among good ones, and ends in the middle of everything."""

from __future__ import annotations

import asyncio
import signal
import time
from base64 import b64decode
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from uuid import UUID

import pytest

from tests.langgraph_integration.conftest import MakeConfig
from tests.langgraph_integration.events import event, value_of
from tests.langgraph_integration.running import consuming, service
from tests.langgraph_integration.topics import (
    Raw,
    TopicReader,
    letter_of,
    publish,
    raw,
    read,
    read_results,
    send,
)
from tests.support.brokers import TestBroker
from tests.support.status import status
from workflow_events import WorkflowEvent
from workflow_events.codec import decode_result
from workflow_events.settings import TopicNames

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

COUNTING = """
import asyncio
from typing import TypedDict
from langgraph.graph import StateGraph

now = peak = 0

class State(TypedDict, total=False):
    number: int
    seconds: float
    meet: int
    peak: int

async def count(state: State) -> State:
    global now, peak
    now += 1
    peak = max(peak, now)
    async with asyncio.timeout(20):
        while peak < state.get("meet", 0):
            await asyncio.sleep(0.01)
    await asyncio.sleep(state.get("seconds", 0.01))
    now -= 1
    return {"peak": peak}

graph = StateGraph(State).add_node(count).set_entry_point("count").set_finish_point("count").compile()
"""


def _resident_kib(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmRSS")).split()[1])


def _sqlite(tmp_path: Path) -> str:
    return f"sqlite:{tmp_path / 'state.db'}"


def test_a_thousand_events_at_fifty_slots(
    make_config: MakeConfig,
    broker: TestBroker,
    topics: TopicNames,
    graph_folder: Callable[..., str],
    tmp_path: Path,
) -> None:
    """A thousand results, never more than fifty at once, and memory that does not grow with the number.

    The first runs wait for each other until fifty are there, so that the peak does not hang on the machine.
    """
    config = make_config(graphs_file=graph_folder(COUNTING), max_concurrency=50, state_url=_sqlite(tmp_path))
    events = [event({"number": number, "meet": 50}) for number in range(1000)]
    reader = TopicReader(broker.bootstrap_servers, topics.results)
    with service(config, tmp_path / "service.log") as running:
        publish(broker.bootstrap_servers, topics.events, events[:200])
        reader.read(200)
        after_200 = _resident_kib(running.process.pid)
        began = time.monotonic()
        publish(broker.bootstrap_servers, topics.events, events[200:])
        reader.read(1000)
        seconds = time.monotonic() - began
        after_1000 = _resident_kib(running.process.pid)
    messages = reader.rest()
    reader.close()
    results = [decode_result(message.value()) for message in messages]
    peak = max(result.result["peak"] for result in results)
    growth = after_1000 / after_200 - 1
    status.info("bar: 1000 events at 50 slots: %d results, peak %d", len(results), peak)
    status.info("bar: 800 events in %.1f s = %.0f events/s", seconds, 800 / seconds)
    status.info(
        "bar: memory after 200: %d KiB, after 1000: %d KiB, %+.1f %%", after_200, after_1000, 100 * growth
    )

    assert sorted(result.correlation_id for result in results) == sorted(each.event_id for each in events)
    assert {result.status for result in results} == {"success"}
    assert peak == 50
    assert growth <= 0.05


BAD: dict[str, Callable[[WorkflowEvent], bytes | None]] = {
    "not JSON": lambda _: b"no json at all",
    "wrong schema": lambda asked: value_of(asked).replace(b'"payload"', b'"pay"'),
    "null": lambda _: None,
    "10,000 levels deep": lambda asked: value_of(asked).replace(b'"test"', b"[" * 10_000 + b"]" * 10_000),
    "NaN": lambda asked: value_of(asked).replace(b'"test"', b"NaN"),
    "wrong encoding": lambda asked: value_of(asked).decode().encode("utf-16"),
    "5 MB": lambda asked: value_of(asked).replace(b"test", b"x" * 5_000_000),
    "unknown type": lambda asked: value_of(asked).replace(b"workflow.triggered", b"workflow.paused"),
}


@pytest.mark.each_broker
async def test_forty_bad_events_among_two_hundred_good_ones(
    make_config: MakeConfig, broker: TestBroker, topics: TopicNames
) -> None:
    """Each ends as the table says, with its bytes; nothing is stuck behind any of them.

    Of each kind five, three with the event's id as their key.
    """
    good = [event({"task": f"good {number}"}) for number in range(200)]
    bad: list[tuple[str, WorkflowEvent, Raw]] = []
    for kind, spoil in BAD.items():
        for number in range(5):
            asked = event()
            key = str(asked.event_id).encode() if number < 3 else None
            bad.append((kind, asked, Raw(spoil(asked), key)))
    records = [raw(each) for each in good]
    for number, (_, _, record) in enumerate(bad):
        records.insert(number * 6, record)
    await asyncio.to_thread(send, broker.bootstrap_servers, topics.events, records)

    async with consuming(make_config()) as consumer:
        letters = await asyncio.to_thread(read, broker.bootstrap_servers, topics.dead_letters, 40, 50.0)
        answered = 200 + sum(1 for kind, _, record in bad if _has_id(kind, record))
        results = await asyncio.to_thread(
            read_results, broker.bootstrap_servers, topics.results, answered, 50.0
        )
        engine = consumer.engine
        assert engine is not None
        unsettled = sum(engine.tracker.unsettled(each) for each in engine.tracker.partitions)

    by_id = {result.correlation_id: result for result in results}
    kept = Counter(
        None if (value := letter_of(each).origin.value_b64) is None else b64decode(value)  # type: ignore[union-attr]  # always there
        for each in letters
    )
    status.info("bar: %d results, %d dead letters, %d unsettled", len(results), len(letters), unsettled)
    assert (len(results), len(letters), unsettled) == (answered, 40, 0)
    assert {by_id[each.event_id].status for each in good} == {"success"}
    assert {letter_of(each).reason for each in letters} == {"invalid"}
    assert kept == Counter(record.value for _, _, record in bad)
    for kind, asked, record in bad:
        found = by_id.get(asked.event_id)
        assert (kind, found is not None and found.status) == (
            kind,
            "error" if _has_id(kind, record) else False,
        )


def _has_id(kind: str, record: Raw) -> bool:
    # in the key, or in a body that is JSON at least (UTF-16 is no encoding of ours, but its id can be read)
    return record.key is not None or kind not in ("not JSON", "null")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL], ids=["SIGTERM", "SIGKILL"])
@pytest.mark.apache
def test_a_service_that_ends_in_the_middle_of_five_hundred_events(
    number: signal.Signals,
    make_config: MakeConfig,
    broker: TestBroker,
    topics: TopicNames,
    graph_folder: Callable[..., str],
    tmp_path: Path,
) -> None:
    """A new one answers the rest: none is lost, and none has two different verdicts."""
    config = make_config(graphs_file=graph_folder(COUNTING), max_concurrency=20, state_url=_sqlite(tmp_path))
    events = [event({"number": each, "seconds": 0.05}) for each in range(500)]
    publish(broker.bootstrap_servers, topics.events, events)
    reader = TopicReader(broker.bootstrap_servers, topics.results)
    with service(config, tmp_path / "first.log") as first:
        reader.read(120)
        first.signal(number)
        began = time.monotonic()
        code = first.exit_code()
        took = time.monotonic() - began
    at_the_end = len(reader.rest())
    with service(config, tmp_path / "second.log"):
        began = time.monotonic()
        deadline = began + 45
        while len(_verdicts(reader)) < 500:
            assert time.monotonic() < deadline, f"{len(_verdicts(reader))} of 500 events answered"
            reader.read(len(reader.messages) + 1, 45)
        recovered = time.monotonic() - began
    reader.rest()
    verdicts = _verdicts(reader)
    repeats = len(reader.messages) - 500
    reader.close()
    status.info("bar: %s after %d results: exit %d in %.1f s", number.name, at_the_end, code, took)
    status.info("bar: the new service answered the rest in %.1f s, %d repeats", recovered, repeats)

    assert at_the_end < 500
    assert verdicts.keys() == {each.event_id for each in events}
    assert all(len(found) == 1 for found in verdicts.values())
    if number is signal.SIGTERM:
        assert (code, repeats) == (0, 0)
        assert took <= config.shutdown_timeout + 5
    else:
        assert code == -signal.SIGKILL


def _verdicts(reader: TopicReader) -> dict[UUID, set[tuple[str, str]]]:
    """Per event its distinct verdicts."""
    found: dict[UUID, set[tuple[str, str]]] = {}
    for message in reader.messages:
        result = decode_result(message.value())
        found.setdefault(result.correlation_id, set()).add((result.status, str(result.result_id)))
    return found

"""Rows 5, 7, 16 and 17 of the fault table: records that are bad, too large, twice there or at odds."""

from __future__ import annotations

import json
from base64 import b64decode
from collections.abc import Callable
from uuid import uuid4

import pytest

from kafka_devbroker import Broker
from tests.faults.bench import Bench, run_of
from tests.langgraph_integration.topics import Raw, raw
from tests.support import wait_until_sync
from tests.support.topics import set_topic_config
from workflow_events import WorkflowEvent
from workflow_events.codec import encode

pytestmark = [pytest.mark.apache, pytest.mark.slow]

_NESTED = b"[" * 10_000 + b"]" * 10_000
POISON: dict[str, bytes | None] = {
    "no bytes": None,
    "empty": b"",
    "not text": b"\xff\xfe\x00\x80",
    "not JSON": b"{nonsense",
    "not an object": b"[1, 2, 3]",
    "another schema": b'{"hello": "world"}',
    "nested 10,000 levels deep": b'{"payload": ' + _NESTED + b"}",
    "a key twice": b'{"source": "airflow", "source": "fastapi"}',
    "NaN": b'{"payload": {"data": {"x": NaN}}}',
    "a number beyond all numbers": b'{"payload": {"data": {"x": 1e400}}}',
    "more than an event may have": b'{"payload": "' + b"x" * 1_100_000 + b'"}',
}


def test_row_05_poison_becomes_dead_letters_and_the_next_offset_flows(bench: Bench) -> None:
    """One dead letter each, with the original bytes, and no result for an asker who cannot be named."""
    good = run_of()
    bench.send([Raw(value, partition=0) for value in POISON.values()])
    bench.send([Raw(encode(good), str(good.event_id).encode(), partition=0)])
    bench.worker()
    bench.verdict(good.event_id)
    letters = bench.letters(len(POISON))

    assert len(letters) == len(POISON)
    assert {letter.reason for letter in letters} == {"invalid"}
    origins = {letter.origin.offset: letter.origin for letter in letters if letter.origin}
    assert sorted(origins) == list(range(len(POISON)))
    kept = {offset: origin.value_b64 for offset, origin in origins.items()}
    for offset, value in enumerate(POISON.values()):
        assert b64decode(kept[offset] or "") == (value or b"")
    assert len(bench.answers(1)) == 1
    wait_until_sync(lambda: bench.committed() == len(POISON) + 1, 20, "all offsets to be committed")


def test_row_07_a_result_too_large_for_its_topic(bench: Bench) -> None:
    """It is answered with an error that says so, and the producer is as healthy as before."""
    set_topic_config(bench.servers, bench.topics.results, "max.message.bytes", "20000")
    big, next_one = run_of(other=1.0, note="x" * 50_000), run_of()
    recipe = big.payload.data["recipe"]
    recipe["comment"] = "y" * 50_000
    bench.publish([big, next_one])
    bench.worker()

    assert bench.verdict(big.event_id).status == "error"
    assert bench.verdict(next_one.event_id).status == "success"
    (letter,) = bench.letters(1)
    assert letter.reason == "result-invalid"


def test_row_07_a_dead_letter_too_large_for_its_topic(bench: Bench) -> None:
    """The original bytes are left out and their hash and beginning kept."""
    set_topic_config(bench.servers, bench.topics.dead_letters, "max.message.bytes", "200000")
    broken = run_of("broken")
    bench.send([Raw(b"{" + b"x" * 400_000, partition=0)])
    bench.send([Raw(encode(broken), str(broken.event_id).encode(), partition=0)])
    bench.worker()
    letter, after = sorted(bench.letters(2), key=lambda each: each.origin.offset if each.origin else -1)

    assert letter.origin is not None
    assert (letter.origin.value_b64, letter.origin.value_bytes) == (None, 400_001)
    assert letter.origin.value_sha256
    assert after.reason == "permanent"
    wait_until_sync(lambda: bench.committed() == 2, 20, "all offsets to be committed")


def test_row_16_one_event_published_on_two_partitions_at_once(bench: Bench) -> None:
    """Two workers, two records, one run and one verdict."""
    events = [run_of(b=0.5) for _ in range(10)]
    for _ in range(2):
        bench.worker()
    bench.send([_on(each, partition) for each in events for partition in (0, 1)])
    for each in events:
        assert bench.verdict(each.event_id).status == "success"

    assert all(bench.runs_of(each.event_id) == {"a": 1, "b": 1, "c": 1} for each in events)
    assert len({answer.result_id for answer in bench.answers(10)}) == 10
    assert len({answer.digest for answer in bench.answers(10)}) == 10


def test_row_16_an_event_asked_for_again_after_its_answer(bench: Bench) -> None:
    """The stored bytes are sent again, and nothing runs."""
    asked = run_of()
    bench.publish([asked])
    bench.worker()
    bench.verdict(asked.event_id)
    bench.publish([asked])
    first, second = bench.answers(2)

    assert first.digest == second.digest
    assert bench.runs_of(asked.event_id) == {"a": 1, "b": 1, "c": 1}


def test_row_17_one_id_with_two_payloads(bench: Bench) -> None:
    """The second is a dead letter `conflict`; the first asker's answer is not touched."""
    first = run_of()
    second = run_of(event_id=first.event_id, other=2.0)
    bench.publish([first])
    bench.worker()
    bench.verdict(first.event_id)
    bench.publish([second])
    (letter,) = bench.letters(1)

    assert letter.reason == "conflict"
    assert len(bench.answers(1)) == 1


def test_row_05_an_invalid_event_with_a_readable_id_is_answered(
    make_bench: Callable[..., Bench], quick_broker: Broker
) -> None:
    """Its asker waits under that id."""
    bench = make_bench(quick_broker, partitions=1)
    stranger = uuid4()
    bench.send([Raw(json.dumps({"event_id": str(stranger)}).encode())])
    bench.worker()

    assert bench.verdict(stranger).status == "error"
    assert [letter.reason for letter in bench.letters(1)] == ["invalid"]


def _on(asked: WorkflowEvent, partition: int) -> Raw:
    record = raw(asked)
    return Raw(record.value, record.key, record.headers, partition)

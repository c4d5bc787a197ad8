"""Records larger or stranger than anybody thought of, and topics smaller."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from langgraph_integration.pipeline.delivery import Partition
from langgraph_integration.pipeline.ledger import Lease, RunLedger, StoredVerdict
from langgraph_integration.store import MemoryDatabase
from tests.langgraph_integration.events import event, headers_of, value_of
from tests.langgraph_integration.memory_source import MemoryTopic
from tests.langgraph_integration.rig import running_rig
from tests.support import wait_until
from workflow_events import WorkflowEvent
from workflow_events.errors import LeaseLost, WorkflowFailed


async def large(_: WorkflowEvent) -> dict[str, Any]:
    """A graph whose result is more than the topics of these tests take."""
    return {"rows": "x" * 5000}


async def fail_at_length(_: WorkflowEvent) -> dict[str, Any]:
    """A graph whose error is as long."""
    raise WorkflowFailed("x" * 5000)


async def test_a_topic_that_takes_less_than_it_said_gets_an_error_that_fits() -> None:
    """Somebody lowered its limit: the asker is told, and the event does not come back for ever."""
    async with running_rig(large) as rig:
        rig.sink.true_result_limit_bytes = 2000
        rig.publish(event())
        await rig.settled()

    (result,), (letter,) = rig.sink.decoded(), rig.sink.letters()
    assert (result.status, letter.reason) == ("error", "result-invalid")
    assert "cannot be sent" in str(result.error)


async def test_a_record_that_was_refused_with_its_batch_is_known_to_be_unread() -> None:
    """Too large by itself, too, it ends as an error; it would wait for its topic otherwise."""
    async with running_rig(large) as rig:
        rig.sink.refuses_batch = True
        rig.sink.true_result_limit_bytes = 2000
        rig.publish(event())
        await rig.settled()

    assert [each.status for each in rig.sink.decoded()] == ["error"]


async def test_the_error_that_fits_is_the_verdict_from_then_on() -> None:
    """The same attempt gets its bytes again, a greater one is run, whatever the topic takes by then."""
    asked = event()
    async with running_rig(large) as rig:
        rig.sink.true_result_limit_bytes = 2000
        rig.publish(asked)
        await rig.settled()
        rig.sink.true_result_limit_bytes = None
        rig.publish(asked)
        await rig.settled()
        rig.publish(asked, attempt=2)
        await rig.settled()

    results = [(each.status, each.attempt) for each in rig.sink.decoded()]
    assert results == [("error", 1), ("error", 1), ("success", 2)]
    assert rig.sink.results[0] == rig.sink.results[1]
    assert len(set(rig.sink.dead_letters)) == 1


class LostAnswer:
    """A ledger that replaces a verdict and says that it could not: the call was repeated after an outage."""

    def __init__(self, ledger: RunLedger) -> None:
        self._ledger = ledger

    def __getattr__(self, name: str) -> Any:
        return getattr(self._ledger, name)

    async def replace(self, lease: Lease, stored: StoredVerdict, verdict: StoredVerdict) -> None:
        await self._ledger.replace(lease, stored, verdict)
        raise LeaseLost("replaced already")


async def test_a_verdict_that_stands_no_more_is_not_published() -> None:
    """The ledger is asked again: what stands is published."""
    database = MemoryDatabase()
    async with running_rig(large, database=database, around=LostAnswer) as rig:
        rig.sink.true_result_limit_bytes = 2000
        rig.publish(event())
        await rig.settled()

    (result,) = rig.sink.decoded()
    (row,) = database.runs.values()
    assert (result.status, result.attempt) == ("error", 1)
    assert (row.result, row.published) == (rig.sink.results[0][1], True)


@pytest.mark.parametrize("published", [True, False])
async def test_a_verdict_that_somebody_may_have_read_stays_what_it_is(published: bool) -> None:
    """Asked for again, or read again after a kill before its mark, it waits until its topic takes it."""
    database, topic, asked = MemoryDatabase(), MemoryTopic(), event()
    async with running_rig(large, database=database, topic=topic, lease_time=timedelta(0)) as first:
        first.sink.available = published
        first.publish(asked)
        await (first.settled() if published else wait_until(lambda: "publish" in first.gate.reasons))
    async with running_rig(large, database=database, topic=topic, owner="b") as second:
        second.sink.result_limit_bytes = 2000
        if published:
            second.publish(asked)
        await wait_until(lambda: "max.message.bytes" in second.gate.reasons.get("publish", ""))
        second.sink.result_limit_bytes = 1_000_000
        await second.settled()

    (result,) = second.sink.decoded()
    assert (result.status, second.sink.letters()) == ("success", [])


async def test_a_topic_too_small_for_any_verdict_is_waited_for() -> None:
    """An operator has to raise its limit; the hold says so."""
    async with running_rig() as rig:
        rig.sink.true_result_limit_bytes = 10
        rig.publish(event())
        await wait_until(lambda: "max.message.bytes" in rig.gate.reasons.get("publish", ""))
        rig.sink.true_result_limit_bytes = None
        await rig.settled()

    assert [each.status for each in rig.sink.decoded()] == ["error"]
    assert rig.sink.order == ["dead letter", "result"]


async def test_a_dead_letter_that_is_there_stays_what_it_is() -> None:
    """The result of the same verdict is refused for its size, and written smaller without it."""
    database = MemoryDatabase()
    async with running_rig(fail_at_length, database=database) as rig:
        rig.sink.true_result_limit_bytes = 2000
        rig.publish(event())
        await rig.settled()

    (result,), (letter,) = rig.sink.decoded(), rig.sink.letters()
    (row,) = database.runs.values()
    assert (result.status, letter.reason) == ("error", "permanent")
    assert row.dead_letter == rig.sink.dead_letters[0][1]
    assert rig.sink.order == ["dead letter", "result"]


async def test_an_unreadable_record_gets_the_same_dead_letter_whatever_is_known_of_its_topic() -> None:
    """No ledger keeps it: whoever reads the record again must write the same bytes."""
    async with running_rig() as rig:
        rig.sink.true_dead_letter_limit_bytes = 200_000
        where = rig.topic.append(b"no json" * 40_000)
        await rig.settled()
        rig.topic.committed[Partition("events", 0)] = where.offset
        await rig.source.assign(rig.topic.all_partitions)
        await wait_until(lambda: len(rig.sink.dead_letters) == 2, description="the second dead letter")

    assert len({record for _, record, _ in rig.sink.dead_letters}) == 1


@pytest.mark.parametrize("field", ["workflow_id", "workflow_run_id"])
async def test_ids_of_a_records_size_end_like_any_other(field: str) -> None:
    """A hostile producer fills the event up to its limit with an id; both verdicts still fit."""
    asked = event().model_copy(update={field: "x" * 90_000})
    async with running_rig() as rig:
        rig.sink.result_limit_bytes = 80_000
        rig.sink.dead_letter_limit_bytes = 100_000
        rig.publish(asked)
        await rig.settled()

    (result,), (letter,) = rig.sink.decoded(), rig.sink.letters()
    assert (result.correlation_id, result.status) == (asked.event_id, "error")
    assert len(getattr(result, field)) == 1024
    assert letter.reason == "result-invalid"


async def test_headers_and_keys_of_a_records_size_end_like_any_other() -> None:
    """The dead letter says where the record stands; it is the bytes that must fit."""
    async with running_rig() as rig:
        rig.sink.dead_letter_limit_bytes = 200_000
        rig.topic.append(b"no json", key=b"k" * 300_000, headers=[("h" * 10, b"x" * 300_000)])
        await rig.settled()

    ((key, _, _),) = rig.sink.dead_letters
    (letter,) = rig.sink.letters()
    assert key is None
    assert letter.origin is not None
    assert (letter.origin.offset, letter.origin.headers) == (0, [])


async def test_a_record_time_that_no_calendar_has_is_no_obstacle() -> None:
    """Whoever writes a record chooses its time."""
    async with running_rig() as rig:
        for time_ms in (2**62, -1):
            record = rig.topic.append(b"no json")
            rig.topic.set_time(record, time_ms)
        await rig.settled()

    assert sorted(letter.timestamp.year for letter in rig.sink.letters()) == [1970, 9999]


async def test_headers_that_mean_nothing_are_ignored() -> None:
    """Attempt, deadline and trace come from anybody; what cannot be read counts as absent."""
    asked = event()
    headers = [
        *headers_of(asked),
        ("attempt", b"\xff\xfe"),
        ("deadline_ms", b"never"),
        ("traceparent", b"\x00" * 50),
        ("", b""),
    ]
    async with running_rig() as rig:
        rig.topic.append(value_of(asked), headers=headers)
        await rig.settled()

    assert [(each.status, each.attempt) for each in rig.sink.decoded()] == [("success", 1)]

"""One verdict per ask, whatever comes twice, and whoever dies in between."""

from __future__ import annotations

import asyncio
import time
from datetime import timedelta
from typing import Any

import pytest

from langgraph_integration.pipeline.happenings import RecordIgnored
from langgraph_integration.pipeline.run_context import current_run
from langgraph_integration.retry import RetryConfig
from langgraph_integration.store import MemoryDatabase
from tests.langgraph_integration.events import event, headers_of, value_of
from tests.langgraph_integration.memory_source import MemoryTopic
from tests.langgraph_integration.pipeline.failures import HttpError
from tests.langgraph_integration.pipeline.test_dispatcher import Gatekeeper
from tests.langgraph_integration.rig import running_rig
from tests.support import wait_until
from workflow_events import EventType, WorkflowEvent
from workflow_events.errors import LeaseLost
from workflow_events.ids import result_id


async def test_the_same_record_again_after_its_verdict_is_passed_over() -> None:
    """A redelivery is no new question."""
    database, topic = MemoryDatabase(), MemoryTopic()
    async with running_rig(database=database, topic=topic) as first:
        first.publish(event())
        await first.settled()
    topic.committed.clear()
    async with running_rig(database=database, topic=topic, owner="b") as second:
        await second.settled()

    assert len(first.sink.results) == 1
    assert second.sink.order == []
    assert second.happenings == [RecordIgnored("redelivered after its verdict")]


async def test_asking_again_for_a_success_gets_the_stored_bytes() -> None:
    """The same id at another offset is a new ask; a reader can tell the repeat by its result id."""
    asked, runs = event(), []

    async def run(asked: WorkflowEvent) -> dict[str, Any]:
        runs.append(asked)
        return {"answer": 42}

    async with running_rig(run) as rig:
        rig.publish(asked)
        await rig.settled()
        rig.publish(asked, attempt=2)
        await rig.settled()

    assert len(runs) == 1
    assert rig.sink.results[0] == rig.sink.results[1]


async def test_a_greater_attempt_runs_an_error_again() -> None:
    """The asker has waited, mended something, and tries once more."""
    asked = event()
    broken = True

    async def run(_: WorkflowEvent) -> dict[str, Any]:
        if broken:
            raise ValueError("broken")
        return {"answer": 42}

    async with running_rig(run) as rig:
        rig.publish(asked)
        await rig.settled()
        rig.publish(asked)
        await rig.settled()
        broken = False
        rig.publish(asked, attempt=2)
        await rig.settled()

    results = rig.sink.decoded()
    assert [(each.status, each.attempt) for each in results] == [("error", 1), ("error", 1), ("success", 2)]
    assert results[0] == results[1]
    assert results[2].result_id == result_id(asked.event_id, 2, "success")
    assert len(set(rig.sink.dead_letters)) == 1


async def test_a_second_ask_during_the_run_is_absorbed() -> None:
    """One run, one answer, under the higher attempt."""
    asked, graph = event(), Gatekeeper()
    async with running_rig(graph) as rig:
        rig.publish(asked)
        await wait_until(lambda: graph.inside)
        rig.publish(asked, attempt=3)
        await wait_until(lambda: RecordIgnored("absorbed by the live run") in rig.happenings)
        graph.open.set()
        await rig.settled()

    assert [(each.status, each.attempt) for each in rig.sink.decoded()] == [("success", 3)]
    assert graph.most == 1


async def test_an_ask_absorbed_elsewhere_is_answered_by_whoever_runs() -> None:
    """Another worker raised the attempt in the row: the verdict is written for that one."""
    database, asked, graph = MemoryDatabase(), event(), Gatekeeper()
    async with running_rig(graph, database=database) as first:
        first.publish(asked)
        await wait_until(lambda: graph.inside)
        async with running_rig(database=database, owner="b", topic=MemoryTopic("others")) as second:
            second.publish(asked, attempt=2)
            await second.settled()
        graph.open.set()
        await first.settled()

    assert second.sink.order == []
    assert [each.attempt for each in first.sink.decoded()] == [2]


async def test_the_same_record_elsewhere_waits_for_the_lease_and_takes_over() -> None:
    """The first owner is gone without a word; its lease lapses and the run is taken over."""
    database, topic, graph = MemoryDatabase(), MemoryTopic(), Gatekeeper()
    short = timedelta(milliseconds=300)
    asked = event()
    async with running_rig(graph, database=database, topic=topic, lease_time=short) as first:
        first.publish(asked)
        await wait_until(lambda: graph.inside)
        topic.committed.clear()
        async with running_rig(database=database, topic=topic, owner="b", lease_time=short) as second:
            (result,) = await second.results(1)
        graph.open.set()
        await wait_until(lambda: not graph.inside)

    assert result.status == "success"
    assert first.sink.order == []


async def test_a_run_whose_lease_was_lost_is_dropped_and_asks_again() -> None:
    """Its writes are refused; the verdict of the new owner is the one."""
    database, asked = MemoryDatabase(), event()
    lost = [True]

    async def run(_: WorkflowEvent) -> dict[str, Any]:
        if lost and lost.pop():
            raise LeaseLost("a newer epoch owns this run")
        return {"answer": 42}

    async with running_rig(run, database=database) as rig:
        rig.publish(asked)
        (result,) = await rig.results(1)
        await rig.settled()

    assert result.status == "success"


async def test_a_lease_lost_to_another_cancels_the_run_where_it_is() -> None:
    """The keeper notices; the run ends, and the handler asks the ledger anew."""
    graph, asked = Gatekeeper(), event()
    async with running_rig(graph) as rig:
        rig.publish(asked)
        await wait_until(lambda: graph.inside)
        (live,) = rig.handler.live.values()
        await rig.ledger.release(live.lease)
        live.lose()
        await wait_until(lambda: rig.handler.live and live not in rig.handler.live.values())
        graph.open.set()
        (result,) = await rig.results(1)
        await rig.settled()

    assert result.status == "success"


async def test_a_verdict_that_was_stored_and_not_published_is_published_by_the_next_owner() -> None:
    """Byte for byte: the outbox. It waits for the first one's lease, under which it may be published yet."""
    database, topic = MemoryDatabase(), MemoryTopic()
    async with running_rig(database=database, topic=topic, lease_time=timedelta(seconds=0.3)) as first:
        first.sink.available = False
        first.publish(event())
        await wait_until(lambda: "publish" in first.gate.reasons)
    topic.committed.clear()
    ran = []

    async def run(asked: WorkflowEvent) -> dict[str, Any]:
        ran.append(asked)
        return {}

    async with running_rig(run, database=database, topic=topic, owner="b") as second:
        await second.settled()

    assert first.handler.unconfirmed == 1
    assert ran == []
    assert [each.result for each in second.sink.decoded()] == [{"answer": 42}]


async def test_a_stop_gives_the_verdict_back_that_it_could_not_publish() -> None:
    """The next owner publishes it at once, and does not wait a minute for the lease."""
    database, topic = MemoryDatabase(), MemoryTopic()
    async with running_rig(database=database, topic=topic, lease_time=timedelta(minutes=1)) as first:
        first.sink.available = False
        first.publish(event())
        await wait_until(lambda: "publish" in first.gate.reasons)
    topic.committed.clear()
    async with running_rig(database=database, topic=topic, owner="b") as second:
        await second.settled()

    assert first.sink.results == []
    assert [each.result for each in second.sink.decoded()] == [{"answer": 42}]


async def test_the_processor_may_be_replaced_while_events_come() -> None:
    """It is looked up for each try, so that a caller may wrap it."""
    async with running_rig() as rig:
        rig.publish(event())
        await rig.settled()

        async def other(_: WorkflowEvent) -> dict[str, Any]:
            return {"answer": 43}

        rig.run = other
        rig.publish(event())
        await rig.settled()

    assert [each.result["answer"] for each in rig.sink.decoded()] == [42, 43]


async def test_a_processor_that_returns_no_state_is_a_permanent_error() -> None:
    """Better than an answer that was made up."""

    async def run(_: WorkflowEvent) -> Any:
        return None

    async with running_rig(run) as rig:
        rig.publish(event())
        await rig.settled()

    (result,), (letter,) = rig.sink.decoded(), rig.sink.letters()
    assert "returned NoneType, not a state" in str(result.error)
    assert letter.reason == "permanent"


async def test_a_graph_that_cancels_itself_is_a_permanent_error() -> None:
    """Nobody cancelled the run: an offset that waits for it would wait for ever."""

    async def run(_: WorkflowEvent) -> dict[str, Any]:
        raise asyncio.CancelledError

    async with running_rig(run) as rig:
        rig.publish(event())
        await rig.settled()

    assert [each.reason for each in rig.sink.letters()] == ["permanent"]


async def test_retries_are_spent_across_a_restart_and_their_wait_is_kept() -> None:
    """A retry that waits long is in the ledger: its slot is free, and the next owner does not start over."""
    database, topic, tries = MemoryDatabase(), MemoryTopic(), []

    async def run(asked: WorkflowEvent) -> dict[str, Any]:
        tries.append(asked)
        raise ConnectionError("no route")

    slow = RetryConfig(max_retries=1, initial_delay=600, max_delay=600)
    async with running_rig(run, database=database, topic=topic, retry=slow, slots=1) as first:
        first.publish(event())
        await wait_until(lambda: first.slots.free == 1 and tries)
        other = first.publish(event(event_type=EventType.WORKFLOW_COMPLETED))
        await wait_until(lambda: not first.tracker.owns(other), description="the free slot to be used")
    topic.committed.clear()
    async with running_rig(run, database=database, topic=topic, retry=slow, owner="b") as second:
        await wait_until(lambda: second.dispatcher.in_flight == 1 and second.slots.free == 10)
        waited = second.sink.order == []

    assert len(tries) == 1
    assert waited


async def test_the_server_decides_how_long_a_retry_waits() -> None:
    """Retry-After, capped by the longest delay."""
    moments: list[float] = []

    async def run(_: WorkflowEvent) -> dict[str, Any]:
        moments.append(time.monotonic())
        if len(moments) == 1:
            raise HttpError("slow down", 429, {"retry-after": "0.3"})
        return {}

    async with running_rig(run, retry=RetryConfig(initial_delay=0.0)) as rig:
        rig.publish(event())
        await rig.settled()

    assert moments[1] - moments[0] >= 0.29


async def test_a_deadline_ends_the_wait_for_a_retry() -> None:
    """The asker gives up at a known time: so do we."""

    async def run(_: WorkflowEvent) -> dict[str, Any]:
        raise ConnectionError("no route")

    async with running_rig(run, retry=RetryConfig(initial_delay=60)) as rig:
        rig.publish(event(), deadline_ms=int(time.time() * 1000) + 300)
        (result,) = await rig.results(1)

    assert (result.status, result.error) == ("error", "deadline exceeded")


async def test_a_later_ask_moves_the_deadline() -> None:
    """Its asker still waits, so the run that was told to stop goes on."""
    asked = event()
    told = asyncio.Event()

    async def run(_: WorkflowEvent) -> dict[str, Any]:
        context = current_run.get()
        assert context is not None
        if not told.is_set():
            from langgraph_integration.pipeline.run_context import Drained

            context.on_drain(lambda _: told.set())
            await told.wait()
            rig.publish(asked, attempt=2, deadline_ms=int(time.time() * 1000) + 60_000)
            await wait_until(lambda: RecordIgnored("absorbed by the live run") in rig.happenings)
            raise Drained("deadline")
        return {"answer": 42}

    async with running_rig(run) as rig:
        rig.publish(asked, deadline_ms=int(time.time() * 1000) + 100)
        (result,) = await rig.results(1)
        await rig.settled()

    assert (result.status, result.attempt) == ("success", 2)


async def test_a_topic_that_takes_less_than_it_said_gets_an_error_that_fits() -> None:
    """Somebody lowered its limit: the asker is told, and the event does not come back for ever."""

    async def run(_: WorkflowEvent) -> dict[str, Any]:
        return {"rows": "x" * 5000}

    async with running_rig(run) as rig:
        rig.sink.true_result_limit_bytes = 2000
        rig.publish(event())
        await rig.settled()

    (result,), (letter,) = rig.sink.decoded(), rig.sink.letters()
    assert (result.status, letter.reason) == ("error", "result-invalid")
    assert "cannot be sent" in str(result.error)


async def test_a_topic_too_small_for_any_verdict_is_waited_for() -> None:
    """An operator has to raise its limit; the hold says so."""
    async with running_rig() as rig:
        rig.sink.true_result_limit_bytes = 10
        rig.publish(event())
        await wait_until(lambda: "max.message.bytes" in rig.gate.reasons.get("publish", ""))
        rig.sink.true_result_limit_bytes = None
        await rig.settled()

    assert [each.status for each in rig.sink.decoded()] == ["error"]


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

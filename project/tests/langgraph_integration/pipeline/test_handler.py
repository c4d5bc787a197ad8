"""One verdict per ask, whatever comes twice, and whoever dies in between."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from langgraph_integration.pipeline.happenings import RecordIgnored
from langgraph_integration.store import MemoryDatabase
from tests.langgraph_integration.events import event
from tests.langgraph_integration.memory_source import MemoryTopic
from tests.langgraph_integration.pipeline.test_dispatcher import Gatekeeper
from tests.langgraph_integration.rig import running_rig
from tests.support import wait_until
from workflow_events import WorkflowEvent
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


async def test_an_error_that_was_not_published_is_published_before_the_greater_attempt() -> None:
    """Its dead letter is not dropped for it, and the greater attempt is run all the same."""
    database, asked = MemoryDatabase(), event()

    async def broken(_: WorkflowEvent) -> dict[str, Any]:
        raise ValueError("broken")

    async with running_rig(broken, database=database) as first:
        first.sink.available = False
        first.publish(asked)
        await wait_until(lambda: "publish" in first.gate.reasons)
    async with running_rig(database=database, owner="b", topic=MemoryTopic("others")) as second:
        second.publish(asked, attempt=2)
        await second.settled()

    results = second.sink.decoded()
    assert [(each.status, each.attempt) for each in results] == [("error", 1), ("success", 2)]
    assert [letter.attempt for letter in second.sink.letters()] == [1]


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


async def test_a_verdict_that_is_sent_again_is_sent_by_one_worker() -> None:
    """The broker is slow, the partition moves meanwhile: the new owner leaves it to who has begun."""
    database, topic, asked = MemoryDatabase(), MemoryTopic(), event()
    async with running_rig(database=database, topic=topic) as first:
        first.publish(asked)
        await first.settled()
        first.sink.available = False
        first.publish(asked)
        await wait_until(lambda: "publish" in first.gate.reasons)
        async with running_rig(database=database, topic=topic, owner="b") as second:
            await wait_until(lambda: second.dispatcher.in_flight and second.slots.taken == 0)
            first.sink.available = True
            await second.settled()

    assert len(first.sink.results) == 2
    assert second.sink.order == []

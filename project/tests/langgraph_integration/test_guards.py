"""The traps of the Kafka client, each with the guard that we set. Numbers: reliability notes in DESIGN.md."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient

from langgraph_integration.broker.clients import consumer_arguments
from langgraph_integration.consumer import LangGraphKafkaConsumer
from tests.langgraph_integration.conftest import MakeConfig
from tests.langgraph_integration.events import event
from tests.langgraph_integration.running import consuming
from tests.langgraph_integration.topics import Raw, TopicReader, publish, raw, read, read_results, send
from tests.support import wait_until
from tests.support.brokers import TestBroker
from tests.support.status import status
from workflow_events import WorkflowEvent
from workflow_events.codec import decode_result
from workflow_events.settings import KafkaSettings, TopicNames

BLOCKING = """
import time
from typing import TypedDict
from langgraph.graph import StateGraph

class State(TypedDict, total=False):
    seconds: float

async def block(state: State) -> State:
    time.sleep(state["seconds"])  # a mistake that users make: it stops the whole loop
    return {}

graph = StateGraph(State).add_node(block).set_entry_point("block").set_finish_point("block").compile()
"""


def _client(consumer: LangGraphKafkaConsumer) -> AIOKafkaConsumer:
    source = consumer.consumer
    assert source is not None
    return source._running_client


def test_the_client_decodes_commits_and_resets_nothing_and_has_one_assignor() -> None:
    """A raising deserializer sticks for ever, auto-commit hangs in stop, a reset skips events silently."""
    arguments = consumer_arguments(
        KafkaSettings(bootstrap_servers="kafka:1"),
        group_id="group",
        session_timeout_ms=30_000,
        heartbeat_interval_ms=3_000,
        rebalance_timeout_ms=60_000,
        group_instance_id=None,
    )

    assert not [name for name in arguments if "deserializer" in name]
    assert arguments["enable_auto_commit"] is False
    assert arguments["auto_offset_reset"] == "none"
    assert len(arguments["partition_assignment_strategy"]) == 1
    assert arguments["rebalance_timeout_ms"] == 60_000
    assert arguments["group_instance_id"] is None


async def test_cancelling_the_consumer_never_cancels_a_poll(
    make_config: MakeConfig, broker: TestBroker, topics: TopicNames
) -> None:
    """A cancelled getmany would count as one that goes on for ever, and no idle member be noticed again."""
    consumer = LangGraphKafkaConsumer(make_config())
    await consumer.start()
    for turn in range(5):
        task = asyncio.create_task(consumer.consume_and_process())
        for _ in range(turn + 1):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait({task})
    task = asyncio.create_task(consumer.consume_and_process())
    asked = event()
    publish(broker.bootstrap_servers, topics.events, [asked])
    (result,) = await asyncio.to_thread(read_results, broker.bootstrap_servers, topics.results, 1)
    consumer.running = False
    await task
    client = _client(consumer)
    await wait_until(lambda: client._subscription._fetch_count == 0, description="no poll to be counted")
    idle = client._subscription.fetcher_idle_time
    await wait_until(lambda: client._subscription.fetcher_idle_time > idle, description="idle time to grow")
    await consumer.stop()

    assert result.correlation_id == asked.event_id


@pytest.mark.apache
@pytest.mark.slow
async def test_a_graph_that_blocks_its_loop_for_ten_seconds_loses_no_partition(
    make_config: MakeConfig, broker: TestBroker, topics: TopicNames, graph_folder: Callable[..., str]
) -> None:
    """Heartbeats have a thread and a loop of their own; the session would have ended after six."""
    config = make_config(graphs_file=graph_folder(BLOCKING))
    async with consuming(config) as consumer:
        source = consumer.consumer
        assert source is not None
        assignment = source._assignment
        assert assignment is not None
        before = assignment.generation
        publish(broker.bootstrap_servers, topics.events, [event({"seconds": 10})])
        began = time.monotonic()
        (result,) = await asyncio.to_thread(read_results, broker.bootstrap_servers, topics.results, 1)
        took = time.monotonic() - began
        after = assignment.generation
        lag = consumer._kafka.worst_lag_s
        stuck = consumer.status().main_loop_worst_lag_s
    messages = await asyncio.to_thread(read, broker.bootstrap_servers, topics.results, 1)
    status.info("graphs' loop blocked %.1f s, Kafka's loop late %.3f s at worst", stuck, lag)

    assert took >= 10
    assert stuck >= 9
    assert before == after
    assert (result.status, len(messages)) == ("success", 1)


@pytest.mark.apache
async def test_an_offset_out_of_range_stops_and_never_jumps(
    make_config: MakeConfig, broker: TestBroker, make_topics: Callable[..., TopicNames]
) -> None:
    """Records that the topic no longer holds are missed loudly: an operator decides."""
    topics = make_topics(partitions=1)
    config = make_config(topic=topics.events, results_topic=topics.results, dlq_topic=topics.dead_letters)
    publish(broker.bootstrap_servers, topics.events, [event() for _ in range(3)])
    async with consuming(config) as consumer:
        await asyncio.to_thread(read_results, broker.bootstrap_servers, topics.results, 3)
    assert consumer.last_stop.committed
    publish(broker.bootstrap_servers, topics.events, [event() for _ in range(5)])
    admin = AdminClient({"bootstrap.servers": broker.bootstrap_servers})
    for deleted in admin.delete_records([TopicPartition(topics.events, 0, 6)]).values():
        await asyncio.to_thread(deleted.result, 20)
    async with consuming(config) as consumer:
        text = await wait_until(
            lambda: consumer.status().gate_reasons.get("consume"), 20, "the intake to pause"
        )
        position = await consumer._kafka.call(_client(consumer).position(_partition(topics)))
    messages = await asyncio.to_thread(read, broker.bootstrap_servers, topics.results, 3)

    assert "out of range" in text
    assert f"{topics.events}[0] at 3, the topic holds 6 to 8" in text
    assert position == 3
    assert len(messages) == 3


def _partition(topics: TopicNames) -> object:
    from aiokafka import TopicPartition as Place

    return Place(topics.events, 0)


@pytest.mark.apache
async def test_a_worker_with_another_store_takes_nothing_and_says_so(
    make_config: MakeConfig, broker: TestBroker, topics: TopicNames, tmp_path: Path
) -> None:
    """Two stores would give two verdicts on one event; the commits carry the store's id."""
    publish(broker.bootstrap_servers, topics.events, [event()])
    async with consuming(make_config(state_url=f"sqlite:{tmp_path / 'one.db'}")):
        await asyncio.to_thread(read_results, broker.bootstrap_servers, topics.results, 1)
    publish(broker.bootstrap_servers, topics.events, [event()])
    async with consuming(make_config(state_url=f"sqlite:{tmp_path / 'two.db'}")) as stranger:
        reasons = await wait_until(lambda: stranger.status().gate_reasons, 20, "the intake to pause")
        in_flight = stranger.status().in_flight
    async with consuming(make_config(state_url=f"sqlite:{tmp_path / 'one.db'}")):
        results = await asyncio.to_thread(read_results, broker.bootstrap_servers, topics.results, 2)

    assert "another store" in reasons["store identity"]
    assert in_flight == 0
    assert len(results) == 2


@pytest.mark.apache
@pytest.mark.slow
async def test_workers_that_come_and_go_answer_every_event_once(
    make_config: MakeConfig, broker: TestBroker, topics: TopicNames, tmp_path: Path
) -> None:
    """Commits are refused during a rebalance, records come twice: one verdict each all the same."""
    config = make_config(state_url=f"sqlite:{tmp_path / 'state.db'}", max_concurrency=10)
    events = [event({"task": str(number)}) for number in range(300)]
    reader = await asyncio.to_thread(TopicReader, broker.bootstrap_servers, topics.results)
    async with consuming(config):
        for batch in range(3):
            publish(broker.bootstrap_servers, topics.events, events[batch * 100 : batch * 100 + 50])
            async with consuming(config):
                publish(broker.bootstrap_servers, topics.events, events[batch * 100 + 50 : batch * 100 + 100])
        await asyncio.to_thread(reader.read, 300)
    results = [decode_result(message.value()) for message in await asyncio.to_thread(reader.rest)]
    reader.close()
    distinct = {(result.correlation_id, result.result_id) for result in results}
    status.info("3 joins and leaves: %d results, %d distinct", len(results), len(distinct))

    assert {event_id for event_id, _ in distinct} == {each.event_id for each in events}
    assert len(distinct) == 300


@pytest.mark.apache
@pytest.mark.slow
async def test_a_member_without_partitions_takes_over_when_the_other_leaves(
    make_config: MakeConfig, broker: TestBroker, make_topics: Callable[..., TopicNames], tmp_path: Path
) -> None:
    """It polls with nothing to poll; else it could never come back."""
    topics = make_topics(partitions=1)
    config = make_config(
        topic=topics.events,
        results_topic=topics.results,
        dlq_topic=topics.dead_letters,
        state_url=f"sqlite:{tmp_path / 'state.db'}",
    )
    async with consuming(config) as first:
        spare = LangGraphKafkaConsumer(config)
        await spare.start()
        task = asyncio.create_task(spare.consume_and_process())
        await wait_until(lambda: spare.status().joined, 20, "the spare to join")
        shares = await wait_until(lambda: _shares(first, spare), 20, "one of them to have the partition")
        polled = spare.status().last_poll_age_s
    publish(broker.bootstrap_servers, topics.events, [event()])
    (result,) = await asyncio.to_thread(read_results, broker.bootstrap_servers, topics.results, 1)
    await spare.stop()
    await task

    assert shares == [0, 1]
    assert polled is None or polled < 5
    assert result.status == "success"


def _shares(*members: LangGraphKafkaConsumer) -> list[int] | None:
    shares = sorted(len(each.status().partitions) for each in members)
    return shares if sum(shares) else None


@pytest.mark.topics(partitions=1)
async def test_poison_does_not_stick_for_a_moment(
    make_config: MakeConfig, broker: TestBroker, topics: TopicNames
) -> None:
    """A hundred bad records in one partition, then a good one: answered, and all committed."""
    good: WorkflowEvent = event()
    records = [Raw(bytes([number]) * 50) for number in range(100)]
    send(broker.bootstrap_servers, topics.events, [*records, raw(good)])
    async with consuming(make_config()) as consumer:
        (result,) = await asyncio.to_thread(read_results, broker.bootstrap_servers, topics.results, 1)
        letters = await asyncio.to_thread(read, broker.bootstrap_servers, topics.dead_letters, 100)
        engine = consumer.engine
        assert engine is not None
        (partition,) = engine.tracker.partitions
        await wait_until(lambda: engine.tracker.watermark(partition) == 101, description="the commit")

    assert result.correlation_id == good.event_id
    assert len(letters) == 100


async def test_stopping_while_another_task_starts_leaves_nothing_behind(make_config: MakeConfig) -> None:
    """Start and stop may be called at the same time from two tasks."""
    consumer = LangGraphKafkaConsumer(make_config())
    starting = asyncio.create_task(consumer.start())
    await asyncio.sleep(0)
    await consumer.stop()
    with suppress(asyncio.CancelledError):
        await starting
    await consumer.stop()

    assert consumer.consumer is None
    assert consumer.result_producer.producer is None

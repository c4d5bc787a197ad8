"""Where the partitions end, and whether a broker answers, is known although nothing is taken."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from kafka_devbroker import running_broker
from langgraph_integration.broker.source import KafkaEventSource
from langgraph_integration.config import ConsumerConfig
from langgraph_integration.pipeline.delivery import Partition
from langgraph_integration.pipeline.status import liveness, readiness
from tests.contract.event_sources import KafkaHarness, Listener, take
from tests.langgraph_integration.events import event
from tests.langgraph_integration.running import consuming
from tests.langgraph_integration.topics import Raw, publish
from tests.support import wait_until
from tests.support.brokers import TestBroker

pytestmark = pytest.mark.broker

WAITS = """
import asyncio
from typing import TypedDict
from langgraph.graph import StateGraph

class State(TypedDict, total=False):
    done: bool

async def wait(state: State) -> State:
    await asyncio.sleep(600)
    return {"done": True}

graph = StateGraph(State).add_node(wait).set_entry_point("wait").set_finish_point("wait").compile()
"""


@pytest.mark.each_broker
async def test_the_end_is_asked_for_while_nothing_is_wanted(broker: TestBroker) -> None:
    """What was read ahead and is not wanted keeps the client from fetching; the topic grows all the same."""
    harness = KafkaHarness(broker)
    await harness.write(Raw(b"x"), Raw(b"y"))
    async with harness.member(Listener()) as source:
        assert isinstance(source, KafkaEventSource)
        await take(source, 1, max_records=1)
        for _ in range(5):
            await harness.write(Raw(b"z"))
        answered_at = source.ends.answered_at or 0

        async def seen() -> bool:
            await source.poll(0, 0.1)
            return source.ends.known.get(Partition(harness.topic, 0)) == 7

        await wait_until(seen, 15, "the end to be seen")
        assert (source.ends.answered_at or 0) > answered_at


async def test_one_who_stops_while_it_asks_waits_for_no_answer(broker: TestBroker) -> None:
    """And nothing of the question is left on the Kafka thread."""
    harness = KafkaHarness(broker)
    async with harness.member(Listener()) as source:
        assert isinstance(source, KafkaEventSource)
        source.ends._asked_at = source.ends._looked_at = float("-inf")
        await source.poll(0, 0.0)
        began = time.monotonic()
        assert await source.stop()

    assert time.monotonic() - began < 2.5
    assert source.ends._asking is None


@pytest.mark.slow
@pytest.mark.timeout(150)
async def test_with_every_slot_taken_the_lag_grows_and_a_dead_broker_is_told_of(
    graph_folder: Callable[..., str], tmp_path: Path
) -> None:
    """Nothing is fetched then: the source asks, or lag and readiness would be those of the last fetch."""
    with running_broker() as broker:
        config = ConsumerConfig(
            bootstrap_servers=broker.bootstrap_servers,
            state_url=f"sqlite:{tmp_path / 'state.db'}",
            session_timeout_ms=6000,
            heartbeat_interval_ms=1000,
            shutdown_timeout=1,
            auto_offset_reset="earliest",
            max_concurrency=1,
            graphs_file=graph_folder(WAITS),
        )
        async with consuming(config) as consumer:
            for _ in range(10):
                publish(broker.bootstrap_servers, config.topic, [event({"done": False})])
            await wait_until(lambda: consumer.status().slots_taken == 1, 30, "the slot to be taken")
            before = await wait_until(lambda: sum(consumer.status().lags.values()), 30, "a lag")
            for _ in range(10):
                publish(broker.bootstrap_servers, config.topic, [event({"done": False})])
            await wait_until(lambda: sum(consumer.status().lags.values()) == 20, 20, "the lag to grow")
            # nothing was polled for longer than that
            await wait_until(lambda: (consumer.status().last_poll_age_s or 9) < 1, 20, "an answer")
            ready = readiness(consumer.status())

            broker.kill()
            away = await wait_until(lambda: readiness(consumer.status()), 40, "a service that is not ready")
            alive = liveness(consumer.status())
            age_s = consumer.status().last_poll_age_s

    assert 0 < before < 20
    assert ready == []
    assert [each for each in away if each.startswith("intake paused: consume: ") and "no answer" in each]
    assert alive == []
    assert age_s is not None
    assert age_s > 10

"""stop() and signals: soon, in order, and with an exit code that says what is known."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kafka_devbroker import Broker, running_broker
from langgraph_integration.config import ConsumerConfig
from langgraph_integration.consumer import LangGraphKafkaConsumer
from tests.langgraph_integration.conftest import MakeConfig
from tests.langgraph_integration.events import event
from tests.langgraph_integration.running import Service, service
from tests.langgraph_integration.topics import publish, read_results
from tests.support import wait_until
from tests.support.brokers import TestBroker
from tests.support.status import status
from tests.support.topics import create_workflow_topics, unique_name
from workflow_events.settings import TopicNames

pytestmark = pytest.mark.slow

WAITING = """
import asyncio, time
from pathlib import Path
from typing import TypedDict
from langgraph.graph import StateGraph

class State(TypedDict, total=False):
    seconds: float
    blocks: float
    done: bool

async def wait(state: State) -> State:
    print("node begins", flush=True)
    await asyncio.sleep(state.get("seconds", 0))
    return {"done": True}

def block(state: State) -> State:
    if state.get("blocks"):
        print("thread begins", flush=True)
        time.sleep(state["blocks"])
    return {}

builder = StateGraph(State).add_node(wait).add_node(block).set_entry_point("wait")
graph = builder.add_edge("wait", "block").set_finish_point("block").compile()
"""


@pytest.fixture
def doomed() -> Iterator[Broker]:
    """A broker of the test's own, to be killed or frozen."""
    with running_broker("tansu") as broker:
        yield broker


@pytest.fixture
def doomed_config(doomed: Broker, graph_folder: Callable[..., str], tmp_path: Path) -> ConsumerConfig:
    """A consumer on the doomed broker."""
    topics = create_workflow_topics(doomed.bootstrap_servers, partitions=2)
    return ConsumerConfig(
        bootstrap_servers=doomed.bootstrap_servers,
        topic=topics.events,
        results_topic=topics.results,
        dlq_topic=topics.dead_letters,
        group_id=unique_name("group"),
        auto_offset_reset="earliest",
        session_timeout_ms=6000,
        heartbeat_interval_ms=1000,
        state_url=f"sqlite:{tmp_path / 'state.db'}",
        graphs_file=graph_folder(WAITING),
        shutdown_timeout=3,
    )


@pytest.mark.broker
@pytest.mark.parametrize("hurt", ["kill", "pause", None])
async def test_stop_with_nothing_in_flight_takes_seven_seconds_at_most(
    hurt: str | None, doomed: Broker, doomed_config: ConsumerConfig
) -> None:
    """Broker alive, dead or frozen; also with an offset still to be committed."""
    consumer = LangGraphKafkaConsumer(doomed_config)
    await consumer.start()
    task = asyncio.create_task(consumer.consume_and_process())
    publish(doomed.bootstrap_servers, doomed_config.topic, [event({"seconds": 0})])
    await asyncio.to_thread(read_results, doomed.bootstrap_servers, doomed_config.results_topic, 1)
    if hurt is not None:
        getattr(doomed, hurt)()
    began = time.monotonic()
    await consumer.stop()
    took = time.monotonic() - began
    await asyncio.wait({task}, timeout=2)
    if hurt == "pause":
        doomed.resume()
    status.info("stop with the broker %s: %.1f s, %s", hurt or "alive", took, consumer.last_stop)

    assert took <= 7
    assert task.done()
    assert consumer.consumer is None
    assert consumer.last_stop.runs_left == 0
    assert consumer.last_stop.committed or hurt is not None


@pytest.mark.broker
async def test_stop_with_runs_in_flight_and_a_dead_broker_keeps_to_its_time(
    doomed: Broker, doomed_config: ConsumerConfig
) -> None:
    """The shutdown timeout and five seconds; what was left is counted, what was sent is not known."""
    consumer = LangGraphKafkaConsumer(doomed_config)
    await consumer.start()
    task = asyncio.create_task(consumer.consume_and_process())
    events = [event({"seconds": 0.5}), event({"seconds": 60}), event({"seconds": 0, "blocks": 8})]
    publish(doomed.bootstrap_servers, doomed_config.topic, events)
    await wait_until(lambda: consumer.status().in_flight == 3, 20, "the runs")
    doomed.kill()
    began = time.monotonic()
    await consumer.stop()
    took = time.monotonic() - began
    await asyncio.wait({task}, timeout=2)
    status.info("stop with 3 runs and a dead broker: %.1f s, %s", took, consumer.last_stop)

    assert took <= 3 + 5
    assert consumer.last_stop.runs_left == 3
    assert not consumer.last_stop.committed


@pytest.fixture
def running(make_config: MakeConfig, graph_folder: Callable[..., str], tmp_path: Path) -> Iterator[Service]:
    """A service whose runs take as long as their events say."""
    config = make_config(
        graphs_file=graph_folder(WAITING),
        shutdown_timeout=2,
        state_url=f"sqlite:{tmp_path / 'state.db'}",
    )
    with service(config, tmp_path / "service.log") as started:
        yield started


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_service_with_0(number: signal.Signals, running: Service) -> None:
    """Within seven seconds when nothing is in flight."""
    began = time.monotonic()
    running.signal(number)

    assert running.exit_code() == 0
    assert time.monotonic() - began <= 7
    assert "stopped" in running.log


def test_a_run_that_ends_within_the_shutdown_timeout_is_answered(
    running: Service, broker: TestBroker, topics: TopicNames
) -> None:
    """Drained, published, committed; then 0. Every answer that it logged as settled is there."""
    events = [event({"seconds": 1}) for _ in range(5)]
    publish(broker.bootstrap_servers, topics.events, events)
    running.wait_for("node begins")
    running.signal(signal.SIGTERM)
    code = running.exit_code()
    settled = running.log.count("event settled")
    results = read_results(broker.bootstrap_servers, topics.results, settled)

    assert code == 0
    assert len(results) == settled > 0
    assert {each.correlation_id for each in results} <= {each.event_id for each in events}


def test_a_run_that_does_not_end_is_left_to_its_lease_and_the_code_is_still_0(
    running: Service, broker: TestBroker, topics: TopicNames
) -> None:
    """Also one whose node blocks a thread that nobody can end; their number is in the log."""
    publish(broker.bootstrap_servers, topics.events, [event({"seconds": 60}), event({"blocks": 60})])
    running.wait_for("node begins")
    running.wait_for("thread begins")
    began = time.monotonic()
    running.signal(signal.SIGTERM)
    code = running.exit_code()
    took = time.monotonic() - began
    status.info("SIGTERM with a blocked thread: exit %d in %.1f s", code, took)

    assert code == 0
    assert took <= 2 + 5
    assert "2 runs left to their lease" in running.log


def test_a_second_signal_ends_the_service_at_once_with_130(
    running: Service, broker: TestBroker, topics: TopicNames
) -> None:
    """Whatever it is doing."""
    publish(broker.bootstrap_servers, topics.events, [event({"blocks": 60})])
    running.wait_for("thread begins")
    running.signal(signal.SIGTERM)
    running.wait_for("SIGTERM: stopping")
    began = time.monotonic()
    running.signal(signal.SIGTERM)

    assert running.exit_code() == 130
    assert time.monotonic() - began < 2


@pytest.mark.broker
def test_a_signal_during_the_start_ends_it(
    doomed: Broker, doomed_config: ConsumerConfig, tmp_path: Path
) -> None:
    """A broker that does not answer holds nothing up."""
    doomed.pause()
    starting = Service(doomed_config, tmp_path / "service.log", {})
    try:
        starting.wait_for("starting")
        began = time.monotonic()
        starting.signal(signal.SIGTERM)
        code = starting.exit_code()
        took = time.monotonic() - began
    finally:
        starting.end()
        doomed.resume()
    status.info("SIGTERM during the start: exit %d in %.1f s", code, took)

    assert code == 0
    assert took <= 7


@pytest.mark.broker
def test_a_service_that_cannot_connect_ends_with_1(doomed_config: ConsumerConfig, tmp_path: Path) -> None:
    """And says where it looked."""
    config = ConsumerConfig(**{**doomed_config.to_dict(), "bootstrap_servers": "127.0.0.1:1"})
    lost = Service(config, tmp_path / "service.log", {})
    try:
        assert lost.exit_code(50) == 1
    finally:
        lost.end()

    assert "127.0.0.1:1" in lost.log


@pytest.mark.broker
def test_an_unknown_commit_makes_the_exit_code_1(
    doomed: Broker, doomed_config: ConsumerConfig, tmp_path: Path
) -> None:
    """The broker died with the last results under way: nobody knows whether it has them."""
    with service(doomed_config, tmp_path / "service.log") as dying:
        publish(doomed.bootstrap_servers, doomed_config.topic, [event({"seconds": 1.5})])
        dying.wait_for("node begins")
        doomed.kill()
        began = time.monotonic()
        dying.signal(signal.SIGTERM)
        code = dying.exit_code()
        took = time.monotonic() - began
    status.info("SIGTERM with a dead broker and a verdict to publish: exit %d in %.1f s", code, took)

    assert code == 1
    assert took <= 3 + 5

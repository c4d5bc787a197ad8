"""A broker's life: it answers, keeps its address, comes back, and leaves nothing behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from kafka_devbroker import BackendName, Broker, running_broker
from kafka_devbroker.net import LOOPBACK, answering_brokers, free_ports, takes_connections
from tests.support.topics import create_topics, unique_name
from tests.support.waiting import wait_until_sync

_PRINT_AND_WAIT = """
import os, sys
from kafka_devbroker import running_broker
with running_broker(sys.argv[1]) as broker:
    sys.stdout.write(broker.bootstrap_servers + "\\n")
    sys.stdout.flush()
    sys.stdin.read()
"""


@pytest.fixture(
    scope="module",
    params=[
        pytest.param("tansu", marks=pytest.mark.broker),
        pytest.param("apache", marks=[pytest.mark.apache, pytest.mark.slow]),
    ],
)
def own_broker(request: pytest.FixtureRequest) -> Iterator[Broker]:
    """A broker of this module's own, to be killed. Tests leave it running."""
    name: BackendName = request.param
    with running_broker(name) as broker:
        yield broker


def _port(broker_address: str) -> int:
    return int(broker_address.rpartition(":")[2])


def _publish(bootstrap_servers: str, topic: str, value: bytes) -> None:
    producer = Producer({"bootstrap.servers": bootstrap_servers})
    producer.produce(topic, value)
    assert producer.flush(20) == 0


def _first_record(bootstrap_servers: str, topic: str) -> bytes:
    consumer = Consumer({"bootstrap.servers": bootstrap_servers, "group.id": "none"})
    consumer.assign([TopicPartition(topic, 0, 0)])
    try:
        value = wait_until_sync(lambda: consumer.poll(0.5), 60, f"a record on {topic}").value()
    finally:
        consumer.close()
    assert isinstance(value, bytes)
    return value


def test_after_a_kill_a_broker_comes_back_at_the_same_address(own_broker: Broker) -> None:
    """Killed means silent, restarted means answering where it was; data only where the broker says so."""
    address, topic = own_broker.bootstrap_servers, unique_name("kept")
    create_topics(address, [topic])
    _publish(address, topic, b"before")
    own_broker.kill()
    silent = not takes_connections(LOOPBACK, _port(address))
    own_broker.restart()
    if not own_broker.keeps_data:
        create_topics(address, [topic])
        _publish(address, topic, b"before")

    assert silent
    assert own_broker.bootstrap_servers == address
    assert _first_record(address, topic) == b"before"


def test_a_restart_of_a_running_broker_ends_it_in_order_first(own_broker: Broker) -> None:
    """`restart` without a `kill` is what an operator does."""
    own_broker.restart()

    assert answering_brokers(LOOPBACK, _port(own_broker.bootstrap_servers)) == 1


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
def test_a_paused_broker_keeps_its_connections_and_answers_nobody(own_broker: Broker) -> None:
    """A pause looks like a network that swallows everything; `resume` ends it."""
    port = _port(own_broker.bootstrap_servers)
    own_broker.pause()
    # a busy machine delivers the signal a moment later
    wait_until_sync(
        lambda: answering_brokers(LOOPBACK, port, timeout=0.3) == 0, 10, "the broker to stand still"
    )
    connects = takes_connections(LOOPBACK, port)
    own_broker.resume()

    assert connects
    assert answering_brokers(LOOPBACK, port, timeout=10) == 1


@pytest.mark.broker
def test_stop_may_be_called_twice_and_leaves_nothing() -> None:
    """The context manager stops again after its user did."""
    with running_broker("tansu") as broker:
        broker.stop()

    assert not takes_connections(LOOPBACK, _port(broker.bootstrap_servers))


@pytest.mark.broker
@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
def test_a_broker_dies_with_its_parent_even_when_that_is_killed(tmp_path: Path) -> None:
    """SIGKILL gives the parent no chance to clean up; the broker ends all the same, and its files go."""
    parent = subprocess.Popen(
        [sys.executable, "-c", _PRINT_AND_WAIT, "tansu"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "TMPDIR": str(tmp_path)},
    )
    with parent:
        assert parent.stdout is not None
        port = _port(parent.stdout.readline().decode().strip())
        running = (answering_brokers(LOOPBACK, port), len(list(tmp_path.iterdir())))
        parent.kill()

    assert running == (1, 1)
    wait_until_sync(lambda: not takes_connections(LOOPBACK, port), 5, "the end of the broker")
    wait_until_sync(lambda: not list(tmp_path.iterdir()), 5, "the end of its files")


@pytest.mark.broker
def test_the_command_runs_a_broker_until_it_is_interrupted() -> None:
    """`python -m kafka_devbroker` says where the broker is and exits 0 at Ctrl-C."""
    port = free_ports(1)[0]
    command = [sys.executable, "-m", "kafka_devbroker", "--backend=tansu", f"--port={port}"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        running = answering_brokers(LOOPBACK, port)
        process.send_signal(signal.SIGINT)
        code = process.wait(timeout=15)

    assert line == f"tansu broker at {LOOPBACK}:{port} (Ctrl-C ends it)\n"
    assert (running, code) == (1, 0)
    assert not takes_connections(LOOPBACK, port)


@pytest.fixture
def cluster() -> Iterator[Broker]:
    """Three nodes of Apache Kafka."""
    with running_broker("apache", nodes=3) as running:
        yield running


@pytest.mark.apache
@pytest.mark.slow
@pytest.mark.timeout(180)  # seconds; three JVMs on two cores, beside whatever else runs
def test_three_nodes_go_on_without_one_of_them(cluster: Broker) -> None:
    """With every topic on three nodes, the loss of one node loses no acknowledged record."""
    topic, addresses = unique_name("replicated"), cluster.bootstrap_servers.split(",")
    create_topics(cluster.bootstrap_servers, [topic], replicas=3)
    producer = Producer({"bootstrap.servers": cluster.bootstrap_servers, "acks": "all"})
    producer.produce(topic, b"kept")
    assert producer.flush(60) == 0
    cluster.kill(0)
    record = _first_record(",".join(addresses[1:]), topic)
    cluster.restart(0)

    assert record == b"kept"
    wait_until_sync(
        lambda: answering_brokers(LOOPBACK, _port(addresses[0])) == 3, 30, "all three know each other"
    )


@pytest.mark.apache
@pytest.mark.slow
def test_properties_reach_the_server() -> None:
    """A test that needs a special server setting names it."""
    with running_broker("apache", properties={"num.partitions": "7"}) as broker:
        _publish(broker.bootstrap_servers, "made-by-itself", b"x")
        consumer = Consumer({"bootstrap.servers": broker.bootstrap_servers, "group.id": "none"})
        partitions = consumer.list_topics("made-by-itself", timeout=10).topics["made-by-itself"].partitions
        consumer.close()

    assert len(partitions) == 7


def test_a_broken_log_is_shown_when_a_broker_does_not_come_up(tmp_path: Path) -> None:
    """Whoever cannot start a broker sees why at once."""
    from kafka_devbroker.broker import ProcessBroker
    from kafka_devbroker.errors import BrokerNotReady
    from kafka_devbroker.process import GuardedProcess

    def start(_node: int) -> GuardedProcess:
        words = "import sys; sys.exit('the disk is full')"
        return GuardedProcess([sys.executable, "-c", words], log_file=tmp_path / "log")

    broker = ProcessBroker(
        "tansu", free_ports(1), start, keeps_data=False, start_timeout=10, clean_up=lambda: None
    )

    with pytest.raises(BrokerNotReady, match="ended while it started"):
        broker.start()
    assert os.path.exists(tmp_path / "log")

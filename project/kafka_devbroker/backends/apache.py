"""Apache Kafka 4 in KRaft mode on loopback ports: one node, or three and more that replicate.

Every node is broker and controller. Data lies in a temporary folder that outlives `kill` and `restart` and
goes with `stop`.
"""

from __future__ import annotations

import base64
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from kafka_devbroker.broker import ProcessBroker
from kafka_devbroker.errors import BrokerNotReady, BrokerUnavailable
from kafka_devbroker.java import find_java, kafka_jars, why_no_jars
from kafka_devbroker.net import LOOPBACK, free_ports
from kafka_devbroker.process import GuardedProcess

_START_TIMEOUT = 90.0  # seconds; one node takes 3 to 6 on two cores
_EIGHT_MIB = 8 * 1024 * 1024

_JVM = (
    "-Xms128m",
    "-Xmx512m",
    # Small heap and two cores: the serial collector starts faster and takes no threads of its own.
    "-XX:+UseSerialGC",
    "-XX:-UsePerfData",
    "-Xshare:auto",
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
    "-Dorg.slf4j.simpleLogger.showDateTime=true",
)


def why_unavailable() -> str | None:
    """What keeps Apache Kafka from running here, with the way out, or None. Fetches nothing."""
    try:
        find_java()
    except BrokerUnavailable as problem:
        return str(problem)
    return why_no_jars()


def start_apache(
    *,
    nodes: int = 1,
    port: int | None = None,
    properties: Mapping[str, str] | None = None,
    secured: bool = False,
) -> ProcessBroker:
    """A started Apache Kafka of `nodes` nodes; the first listens on `port` (default: a free one).

    `properties` are lines of server.properties for every node and win over ours. With `secured` each node
    has a listener, too, that asks clients to log in, and access rules bind those who did.
    """
    java, jars = find_java(), kafka_jars()
    folder = Path(tempfile.mkdtemp(prefix="kafka-devbroker-apache-"))
    ports = free_ports((3 if secured else 2) * nodes)
    client_ports, controller_ports, secured_ports = (
        ports[:nodes],
        ports[nodes : 2 * nodes],
        ports[2 * nodes :],
    )
    if port is not None:
        client_ports[0] = port

    def start_node(node: int) -> GuardedProcess:
        command = [java, *_JVM, "-cp", f"{jars}/*", "kafka.Kafka", str(_settings_file(folder, node))]
        return GuardedProcess(command, log_file=folder / f"node-{node}.log", throw_away=folder)

    broker = ProcessBroker(
        "apache",
        client_ports,
        start_node,
        keeps_data=True,
        start_timeout=_START_TIMEOUT,
        clean_up=lambda: shutil.rmtree(folder, ignore_errors=True),
        secured_ports=secured_ports,
    )
    try:
        cluster_id = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        for node in range(nodes):
            settings = _settings(folder, node, client_ports, controller_ports)
            if secured:
                settings |= _security(settings, secured_ports[node])
            settings |= dict(properties or {})
            lines = [f"{name}={value}\n" for name, value in settings.items()]
            _settings_file(folder, node).write_text("".join(lines))
        with ThreadPoolExecutor() as threads:
            files = [_settings_file(folder, node) for node in range(nodes)]
            list(threads.map(lambda file: _format(java, jars, file, cluster_id), files))
    except BaseException:
        broker.stop()
        raise
    broker.start()
    return broker


def _settings_file(folder: Path, node: int) -> Path:
    return folder / f"node-{node}.properties"


def _settings(
    folder: Path, node: int, client_ports: list[int], controller_ports: list[int]
) -> dict[str, str]:
    nodes = len(client_ports)
    replicas = min(nodes, 3)
    clients = f"PLAINTEXT://{LOOPBACK}:{client_ports[node]}"
    voters = ",".join(f"{index}@{LOOPBACK}:{port}" for index, port in enumerate(controller_ports))
    return {
        "process.roles": "broker,controller",
        "node.id": str(node),
        "controller.quorum.voters": voters,
        "controller.listener.names": "CONTROLLER",
        "listeners": f"{clients},CONTROLLER://{LOOPBACK}:{controller_ports[node]}",
        "advertised.listeners": clients,
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "log.dirs": str(folder / f"node-{node}"),
        "default.replication.factor": str(replicas),
        "offsets.topic.replication.factor": str(replicas),
        "offsets.topic.num.partitions": "5",
        "transaction.state.log.replication.factor": str(replicas),
        "transaction.state.log.min.isr": str(max(1, replicas - 1)),
        "transaction.state.log.num.partitions": "5",
        "share.coordinator.state.topic.replication.factor": str(replicas),
        "share.coordinator.state.topic.min.isr": str(max(1, replicas - 1)),
        "min.insync.replicas": str(max(1, replicas - 1)),
        # A developer's group of one should not wait three seconds for members that never come.
        "group.initial.rebalance.delay.ms": "0",
        # A killed broker may register again only when its old session has ended (default 9 s).
        "broker.session.timeout.ms": "3000",
        "broker.heartbeat.interval.ms": "500",
        # Topics may allow records of 8 MiB, and followers must be able to copy them.
        "replica.fetch.max.bytes": str(_EIGHT_MIB),
        # The default reserves 128 MB of the heap.
        "log.cleaner.dedupe.buffer.size": str(2 * _EIGHT_MIB),
    }


def _security(settings: Mapping[str, str], port: int) -> dict[str, str]:
    """One more listener, for clients with a name; whoever comes without one may do everything."""
    address = f"SASL_PLAINTEXT://{LOOPBACK}:{port}"
    ours = "listener.name.sasl_plaintext"
    return {
        "listeners": f"{settings['listeners']},{address}",
        "advertised.listeners": f"{settings['advertised.listeners']},{address}",
        "listener.security.protocol.map": (
            f"{settings['listener.security.protocol.map']},SASL_PLAINTEXT:SASL_PLAINTEXT"
        ),
        f"{ours}.sasl.enabled.mechanisms": "SCRAM-SHA-256",
        f"{ours}.scram-sha-256.sasl.jaas.config": (
            "org.apache.kafka.common.security.scram.ScramLoginModule required;"
        ),
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "super.users": "User:ANONYMOUS",
        "allow.everyone.if.no.acl.found": "true",
    }


def _format(java: str, jars: Path, settings: Path, cluster_id: str) -> None:
    command = [java, *_JVM, "-XX:TieredStopAtLevel=1", "-cp", f"{jars}/*", "kafka.tools.StorageTool"]
    # One word, because one id in 64 begins with a dash and would be read as an option.
    command += ["format", f"--cluster-id={cluster_id}", f"--config={settings}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise BrokerNotReady(f"could not format Kafka's storage:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")

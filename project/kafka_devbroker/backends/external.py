"""A broker that somebody else runs: used as it is, never started, hurt or stopped by us."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass

from kafka_devbroker.broker import BackendName
from kafka_devbroker.errors import BrokerError, BrokerNotReady, BrokerUnavailable
from kafka_devbroker.net import takes_connections

_DEFAULT_PORT = 9092
_POLL_INTERVAL = 0.2  # seconds


@dataclass(frozen=True, slots=True)
class ExternalBroker:
    """A Broker known by its address alone."""

    bootstrap_servers: str

    @property
    def backend(self) -> BackendName:
        return "external"

    @property
    def nodes(self) -> int:
        return len(self.bootstrap_servers.split(","))

    @property
    def secured_servers(self) -> None:
        """Not known."""
        return None

    @property
    def keeps_data(self) -> bool:
        return True

    def kill(self, node: int | None = None) -> None:
        raise BrokerError("an external broker is not ours to kill")

    def restart(self, node: int | None = None) -> None:
        raise BrokerError("an external broker is not ours to restart")

    def pause(self, node: int | None = None) -> None:
        raise BrokerError("an external broker is not ours to pause")

    def resume(self, node: int | None = None) -> None:
        raise BrokerError("an external broker is not ours to resume")

    def stop(self) -> None:
        """Nothing: whoever started it stops it."""


def external_bootstrap_servers(bootstrap_servers: str | None = None) -> str | None:
    """The given addresses, else those of KAFKA_BOOTSTRAP_SERVERS; None when there are none."""
    return bootstrap_servers or os.environ.get("KAFKA_BOOTSTRAP_SERVERS") or None


def use_external(bootstrap_servers: str | None = None, *, timeout: float = 10.0) -> ExternalBroker:
    """The broker at the given addresses (else KAFKA_BOOTSTRAP_SERVERS) once one of them takes a connection.

    `timeout` is in seconds.
    """
    servers = external_bootstrap_servers(bootstrap_servers)
    if servers is None:
        raise BrokerUnavailable("no external broker: set KAFKA_BOOTSTRAP_SERVERS or pass bootstrap_servers")
    deadline = time.monotonic() + timeout
    while not any(_is_up(address) for address in servers.split(",")):
        if time.monotonic() > deadline:
            raise BrokerNotReady(f"nothing takes connections at {servers}")
        time.sleep(_POLL_INTERVAL)
    return ExternalBroker(servers)


def _is_up(address: str) -> bool:
    host, _, port = address.strip().rpartition(":")
    if not host:
        host, port = address.strip(), str(_DEFAULT_PORT)
    return takes_connections(host.strip("[]"), int(port))

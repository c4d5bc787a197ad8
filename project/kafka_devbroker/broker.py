"""What every backend gives: a broker (or a small cluster) that is up, and handles to hurt it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Literal, Protocol

from kafka_devbroker.errors import BrokerNotReady
from kafka_devbroker.net import LOOPBACK, answering_brokers
from kafka_devbroker.process import GuardedProcess

BackendName = Literal["external", "tansu", "apache"]

_POLL_INTERVAL = 0.02  # seconds
_STOP_TIMEOUT = 10.0  # seconds a broker gets to end by itself


class Broker(Protocol):
    """A running Kafka-compatible broker.

    Methods with `node` act on all nodes when it is None; the first is 0. They block until the effect is there
    and raise BrokerError where the backend cannot do it.
    """

    @property
    def backend(self) -> BackendName: ...

    @property
    def bootstrap_servers(self) -> str:
        """Addresses of all nodes, comma-separated. A restart does not change them."""

    @property
    def secured_servers(self) -> str | None:
        """Addresses at which clients must log in (SASL_PLAINTEXT, SCRAM-SHA-256); None if there are none."""

    @property
    def nodes(self) -> int: ...

    @property
    def keeps_data(self) -> bool:
        """Whether topics, records and offsets outlive `kill` and `restart`."""

    def kill(self, node: int | None = None) -> None:
        """End it as a crash would: SIGKILL, no goodbye."""

    def restart(self, node: int | None = None) -> None:
        """Start what is down on its old port and data; what runs is stopped in order first."""

    def pause(self, node: int | None = None) -> None:
        """Freeze it: its connections stay open and nothing answers."""

    def resume(self, node: int | None = None) -> None:
        """Let what `pause` froze go on."""

    def stop(self) -> None:
        """End it and remove its data. Safe to call twice."""


class ProcessBroker:
    """A Broker made of child processes on loopback ports: what tansu and apache have in common."""

    def __init__(
        self,
        backend: BackendName,
        ports: list[int],
        start_node: Callable[[int], GuardedProcess],
        *,
        keeps_data: bool,
        start_timeout: float,
        clean_up: Callable[[], None],
        secured_ports: Sequence[int] = (),
    ) -> None:
        self.backend: BackendName = backend
        self.keeps_data = keeps_data
        self.bootstrap_servers = _addresses(ports)
        self.secured_servers = _addresses(secured_ports) or None
        self.nodes = len(ports)
        self._ports = ports
        self._start_node = start_node
        self._start_timeout = start_timeout
        self._clean_up = clean_up
        self._processes: dict[int, GuardedProcess] = {}

    def start(self) -> None:
        """Start all nodes and wait until they know each other; if one does not come up, stop them all."""
        try:
            self.restart()
        except BaseException:
            self.stop()
            raise

    def kill(self, node: int | None = None) -> None:
        for each in self._chosen(node):
            self._processes[each].kill()

    def restart(self, node: int | None = None) -> None:
        chosen = self._chosen(node)
        self._end([each for each in chosen if self._is_running(each)])
        for each in chosen:
            self._processes[each] = self._start_node(each)
        self._wait_until_ready(chosen)

    def pause(self, node: int | None = None) -> None:
        for each in self._chosen(node):
            self._processes[each].pause()

    def resume(self, node: int | None = None) -> None:
        for each in self._chosen(node):
            self._processes[each].resume()

    def stop(self) -> None:
        # Killed, because its data goes too; nodes that say goodbye wait for a quorum that is lost.
        for process in self._processes.values():
            process.kill()
        self._processes.clear()
        self._clean_up()

    def _chosen(self, node: int | None) -> list[int]:
        if node is None:
            return list(range(self.nodes))
        if node not in range(self.nodes):
            raise ValueError(f"there is no node {node}: this broker has {self.nodes}, the first is 0")
        return [node]

    def _is_running(self, node: int) -> bool:
        return node in self._processes and self._processes[node].running

    def _end(self, running: list[int]) -> None:
        for node in running:
            # A frozen process would not see the request to end.
            self._processes[node].resume()
            self._processes[node].ask_to_end()
        for node in running:
            self._processes[node].wait_or_kill(_STOP_TIMEOUT)

    def _wait_until_ready(self, chosen: list[int]) -> None:
        deadline = time.monotonic() + self._start_timeout
        waiting = set(chosen)
        while waiting:
            expected = sum(self._is_running(node) for node in range(self.nodes))
            for node in sorted(waiting):
                if not self._is_running(node):
                    raise BrokerNotReady(self._report(node, "ended while it started"))
                if answering_brokers(LOOPBACK, self._ports[node]) >= expected:
                    waiting.discard(node)
            if waiting and time.monotonic() > deadline:
                problem = f"did not answer within {self._start_timeout:g} s"
                raise BrokerNotReady(self._report(min(waiting), problem))
            time.sleep(_POLL_INTERVAL)

    def _report(self, node: int, problem: str) -> str:
        tail = self._processes[node].log_tail()
        who = f"{self.backend} broker, node {node} on port {self._ports[node]}"
        return f"{who}, {problem}. Its log ends:\n{tail}"


def _addresses(ports: Sequence[int]) -> str:
    return ",".join(f"{LOOPBACK}:{port}" for port in ports)

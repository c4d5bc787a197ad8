"""Which brokers the tests use, and what was left out because this machine lacks it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from kafka_devbroker import BackendName, available_backends, running_broker
from tests.support.sharing import shared_service


@dataclass(frozen=True, slots=True)
class TestBroker:
    """A broker that other tests use at the same time: never kill it (take `running_broker` for that)."""

    __test__ = False

    bootstrap_servers: str
    backend: BackendName

    @property
    def session_timeout_ms(self) -> int:
        """For consumers of tests: Tansu answers the first join of a group only after half of it."""
        return 6000

    @property
    def heartbeat_interval_ms(self) -> int:
        return 1000


def in_ci() -> bool:
    """Whether a missing service is a failure (CI=true) and not a skip."""
    return os.environ.get("CI", "").lower() in ("1", "true", "yes")


def default_backend() -> BackendName:
    """The broker of tests that do not care: an external one if given, else Tansu, else Apache Kafka."""
    missing = available_backends()
    return next((name for name in ("external", "tansu", "apache") if missing[name] is None), "tansu")


class BrokerPool(ExitStack):
    """The brokers of one test worker: each is started when first asked for and lives as long as the pool.

    Apache Kafka (400 MB) is one for all workers, Tansu (20 MB) one for each.
    """

    def __init__(self, shared_folder: Path, external: str | None) -> None:
        super().__init__()
        self._shared_folder = shared_folder
        self._external = external
        self._running: dict[BackendName, TestBroker] = {}

    def get(self, backend: BackendName) -> TestBroker:
        if backend not in self._running:
            self._running[backend] = TestBroker(self._start(backend), backend)
        return self._running[backend]

    def _start(self, backend: BackendName) -> str:
        if backend == "apache":
            return self.enter_context(shared_service(self._shared_folder, "apache", _apache_address))
        running = self.enter_context(running_broker(backend, bootstrap_servers=self._external))
        return running.bootstrap_servers


@contextmanager
def _apache_address() -> Iterator[str]:
    with running_broker("apache") as broker:
        yield broker.bootstrap_servers

"""Which broker to take, and its life as a context manager."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Literal, assert_never

from kafka_devbroker.backends import apache, external, tansu
from kafka_devbroker.broker import BackendName, Broker
from kafka_devbroker.errors import BrokerUnavailable


@contextmanager
def running_broker(
    backend: BackendName | Literal["auto"] = "auto",
    *,
    nodes: int = 1,
    port: int | None = None,
    properties: Mapping[str, str] | None = None,
    bootstrap_servers: str | None = None,
    secured: bool = False,
) -> Iterator[Broker]:
    """A broker that answers, stopped and cleaned up at the end; it dies with this process, even if killed.

    `backend`: "auto" takes an external broker if `bootstrap_servers` or KAFKA_BOOTSTRAP_SERVERS names one,
    else Tansu, else Apache Kafka; more than one node, any `properties` and `secured` mean Apache Kafka.
    `port`: of the first node; default a free one.
    `properties`: lines of server.properties, for Apache Kafka alone.
    `secured`: with addresses at which clients must log in, too (`Broker.secured_servers`). Who comes by the
    others may do everything, and makes the credentials and access rules of the rest.
    Raises BrokerUnavailable when this machine lacks what the backend needs, BrokerNotReady when it does not
    come up.
    """
    broker = _start(backend, nodes, port, properties, bootstrap_servers, secured)
    try:
        yield broker
    finally:
        broker.stop()


def available_backends() -> dict[BackendName, str | None]:
    """Every backend with what keeps it from running on this machine (and the way out), or None if it runs."""
    servers = external.external_bootstrap_servers()
    return {
        "external": None if servers else "KAFKA_BOOTSTRAP_SERVERS is not set",
        "tansu": tansu.why_unavailable(),
        "apache": apache.why_unavailable(),
    }


def _start(
    backend: BackendName | Literal["auto"],
    nodes: int,
    port: int | None,
    properties: Mapping[str, str] | None,
    bootstrap_servers: str | None,
    secured: bool,
) -> Broker:
    match backend:
        case "auto":
            chosen = _choose(nodes, properties, bootstrap_servers, secured)
            return _start(chosen, nodes, port, properties, bootstrap_servers, secured)
        case "external":
            return external.use_external(bootstrap_servers)
        case "tansu":
            if nodes != 1 or secured:
                raise ValueError(
                    "Tansu in memory is one node that everybody may use; take the apache backend for more"
                )
            return tansu.start_tansu(port=port, properties=properties)
        case "apache":
            return apache.start_apache(nodes=nodes, port=port, properties=properties, secured=secured)
        case _:
            assert_never(backend)


def _choose(
    nodes: int, properties: Mapping[str, str] | None, bootstrap_servers: str | None, secured: bool
) -> BackendName:
    if external.external_bootstrap_servers(bootstrap_servers):
        return "external"
    if nodes != 1 or properties or secured:
        return "apache"
    no_tansu = tansu.why_unavailable()
    if no_tansu is None:
        return "tansu"
    no_apache = apache.why_unavailable()
    if no_apache is None:
        return "apache"
    raise BrokerUnavailable(f"no broker can be started here. {no_tansu}. {no_apache}")

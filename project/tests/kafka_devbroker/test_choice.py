"""Which broker `running_broker` takes, and what it says when it has none."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from kafka_devbroker import BrokerError, BrokerNotReady, BrokerUnavailable, available_backends, running_broker
from kafka_devbroker.__main__ import main
from kafka_devbroker.net import LOOPBACK, answering_brokers, free_ports, takes_connections
from tests.support.brokers import TestBroker


def test_the_environment_names_an_external_broker(
    broker: TestBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """KAFKA_BOOTSTRAP_SERVERS beats starting a broker of our own."""
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", broker.bootstrap_servers)
    with running_broker() as taken:
        pass

    assert (taken.backend, taken.bootstrap_servers) == ("external", broker.bootstrap_servers)
    assert answering_brokers(*_address(broker.bootstrap_servers)) == 1


def test_an_external_broker_is_never_hurt(broker: TestBroker) -> None:
    """It is somebody else's."""
    with running_broker("external", bootstrap_servers=broker.bootstrap_servers) as taken:
        for hurt in (taken.kill, taken.restart, taken.pause, taken.resume):
            with pytest.raises(BrokerError, match="external broker is not ours"):
                hurt()


def test_external_without_an_address_says_which_variable_is_missing() -> None:
    """The message is the way out."""
    with pytest.raises(BrokerUnavailable, match="KAFKA_BOOTSTRAP_SERVERS"), running_broker("external"):
        pass


@pytest.mark.parametrize("address", ["{host}:{port}", "{host}:{port},{host}:{port}"])
def test_external_at_a_silent_address_gives_up_in_time(address: str) -> None:
    """Nobody waits forever for a broker that is not there."""
    from kafka_devbroker.backends.external import use_external

    servers = address.format(host=LOOPBACK, port=free_ports(1)[0])
    with pytest.raises(BrokerNotReady, match="nothing takes connections"):
        use_external(servers, timeout=0.3)


def test_tansu_refuses_what_it_cannot_do() -> None:
    """It is one node and has no server properties and no logins, and says so instead of ignoring them."""
    with pytest.raises(ValueError, match="one node"), running_broker("tansu", nodes=3):
        pass
    with pytest.raises(ValueError, match="everybody may use"), running_broker("tansu", secured=True):
        pass
    with (
        pytest.raises(ValueError, match="no broker properties"),
        running_broker("tansu", properties={"a": "b"}),
    ):
        pass


def test_a_machine_without_java_is_told_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Apache Kafka is out of reach, with the name of the package that changes it."""
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))

    assert "openjdk-17-jre-headless" in str(available_backends()["apache"])
    with pytest.raises(BrokerUnavailable, match="Java 17"), running_broker("apache"):
        pass


def test_a_java_that_is_too_old_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Java 8 writes its version as 1.8."""
    java = tmp_path / "bin" / "java"
    java.parent.mkdir()
    java.write_text("#!/bin/sh\necho 'openjdk version \"1.8.0_402\"' >&2\n")
    java.chmod(0o755)
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))

    assert "found 8" in str(available_backends()["apache"])


@pytest.mark.apache
def test_a_wrong_kafka_home_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A folder without `libs` is no Kafka."""
    monkeypatch.setenv("KAFKA_HOME", str(tmp_path))

    with pytest.raises(BrokerUnavailable, match="no folder `libs`"), running_broker("apache"):
        pass


def test_the_command_says_why_there_is_no_broker(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 1 and the reason on stderr, no stack trace; whoever called it keeps their Ctrl-C."""
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    meanings = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]

    assert main(["--backend=apache"]) == 1
    assert capsys.readouterr().err.startswith("Apache Kafka needs Java 17")
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == meanings


def test_free_ports_are_different_and_free() -> None:
    """Two nodes never get one port."""
    ports = free_ports(20)

    assert len(set(ports)) == 20
    assert not any(takes_connections(LOOPBACK, port, timeout=0.2) for port in ports)


def _address(bootstrap_servers: str) -> tuple[str, int]:
    host, _, port = bootstrap_servers.rpartition(":")
    return host, int(port)

"""`langgraph-kafka broker`: a broker at hand, with the three topics."""

import json
import signal
from pathlib import Path

import pytest

from kafka_devbroker.net import LOOPBACK, free_ports, takes_connections
from langgraph_integration.ops.topics import inspect_topics
from tests.langgraph_integration.ops.command_line import run, started
from tests.support import wait_until_sync
from workflow_events.settings import KafkaSettings, TopicNames


@pytest.mark.broker
def test_it_runs_with_its_topics_until_ctrl_c(tmp_path: Path) -> None:
    """Ready for `serve` and `trigger` without another command; Ctrl-C ends it in order."""
    port, log = free_ports(1)[0], tmp_path / "broker.log"
    with started("broker", "--port", str(port), "--backend", "tansu", "--json", log_file=log) as process:
        wait_until_sync(lambda: log.stat().st_size > 0, timeout=20, description="the broker to be ready")
        facts = inspect_topics(KafkaSettings(f"{LOOPBACK}:{port}"), TopicNames())
        process.send_signal(signal.SIGINT)
        code = process.wait(15)

    assert json.loads(log.read_text()) == {"backend": "tansu", "bootstrap_servers": f"{LOOPBACK}:{port}"}
    assert [each.exists for each in facts] == [True, True, True]
    assert code == 0
    assert not takes_connections(LOOPBACK, port)


@pytest.mark.broker
def test_a_port_that_is_taken_is_an_error_and_no_traceback(tmp_path: Path) -> None:
    """Often a forgotten broker of yesterday."""
    port, log = free_ports(1)[0], tmp_path / "broker.log"
    with started("broker", "--port", str(port), "--backend", "tansu", log_file=log):
        wait_until_sync(lambda: log.stat().st_size > 0, timeout=20, description="the first broker")
        second = run("broker", "--port", str(port), "--backend", "tansu")

    assert second.code == 2
    assert f"--port {port} is in use" in second.err
    assert "Traceback" not in second.err

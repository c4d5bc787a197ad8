"""Guide: Service Entry Point, Running as Service."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from textwrap import dedent

import pytest

from airflow_integration.result_poller import WorkflowResultPoller
from kafka_devbroker import Broker
from tests.fundamentals.asking import RECORDS, publish
from tests.support import wait_until_sync
from workflow_events.settings import TopicNames

RUN_SERVICE = """
    # Run service
    python -m langgraph_integration.service
"""
RUNNING_AS_SERVICE = """
    # Set environment variables
    export KAFKA_BOOTSTRAP_SERVERS=localhost:9092
    export KAFKA_WORKFLOW_EVENTS_TOPIC=workflow-events
    export KAFKA_CONSUMER_GROUP_ID=langgraph-consumer-group

    # Run service
    python -m langgraph_integration.service
"""


class Program:
    """A program with this Python on its PATH, and what it has written so far."""

    def __init__(self, command: list[str]) -> None:
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        self.process = subprocess.Popen(
            command,
            env={**os.environ, "PATH": path, "WORKFLOW_HTTP_PORT": "0"},
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self.log = ""
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.log += line

    def signal(self, number: signal.Signals) -> int:
        """Send a signal to it and to what it has started, as a terminal does; the exit code."""
        os.killpg(self.process.pid, number)
        code = self.process.wait(40)
        self._reader.join()
        return code


@contextmanager
def program(*command: str) -> Iterator[Program]:
    """Run it; whatever is left of it ends with the block."""
    running = Program(list(command))
    try:
        yield running
    finally:
        if running.process.poll() is None:
            running.signal(signal.SIGKILL)
        assert running.process.stderr is not None
        running.process.stderr.close()


def serves_one_event(running: Program) -> None:
    """Wait for the service, ask it, and see its answer."""
    wait_until_sync(lambda: "consuming" in running.log, 40, "a service that consumes")
    event = publish("find the trend", records=RECORDS)
    result = WorkflowResultPoller(timeout=30).poll_for_result(event.event_id)
    assert result is not None, running.log
    assert result["status"] == "success"


def test_the_service_runs_until_ctrl_c(kafka_environment: TopicNames) -> None:
    """The listing Service Entry Point, in a shell: it serves, and ends in order with exit code 0."""
    with program("bash", "-c", dedent(RUN_SERVICE)) as running:
        serves_one_event(running)

        assert running.signal(signal.SIGINT) == 0, running.log
        assert "stopped" in running.log


def test_the_service_ends_in_order_on_sigterm(kafka_environment: TopicNames) -> None:
    """The list below that listing: what a supervisor or a container runtime sends."""
    with program("python", "-m", "langgraph_integration.service") as running:
        serves_one_event(running)

        assert running.signal(signal.SIGTERM) == 0, running.log
        assert "stopped" in running.log


@pytest.mark.broker
@pytest.mark.xdist_group("localhost:9092")
def test_the_service_takes_its_settings_from_exported_variables(localhost_9092: Broker) -> None:
    """The listing Running as Service, word for word, ended as by Ctrl-C."""
    with program("bash", "-c", dedent(RUNNING_AS_SERVICE)) as running:
        serves_one_event(running)

        assert running.signal(signal.SIGINT) == 0, running.log

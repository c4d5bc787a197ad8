"""The demo's service: a process of its own, ended with the demo, its log at hand."""

import json
import os
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from kafka_devbroker.net import LOOPBACK, free_ports
from kafka_devbroker.process import GuardedProcess
from langgraph_integration.ops.demo.steps import DemoFailed
from workflow_events.settings import TopicNames

_OURS = ("KAFKA_", "WORKFLOW_", "LANGGRAPH_", "EVENT_SCHEMA_VERSION", "ENVIRONMENT")
_LOOK_EVERY_S = 0.05
_STOP_S = 12.0
_TAIL_LINES = 20


class DemoService:
    """`python -m langgraph_integration.service` with settings of the demo's own."""

    def __init__(self, bootstrap_servers: str, topics: TopicNames, data: Path, folder: Path) -> None:
        self.port = free_ports(1)[0]
        # an empty folder to stand in: a langgraph.json of the caller's is not the demo's
        self._process = GuardedProcess(
            [sys.executable, "-m", "langgraph_integration.service"],
            log_file=folder / "service.log",
            env=_environment(bootstrap_servers, topics, data, folder, self.port),
            cwd=folder,
        )

    @property
    def running(self) -> bool:
        """Whether the process lives."""
        return self._process.running

    def wait_ready(self, timeout_s: float) -> None:
        """Return once /readyz says so. Raises `DemoFailed` with the reasons and the end of the log."""
        deadline = time.monotonic() + timeout_s
        reasons = "it does not answer"
        while time.monotonic() < deadline:
            if not self.running:
                raise self.failed(f"the service ended with exit code {self._process.exit_code}")
            reasons = self._why_not_ready()
            if not reasons:
                return
            time.sleep(_LOOK_EVERY_S)
        raise self.failed(f"the service was not ready within {timeout_s:g} s: {reasons}")

    def stop(self) -> int:
        """Ask it to end as an operator would (SIGTERM) and return its exit code."""
        self._process.ask_to_end()
        self._process.wait_or_kill(_STOP_S)
        return self._process.exit_code or 0

    def failed(self, problem: str) -> DemoFailed:
        """The error for a problem, with the end of the service's log below."""
        tail = "\n".join(self._process.log_tail().splitlines()[-_TAIL_LINES:])
        return DemoFailed(f"{problem}.\nThe service's log ends:\n{tail or '(empty)'}")

    def _why_not_ready(self) -> str:
        try:
            with urllib.request.urlopen(f"http://{LOOPBACK}:{self.port}/readyz", timeout=2):
                return ""
        except urllib.error.HTTPError as answer:
            return _reasons(answer.read())
        except OSError:
            return "it does not answer"


def _reasons(body: bytes) -> str:
    try:
        return "; ".join(json.loads(body)["reasons"])
    except (ValueError, KeyError):
        return "/readyz itself fails"


@contextmanager
def running_service(
    bootstrap_servers: str, topics: TopicNames, data: Path, folder: Path
) -> Iterator[DemoService]:
    """The service, gone at the end whatever happens."""
    service = DemoService(bootstrap_servers, topics, data, folder)
    try:
        yield service
    finally:
        if service.running:
            service.stop()


def _environment(
    bootstrap_servers: str, topics: TopicNames, data: Path, folder: Path, port: int
) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_OURS)}
    return kept | {
        "KAFKA_BOOTSTRAP_SERVERS": bootstrap_servers,
        "KAFKA_WORKFLOW_EVENTS_TOPIC": topics.events,
        "KAFKA_WORKFLOW_RESULTS_TOPIC": topics.results,
        "KAFKA_DLQ_TOPIC": topics.dead_letters,
        # the embedded broker answers the first join of a group after half of the session timeout
        "KAFKA_CONSUMER_GROUP_ID": f"demo-{uuid4().hex[:8]}",
        "KAFKA_SESSION_TIMEOUT_MS": "6000",
        "KAFKA_HEARTBEAT_INTERVAL_MS": "1000",
        "KAFKA_AUTO_OFFSET_RESET": "earliest",
        "WORKFLOW_STATE_URL": f"sqlite:{folder / 'state.db'}",
        "WORKFLOW_DATA_DIR": str(data),
        "WORKFLOW_HTTP_PORT": str(port),
        "WORKFLOW_LOG_FORMAT": "human",
        "PYTHONUNBUFFERED": "1",
    }

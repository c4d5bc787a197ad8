"""/livez, /readyz and /metrics over a real socket."""

import json
import socket
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from kafka_devbroker.net import free_ports, takes_connections
from langgraph_integration.ops.http import HealthServer, health_app
from langgraph_integration.ops.metric_table import MetricName
from langgraph_integration.ops.metrics import Metrics
from langgraph_integration.ops.settings import HttpSettings
from langgraph_integration.pipeline.delivery import Partition
from langgraph_integration.pipeline.status import ServiceStatus
from tests.langgraph_integration.ops.test_status import WORKING
from tests.support import wait_until_sync
from workflow_events.errors import ConfigurationError


class Watched:
    """A status that a test changes while it is served."""

    def __init__(self) -> None:
        self.status = WORKING
        self.metrics = Metrics()
        self.metrics.watch(lambda: self.status)
        self.settings = HttpSettings(port=free_ports(1)[0])
        self.server = HealthServer(health_app(lambda: self.status, self.metrics), self.settings)

    def get(self, path: str) -> tuple[int, Any]:
        """Status code and JSON of a page."""
        try:
            with urllib.request.urlopen(f"{self.server.url}{path}", timeout=5) as answer:
                return answer.status, json.loads(answer.read())
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.loads(error.read())


@pytest.fixture
def watched() -> Iterator[Watched]:
    """A server on a port of its own."""
    served = Watched()
    with served.server:
        yield served


def test_a_working_service_answers_200(watched: Watched) -> None:
    """With an empty list of reasons."""
    assert watched.get("/livez") == (200, {"live": True, "reasons": []})
    code, body = watched.get("/readyz")
    assert (code, body["ready"], body["reasons"]) == (200, True, [])


def test_readiness_answers_503_with_its_reasons(watched: Watched) -> None:
    """A load balancer goes by the code, a person by the text."""
    watched.status = replace(WORKING, gate_reasons={"store": "disk full"})

    code, body = watched.get("/readyz")

    assert (code, body["ready"], body["reasons"]) == (503, False, ["intake paused: store: disk full"])
    assert watched.get("/livez")[0] == 200


def test_liveness_answers_503_when_a_loop_hangs(watched: Watched) -> None:
    """So that an orchestrator restarts the process."""
    watched.status = replace(WORKING, kafka_loop_beat_s=200.0)

    assert watched.get("/livez") == (
        503,
        {"live": False, "reasons": ["the Kafka event loop is blocked for 200 s"]},
    )


def test_readyz_shows_the_facts_by_partition(watched: Watched) -> None:
    """Whoever looks at one worker needs no Prometheus."""
    where = Partition("events", 0)
    watched.status = replace(WORKING, lags={where: 5}, oldest_unsettled_s={where: 1.5}, in_flight=2)

    facts = watched.get("/readyz")[1]["facts"]

    assert facts["partitions"] == ["events[0]"]
    assert facts["lags"] == {"events[0]": 5}
    assert facts["oldest_unsettled_s"] == {"events[0]": 1.5}
    assert facts["in_flight"] == 2


def test_metrics_are_served_in_the_format_of_prometheus(watched: Watched) -> None:
    """Content type and text as a scraper expects them."""
    with urllib.request.urlopen(f"{watched.server.url}/metrics", timeout=5) as answer:
        kind, text = answer.headers["content-type"], answer.read().decode()

    assert kind == "text/plain; version=0.0.4; charset=utf-8"
    assert f"{MetricName.READY} 1.0" in text


async def test_a_blocked_event_loop_does_not_hide_the_answer(watched: Watched) -> None:
    """This request blocks the test's own loop as a bad graph would, and is answered all the same."""
    assert watched.get("/livez")[0] == 200


def test_a_port_in_use_is_a_clear_error() -> None:
    """Two services on one machine is the usual cause; the way out is in the text."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        server = HealthServer(health_app(ServiceStatus, Metrics()), HttpSettings(port=port))

        with pytest.raises(ConfigurationError, match=f"WORKFLOW_HTTP_PORT.*{port}.*or 0 to switch"):
            server.start()


def test_port_0_serves_nothing() -> None:
    """The way to switch it off."""
    server = HealthServer(health_app(ServiceStatus, Metrics()), HttpSettings(port=0))
    with server:
        assert not takes_connections("127.0.0.1", 0)


def test_closing_frees_the_port_and_may_be_repeated() -> None:
    """A service that is restarted at once must get its port again."""
    watched = Watched()
    watched.server.start()
    wait_until_sync(
        lambda: takes_connections("127.0.0.1", watched.settings.port), description="the server to listen"
    )
    watched.server.close()
    watched.server.close()

    with HealthServer(health_app(ServiceStatus, Metrics()), watched.settings) as again:
        assert again.url == watched.server.url


@pytest.mark.parametrize("port", ["65536", "-1", "http"])
def test_a_port_that_cannot_be_is_refused(port: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error names the variable."""
    monkeypatch.setenv("WORKFLOW_HTTP_PORT", port)

    with pytest.raises(ConfigurationError, match="WORKFLOW_HTTP_PORT"):
        HttpSettings.from_env()


def test_the_default_is_port_8090_on_this_machine_alone() -> None:
    """Nothing is shown to the network unless somebody asks for it."""
    assert HttpSettings.from_env() == HttpSettings(host="127.0.0.1", port=8090)


def test_a_container_may_listen_everywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """A probe comes from outside there."""
    monkeypatch.setenv("WORKFLOW_HTTP_HOST", "0.0.0.0")
    monkeypatch.setenv("WORKFLOW_HTTP_PORT", "9000")

    assert HttpSettings.from_env() == HttpSettings(host="0.0.0.0", port=9000)

"""`langgraph-kafka serve` beside `trigger --wait`: a graph of one's own, end to end."""

import json
import re
import signal
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from kafka_devbroker.net import free_ports
from langgraph_integration.ops.metric_table import MetricName
from tests.langgraph_integration.ops.command_line import run, started
from tests.support import wait_until_sync
from workflow_events.settings import TopicNames

GRAPH = """
import time
from typing import TypedDict
from langgraph.graph import END, START, StateGraph

class State(TypedDict, total=False):
    name: str
    greeting: str
    failure: str

async def greet(state: State) -> State:
    if state["name"] == "nobody":
        return {"failure": "there is nobody to greet"}
    if state["name"] == "sleepyhead":
        time.sleep(8)  # blocks the event loop, as a bad node does
    return {"greeting": f"Hello, {state['name']}!"}

graph = StateGraph(State)
graph.add_node("greet", greet)
graph.add_edge(START, "greet")
graph.add_edge("greet", END)
"""


def page(port: int, path: str) -> tuple[int, str]:
    """Status code and text; (0, "") while nothing answers."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=2) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()
    except OSError:
        return 0, ""


@contextmanager
def serving(folder: Path, port: int) -> Iterator[Path]:
    """A service with the graph above, ready; ended by SIGTERM with exit code 0. Yields its log."""
    (folder / "agents.py").write_text(GRAPH)
    manifest = folder / "langgraph.json"
    manifest.write_text(json.dumps({"dependencies": ["."], "graphs": {"greeter": "./agents.py:graph"}}))
    log = folder / "service.log"
    arguments = ("serve", "--config", str(manifest), "--http-port", str(port), "--from-beginning")
    with started(*arguments, "--workers", "1", log_file=log) as process:
        wait_until_sync(
            lambda: process.poll() is not None or page(port, "/readyz")[0] == 200,
            timeout=30,
            description="the service to be ready",
        )
        assert process.poll() is None, log.read_text()
        yield log
        process.send_signal(signal.SIGTERM)
        assert process.wait(15) == 0, log.read_text()


@pytest.mark.slow
@pytest.mark.timeout(90)
def test_a_graph_of_ones_own_answers_a_trigger(kafka_environment: TopicNames, tmp_path: Path) -> None:
    """Nothing is needed but a folder with its langgraph.json; exit codes tell success from failure."""
    port = free_ports(1)[0]
    with serving(tmp_path, port) as log:
        good = run("trigger", "--graph", "greeter", "--data", '{"name": "Ada"}', "--wait", "--json")
        refused = run("trigger", "--graph", "greeter", "--data", '{"name": "nobody"}', "--wait")
        unknown = run("trigger", "--graph", "nope", "--data", "{}", "--wait", "--json")
        metrics = page(port, "/metrics")[1]

    assert good.code == 0, good.err
    assert json.loads(good.out)["result"]["greeting"] == "Hello, Ada!"
    assert refused.code == 3
    assert "there is nobody to greet" in refused.out
    assert unknown.code == 3
    assert "known: greeter" in json.loads(unknown.out)["error"]
    for line in ('{status="success"} 1.0', '{status="failure"} 1.0', '{status="error"} 1.0'):
        assert f"{MetricName.EVENTS}{line}" in metrics
    assert f'{MetricName.DEAD_LETTERS}{{reason="invalid"}} 1.0' in metrics
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert "settled" in {line.get("action") for line in lines}


@pytest.mark.slow
@pytest.mark.timeout(90)
def test_a_graph_that_blocks_its_loop_is_seen_from_outside(
    kafka_environment: TopicNames, tmp_path: Path
) -> None:
    """Health and metrics answer all the while, show the lag, and the log names the run."""
    port = free_ports(1)[0]
    with serving(tmp_path, port) as log:
        event_id = run("trigger", "--data", '{"name": "sleepyhead"}').out.strip()
        wait_until_sync(lambda: loop_lag(port) > 1.0, timeout=20, description="a lag of the loop")
        assert page(port, "/livez")[0] == 200
        result = run("result", event_id, "--timeout", "20")

    assert result.code == 0, result.err
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert [line["event_id"] for line in lines if line.get("action") == "loop_blocked"] == [event_id]


def loop_lag(port: int) -> float:
    """How long the graphs' loop has been silent, in seconds."""
    found = re.search(
        rf'^{MetricName.LOOP_LAG}{{loop="graphs"}} (\S+)$', page(port, "/metrics")[1], re.MULTILINE
    )
    return float(found[1]) if found else 0.0


@pytest.mark.slow
@pytest.mark.timeout(90)
def test_a_second_service_on_the_same_port_says_what_to_do(
    kafka_environment: TopicNames, tmp_path: Path
) -> None:
    """Exit code 2 and the setting's name, at once."""
    port = free_ports(1)[0]
    with serving(tmp_path, port):
        second = run("serve", "--http-port", str(port))

    assert second.code == 2
    assert "WORKFLOW_HTTP_PORT" in second.err
    assert "Traceback" not in second.err

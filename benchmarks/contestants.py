"""The contestants: how each is started for a task."""

import json
from dataclasses import dataclass
from pathlib import Path

from benchmarks import java_peer
from benchmarks.processes import python
from benchmarks.task import Task

PEERS = ".venv-bench"
"""Peers and the stock savers live apart from the project's own environment."""


@dataclass(frozen=True, slots=True)
class Contestant:
    """One way to run the graphs. `module` is a program in benchmarks/running; None is our own command."""

    name: str
    module: str | None = None
    environment: str = ".venv"
    java: bool = False
    publishes: bool = True
    all_succeed: bool = True
    """Whether its results carry `"status": "success"`."""

    def why_missing(self) -> str:
        """What keeps it from running here, or nothing."""
        if self.java:
            return java_peer.why_missing()
        return (
            ""
            if Path(python(self.environment)).exists()
            else f"{self.environment} is missing (make bench makes it)"
        )

    def command(self, task: Task) -> list[str]:
        """Its process; prepares `task.folder` for it."""
        if self.java:
            return java_peer.command(task)
        _write_graphs(task)
        if self.module is not None:
            program = [python(self.environment), "-m", f"benchmarks.running.{self.module}"]
            return [*program, task.to_json()]
        serve = [str(Path(python()).with_name("langgraph-kafka")), "serve", "--from-beginning"]
        # always: the default with a durable state is one for each core
        return [*serve, "--workers", str(task.workers)]

    def env(self, task: Task) -> dict[str, str]:
        """What its process finds in the environment."""
        everybody = {
            "BENCH_MARKS": str(task.path / "marks"),
            "PYTHONDONTWRITEBYTECODE": "",
            "WORKFLOW_LOG_FORMAT": "json",
        }
        if self.module is not None or self.java:
            return everybody
        return everybody | {
            "KAFKA_BOOTSTRAP_SERVERS": task.servers,
            "KAFKA_WORKFLOW_EVENTS_TOPIC": task.events,
            "KAFKA_WORKFLOW_RESULTS_TOPIC": task.results,
            "KAFKA_DLQ_TOPIC": task.dead_letters,
            "KAFKA_CONSUMER_GROUP_ID": task.group,
            "LANGGRAPH_CONFIG": str(task.path / "langgraph.json"),
            "WORKFLOW_STATE_URL": task.state,
            "WORKFLOW_MAX_CONCURRENCY": str(task.slots),
            # the default for 200 slots and fewer: with more, the first wave would wait for a first success
            "WORKFLOW_DEAD_LETTER_LIMIT": f"0.5/200/{max(200, task.slots)}",
            "WORKFLOW_SYNC_THREADS": str(task.sync_threads),
            "WORKFLOW_HTTP_PORT": str(task.http_port),
            "WORKFLOW_EVENT_LOOP": "auto",
        }


def _write_graphs(task: Task) -> None:
    manifest = {
        "graphs": {task.graph: f"benchmarks.graphs:{task.graph}"},
        "langgraph_kafka": {"graphs": {task.graph: {"durability": task.durability}}},
    }
    (task.path / "langgraph.json").write_text(json.dumps(manifest))


SERVICE = Contestant("langgraph-kafka")
BARE = Contestant("bare ainvoke", "bare", publishes=False)
STOCK = Contestant("bare ainvoke, stock saver", "bare", PEERS, publishes=False)
NAIVE = Contestant("naive (guide's listings)", "naive", PEERS)
FASTSTREAM = Contestant("FastStream", "faststream_app", PEERS)
BRIDGE = Contestant("kafka-agent-bridge", "bridge", PEERS, all_succeed=False)
NO_GRAPH = Contestant("langgraph-kafka, no graph", "no_graph")
PARALLEL_CONSUMER = Contestant("parallel-consumer (Java)", java=True)

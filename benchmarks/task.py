"""Task: what a contestant is told, as one JSON argument of its process."""

import json
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal, Self

Durability = Literal["sync", "async", "exit"]
GraphName = Literal["five", "one", "wait", "chain", "blocking", "mixed", "short", "long"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """Run `count` events of `events` on `graph`, at most `slots` at once, and publish to `results`.

    `state` is a URL as of WORKFLOW_STATE_URL. What is empty in a template is filled in for each run by
    `Bench.task`; `folder` belongs to that run alone.
    """

    graph: GraphName
    count: int = 0
    servers: str = ""
    events: str = ""
    results: str = ""
    dead_letters: str = ""
    group: str = ""
    folder: str = ""
    slots: int = 100
    state: str = "memory:"
    durability: Durability = "sync"
    workers: int = 1
    sync_threads: int = 32
    loop: Literal["asyncio", "uvloop"] = "asyncio"
    """Of contestants other than the service, which takes what it takes by default: uvloop."""
    tuned: bool = False
    """For bare `ainvoke`: with the collector's settings and the form of answer that the service uses."""
    no_graph: bool = False
    """Wait up to `NO_GRAPH_S` in place of the graph."""
    cut: float = 0.0
    """The share of the results that is left out at each end of the time that counts."""
    http_port: int = 0

    @classmethod
    def from_arguments(cls) -> Self:
        """The task in this process's first argument."""
        return cls(**json.loads(sys.argv[1]))

    def to_json(self) -> str:
        """The argument for the contestant's process."""
        return json.dumps(asdict(self))

    @property
    def path(self) -> Path:
        """`folder` as a path."""
        return Path(self.folder)

"""GraphRegistry: langgraph.json -> named graphs, one of them chosen per event."""

import logging
from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Any

from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.checkpoint.memory import InMemorySaver

from langgraph_integration.graphs.declared_types import declared_types
from langgraph_integration.graphs.loading import load_graph
from langgraph_integration.graphs.manifest import find_manifest
from langgraph_integration.graphs.specs import GraphSettings, GraphSpec
from workflow_events import WorkflowEvent
from workflow_events.errors import UnknownGraph

log = logging.getLogger(__name__)

MULTI_AGENT = "multi_agent"
_MULTI_AGENT_REFERENCE = "langgraph_workflows.multi_agent_workflow:multi_agent_graph"


class GraphRegistry:
    """The graphs that events may ask for. Nothing is ever imported because an event names it."""

    def __init__(self, specs: Mapping[str, GraphSpec], default: str, patterns: Mapping[str, str]) -> None:
        self._specs = dict(specs)
        self._default = default
        self._patterns = dict(patterns)

    @property
    def specs(self) -> Mapping[str, GraphSpec]:
        """The graphs by name."""
        return dict(self._specs)

    @property
    def default(self) -> str:
        """The graph for events that name none and match no pattern."""
        return self._default

    def resolve(self, event: WorkflowEvent) -> GraphSpec:
        """The graph of an event: the one it names, else by the first matching pattern on its
        `workflow_id`, else the default. Raises `UnknownGraph` listing the known ones.
        """
        name = event.graph or self._by_pattern(event.workflow_id) or self._default
        try:
            return self._specs[name]
        except KeyError:
            known = ", ".join(sorted(self._specs))
            raise UnknownGraph(f"unknown graph {name!r}; known: {known}") from None

    def _by_pattern(self, workflow_id: str) -> str | None:
        return next(
            (name for pattern, name in self._patterns.items() if fnmatchcase(workflow_id, pattern)), None
        )


async def load_registry(config: str | None, checkpointer: Any | None = None) -> GraphRegistry:
    """The registry of a `langgraph.json`, each graph with `checkpointer` in place of its own.

    `config=None` takes `./langgraph.json` where there is one, and the multi-agent graph alone where there is
    none. `checkpointer=None` leaves the graphs theirs, and gives one in memory to those that have none.
    Raises `ConfigurationError` naming file and entry.
    """
    manifest = find_manifest(config)
    references = {MULTI_AGENT: _MULTI_AGENT_REFERENCE, **manifest.graphs}
    specs = {}
    for name, reference in references.items():
        graph = await load_graph(name, reference, manifest.folder)
        if checkpointer is not None or not isinstance(graph.checkpointer, BaseCheckpointSaver):
            # Our saver rebuilds only types that are known to be safe, and those the graph itself declares.
            saver = (checkpointer or InMemorySaver()).with_allowlist(declared_types(graph))
            graph = graph.copy({"checkpointer": saver})
        specs[name] = GraphSpec(
            name=name,
            graph=graph,
            settings=manifest.settings.get(name, GraphSettings()),
            multi_agent=reference == _MULTI_AGENT_REFERENCE,
        )
    registry = GraphRegistry(specs, manifest.default or MULTI_AGENT, manifest.patterns)
    log.info(
        "graphs: %s; default %s",
        ", ".join(sorted(specs)),
        registry.default,
        extra={
            "action": "graphs_loaded",
            "config": (config or "langgraph.json") if manifest.graphs else None,
        },
    )
    return registry

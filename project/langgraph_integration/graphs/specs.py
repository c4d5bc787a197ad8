"""GraphSpec: one graph with the settings it runs under, and what its input must look like."""

import dataclasses
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from langgraph.pregel import Pregel
from pydantic import BaseModel

from langgraph_integration.graphs.manifest import GraphSettings as GraphSettings
from workflow_events import WorkflowEvent
from workflow_events.errors import InvalidRecord

Graph = Pregel[Any, Any, Any, Any]


@dataclass(frozen=True, slots=True)
class GraphSpec:
    """A named graph, ready to run."""

    name: str
    graph: Graph
    settings: GraphSettings
    multi_agent: bool = False
    """The guide's graph: `event_to_multi_agent_state` builds its state, its result has the guide's fields."""


def graph_input(spec: GraphSpec, event: WorkflowEvent) -> dict[str, Any]:
    """The input of a user's own graph: `payload.data["data"]` if that is a dict, else `payload.data`.

    Raises `InvalidRecord` naming the keys when none of the input schema is there, or a required one is
    missing.
    """
    data = event.payload.data
    inner = data.get("data")
    given: dict[str, Any] = inner if isinstance(inner, dict) else data
    known, required = input_keys(spec.graph)
    missing = sorted(required - given.keys())
    if missing:
        raise InvalidRecord(f"graph {spec.name!r} needs {', '.join(missing)}; the event has {_names(given)}")
    if known and not known & given.keys():
        raise InvalidRecord(
            f"graph {spec.name!r} takes {', '.join(sorted(known))}; the event has {_names(given)}"
        )
    return given


def _names(given: Mapping[str, Any]) -> str:
    return ", ".join(sorted(map(str, given))[:20]) or "no keys"


def input_keys(graph: Graph) -> tuple[frozenset[str], frozenset[str]]:
    """The keys that a graph takes, and those it cannot do without.

    A TypedDict requires its keys only where it was given as the input schema on purpose: a whole state as
    input is the ecosystem's habit, and half of it is filled by the nodes.
    """
    builder = getattr(graph, "builder", None)
    if builder is None:
        # an entrypoint of the functional API: it checks its input itself
        return frozenset(), frozenset()
    schema = builder.input_schema
    if isinstance(schema, type) and issubclass(schema, BaseModel):
        fields = schema.model_fields
        return frozenset(fields), frozenset(name for name, field in fields.items() if field.is_required())
    if dataclasses.is_dataclass(schema):
        return (
            frozenset(field.name for field in dataclasses.fields(schema)),
            frozenset(
                field.name
                for field in dataclasses.fields(schema)
                if field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
            ),
        )
    if typing.is_typeddict(schema):
        required: frozenset[str] = getattr(schema, "__required_keys__", frozenset())
        narrowed = schema is not builder.state_schema
        return frozenset(schema.__annotations__), frozenset(required) if narrowed else frozenset()
    return frozenset(), frozenset()

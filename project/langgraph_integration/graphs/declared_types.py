"""The types a graph declares in its schemas: those that its stored state may be rebuilt with."""

import dataclasses
from collections.abc import Iterator
from enum import Enum
from typing import Any, get_args, get_type_hints

from pydantic import BaseModel
from typing_extensions import is_typeddict

TypeName = tuple[str, str]
"""Module and name, as the checkpoint serializer knows types."""


def declared_types(graph: Any) -> frozenset[TypeName]:
    """The dataclasses, pydantic models, enums and named tuples in the state, input, output and node schemas
    of a compiled graph, also where they are nested in others. Messages and the like are known anyway.
    """
    found: set[type] = set()
    for annotation in _annotations(graph):
        _collect(annotation, found)
    return frozenset((kind.__module__, kind.__name__) for kind in found if _is_rebuilt(kind))


def _annotations(graph: Any) -> Iterator[Any]:
    """Everything that is annotated: the channels of any graph, the schemas of a StateGraph."""
    for channel in getattr(graph, "channels", {}).values():
        yield getattr(channel, "ValueType", None)
        yield getattr(channel, "UpdateType", None)
    builder = getattr(graph, "builder", None)
    for name in ("state_schema", "input_schema", "output_schema"):
        yield getattr(builder, name, None)
    for node in getattr(builder, "nodes", {}).values():
        yield getattr(node, "input_schema", None)
    for _, subgraph in graph.get_subgraphs():
        yield from _annotations(subgraph)


def _collect(annotation: Any, found: set[type]) -> None:
    for part in get_args(annotation):
        _collect(part, found)
    if not isinstance(annotation, type) or annotation in found:
        return
    if is_typeddict(annotation) or _is_rebuilt(annotation):
        found.add(annotation)
        for field in _fields(annotation):
            _collect(field, found)


def _is_rebuilt(kind: type) -> bool:
    """Whether the serializer stores it by name. Other classes are never built from stored state."""
    named_tuple = issubclass(kind, tuple) and hasattr(kind, "_fields")
    return dataclasses.is_dataclass(kind) or named_tuple or issubclass(kind, BaseModel | Enum)


def _fields(kind: type) -> list[Any]:
    """The annotations of its fields; none where they name something that is not there."""
    if issubclass(kind, BaseModel):
        return [field.annotation for field in kind.model_fields.values()]
    try:
        return list(get_type_hints(kind).values())
    except NameError:
        return []

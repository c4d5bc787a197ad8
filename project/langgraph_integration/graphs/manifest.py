"""langgraph.json: the ecosystem's file, and our settings under its key `langgraph_kafka`.

Read without LangGraph: a supervisor looks at it before it starts the workers that load the graphs.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from workflow_events.codec import parse_json
from workflow_events.errors import ConfigurationError, InvalidRecord

Durability = Literal["sync", "async", "exit"]

DEFAULT_RECURSION_LIMIT = 50
"""Super-steps of one run. LangGraph's own default of 10,007 lets one loop burn the budget."""


@dataclass(frozen=True, slots=True)
class GraphSettings:
    """Per graph, from `langgraph.json`. `timeout_s=None` means `WORKFLOW_EXECUTION_TIMEOUT`."""

    durability: Durability = "sync"
    timeout_s: float | None = None
    recursion_limit: int = DEFAULT_RECURSION_LIMIT


class _GraphOptions(BaseModel):
    model_config = ConfigDict(extra="forbid")

    durability: Durability = "sync"
    timeout_seconds: float | None = Field(default=None, gt=0)
    recursion_limit: int = Field(default=DEFAULT_RECURSION_LIMIT, gt=0)


class _Options(BaseModel):
    model_config = ConfigDict(extra="forbid")

    default: str | None = None
    workflows: dict[str, str] = Field(default_factory=dict)
    graphs: dict[str, _GraphOptions] = Field(default_factory=dict)


class _Reference(BaseModel):
    path: str


class _File(BaseModel):
    # the ecosystem's other keys (dependencies, env, ...) are its own
    model_config = ConfigDict(extra="ignore")

    graphs: dict[str, str | _Reference] = Field(min_length=1)
    langgraph_kafka: _Options = Field(default_factory=_Options)


@dataclass(frozen=True, slots=True)
class Manifest:
    """What the file says. `graphs` maps names to `./file.py:attribute` or `package.module:attribute`."""

    folder: Path
    graphs: Mapping[str, str] = field(default_factory=dict)
    default: str | None = None
    patterns: Mapping[str, str] = field(default_factory=dict)
    settings: Mapping[str, GraphSettings] = field(default_factory=dict)

    @classmethod
    def empty(cls) -> "Manifest":
        """No file: nothing but the multi-agent graph."""
        return cls(folder=Path.cwd())


def find_manifest(config: str | None) -> Manifest:
    """The file that `config` names; `./langgraph.json` where it is None and there is one, else `empty`.

    Raises `ConfigurationError` naming the file and the entry.
    """
    path = Path(config or "langgraph.json")
    return read_manifest(path) if config or path.is_file() else Manifest.empty()


def read_manifest(path: Path) -> Manifest:
    """Read and check the file. Raises `ConfigurationError` naming the file and the entry."""
    try:
        content: Any = parse_json(path.read_bytes())
        file = _File.model_validate(content)
    except OSError as error:
        raise ConfigurationError(f"LANGGRAPH_CONFIG {path}: {error.strerror or error}") from error
    except (InvalidRecord, ValidationError) as error:
        raise ConfigurationError(f"{path}: {_text(error)}") from error
    graphs = {name: each if isinstance(each, str) else each.path for name, each in file.graphs.items()}
    ours = file.langgraph_kafka
    known = ", ".join(dict.fromkeys([*graphs, "multi_agent"]))
    for named, where in [
        (ours.default, "default"),
        *((name, "workflows") for name in ours.workflows.values()),
    ]:
        if named is not None and named not in graphs and named != "multi_agent":
            raise ConfigurationError(f"{path}: langgraph_kafka.{where} names {named!r}; known: {known}")
    for named in ours.graphs:
        if named not in graphs and named != "multi_agent":
            raise ConfigurationError(f"{path}: langgraph_kafka.graphs has {named!r}; known: {known}")
    default = ours.default or (next(iter(graphs)) if len(graphs) == 1 else None)
    if default is None:
        raise ConfigurationError(
            f"{path}: several graphs and no default; set langgraph_kafka.default to one of "
            f"{', '.join(graphs)}"
        )
    settings = {
        name: GraphSettings(each.durability, each.timeout_seconds, each.recursion_limit)
        for name, each in ours.graphs.items()
    }
    return Manifest(path.resolve().parent, graphs, default, ours.workflows, settings)


def _text(error: Exception) -> str:
    if isinstance(error, ValidationError):
        first = error.errors(include_url=False)[0]
        return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
    return str(error)

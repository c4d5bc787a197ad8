"""The batch: analyses from examples/, the event that must fail, and what is worth showing of an answer."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from workflow_events import EventSource, EventType, WorkflowEvent, WorkflowEventMetadata, WorkflowEventPayload
from workflow_events.errors import ConfigurationError

UNKNOWN_GRAPH = "no_such_graph"


@dataclass(frozen=True, slots=True)
class Examples:
    """A folder with `events.json` (workflow_id, task and data of each) and `data/` that they read."""

    folder: Path

    @classmethod
    def find(cls, folder: Path | None = None) -> "Examples":
        """The given folder, else the package's, else the repository's. Raises `ConfigurationError`."""
        package = Path(__file__).resolve().parents[2]
        candidates = [folder] if folder else [package / "examples", package.parents[1] / "examples"]
        for candidate in candidates:
            if (candidate / "events.json").is_file():
                return cls(candidate.resolve())
        places = " or ".join(str(each) for each in candidates)
        raise ConfigurationError(
            f"no events.json in {places}; name the folder of the examples with --examples"
        )

    @property
    def data(self) -> Path:
        """What the service gets as WORKFLOW_DATA_DIR."""
        return self.folder / "data"

    def events(self, limit: int | None = None) -> list[WorkflowEvent]:
        """The analyses as new events, the first `limit` of them."""
        described = json.loads((self.folder / "events.json").read_text(encoding="utf-8"))
        return [
            event(each["workflow_id"], {"task": each["task"], "data": each["data"]})
            for each in described[:limit]
        ]


def event(workflow_id: str, payload: dict[str, Any], *, graph: str | None = None) -> WorkflowEvent:
    """A new event of the demo."""
    return WorkflowEvent(
        event_type=EventType.WORKFLOW_TRIGGERED,
        source=EventSource.LANGGRAPH,
        workflow_id=workflow_id,
        workflow_run_id=f"demo__{datetime.now(UTC).isoformat(timespec='seconds')}",
        payload=WorkflowEventPayload(data=payload),
        metadata=WorkflowEventMetadata(environment="dev"),
        graph=graph,
    )


def bad_event() -> WorkflowEvent:
    """An event whose graph nobody knows."""
    return event("bad_event", {"task": "run a graph that is not there"}, graph=UNKNOWN_GRAPH)


def agents_of(result: Mapping[str, Any]) -> str:
    """The agents that worked on it, in order: `data → analysis`."""
    return " → ".join(result.get("agent_results") or {})


def headline_of(result: Mapping[str, Any]) -> str:
    """The figure that says most, else the conclusion, else nothing."""
    analysis = (result.get("agent_results") or {}).get("analysis") or {}
    inner = analysis.get("analysis")
    headline = inner.get("headline") if isinstance(inner, dict) else None
    return str(headline or result.get("conclusion") or "")

"""From an event to the guide's `MultiAgentState`, and from final states to outcomes."""

import dataclasses
from collections.abc import Mapping
from datetime import date, datetime, time
from enum import Enum
from types import NoneType
from typing import Any
from uuid import UUID

from pydantic import BaseModel

from langgraph_integration.graphs.specs import GraphSpec
from langgraph_integration.pipeline.outcome import Failed, Outcome, Succeeded, Unfulfilled
from workflow_events import WorkflowEvent
from workflow_events.errors import NotJson, WorkflowFailed

DEFAULT_TASK = "process_workflow"
INTERRUPT_KEY = "__interrupt__"
_RESULT_FIELDS = ("completed", "agent_results", "task", "metadata")
_MAX_DEPTH = 100
_PLAIN = frozenset({NoneType, bool, int, float, str})


def event_to_multi_agent_state(event: WorkflowEvent) -> dict[str, Any]:
    """The `MultiAgentState` that a run of the multi-agent graph starts from.

    `task` is `payload.data["task"]`, or `process_workflow`; where `payload.data["data"]` is an object with
    a task of its own, that one wins. `data` is what the data agent reads: `payload.data["data"]` if that is
    an object (and the object's own `data` where it is the trigger's `{task, data}`), else `payload.data`
    without `task`.
    """
    payload = event.payload.data
    inner = payload.get("data")
    task = payload.get("task") or DEFAULT_TASK
    if isinstance(inner, dict):
        task = inner.get("task") or task
        nested = inner.get("data")
        data = nested if "task" in inner and isinstance(nested, dict) else inner
    else:
        data = {name: value for name, value in payload.items() if name != "task"}
    return {
        "messages": [],
        "task": task if isinstance(task, str) else str(task),
        "agent_results": {},
        "current_agent": "orchestrator",
        "completed": False,
        "metadata": {
            "event_id": str(event.event_id),
            "workflow_id": event.workflow_id,
            "workflow_run_id": event.workflow_run_id,
            "source": str(event.source.value),
            "timestamp": event.timestamp.isoformat(),
            "environment": event.metadata.environment,
            "version": event.metadata.version,
        },
        "data": data,
    }


def multi_agent_result(state: Mapping[str, Any]) -> dict[str, Any]:
    """The guide's result: completed, agent_results, task, metadata; the conclusion where there is one."""
    result = {
        "completed": bool(state.get("completed", False)),
        "agent_results": state.get("agent_results", {}),
        "task": state.get("task", ""),
        "metadata": state.get("metadata", {}),
    }
    if state.get("conclusion"):
        result["conclusion"] = state["conclusion"]
    return result


def outcome_of(spec: GraphSpec, state: Mapping[str, Any]) -> Outcome:
    """What a final state means for the asker.

    A non-empty string in the state's `failure` is the only way for a graph to say that the request cannot
    be met. An interrupted state is an error until people can be asked.
    """
    if state.get(INTERRUPT_KEY):
        text = "the workflow was interrupted to ask a person, which is not supported yet"
        return Failed("interrupted", f"Processing failed after retries: {text}", WorkflowFailed(text))
    try:
        result = to_json(multi_agent_result(state) if spec.multi_agent else state, "result")
    except NotJson as error:
        return Failed(
            "result-invalid", f"The workflow finished, but its result cannot be sent: {error}", error
        )
    failure = state.get("failure")
    if isinstance(failure, str) and failure:
        return Unfulfilled({**result, "completed": False}, failure)
    return Succeeded(result)


def to_json(value: Any, path: str, depth: int = 0) -> Any:
    """The value as JSON has it: messages, pydantic models and dataclasses dumped, times in ISO 8601.

    Raises `NotJson` naming the path of anything else.
    """
    # exact types first: nearly every value is one of them, and a large result has many
    if type(value) in _PLAIN or (isinstance(value, (int, float, str)) and not isinstance(value, Enum)):
        return value
    if depth > _MAX_DEPTH:
        raise NotJson(f"{path} is nested more than {_MAX_DEPTH} levels deep", path=path)
    if type(value) is dict or isinstance(value, Mapping):
        return {_key(key, path): to_json(item, f"{path}.{key}", depth + 1) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [to_json(item, f"{path}[{index}]", depth + 1) for index, item in enumerate(value)]
    if isinstance(value, BaseModel):
        return to_json(value.model_dump(), path, depth + 1)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
        return to_json(fields, path, depth + 1)
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, Enum):
        return to_json(value.value, path, depth + 1)
    raise NotJson(f"{path} is a {type(value).__name__}, which JSON cannot carry", path=path)


def _key(key: object, path: str) -> str:
    if not isinstance(key, str):
        raise NotJson(f"{path} has a key of type {type(key).__name__}; JSON has only strings", path=path)
    return key

"""Which run a task means: the same through retries, another one after a clear that asks for it."""

import json
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal
from uuid import NAMESPACE_URL, UUID, uuid5

from workflow_events.ids import new_event_id

ClearPolicy = Literal["rerun", "reattach"]
"""What a cleared task asks for: `rerun` starts a new run, `reattach` goes on with the one it had."""

_NAMESPACE: Final = uuid5(NAMESPACE_URL, "langgraph-kafka/airflow")
_REMEMBERED_TASKS: Final = 1024
_calls: OrderedDict[tuple[object, ...], int] = OrderedDict()


@dataclass(frozen=True, slots=True)
class RunIdentity:
    """A run as the service knows it: an event id, and which of Airflow's tries asks for it (from 1)."""

    event_id: UUID
    attempt: int = 1


@dataclass(frozen=True, slots=True)
class TaskIdentity:
    """A task instance through all of its tries.

    `generation` is how many tries it had had when it was last cleared; 0 if it never was, and with
    the policy `reattach`. `attempt` counts the tries of this generation.
    """

    dag_id: str
    run_id: str
    task_id: str
    map_index: int = -1
    generation: int = 0
    attempt: int = 1

    @classmethod
    def of(cls, context: Mapping[str, Any], on_clear: ClearPolicy = "rerun") -> "TaskIdentity | None":
        """The task that a context belongs to. None for a context without a task instance."""
        ti = context.get("ti") or context.get("task_instance")
        if ti is None:
            return None
        tries = ti.try_number
        generation = generation_of(context, ti) if on_clear == "rerun" else 0
        map_index = getattr(ti, "map_index", None)
        return cls(
            dag_id=context["dag"].dag_id,
            run_id=context["dag_run"].run_id,
            task_id=ti.task_id,
            map_index=-1 if map_index is None else map_index,
            generation=generation,
            attempt=max(1, tries - generation),
        )

    def event_id(self, call: int = 0) -> UUID:
        """The id of the run this task asks for; `call` counts the further asks of the same try."""
        parts: list[object] = [self.dag_id, self.run_id, self.task_id, self.map_index, self.generation]
        return uuid5(_NAMESPACE, json.dumps([*parts, call] if call else parts))


def generation_of(context: Mapping[str, Any], ti: Any) -> int:
    """Airflow sets `max_tries` to the tries so far plus `retries` when it clears a task; 0 otherwise.

    An edit of `retries` between two tries looks like a clear: the task starts anew.
    """
    task = context.get("task") or getattr(ti, "task", None)
    retries = getattr(task, "retries", 0) or 0
    return max(0, (ti.max_tries or 0) - retries)


def run_identity(
    context: Mapping[str, Any], on_clear: ClearPolicy = "rerun", *, call: int = 0
) -> RunIdentity:
    """The run that a task asks for. A context without a task instance gets a new run."""
    task = TaskIdentity.of(context, on_clear)
    if task is None:
        return RunIdentity(new_event_id())
    return RunIdentity(task.event_id(call), task.attempt)


def next_call(context: Mapping[str, Any]) -> int:
    """How many asks this try of a task has made before (0 for the first), counted in this process.

    A retry that makes its calls in the same order means the same runs.
    """
    task = TaskIdentity.of(context)
    if task is None:
        return 0
    ti = context.get("ti") or context.get("task_instance")
    key = (task, str(getattr(ti, "id", "")))
    count = _calls.pop(key, 0)
    _calls[key] = count + 1
    while len(_calls) > _REMEMBERED_TASKS:
        _calls.popitem(last=False)
    return count

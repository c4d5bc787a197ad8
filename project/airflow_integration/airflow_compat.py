"""The one place that knows one Airflow from another (2.11 and 3.x), and the only way to Airflow's names.

Where `airflow.providers.common.compat.sdk` has a name it is taken from there.
"""

from collections.abc import Mapping
from typing import Any, Final

from airflow.providers.apache.kafka.hooks.base import KafkaBaseHook
from airflow.providers.common.compat.sdk import (
    AirflowException,
    AirflowFailException,
    AirflowNotFoundException,
    AirflowSkipException,
    BaseOperator,
    BaseOperatorLink,
    BaseSensorOperator,
    Context,
    DecoratedOperator,
    TaskDecorator,
    XCom,
    conf,
    context_merge,
    determine_kwargs,
    get_current_context,
    get_unique_task_id,
    task_decorator_factory,
)
from airflow.triggers.base import BaseTrigger, TriggerEvent
from airflow.version import version as _version

__all__ = [
    "AIRFLOW_3",
    "AirflowFailException",
    "AirflowNotFoundException",
    "AirflowSkipException",
    "BaseOperator",
    "BaseOperatorLink",
    "BaseSensorOperator",
    "BaseTrigger",
    "Context",
    "DecoratedOperator",
    "KafkaBaseHook",
    "TaskDecorator",
    "TriggerEvent",
    "context_merge",
    "determine_kwargs",
    "get_unique_task_id",
    "in_dag_body",
    "is_deferral_timeout",
    "pulled_for_link",
    "resume_hold",
    "running_context",
    "setting",
    "task_decorator_factory",
    "traceparent_of",
]

AIRFLOW_3: Final = int(_version.split(".")[0]) >= 3

_SECTION: Final = "langgraph_kafka"

_DEFERRAL_TIMEOUTS: Final = frozenset({"Trigger timeout", "Trigger/execution timeout"})
"""What the scheduler of Airflow 3 and of Airflow 2 writes."""

_REPORTING_MARGIN: Final = 3.0
"""Seconds, beyond the interval at which a worker looks after its process, until the scheduler has
read that a deferring process has ended (measured: 0 of 400 late)."""


def in_dag_body() -> bool:
    """Whether a DAG is being built, as in `with DAG(...)` and a `@dag` function's body."""
    if AIRFLOW_3:
        from airflow.sdk.definitions._internal.contextmanager import DagContext

        return DagContext.get_current() is not None
    from airflow.models.dag import DagContext as DagContext2

    return DagContext2.get_current_dag() is not None


def running_context() -> Mapping[str, Any] | None:
    """The context of the task that runs here, None if none does."""
    try:
        return get_current_context()  # type: ignore[no-any-return]  # Any where Airflow is not installed
    except (RuntimeError, AirflowException):
        return None


def is_deferral_timeout(next_method: str, next_kwargs: Mapping[str, Any] | None) -> bool:
    """Whether a task is resumed only to hear that its deferral took too long. (What is raised then
    differs by version.)
    """
    return next_method == "__fail__" and (next_kwargs or {}).get("error") in _DEFERRAL_TIMEOUTS


def setting(name: str) -> str | None:
    """The option of our section in Airflow's configuration, None if it is unset or empty."""
    return conf.get(_SECTION, name, fallback=None) or None


def resume_hold() -> float:
    """Seconds that a task should stay deferred at least.

    Airflow 3.3 fails a task that resumes before the scheduler has read that its deferring process
    ended. A worker reports that after up to `[workers] min_heartbeat_interval`.
    """
    configured = setting("resume_hold")
    if configured is not None:
        return float(configured)
    interval = conf.getfloat("workers", "min_heartbeat_interval", fallback=5.0) if AIRFLOW_3 else 0.0
    return float(interval) + _REPORTING_MARGIN


def traceparent_of(context: Mapping[str, Any]) -> str | None:
    """The W3C trace that the task belongs to, None where Airflow keeps none."""
    carrier = getattr(context.get("ti"), "context_carrier", None)
    found = carrier.get("traceparent") if isinstance(carrier, Mapping) else None
    return found if isinstance(found, str) else None


def pulled_for_link(ti_key: Any, key: str) -> Any:
    """An XCom of a task instance, for Airflow 2, which asks for links in its web server."""
    return XCom.get_value(ti_key=ti_key, key=key)

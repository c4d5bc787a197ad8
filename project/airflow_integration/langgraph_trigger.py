"""`trigger_langgraph_workflow`: one name for both places where a DAG's author wants it.

In a DAG's body it is a task; inside a running task it is a call that does the work. Importing this
needs no Airflow.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from datetime import timedelta
from functools import partial
from importlib.util import find_spec
from typing import Any, Final

from airflow_integration.asking import (
    DEFAULT_TIMEOUT,
    ask,
    publish_cancel,
    result_of,
    seconds,
    timed_out,
    wait_for,
)
from airflow_integration.identity import ClearPolicy, next_call, run_identity
from workflow_events.exchange import ResultExchange
from workflow_events.settings import KafkaSettings

_HAS_AIRFLOW: Final = find_spec("airflow") is not None

_TASK_ID: Final = "trigger_langgraph_workflow"
_OPTIONS: Final = ("graph", "conn_id", "on_clear", "cancel_on_kill", "cancel_on_timeout")
_OF_TASKS: Final = frozenset({"deferrable", "wait", "inline_wait", "max_result_bytes", "large_result"})
"""Arguments of the operator that mean nothing to a call."""

_NOWHERE: Final = (
    "Airflow context not available: trigger_langgraph_workflow works in the body of a DAG, where it makes a "
    "task, and inside a running task, where it asks and waits"
)


def _trigger_langgraph_workflow_impl(
    task_data: Any,
    workflow_id: str | None = None,
    timeout: float | timedelta = DEFAULT_TIMEOUT,
    *,
    graph: str | None = None,
    conn_id: str | None = None,
    on_clear: ClearPolicy = "rerun",
    cancel_on_kill: bool = True,
    cancel_on_timeout: bool = False,
    **context: Any,
) -> dict[str, Any]:
    """Ask for a run, wait for it in this process and return its result.

    `context` is Airflow's, or a hand-made one with `dag` and `dag_run` alone, which gets a new run.
    Raises ValueError without one, `WorkflowTimeout` at the timeout (s), `WorkflowFailed` if the status is
    not success, `PublishFailed` if the broker did not take the event. If Airflow kills the task meanwhile,
    a cancel of the run is published; at a timeout only with `cancel_on_timeout`.
    """
    dag, dag_run = context.get("dag"), context.get("dag_run")
    if dag is None or dag_run is None:
        raise ValueError(_NOWHERE)
    settings = _settings(conn_id)
    with ResultExchange(settings=settings) as exchange:
        ticket = ask(
            task_data,
            run_identity(context, on_clear, call=next_call(context)),
            workflow_id=workflow_id or dag.dag_id,
            workflow_run_id=dag_run.run_id,
            timeout=seconds(timeout),
            settings=settings,
            exchange=exchange,
            graph=graph,
            traceparent=_traceparent(context),
        )
        cancel = partial(publish_cancel, ticket, "task killed while it ran", settings)
        with _also_on_kill(context, cancel) if cancel_on_kill else nullcontext():
            received = wait_for(ticket, exchange)
    if received is None:
        if cancel_on_timeout:
            publish_cancel(ticket, "timeout", settings)
        raise timed_out(ticket)
    if _HAS_AIRFLOW:
        from airflow_integration.failures import accept

        return accept(ticket, received)
    return result_of(ticket, received)


@contextmanager
def _also_on_kill(context: Mapping[str, Any], action: Callable[[], None]) -> Iterator[None]:
    """While it lasts, Airflow calls `action` too when it kills the task that runs here."""
    task = getattr(context.get("ti"), "task", None)
    if task is None:
        yield
        return
    theirs = task.on_kill

    def both() -> None:
        try:
            action()
        finally:
            theirs()

    task.on_kill = both
    try:
        yield
    finally:
        task.on_kill = theirs


def _settings(conn_id: str | None) -> KafkaSettings:
    if _HAS_AIRFLOW:
        from airflow_integration.hooks import WorkflowKafkaHook

        return WorkflowKafkaHook(conn_id).settings()
    return KafkaSettings.from_env()


def _traceparent(context: Mapping[str, Any]) -> str | None:
    if _HAS_AIRFLOW:
        from airflow_integration.airflow_compat import traceparent_of

        return traceparent_of(context)
    return None


def _in_dag_body(operator_arguments: Mapping[str, Any], given: Mapping[str, Any]) -> bool:
    """Whether a DAG is being built. That wins over a running task, which may build one."""
    if not _HAS_AIRFLOW:
        return False
    from airflow_integration.airflow_compat import in_dag_body

    names_dag = "dag" in operator_arguments or ("dag" in given and "dag_run" not in given)
    return names_dag or in_dag_body()


def _context(given: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The running task's context, else the one that was passed by hand, else None."""
    if _HAS_AIRFLOW:
        from airflow_integration.airflow_compat import running_context

        found = running_context()
        if found is not None:
            return found
    return given if "dag_run" in given else None


class _TriggerLangGraphWorkflow:
    """The callable behind the name. `override` gives one with other arguments of the operator."""

    __name__ = _TASK_ID

    def __init__(self, operator_arguments: Mapping[str, Any] | None = None) -> None:
        self._operator_arguments = dict(operator_arguments or {})

    def __call__(
        self,
        task_data: Any = None,
        workflow_id: str | None = None,
        timeout: Any = DEFAULT_TIMEOUT,
        **context: Any,
    ) -> Any:
        """In a DAG's body: the output (XComArg) of a new `LangGraphWorkflowOperator`, which takes further
        keyword arguments. Inside a running task: the result (dict), after waiting for it in this
        process; pass the task's `**context` or leave it out. `timeout` is in seconds. Anywhere else:
        ValueError.
        """
        if _in_dag_body(self._operator_arguments, context):
            given = {"task_data": task_data, "workflow_id": workflow_id, "timeout": timeout}
            return self._operator(**given, **context).output
        found = _context(context)
        if found is None:
            raise ValueError(_NOWHERE)
        given = {**self._operator_arguments, **context}
        if useless := sorted(_OF_TASKS & given.keys()):
            raise ValueError(
                f"{', '.join(useless)}: for tasks in the body of a DAG; inside a running task "
                f"trigger_langgraph_workflow takes {', '.join(_OPTIONS)}"
            )
        ours = {name: given[name] for name in _OPTIONS if name in given}
        return _trigger_langgraph_workflow_impl(task_data, workflow_id, timeout, **ours, **_needed(found))

    def override(self, **operator_arguments: Any) -> "_TriggerLangGraphWorkflow":
        """The same with other arguments of the operator, such as `task_id`, `retries` or `pool`."""
        return _TriggerLangGraphWorkflow({**self._operator_arguments, **operator_arguments})

    def partial(self, **arguments: Any) -> Any:
        """The arguments that all mapped tasks share; `.expand(task_data=[...])` follows."""
        return self._mappable(arguments)

    def expand(self, **mapped: Any) -> Any:
        """One task for each of the values, as in `expand(task_data=[...])`."""
        return self._mappable({}).expand(**mapped)

    def expand_kwargs(self, arguments: Any) -> Any:
        """One task for each dict of arguments."""
        return self._mappable({}).expand_kwargs(arguments)

    def _mappable(self, arguments: Mapping[str, Any]) -> "_Mappable":
        return _Mappable({**self._operator_arguments, **arguments})

    def _operator(self, **arguments: Any) -> Any:
        from airflow_integration.operators import LangGraphWorkflowOperator

        return LangGraphWorkflowOperator(**_with_task_id({**self._operator_arguments, **arguments}))


class _Mappable:
    """What `partial` returns."""

    def __init__(self, arguments: dict[str, Any]) -> None:
        self._arguments = arguments

    def expand(self, **mapped: Any) -> Any:
        """One task for each of the values. The outputs, as one XComArg."""
        return self._partial().expand(**mapped).output

    def expand_kwargs(self, arguments: Any) -> Any:
        """One task for each dict of arguments. The outputs, as one XComArg."""
        return self._partial().expand_kwargs(arguments).output

    def _partial(self) -> Any:
        if not _in_dag_body(self._arguments, {}):
            raise ValueError(
                "partial and expand work in the body of a DAG alone; inside a running task call "
                "trigger_langgraph_workflow once for each input"
            )
        from airflow_integration.operators import LangGraphWorkflowOperator

        return LangGraphWorkflowOperator.partial(**_with_task_id(self._arguments))


def _with_task_id(arguments: dict[str, Any]) -> dict[str, Any]:
    from airflow_integration.airflow_compat import get_unique_task_id

    task_id = get_unique_task_id(
        arguments.get("task_id", _TASK_ID), arguments.get("dag"), arguments.get("task_group")
    )
    return {**arguments, "task_id": task_id}


def _needed(context: Mapping[str, Any]) -> dict[str, Any]:
    """What of a context the implementation reads. Airflow's holds lazy values that had better stay so."""
    wanted = ("dag", "dag_run", "ti", "task_instance", "task")
    return {name: context[name] for name in wanted if name in context}


trigger_langgraph_workflow: Final = _TriggerLangGraphWorkflow()
"""Hand `task_data` to a workflow: a task in a DAG's body, a call inside a running task."""

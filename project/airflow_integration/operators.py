"""A LangGraph workflow as a task."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, ClassVar

from airflow_integration.airflow_compat import BaseOperator, Context, is_deferral_timeout, traceparent_of
from airflow_integration.asking import DEFAULT_TIMEOUT, Ticket, ask, seconds, wait_for
from airflow_integration.failures import MAX_RESULT_BYTES
from airflow_integration.identity import ClearPolicy, run_identity
from airflow_integration.links import EVENT_ID_KEY, WorkflowRunLink
from airflow_integration.waiting import LargeResult, WaitsForResult
from workflow_events.errors import ConfigurationError
from workflow_events.exchange import ResultExchange
from workflow_events.settings import KafkaSettings


class LangGraphWorkflowOperator(WaitsForResult, BaseOperator):
    """Hands `task_data` to a workflow and returns its result.

    While it waits it is deferred and holds no worker slot; `deferrable=False` waits in the worker. A
    retry goes on with the same run, or takes its finished result. `wait=False` returns at once with a
    ticket for a `WorkflowResultSensor`.

    :param task_data: the workflow's input, a dict (templated). Its "task" names the task.
    :param workflow_id: None = the DAG's id (templated).
    :param timeout: seconds or a timedelta; also the run's deadline, after which the service stops it at
        its next step and keeps its checkpoint.
    :param graph: a graph of the service's `langgraph.json`, None = the service chooses (templated).
    :param conn_id: a Kafka connection; None as in `WorkflowKafkaHook`.
    :param on_clear: what a cleared task asks for: "rerun" a new run, "reattach" the one it had.
    :param cancel_on_timeout: whether a cancel of the run is published when nobody waits any more. If not, a
        retry re-attaches to it.
    :param cancel_on_kill: whether one is published when the task is killed or marked failed. The service
        does not act on these records yet: the run goes on until its deadline.
    :param max_result_bytes: what may go into XCom, as JSON; 0 = any size.
    :param large_result: "fail", or "reference" to return where a larger result stands in Kafka.
    :param inline_wait: seconds to wait in the worker before deferring, for workflows that are quick.
    """

    template_fields: Sequence[str] = ("task_data", "workflow_id", "graph")
    template_fields_renderers: ClassVar[dict[str, str]] = {"task_data": "json"}
    ui_color = "#e8f0fe"
    operator_extra_links = (WorkflowRunLink(),)

    def __init__(
        self,
        *,
        task_data: Any = None,
        workflow_id: str | None = None,
        timeout: float | timedelta = DEFAULT_TIMEOUT,
        graph: str | None = None,
        conn_id: str | None = None,
        deferrable: bool = True,
        wait: bool = True,
        on_clear: ClearPolicy = "rerun",
        cancel_on_timeout: bool = False,
        cancel_on_kill: bool = True,
        max_result_bytes: int = MAX_RESULT_BYTES,
        large_result: LargeResult = "fail",
        inline_wait: float = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if on_clear not in ("rerun", "reattach"):
            raise ConfigurationError(f"on_clear is {on_clear!r}; expected 'rerun' or 'reattach'")
        self._init_waiting(
            conn_id=conn_id,
            max_result_bytes=max_result_bytes,
            large_result=large_result,
            cancel_on_timeout=cancel_on_timeout,
            cancel_on_kill=cancel_on_kill,
        )
        self.task_data = task_data
        self.workflow_id = workflow_id
        self.timeout = seconds(timeout)
        self.graph = graph
        self.deferrable = deferrable
        self.wait = wait
        self.on_clear = on_clear
        self.inline_wait = inline_wait

    def execute(self, context: Context) -> dict[str, Any]:
        """The result, or with `wait=False` the ticket. Deferred meanwhile unless told otherwise."""
        settings = self._settings()
        with ResultExchange(settings=settings) as exchange:
            ticket = self.asked = self._ask(context, exchange, settings)
            context["ti"].xcom_push(key=EVENT_ID_KEY, value=ticket.event_id)
            self.log.info("asked for run %s, attempt %d", ticket.event_id, ticket.attempt)
            if not self.wait:
                return ticket.to_dict()
            if not self.deferrable:
                return self._wait_here(ticket, exchange)
            if self.inline_wait > 0:
                received = wait_for(ticket, exchange, self.inline_wait)
                if received is not None:
                    return self._result(ticket, received)
        self._wait_elsewhere(ticket, self.defer)
        raise AssertionError("defer() does not return")

    def execute_complete(self, context: Context, event: dict[str, Any]) -> dict[str, Any]:
        """Resumed: the result, or the failure."""
        return self._finish(event)

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        """As Airflow's; a deferral that took too long ends as any other timeout."""
        if is_deferral_timeout(next_method, next_kwargs):
            self._give_up(self._ticket_anew(context))
        return super().resume_execution(next_method, next_kwargs, context)

    def on_kill(self) -> None:
        """Killed in a worker, after it asked: the run is cancelled."""
        if self.asked is not None and self.wait and self.cancel_on_kill:
            self._cancel(self.asked, "task killed while it ran")

    def _ask(self, context: Mapping[str, Any], exchange: ResultExchange, settings: KafkaSettings) -> Ticket:
        return ask(
            self.task_data,
            run_identity(context, self.on_clear),
            workflow_id=self.workflow_id or context["dag"].dag_id,
            workflow_run_id=context["dag_run"].run_id,
            timeout=self.timeout,
            settings=settings,
            exchange=exchange,
            graph=self.graph or None,
            traceparent=traceparent_of(context),
        )

    def _ticket_anew(self, context: Mapping[str, Any]) -> Ticket:
        """The ticket of this try, for a resumption that brings none."""
        identity = run_identity(context, self.on_clear)
        return Ticket(
            event_id=str(identity.event_id),
            attempt=identity.attempt,
            workflow_id=self.workflow_id or context["dag"].dag_id,
            workflow_run_id=context["dag_run"].run_id,
            results_topic="",
            since={},
            deadline=0.0,
            timeout=self.timeout,
            traceparent=traceparent_of(context),
        )

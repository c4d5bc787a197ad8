"""Waiting for a run that another task asked for."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from airflow_integration.airflow_compat import (
    AirflowSkipException,
    BaseSensorOperator,
    Context,
    is_deferral_timeout,
)
from airflow_integration.asking import DEFAULT_TIMEOUT, Ticket, seconds
from airflow_integration.failures import MAX_RESULT_BYTES
from airflow_integration.links import WorkflowRunLink
from airflow_integration.waiting import LargeResult, WaitsForResult
from workflow_events.errors import ConfigurationError, WorkflowFailed, WorkflowTimeout
from workflow_events.exchange import ResultExchange


class WorkflowResultSensor(WaitsForResult, BaseSensorOperator):
    """Waits for the result of a run and returns it, deferred unless `deferrable=False`.

    :param ticket: what `LangGraphWorkflowOperator(wait=False)` returned, or an event id (templated). With
        an id alone the topic is read from its beginning, and whichever verdict comes first counts.
    :param timeout: seconds or a timedelta, from when this task starts.
    :param soft_fail: whether the task is skipped where it would fail: at the timeout, and for a workflow
        that failed.
    :param cancel_on_kill: as the operator's, off: the asking task owns the run.

    The others as for `LangGraphWorkflowOperator`.
    """

    template_fields: Sequence[str] = ("ticket",)
    ui_color = "#e8f0fe"
    operator_extra_links = (WorkflowRunLink(),)

    def __init__(
        self,
        *,
        ticket: Any,
        timeout: float | timedelta = DEFAULT_TIMEOUT,
        conn_id: str | None = None,
        deferrable: bool = True,
        cancel_on_timeout: bool = False,
        cancel_on_kill: bool = False,
        max_result_bytes: int = MAX_RESULT_BYTES,
        large_result: LargeResult = "fail",
        **kwargs: Any,
    ) -> None:
        super().__init__(timeout=seconds(timeout), **kwargs)
        self._init_waiting(
            conn_id=conn_id,
            max_result_bytes=max_result_bytes,
            large_result=large_result,
            cancel_on_timeout=cancel_on_timeout,
            cancel_on_kill=cancel_on_kill,
        )
        self.ticket = ticket
        self.deferrable = deferrable

    def execute(self, context: Context) -> dict[str, Any]:
        """The result. Deferred meanwhile unless told otherwise."""
        asked = self.asked = self._read_ticket()
        if self.deferrable:
            self._wait_elsewhere(asked, self.defer)
        with self._skipping():
            with ResultExchange(settings=self._settings(), topic=asked.results_topic) as exchange:
                return self._wait_here(asked, exchange)

    def execute_complete(self, context: Context, event: dict[str, Any]) -> dict[str, Any]:
        """Resumed: the result, or the failure."""
        with self._skipping():
            return self._finish(event)

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        """As Airflow's; a deferral that took too long ends as any other timeout."""
        if is_deferral_timeout(next_method, next_kwargs):
            self.asked = self._read_ticket()
            with self._skipping():
                self._give_up(self.asked)
        return super().resume_execution(next_method, next_kwargs, context)

    def on_kill(self) -> None:
        """Killed in a worker: the run is cancelled, if that is wanted."""
        if self.asked is not None and self.cancel_on_kill:
            self._cancel(self.asked, "task killed while it ran")

    def _read_ticket(self) -> Ticket:
        if isinstance(self.ticket, Mapping):
            return Ticket.from_dict(self.ticket).until(self.timeout)
        try:
            return Ticket.for_event(str(self.ticket), self.timeout)
        except ValueError as error:
            raise ConfigurationError(
                f"ticket is {self.ticket!r}; expected a ticket or an event id"
            ) from error

    @contextmanager
    def _skipping(self) -> Iterator[None]:
        try:
            yield
        except (WorkflowTimeout, WorkflowFailed) as error:
            if self.soft_fail:
                raise AirflowSkipException(str(error)) from error
            raise

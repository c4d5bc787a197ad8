"""How a task waits for its answer: what operator and sensor have in common."""

import time
from datetime import timedelta
from typing import Any, Final, Literal, NoReturn

from airflow_integration.airflow_compat import resume_hold
from airflow_integration.asking import Ticket, publish_cancel, timed_out, wait_for
from airflow_integration.failures import MAX_RESULT_BYTES, accept, fitting
from airflow_integration.hooks import WorkflowKafkaHook
from airflow_integration.triggers import ClaimCheck, WorkflowResultTrigger
from workflow_events.errors import ConfigurationError, WorkflowFailed
from workflow_events.exchange import ReceivedResult, ResultExchange
from workflow_events.settings import KafkaSettings

LargeResult = Literal["fail", "reference"]

_BACKSTOP: Final = timedelta(seconds=60)
"""After the trigger's own deadline Airflow's ends the wait, if no triggerer runs."""

_FETCH_TIMEOUT: Final = 30.0


class WaitsForResult:
    """For operators whose task waits for a run: with a slot or without one, and what comes of it."""

    conn_id: str | None
    max_result_bytes: int
    large_result: LargeResult
    cancel_on_timeout: bool
    cancel_on_kill: bool
    asked: Ticket | None = None
    """The run this task is about, once it is known."""

    def _init_waiting(
        self,
        *,
        conn_id: str | None = None,
        max_result_bytes: int = MAX_RESULT_BYTES,
        large_result: LargeResult = "fail",
        cancel_on_timeout: bool = False,
        cancel_on_kill: bool = True,
    ) -> None:
        if large_result not in ("fail", "reference"):
            raise ConfigurationError(f"large_result is {large_result!r}; expected 'fail' or 'reference'")
        self.conn_id = conn_id
        self.max_result_bytes = max_result_bytes
        self.large_result = large_result
        self.cancel_on_timeout = cancel_on_timeout
        self.cancel_on_kill = cancel_on_kill

    def _settings(self) -> KafkaSettings:
        return WorkflowKafkaHook(self.conn_id).settings()

    def _wait_here(self, ticket: Ticket, exchange: ResultExchange) -> dict[str, Any]:
        received = wait_for(ticket, exchange)
        if received is None:
            self._give_up(ticket)
        return self._result(ticket, received)

    def _wait_elsewhere(self, ticket: Ticket, defer: Any) -> None:
        """Leave the worker. Does not return: `defer` raises."""
        hold = resume_hold()
        defer(
            trigger=WorkflowResultTrigger(
                ticket=ticket.to_dict(),
                conn_id=self.conn_id,
                hold_until=time.time() + hold,
                cancel_on_kill=self.cancel_on_kill,
            ),
            method_name="execute_complete",
            timeout=timedelta(seconds=ticket.remaining + hold) + _BACKSTOP,
        )

    def _finish(self, event: dict[str, Any]) -> dict[str, Any]:
        """The result that a trigger's claim check stands for, read in the worker: it never passes
        through Airflow's database.
        """
        claim = ClaimCheck.from_dict(event)
        ticket = self.asked = claim.ticket
        if claim.ending == "timeout":
            self._give_up(ticket)
        if claim.ending == "unreachable":
            raise WorkflowFailed(f"{timed_out(ticket)}. Kafka could not be reached: {claim.detail}")
        with ResultExchange(settings=self._settings(), topic=ticket.results_topic) as exchange:
            received = exchange.read_at(claim.partition, claim.offset, _FETCH_TIMEOUT)
        if received is None or str(received.event.correlation_id) != ticket.event_id:
            raise WorkflowFailed(
                f"the result of event {ticket.event_id} is no longer at {ticket.results_topic}:"
                f"{claim.partition}:{claim.offset}; a retry asks for it again"
            )
        return self._result(ticket, received)

    def _result(self, ticket: Ticket, received: ReceivedResult) -> dict[str, Any]:
        result = accept(ticket, received)
        return fitting(result, received, self.max_result_bytes, by_reference=self.large_result == "reference")

    def _give_up(self, ticket: Ticket) -> NoReturn:
        if self.cancel_on_timeout:
            self._cancel(ticket, "timeout")
        raise timed_out(ticket)

    def _cancel(self, ticket: Ticket, reason: str) -> None:
        publish_cancel(ticket, reason, self._settings())

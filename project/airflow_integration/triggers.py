"""Waiting in the triggerer, where a wait costs an entry in a dictionary."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any, Final, Literal, Self

from airflow_integration.airflow_compat import BaseTrigger, TriggerEvent
from airflow_integration.asking import Ticket, publish_cancel
from airflow_integration.hooks import WorkflowKafkaHook
from airflow_integration.readers import shared_readers
from workflow_events.errors import BrokerUnavailable

log = logging.getLogger(__name__)

_CLASS: Final = "airflow_integration.triggers.WorkflowResultTrigger"


@dataclass(frozen=True, slots=True)
class ClaimCheck:
    """What travels through Airflow's database instead of a result: where it stands.

    It brings the ticket along, because `dag.test()` of Airflow 3.3 drops what `defer(kwargs=...)` kept.
    """

    ticket: Ticket
    ending: Literal["answered", "timeout", "unreachable"]
    partition: int = -1
    offset: int = -1
    detail: str = ""

    def to_dict(self) -> dict[str, Any]:
        """As a trigger event carries it."""
        return {
            "ticket": self.ticket.to_dict(),
            "ending": self.ending,
            "partition": self.partition,
            "offset": self.offset,
            "detail": self.detail,
        }

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> Self:
        """The claim check of a trigger event."""
        return cls(**{**fields, "ticket": Ticket.from_dict(fields["ticket"])})


class WorkflowResultTrigger(BaseTrigger):
    """Ends with a claim check once the ticket's result is on its topic, or at the ticket's deadline.

    All triggers of a process share one reader. Broker errors are ridden out until the deadline. A
    result is kept back until `hold_until` (seconds since 1970; see `resume_hold`).
    """

    def __init__(
        self,
        ticket: dict[str, Any],
        conn_id: str | None = None,
        hold_until: float = 0.0,
        cancel_on_kill: bool = True,
    ) -> None:
        super().__init__()
        self.ticket = ticket
        self.conn_id = conn_id
        self.hold_until = hold_until
        self.cancel_on_kill = cancel_on_kill

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """As Airflow keeps it."""
        return _CLASS, {
            "ticket": self.ticket,
            "conn_id": self.conn_id,
            "hold_until": self.hold_until,
            "cancel_on_kill": self.cancel_on_kill,
        }

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """One event with a `ClaimCheck`."""
        claim = await self._wait(Ticket.from_dict(self.ticket))
        await asyncio.sleep(max(0.0, self.hold_until - time.time()))
        yield TriggerEvent(claim.to_dict())

    async def _wait(self, ticket: Ticket) -> ClaimCheck:
        try:
            async with shared_readers.borrow(self.conn_id, ticket.results_topic) as exchange:
                received = await exchange.wait_async(
                    ticket.event_id, ticket.remaining, since=ticket.start, attempt=ticket.attempt
                )
        except BrokerUnavailable as error:
            return ClaimCheck(ticket, "unreachable", detail=str(error))
        if received is None:
            return ClaimCheck(ticket, "timeout")
        return ClaimCheck(ticket, "answered", received.partition, received.offset)

    async def on_kill(self) -> None:
        """The task was marked failed or succeeded, or cleared (Airflow 3.3 and later call this)."""
        if not self.cancel_on_kill:
            return
        ticket = Ticket.from_dict(self.ticket)
        await asyncio.to_thread(self._cancel, ticket)
        log.info("cancel published", extra={"action": "cancel_published", "event_id": ticket.event_id})

    def _cancel(self, ticket: Ticket) -> None:
        settings = WorkflowKafkaHook(self.conn_id).settings()
        publish_cancel(ticket, "task ended by a user while it waited", settings)

"""Publisher: brings verdicts to their topics, marks them in the ledger, and tells of it."""

import asyncio
import logging
from uuid import UUID

from langgraph_integration.pipeline.asked import Asked
from langgraph_integration.pipeline.delivery import Delivery
from langgraph_integration.pipeline.faults import reached
from langgraph_integration.pipeline.gate import IntakeGate
from langgraph_integration.pipeline.happenings import Observer, VerdictPublished
from langgraph_integration.pipeline.ledger import Lease, RunLedger, StoredVerdict
from langgraph_integration.pipeline.outbox import Outbox
from langgraph_integration.pipeline.outcome import Failed
from langgraph_integration.pipeline.ports import VerdictSink
from langgraph_integration.pipeline.verdict import VerdictWriter
from workflow_events.ids import id_text

log = logging.getLogger(__name__)


class Publisher:
    """The last steps of every delivery: acknowledged by the broker first, marked as published after that."""

    def __init__(
        self,
        ledger: RunLedger,
        sink: VerdictSink,
        gate: IntakeGate,
        *,
        max_event_bytes: int,
        observe: Observer,
    ) -> None:
        self._ledger = ledger
        self._gate = gate
        self._observe = observe
        writer = VerdictWriter(sink, max_event_bytes=max_event_bytes)
        self.write = writer.write
        self._outbox = Outbox(sink, writer, gate)
        self.unconfirmed = 0
        """Verdicts that were being published when their delivery was abandoned: sent or not, nobody knows."""

    async def publish(
        self,
        lease: Lease,
        verdict: StoredVerdict,
        delivery: Delivery,
        asked: Asked,
        *,
        sent_before: bool = False,
    ) -> StoredVerdict:
        """The verdict that was published, and marked so. Raises `LeaseLost` if it stands no more.

        `sent_before`: it may have been acknowledged already, and must stay what it is.
        """

        async def keep(smaller: StoredVerdict) -> None:
            await self._gate.insist("store", lambda: self._ledger.replace(lease, verdict, smaller))

        key = id_text(lease.event_id).encode()
        try:
            published = await self._outbox.publish(
                key, verdict, delivery, asked, keep, sent_before=sent_before
            )
        except asyncio.CancelledError:
            self.unconfirmed += 1
            raise
        await self._gate.insist("store", lambda: self._ledger.mark_published(lease, verdict.attempt))
        reached("after-published")
        return published

    async def refuse(self, delivery: Delivery, asked: Asked, failed: Failed) -> None:
        """A dead letter for a record without a row; its time is the record's, so that repeats are equal."""
        attempt = asked.headers.attempt
        verdict = self.write(delivery, asked, attempt, failed, now=delivery.time)
        verdict = await self._outbox.publish(delivery.key, verdict, delivery, asked, failed=failed)
        self.tell(asked.event_id, verdict, 0.0)

    def tell(self, event_id: UUID | None, verdict: StoredVerdict, duration_s: float) -> None:
        """Say that the record is settled; `duration_s` is 0 where no run ended here."""
        text = None if event_id is None else id_text(event_id)
        if log.isEnabledFor(logging.INFO):
            fields: dict[str, object] = {
                "action": "settled",
                "event_id": text,
                "status": verdict.status,
                "reason": verdict.reason,
                "attempt": verdict.attempt,
            }
            log.handle(_settled(verdict.status, fields))
        self._observe(VerdictPublished(text, verdict.status, verdict.reason, duration_s))


def _settled(status: str, fields: dict[str, object]) -> logging.LogRecord:
    # `log.info` looks through the stack for its caller: a fifth of the cost of the line that every event has
    line = Publisher.tell.__code__.co_firstlineno
    return log.makeRecord(
        log.name, logging.INFO, __file__, line, "event settled: %s", (status,), None, "tell", fields
    )

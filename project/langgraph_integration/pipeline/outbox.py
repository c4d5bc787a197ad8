"""Outbox: verdicts to their topics, written smaller where a topic takes less than it said."""

import logging
from collections.abc import Awaitable, Callable
from typing import cast

from langgraph_integration.pipeline.asked import Asked
from langgraph_integration.pipeline.delivery import Delivery
from langgraph_integration.pipeline.gate import IntakeGate
from langgraph_integration.pipeline.ledger import StoredVerdict
from langgraph_integration.pipeline.outcome import Failed
from langgraph_integration.pipeline.ports import VerdictSink
from langgraph_integration.pipeline.verdict import VerdictWriter
from workflow_events.dead_letter import DeadLetterReason
from workflow_events.errors import BrokerUnavailable, RecordNotSent, RecordTooLarge

log = logging.getLogger(__name__)

_LONGEST_KEY = 1024  # bytes

Keep = Callable[[StoredVerdict], Awaitable[None]]
"""Stores a verdict in the place of the one that was refused for its size."""


class Outbox:
    """Publishes what was stored, and insists until the broker has it."""

    def __init__(self, sink: VerdictSink, writer: VerdictWriter, gate: IntakeGate) -> None:
        self._sink = sink
        self._writer = writer
        self._gate = gate

    async def publish(
        self,
        key: bytes | None,
        verdict: StoredVerdict,
        delivery: Delivery,
        asked: Asked,
        keep: Keep | None = None,
        *,
        sent_before: bool = False,
    ) -> StoredVerdict:
        """The verdict that was acknowledged.

        Where a topic refuses a record for its size, although its limit was not known to be so low, an error
        with the reason `result-invalid` is published instead; the sink knows the limit by then. `keep` is
        awaited for it before, so that what is published is what stands; its errors are passed on.

        With `sent_before` somebody may have read it, and so after a send of unknown outcome: it stays what it
        is then, and waits until its topic takes it.
        """
        seen = sent_before

        async def send() -> None:
            nonlocal seen
            try:
                await (self._send_or_wait if seen else self._send)(key, verdict)
            except RecordNotSent:
                raise
            except BrokerUnavailable:
                seen = True
                raise

        try:
            await self._gate.insist("publish", send)
        except RecordTooLarge as error:
            log.warning("record refused for its size: %s", error, extra={"action": "record_too_large"})
            smaller = self._smaller(verdict, delivery, asked, error)
            if keep is not None:
                await keep(smaller)
            await self._gate.insist("publish", lambda: self._send_or_wait(key, smaller))
            return smaller
        return verdict

    async def _send(self, key: bytes | None, verdict: StoredVerdict) -> None:
        await self._sink.publish(_short(key), verdict.dead_letter, verdict.result, verdict.attempt)

    async def _send_or_wait(self, key: bytes | None, verdict: StoredVerdict) -> None:
        try:
            await self._send(key, verdict)
        except RecordTooLarge as error:
            raise BrokerUnavailable(f"{error}; raise the topic's max.message.bytes") from error

    def _smaller(
        self, verdict: StoredVerdict, delivery: Delivery, asked: Asked, error: RecordTooLarge
    ) -> StoredVerdict:
        text = f"The workflow ended, but its verdict cannot be sent: {error}"
        reason = cast(DeadLetterReason, verdict.reason) if verdict.reason else "result-invalid"
        failed = Failed(reason, text, error)
        return self._writer.write(delivery, asked, verdict.attempt, failed, now=delivery.time)


def _short(key: bytes | None) -> bytes | None:
    """A record's key for its dead letter, whose origin keeps it whole; a monstrous one is left out."""
    return key if key is None or len(key) <= _LONGEST_KEY else None

"""Outbox: verdicts to their topics, written smaller where a topic takes less than it said."""

import logging
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import cast

from langgraph_integration.pipeline.asked import Asked
from langgraph_integration.pipeline.delivery import Delivery
from langgraph_integration.pipeline.gate import IntakeGate
from langgraph_integration.pipeline.ledger import StoredVerdict
from langgraph_integration.pipeline.outcome import Failed
from langgraph_integration.pipeline.ports import ResultTooLarge, VerdictSink
from langgraph_integration.pipeline.verdict import VerdictWriter
from workflow_events.dead_letter import DeadLetterReason
from workflow_events.errors import BrokerUnavailable, RecordNotSent, RecordTooLarge

log = logging.getLogger(__name__)

_LONGEST_KEY = 128  # bytes; it travels twice, and the topic's limit is for all of a record

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
        failed: Failed | None = None,
        sent_before: bool = False,
    ) -> StoredVerdict:
        """The verdict that was acknowledged.

        Where a topic refuses a record for its size, although its limit was not known to be so low, an error
        with the reason `result-invalid` is published instead; the sink knows the limit by then. `keep` is
        awaited for it before, so that what is published is what stands; its errors are passed on. What no
        ledger keeps is written again from `failed`, as whoever gets the record next will write it.

        With `sent_before` somebody may have read it, and so after a send of unknown outcome: it stays what it
        is then, and waits until its topic takes it.
        """
        seen = sent_before
        parcel = _Parcel(self._sink, key, verdict)

        async def send() -> None:
            nonlocal seen
            try:
                await (parcel.send_or_wait if seen else parcel.send)()
            except RecordNotSent:
                raise
            except BrokerUnavailable:
                seen = True
                raise

        try:
            await self._gate.insist("publish", send)
        except RecordTooLarge as error:
            log.warning("record refused for its size: %s", error, extra={"action": "record_too_large"})
            smaller = self._smaller(verdict, delivery, asked, error, failed)
            if keep is not None:
                await keep(smaller)
            parcel.hold(smaller)
            await self._gate.insist("publish", parcel.send_or_wait)
            return smaller
        return verdict

    def _smaller(
        self,
        verdict: StoredVerdict,
        delivery: Delivery,
        asked: Asked,
        error: RecordTooLarge,
        failed: Failed | None,
    ) -> StoredVerdict:
        if failed is None:
            text = f"The workflow ended, but its verdict cannot be sent: {error}"
            reason = cast(DeadLetterReason, verdict.reason) if verdict.reason else "result-invalid"
            failed = Failed(reason, text, error)
        smaller = self._writer.write(delivery, asked, verdict.attempt, failed, now=delivery.time)
        if isinstance(error, ResultTooLarge):
            # it has been read
            return replace(smaller, dead_letter=verdict.dead_letter)
        return smaller


class _Parcel:
    """What is to be sent of a verdict."""

    def __init__(self, sink: VerdictSink, key: bytes | None, verdict: StoredVerdict) -> None:
        self._sink = sink
        self._key = _short(key)
        self._verdict = verdict
        self._dead_letter = verdict.dead_letter
        self._dead_letter_sent = False

    def hold(self, verdict: StoredVerdict) -> None:
        """This verdict instead, of the same attempt."""
        self._verdict = verdict
        if not self._dead_letter_sent:
            self._dead_letter = verdict.dead_letter

    async def send(self) -> None:
        verdict = self._verdict
        try:
            await self._sink.publish(self._key, self._dead_letter, verdict.result, verdict.attempt)
        except ResultTooLarge:
            # once is enough, however long the result has to wait for its topic
            self._dead_letter, self._dead_letter_sent = None, True
            raise

    async def send_or_wait(self) -> None:
        try:
            await self.send()
        except RecordTooLarge as error:
            raise BrokerUnavailable(f"{error}; raise the topic's max.message.bytes") from error


def _short(key: bytes | None) -> bytes | None:
    """A record's key for its dead letter, whose origin keeps it whole; a monstrous one is left out."""
    return key if key is None or len(key) <= _LONGEST_KEY else None

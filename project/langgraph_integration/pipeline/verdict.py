"""From an outcome to the very bytes that will be published, so that a repeat is the same to the byte."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, assert_never

from langgraph_integration.pipeline.asked import Asked, original_object
from langgraph_integration.pipeline.delivery import Delivery
from langgraph_integration.pipeline.ledger import StoredVerdict
from langgraph_integration.pipeline.outcome import Failed, Outcome, Succeeded, Unfulfilled
from langgraph_integration.pipeline.ports import VerdictSink
from workflow_events.codec import dump_json, encode
from workflow_events.dead_letter import DeadLetterError, DeadLetterEvent, DeadLetterOrigin, bounded_text
from workflow_events.errors import NotJson, RecordTooLarge
from workflow_events.ids import dead_letter_id, dead_letter_id_at, result_id
from workflow_events.schema import ResultStatus

_HEAD = 1024  # characters that are kept of ids and keys where they would make a record too large


class VerdictWriter:
    """Writes the result and the dead letter of one ended attempt, within the topics' size limits."""

    def __init__(self, sink: VerdictSink, *, max_event_bytes: int) -> None:
        self._sink = sink
        self._max_event_bytes = max_event_bytes

    def write(
        self, delivery: Delivery, asked: Asked, attempt: int, outcome: Outcome, *, now: datetime | None = None
    ) -> StoredVerdict:
        """The records to publish.

        A result that JSON cannot carry or that is too large for its topic becomes an error with the
        reason `result-invalid`.
        """
        now = now or datetime.now(UTC)
        match outcome:
            case Succeeded(result=result):
                return self._finished(delivery, asked, attempt, "success", result, None, now)
            case Unfulfilled(result=result, error=error):
                return self._finished(delivery, asked, attempt, "failure", result, error, now)
            case Failed():
                return self._failed(delivery, asked, attempt, outcome, now)
            case _:
                assert_never(outcome)

    def _finished(
        self,
        delivery: Delivery,
        asked: Asked,
        attempt: int,
        status: ResultStatus,
        result: dict[str, Any],
        error: str | None,
        now: datetime,
    ) -> StoredVerdict:
        try:
            record = self._result(asked, attempt, status, result, error, now)
            if record is not None and len(record) > self._sink.result_limit_bytes:
                raise RecordTooLarge(
                    f"the result is {len(record)} bytes, its topic takes {self._sink.result_limit_bytes}; "
                    "return a reference instead of the data, or raise the topic's max.message.bytes"
                )
        except (NotJson, RecordTooLarge) as cause:
            failed = Failed(
                "result-invalid", f"The workflow finished, but its result cannot be sent: {cause}", cause
            )
            return self._failed(delivery, asked, attempt, failed, now)
        return StoredVerdict(attempt=attempt, status=status, result=record, dead_letter=None)

    def _failed(
        self, delivery: Delivery, asked: Asked, attempt: int, failed: Failed, now: datetime
    ) -> StoredVerdict:
        result = self._result(asked, attempt, "error", {}, bounded_text(failed.message), now)
        if result is not None and len(result) > self._sink.result_limit_bytes:
            # only ids of a record's size can be at fault; the correlation id is what the asker waits for
            shortened = replace(
                asked, workflow_id=_head(asked.workflow_id), workflow_run_id=_head(asked.workflow_run_id)
            )
            result = self._result(shortened, attempt, "error", {}, bounded_text(failed.message)[:_HEAD], now)
        return StoredVerdict(
            attempt=attempt,
            status="error",
            result=result,
            dead_letter=self._dead_letter(delivery, asked, attempt, failed, now),
            reason=failed.reason,
        )

    def _result(
        self,
        asked: Asked,
        attempt: int,
        status: ResultStatus,
        result: dict[str, Any],
        error: str | None,
        now: datetime,
    ) -> bytes | None:
        if asked.event_id is None or asked.conflict:
            return None
        # as the codec writes a WorkflowResultEvent, without making one: nothing here is left to be validated
        fields = {
            "correlation_id": asked.event_id,
            "workflow_id": asked.workflow_id or "",
            "workflow_run_id": asked.workflow_run_id or "",
            "result": result,
            "status": status,
            "error": error,
            "timestamp": now,
            "attempt": attempt,
            "result_id": result_id(asked.event_id, attempt, status),
        }
        return dump_json(fields, root="")

    def _dead_letter(
        self, delivery: Delivery, asked: Asked, attempt: int, failed: Failed, now: datetime
    ) -> bytes:
        where = delivery.position
        by_position = asked.event_id is None or asked.conflict
        parsed = original_object(delivery, max_bytes=self._max_event_bytes)
        record = b""
        for whole, original, meta in (
            (True, parsed, True),
            (True, None, True),
            (False, None, True),
            (False, None, False),
        ):
            letter = DeadLetterEvent(
                dlq_id=dead_letter_id_at(where.topic, where.partition, where.offset)
                if by_position or asked.event_id is None
                else dead_letter_id(asked.event_id, attempt),
                timestamp=now,
                original_event=original,
                error=DeadLetterError.of(failed.cause),
                retry_count=failed.retry_count,
                context={
                    "workflow_id": asked.workflow_id if meta else _head(asked.workflow_id),
                    "workflow_run_id": asked.workflow_run_id if meta else _head(asked.workflow_run_id),
                },
                reason=failed.reason,
                attempt=attempt,
                origin=DeadLetterOrigin.of(
                    topic=where.topic,
                    partition=where.partition,
                    offset=where.offset,
                    timestamp_ms=delivery.timestamp_ms,
                    # a key or headers of a record's size: where it stands is told, it can be read there
                    key=delivery.key if meta else (delivery.key or b"")[:_HEAD] or None,
                    value=delivery.value,
                    headers=delivery.headers if meta else (),
                    whole=whole,
                ),
            )
            record = encode(letter)
            if len(record) <= self._sink.dead_letter_limit_bytes:
                break
        return record


def _head(text: str | None) -> str | None:
    return text if text is None else text[:_HEAD]

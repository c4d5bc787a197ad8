"""What a record asks for, as far as it can be read."""

import hashlib
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from langgraph_integration.pipeline.delivery import Delivery
from langgraph_integration.pipeline.ledger import Ask
from workflow_events import WorkflowEvent
from workflow_events.codec import decode_event, parse_json, payload_hash
from workflow_events.errors import InvalidEvent, InvalidRecord
from workflow_events.headers import RecordHeaders


@dataclass(frozen=True, slots=True)
class Asked:
    """A decoded record: the event, or why there is none. Ids are `None` where they cannot be read."""

    event: WorkflowEvent | None
    error: InvalidEvent | None
    event_id: UUID | None
    workflow_id: str | None
    workflow_run_id: str | None
    payload_hash: str
    headers: RecordHeaders
    conflict: bool = False

    def ask(self, delivery: Delivery) -> Ask:
        """The ledger's question. Only for records with a readable id."""
        assert self.event_id is not None
        return Ask(
            event_id=self.event_id,
            attempt=self.headers.attempt,
            payload_hash=self.payload_hash,
            position=delivery.position,
            workflow_id=_storable(self.workflow_id or ""),
            workflow_run_id=_storable(self.workflow_run_id or ""),
            graph=_storable(self.event.graph) if self.event and self.event.graph else None,
            deadline_ms=self.headers.deadline_ms,
        )


def read(delivery: Delivery, *, max_bytes: int) -> Asked:
    """Decode a record. Never raises: whatever is wrong is in `error`."""
    headers = RecordHeaders.parse(delivery.headers)
    try:
        event = decode_event(delivery.value, max_bytes=max_bytes)
    except InvalidEvent as error:
        fields = original_object(delivery, max_bytes=max_bytes) or {}
        return Asked(
            event=None,
            error=error,
            event_id=_uuid(error.event_id) or _uuid_of_key(delivery.key),
            workflow_id=_text(fields.get("workflow_id")),
            workflow_run_id=_text(fields.get("workflow_run_id")),
            payload_hash=hashlib.sha256(delivery.value or b"").hexdigest(),
            headers=headers,
        )
    return Asked(
        event=event,
        error=None,
        event_id=event.event_id,
        workflow_id=event.workflow_id,
        workflow_run_id=event.workflow_run_id,
        payload_hash=payload_hash(event),
        headers=headers,
    )


def original_object(delivery: Delivery, *, max_bytes: int) -> dict[str, Any] | None:
    """The JSON object in the record, whatever its schema, or `None` where there is none to be read."""
    if delivery.value is None or len(delivery.value) > max_bytes:
        return None
    try:
        value = parse_json(delivery.value)
    except InvalidRecord:
        return None
    return value if isinstance(value, dict) else None


def _storable(text: str) -> str:
    """Without NUL, which JSON may carry and PostgreSQL refuses. The ledger only shows these texts."""
    return text.replace("\x00", "\ufffd")


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _uuid(text: str | None) -> UUID | None:
    try:
        return UUID(text) if text else None
    except ValueError:
        return None


def _uuid_of_key(key: bytes | None) -> UUID | None:
    return _uuid(key.decode("ascii", errors="replace")) if key and len(key) <= 36 else None

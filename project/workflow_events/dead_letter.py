"""What is kept of an event that could not be answered: enough to understand it and to replay it."""

import hashlib
from base64 import b64encode
from collections.abc import Iterable
from typing import Any, Literal, Self

from pydantic import Field, field_validator

from workflow_events.schema import Identifier, Timestamp, WireModel, _is_none, _now

DeadLetterReason = Literal[
    "permanent",
    "result-invalid",
    "crash-loop",
    "retries-exhausted",
    "timeout",
    "deadline",
    "interrupted",
    "invalid",
    "conflict",
]

HEAD_BYTES = 64 * 1024
"""How much of a value is kept when the dead-letter topic does not take all of it."""


_MESSAGE_LIMIT = 10_000  # characters: an error text is no place for a payload


def bounded_text(text: object) -> str:
    """The text as a record carries it: bounded, and free of the lone surrogates that UTF-8 cannot say."""
    return str(text)[:_MESSAGE_LIMIT].encode("utf-8", errors="replace").decode("utf-8")


class DeadLetterError(WireModel):
    """The error as it ended the event. `type` is the class name; `traceback` is None unless asked for."""

    type: str
    message: str
    traceback: str | None = None

    @classmethod
    def of(cls, error: BaseException) -> Self:
        """The error's class name and text, the text bounded."""
        return cls(type=type(error).__name__, message=bounded_text(error))


class DeadLetterOrigin(WireModel):
    """The record as it came, byte for byte, and where it stands. Bytes are base64; None is Kafka's null.

    Where the record is too large for the dead-letter topic, `value_b64` is None and its hash, size
    and first 64 KiB stand instead.
    """

    optional_fields = frozenset({"value_sha256", "value_bytes", "value_head_b64"})

    topic: str
    partition: int
    offset: int
    timestamp_ms: int | None = None
    key_b64: str | None = None
    value_b64: str | None = None
    headers: list[tuple[str, str | None]] = Field(default_factory=list)
    value_sha256: str | None = Field(default=None, exclude_if=_is_none)
    value_bytes: int | None = Field(default=None, exclude_if=_is_none)
    value_head_b64: str | None = Field(default=None, exclude_if=_is_none)

    @classmethod
    def of(
        cls,
        *,
        topic: str,
        partition: int,
        offset: int,
        timestamp_ms: int | None,
        key: bytes | None,
        value: bytes | None,
        headers: Iterable[tuple[str, bytes | None]] = (),
        whole: bool = True,
    ) -> Self:
        """The origin of a record. `whole=False` keeps hash, size and head instead of the value."""
        shortened: dict[str, Any] = {}
        if value is not None and not whole:
            shortened = {
                "value_sha256": hashlib.sha256(value).hexdigest(),
                "value_bytes": len(value),
                "value_head_b64": _base64(value[:HEAD_BYTES]),
            }
        return cls(
            topic=topic,
            partition=partition,
            offset=offset,
            timestamp_ms=timestamp_ms,
            key_b64=_base64(key),
            value_b64=_base64(value) if whole else None,
            headers=[(name, _base64(data)) for name, data in headers],
            **shortened,
        )


class DeadLetterEvent(WireModel):
    """One record of the dead-letter topic.

    `original_event` is the parsed object, None if the record was none. `retry_count` is how many
    retries really happened. `context` always has `workflow_id` and `workflow_run_id`, None if unknown.
    """

    optional_fields = frozenset({"reason", "attempt", "origin"})

    dlq_id: Identifier
    timestamp: Timestamp = Field(default_factory=_now)
    original_event: dict[str, Any] | None
    error: DeadLetterError
    retry_count: int = Field(ge=0)
    context: dict[str, Any] = Field(default_factory=dict, validate_default=True)
    reason: DeadLetterReason | None = Field(default=None, exclude_if=_is_none)
    attempt: int | None = Field(default=None, ge=1, exclude_if=_is_none)
    origin: DeadLetterOrigin | None = Field(default=None, exclude_if=_is_none)

    @field_validator("context")
    @classmethod
    def _name_both_ids(cls, context: dict[str, Any]) -> dict[str, Any]:
        return {"workflow_id": None, "workflow_run_id": None, **context}


def _base64(data: bytes | None) -> str | None:
    return None if data is None else b64encode(data).decode("ascii")

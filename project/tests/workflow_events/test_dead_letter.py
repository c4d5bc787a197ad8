"""The dead-letter record."""

import hashlib
import json
from base64 import b64decode
from uuid import uuid4

import pytest
from pydantic import ValidationError

from tests.workflow_events.samples import an_event
from workflow_events.codec import encode
from workflow_events.dead_letter import HEAD_BYTES, DeadLetterError, DeadLetterEvent, DeadLetterOrigin


def test_a_dead_letter_has_the_shape_of_the_guide() -> None:
    """Exactly its fields while ours are not known, ids that are not known as null."""
    letter = DeadLetterEvent(
        dlq_id=uuid4(),
        original_event=an_event().model_dump(mode="json"),
        error=DeadLetterError(type="ConnectionError", message="Connection failed"),
        retry_count=3,
        context={"workflow_id": "test-workflow", "note": "kept"},
    )

    written = json.loads(encode(letter))

    assert list(written) == ["dlq_id", "timestamp", "original_event", "error", "retry_count", "context"]
    assert written["error"] == {"type": "ConnectionError", "message": "Connection failed", "traceback": None}
    assert written["context"] == {"workflow_id": "test-workflow", "workflow_run_id": None, "note": "kept"}
    assert DeadLetterEvent.model_validate(written) == letter


def test_a_dead_letter_keeps_the_original_bytes_and_their_place() -> None:
    """So that it can be replayed as it was."""
    origin = DeadLetterOrigin.of(
        topic="events",
        partition=2,
        offset=17,
        timestamp_ms=5,
        key=None,
        value=b"\xff\x00",
        headers=[("a", None)],
    )
    letter = DeadLetterEvent(
        dlq_id=uuid4(),
        original_event=None,
        error=DeadLetterError(type="InvalidEvent", message="not UTF-8"),
        retry_count=0,
        reason="invalid",
        attempt=1,
        origin=origin,
    )

    written = json.loads(encode(letter))

    assert b64decode(written["origin"]["value_b64"]) == b"\xff\x00"
    assert written["origin"]["key_b64"] is None
    assert written["origin"]["headers"] == [["a", None]]
    assert "value_sha256" not in written["origin"]
    assert written["context"] == {"workflow_id": None, "workflow_run_id": None}
    assert DeadLetterEvent.model_validate(written) == letter


def test_a_value_that_is_too_large_is_described_instead() -> None:
    """By hash, size and its first 64 KiB."""
    value = bytes(range(256)) * 1024
    origin = DeadLetterOrigin.of(
        topic="events", partition=0, offset=0, timestamp_ms=None, key=b"k", value=value, whole=False
    )

    assert origin.value_b64 is None
    assert origin.value_sha256 == hashlib.sha256(value).hexdigest()
    assert origin.value_bytes == len(value)
    assert origin.value_head_b64 is not None
    assert b64decode(origin.value_head_b64) == value[:HEAD_BYTES]


def test_a_reason_is_one_of_the_table() -> None:
    """Operators count by it."""
    with pytest.raises(ValidationError, match="reason"):
        DeadLetterEvent.model_validate(
            {
                "dlq_id": str(uuid4()),
                "original_event": None,
                "error": {"type": "E", "message": ""},
                "retry_count": 0,
                "reason": "because",
            }
        )

"""Models to bytes and back: the one codec of both sides."""

import hashlib
import json
import re
from typing import Any, Final, TypeVar
from uuid import UUID

from pydantic import ValidationError

from workflow_events.errors import InvalidEvent, InvalidRecord, UnsupportedVersion
from workflow_events.schema import WireModel, WorkflowEvent, WorkflowResultEvent
from workflow_events.strict_json import dump_json, parse_json

__all__ = [
    "decode_event",
    "decode_result",
    "dump_json",
    "encode",
    "parse_json",
    "payload_hash",
    "read_result",
]

_Model = TypeVar("_Model", bound=WireModel)

_VERSION: Final = re.compile(r"0*([0-9]+)\.[0-9]+")
_LEADING_ID: Final = re.compile(rb'\s*\{\s*"event_id"\s*:\s*"([^"\\]{32,45})"')
_MAX_NAMED_ERRORS: Final = 5


def encode(model: WireModel) -> bytes:
    """The record's value. Raises `NotJson` naming the path (`payload.data.price`) where it has none."""
    return dump_json(model.wire_fields(), root="")


def decode_event(data: bytes | None, *, max_bytes: int | None = None) -> WorkflowEvent:
    """The event in a record's value. `max_bytes` None = of any size.

    Raises `InvalidEvent`, which carries the event's id if it could be read for certain, or
    `UnsupportedVersion` for a newer major version. Retrying helps with neither.
    """
    try:
        if data is not None and max_bytes is not None and len(data) > max_bytes:
            raise InvalidRecord(f"{len(data)} bytes are more than the {max_bytes} that are read")
        fields = _parse_object(data)
        _check_version(fields)
        if "event_id" not in fields:
            # A generated one would differ at each delivery: a new run each time.
            raise InvalidRecord("event_id: Field required")
        return _validate(WorkflowEvent, fields)
    except UnsupportedVersion as error:
        error.event_id = _readable_id(data, max_bytes)
        raise
    except InvalidRecord as error:
        raise InvalidEvent(str(error), event_id=_readable_id(data, max_bytes)) from None


def decode_result(data: bytes | None) -> WorkflowResultEvent:
    """The result in a record's value. Raises `InvalidRecord`."""
    return read_result(data)[0]


def read_result(data: bytes | None) -> tuple[WorkflowResultEvent, dict[str, Any]]:
    """The result and the JSON object it was read from, unknown fields included. Raises `InvalidRecord`."""
    fields = _parse_object(data)
    return _validate(WorkflowResultEvent, fields), fields


def payload_hash(event: WorkflowEvent) -> str:
    """What the event asks for, as SHA-256 in hex: the same id with another hash is another wish.

    Covers `workflow_id`, `workflow_run_id`, `graph` and `payload` as canonical JSON (keys sorted).
    """
    asked = {
        "graph": event.graph,
        "payload": event.payload.wire_fields(),
        "workflow_id": event.workflow_id,
        "workflow_run_id": event.workflow_run_id,
    }
    return hashlib.sha256(dump_json(asked, root="", sort_keys=True)).hexdigest()


def _parse_object(data: bytes | None) -> dict[str, Any]:
    if data is None:
        raise InvalidRecord("null instead of a JSON object")
    value = parse_json(data)
    if not isinstance(value, dict):
        raise InvalidRecord(f"{type(value).__name__} instead of a JSON object")
    return value


def _validate(model: type[_Model], fields: dict[str, Any]) -> _Model:
    try:
        return model.model_validate(fields)
    except ValidationError as error:
        # Without the values: they may be secrets, and this text travels in results and logs.
        found = error.errors(include_url=False, include_input=False, include_context=False)
        texts = [f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in found[:_MAX_NAMED_ERRORS]]
        raise InvalidRecord("; ".join(texts)) from None


def _check_version(fields: dict[str, Any]) -> None:
    metadata = fields.get("metadata")
    version = metadata.get("version") if isinstance(metadata, dict) else None
    if not isinstance(version, str):
        return
    found = _VERSION.fullmatch(version)
    if found and found[1] not in ("0", "1"):
        raise UnsupportedVersion(f"version {version[:40]} is newer than 1.x: upgrade the service")


def _readable_id(data: bytes | None, max_bytes: int | None) -> str | None:
    """The event's own id in a record that is otherwise invalid; never one from deeper inside."""
    if data is None:
        return None
    if max_bytes is None or len(data) <= max_bytes:
        try:
            value = json.loads(data, object_pairs_hook=_without_ambiguous_id)
        except (ValueError, RecursionError):
            pass  # not even by a tolerant reader: its first field may still be the id
        else:
            return _canonical_id(value.get("event_id")) if isinstance(value, dict) else None
    leading = _LEADING_ID.match(data)
    return _canonical_id(leading[1].decode(errors="replace")) if leading else None


def _without_ambiguous_id(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs) and sum(name == "event_id" for name, _ in pairs) > 1:
        del found["event_id"]
    return found


def _canonical_id(text: object) -> str | None:
    if not isinstance(text, str):
        return None
    try:
        return str(UUID(text))
    except ValueError:
        return None

"""The serializer of checkpoints: LangGraph's own, strict, so that no row can make this process run code."""

import threading
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from langgraph.checkpoint.serde.event_hooks import SerdeEvent, register_serde_event_listener
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer

from workflow_events.errors import StateCorrupt

READABLE_KINDS = frozenset({"null", "bytes", "bytearray", "msgpack"})
"""What `JsonPlusSerializer` writes today. `json` and `pickle` are old forms that could build objects."""

_CHECKSUM_BYTES = 4
_refusals = threading.local()


class StrictSerializer(JsonPlusSerializer):
    """msgpack with LangGraph's list of safe types and, through `with_msgpack_allowlist`, those of a graph.

    LangGraph's own strict mode hands a refused object on as its bare arguments, a state of another shape
    that fails later and elsewhere. Here it is an error that names the type: `StateCorrupt`. So is a flipped
    bit: msgpack would read many of them as another state, and the run would go on with it. The bytes end in
    their CRC-32.
    """

    def __init__(self) -> None:
        super().__init__(pickle_fallback=False, allowed_json_modules=None, allowed_msgpack_modules=None)

    def dumps_typed(self, obj: Any) -> tuple[str, bytes]:
        kind, data = super().dumps_typed(obj)
        return kind, sealed(kind, data)

    def loads_typed(self, data: tuple[str, bytes]) -> Any:
        kind, stored = data[0], bytes(data[1])
        if kind not in READABLE_KINDS:
            raise StateCorrupt(f"stored state is of kind {kind!r}, which is never read")
        content = stored[:-_CHECKSUM_BYTES]
        if stored != sealed(kind, content):
            raise StateCorrupt("stored state is damaged: its checksum is another one")
        with _collected_refusals() as refused:
            try:
                value = super().loads_typed((kind, content))
            except Exception as error:  # whatever a decoder raises means damaged bytes
                raise StateCorrupt(f"stored state cannot be decoded: {error}") from error
        if refused:
            raise StateCorrupt(f"stored state holds types the graph does not declare: {', '.join(refused)}")
        return value


def sealed(kind: str, data: bytes) -> bytes:
    """The bytes as they are stored: followed by the CRC-32 of kind and data."""
    return data + zlib.crc32(data, zlib.crc32(kind.encode())).to_bytes(_CHECKSUM_BYTES, "big")


@contextmanager
def _collected_refusals() -> Iterator[list[str]]:
    refused: list[str] = []
    _refusals.names = refused
    try:
        yield refused
    finally:
        _refusals.names = None


def _note_refusal(event: SerdeEvent) -> None:
    names: list[str] | None = getattr(_refusals, "names", None)
    if names is not None and event["kind"].endswith("blocked"):
        method = f".{event['method']}" if "method" in event else ""
        names.append(f"{event['module']}.{event['name']}{method}")


register_serde_event_listener(_note_refusal)

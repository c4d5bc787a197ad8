"""Record headers: what a reader may know about a record without parsing it."""

from collections.abc import Iterable
from typing import Final, NamedTuple

CORRELATION_ID: Final = "correlation_id"
ATTEMPT: Final = "attempt"
DEADLINE_MS: Final = "deadline_ms"
TRACEPARENT: Final = "traceparent"
TRACESTATE: Final = "tracestate"

_NAMES: Final = (CORRELATION_ID, ATTEMPT, DEADLINE_MS, TRACEPARENT, TRACESTATE)
_MAX_ATTEMPT: Final = 2**31 - 1
_MAX_DEADLINE_MS: Final = 2**53


class RecordHeaders(NamedTuple):
    """The headers we write and understand.

    `correlation_id` is the event's id. `attempt` is the asker's try, from 1. `deadline_ms` is the
    moment (milliseconds since 1970, UTC) after which nobody waits; None = no deadline.
    """

    correlation_id: str | None = None
    attempt: int = 1
    deadline_ms: int | None = None
    traceparent: str | None = None
    tracestate: str | None = None

    def to_list(self) -> list[tuple[str, bytes]]:
        """The pairs as Kafka clients take them; what is None is left out."""
        return [
            (name, str(value).encode()) for name, value in zip(_NAMES, self, strict=True) if value is not None
        ]

    @classmethod
    def parse(cls, headers: Iterable[tuple[str, bytes | str | None]] | None) -> "RecordHeaders":
        """What can be read of a record's headers. Never raises: whatever is unreadable counts as absent.

        A header given twice counts with its last value, as Kafka's own `lastHeader` does.
        """
        texts = {name: _text(value) for name, value in headers or () if name in _NAMES}
        return cls(
            correlation_id=texts.get(CORRELATION_ID),
            attempt=_number(texts.get(ATTEMPT), _MAX_ATTEMPT) or 1,
            deadline_ms=_number(texts.get(DEADLINE_MS), _MAX_DEADLINE_MS),
            traceparent=texts.get(TRACEPARENT),
            tracestate=texts.get(TRACESTATE),
        )


def _text(value: bytes | str | None) -> str | None:
    if value is None or isinstance(value, str):
        return value or None
    try:
        return value.decode() or None
    except UnicodeDecodeError:
        return None


def _number(text: str | None, largest: int) -> int | None:
    """A positive whole number up to `largest`, else None."""
    if text is None or len(text) > 16 or not (text.isascii() and text.isdigit()):
        return None
    number = int(text)
    return number if 1 <= number <= largest else None

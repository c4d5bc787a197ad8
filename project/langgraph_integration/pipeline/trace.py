"""The asker's trace context (W3C Trace Context), carried on to what is published for its record."""

from contextvars import ContextVar
from typing import Final, NamedTuple

from workflow_events.headers import RecordHeaders

_LONGEST_PARENT: Final = 55
_LONGEST_STATE: Final = 512


class TraceContext(NamedTuple):
    """The two headers as they came; None where there was none."""

    traceparent: str | None = None
    tracestate: str | None = None

    @classmethod
    def of(cls, headers: RecordHeaders) -> "TraceContext":
        """What is worth carrying on. What is longer than the standard knows is left out: our own records
        must not grow by what somebody else wrote.
        """
        parent = _within(headers.traceparent, _LONGEST_PARENT)
        return _NONE if parent is None else cls(parent, _within(headers.tracestate, _LONGEST_STATE))


def _within(text: str | None, longest: int) -> str | None:
    return text if text and text.isascii() and len(text) <= longest else None


_NONE: Final = TraceContext()

current_trace: ContextVar[TraceContext] = ContextVar("current_trace", default=_NONE)
"""Of the delivery that the current task handles."""

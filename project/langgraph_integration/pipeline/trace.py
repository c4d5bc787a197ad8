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
        if headers.traceparent is None or len(headers.traceparent) > _LONGEST_PARENT:
            return _NONE
        state = headers.tracestate
        return cls(headers.traceparent, state if state and len(state) <= _LONGEST_STATE else None)


_NONE: Final = TraceContext()

current_trace: ContextVar[TraceContext] = ContextVar("current_trace", default=_NONE)
"""Of the delivery that the current task handles."""

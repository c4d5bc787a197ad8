"""What of an asker's trace context is carried on."""

from __future__ import annotations

import pytest

from langgraph_integration.pipeline.trace import TraceContext
from workflow_events.headers import RecordHeaders

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.mark.parametrize(
    ("parent", "state", "carried"),
    [
        (PARENT, "vendor=1", TraceContext(PARENT, "vendor=1")),
        (PARENT, None, TraceContext(PARENT)),
        (PARENT, "x" * 513, TraceContext(PARENT)),
        (None, "vendor=1", TraceContext()),
        (PARENT + "-longer", "vendor=1", TraceContext()),
    ],
)
def test_as_much_as_the_standard_knows(parent: str | None, state: str | None, carried: TraceContext) -> None:
    """A state without a parent means nothing; what is too long would make our records grow."""
    assert TraceContext.of(RecordHeaders("id", traceparent=parent, tracestate=state)) == carried

"""The event loop of a process of our own: uvloop's where it is installed, else asyncio's."""

import asyncio
from collections.abc import Callable

from langgraph_integration import environment as env
from workflow_events.errors import ConfigurationError

LoopFactory = Callable[[], asyncio.AbstractEventLoop]

_CHOICES = ("auto", "uvloop", "asyncio")


def new_event_loop() -> LoopFactory | None:
    """What makes the loop that `WORKFLOW_EVENT_LOOP` asks for; `None` is asyncio's own.

    `auto` (default) takes uvloop where it is installed, `uvloop` insists on it. Raises
    `ConfigurationError`.
    """
    chosen = env.text("WORKFLOW_EVENT_LOOP", "auto")
    if chosen not in _CHOICES:
        raise ConfigurationError(f"WORKFLOW_EVENT_LOOP is {chosen!r}; use one of {', '.join(_CHOICES)}")
    if chosen == "asyncio":
        return None
    try:
        import uvloop
    except ImportError:
        if chosen == "uvloop":
            raise ConfigurationError(
                "WORKFLOW_EVENT_LOOP is uvloop, which is not installed: pip install uvloop, or use auto"
            ) from None
        return None
    factory: LoopFactory = uvloop.new_event_loop
    return factory

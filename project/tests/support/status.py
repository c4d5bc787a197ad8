"""The guide's status lines: `[HH:MM:SS] TYPE: message` on stderr, flushed at once.

TYPE is TEST (a step of the test), CONSUMER (the consume loop), STOP (the stop sequence) or CAPTURE (an event
taken, finished or published). The product only logs; this handler turns its records into the lines.
"""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

StatusType = Literal["TEST", "CONSUMER", "STOP", "CAPTURE"]

status = logging.getLogger("tests.status")
"""Tests write their steps here: `status.info("published %s", event_id)`."""

_SHOWN = ("langgraph_integration", "workflow_events", "tests.status")
_STOP_ACTIONS = ("stop", "drain", "shutdown", "leave", "signal")
_CAPTURE_ACTIONS = ("event", "captur", "receiv", "admit", "settle", "result", "dead_letter", "run", "publish")


def status_type(record: logging.LogRecord) -> StatusType:
    """What kind of line a record makes: by its logger for tests, else by the `action` it carries."""
    if record.name == status.name:
        return "TEST"
    action = str(getattr(record, "action", ""))
    if action.startswith(_STOP_ACTIONS):
        return "STOP"
    if action.startswith(_CAPTURE_ACTIONS):
        return "CAPTURE"
    return "CONSUMER"


class StatusHandler(logging.Handler):
    """Writes status lines to whatever sys.stderr is at that moment (pytest replaces it for each test)."""

    def emit(self, record: logging.LogRecord) -> None:
        moment = time.strftime("%H:%M:%S", time.localtime(record.created))
        sys.stderr.write(f"[{moment}] {status_type(record)}: {record.getMessage()}\n")
        sys.stderr.flush()


@contextmanager
def status_lines() -> Iterator[None]:
    """While it lasts, INFO and above of the product and of `status` appear as status lines."""
    handler = StatusHandler(logging.INFO)
    before = {name: logging.getLogger(name).level for name in _SHOWN}
    for name in _SHOWN:
        logging.getLogger(name).addHandler(handler)
        logging.getLogger(name).setLevel(logging.INFO)
    try:
        yield
    finally:
        for name, level in before.items():
            logging.getLogger(name).removeHandler(handler)
            logging.getLogger(name).setLevel(level)

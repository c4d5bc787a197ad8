"""LoopWatch: measures how late the graphs' event loop is, and names the run that blocks it."""

import asyncio
import logging
import sys
import threading
import time
from types import FrameType

log = logging.getLogger(__name__)

_BEAT_S = 0.05
_BLOCKED_S = 5.0
_LOOK_S = 1.0


class LoopWatch:
    """A heartbeat on the loop, and a thread that looks whether it still beats.

    A synchronous call in an asynchronous node stops every other run; nothing inside the loop can notice.
    """

    def __init__(self, *, blocked_after_s: float = _BLOCKED_S) -> None:
        self._blocked_after_s = blocked_after_s
        self._loop_thread = 0
        self._ended = threading.Event()
        self.beat_at = time.monotonic()
        """The last sign of life (monotonic seconds)."""

        self.lag_s = 0.0
        """How late the last beat was."""

        self.worst_lag_s = 0.0
        self.blocked_by: str | None = None
        """The event id of the run that blocks the loop now, `unknown` if it cannot be told, else `None`."""

    async def run(self) -> None:
        """Beat until cancelled."""
        self._loop_thread = threading.get_ident()
        self._ended.clear()
        thread = threading.Thread(target=self._look, name="loop-watch", daemon=True)
        thread.start()
        try:
            while True:
                due = time.monotonic() + _BEAT_S
                await asyncio.sleep(_BEAT_S)
                self.beat_at = time.monotonic()
                self.lag_s = self.beat_at - due
                self.worst_lag_s = max(self.worst_lag_s, self.lag_s)
        finally:
            self._ended.set()

    def _look(self) -> None:
        while not self._ended.wait(_LOOK_S):
            late_s = time.monotonic() - self.beat_at
            if late_s < self._blocked_after_s:
                self.blocked_by = None
            elif self.blocked_by is None:
                frame = sys._current_frames().get(self._loop_thread)  # noqa: SLF001 - the documented way
                self.blocked_by, place = _culprit(frame)
                log.warning(
                    "the event loop is blocked for %.0f s by run %s at %s; use asynchronous calls in "
                    "asynchronous nodes, or make the node a plain function",
                    late_s,
                    self.blocked_by,
                    place,
                    extra={"action": "loop_blocked", "event_id": self.blocked_by},
                )


def _culprit(frame: FrameType | None) -> tuple[str, str]:
    """The run and the code line of a blocked stack: LangGraph keeps the run's config in its frames."""
    place = f"{frame.f_code.co_filename}:{frame.f_lineno}" if frame else "an unknown place"
    while frame is not None:
        config = frame.f_locals.get("config")
        if isinstance(config, dict) and isinstance(config.get("configurable"), dict):
            thread_id = config["configurable"].get("thread_id")
            if thread_id is not None:
                return str(thread_id), place
        frame = frame.f_back
    return "unknown", place

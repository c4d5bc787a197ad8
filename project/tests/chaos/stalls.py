"""Stalls of the machine: what a thread that has nothing else to do cannot do in time, nobody can."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

EVERY_S = 0.1

STALL_S = 1.0
"""A tick that comes later than that is a stall; less is an ordinary wait for a core or for the disk."""


class Ticker(threading.Thread):
    """Sleeps a moment and has a byte written to the disk, over and over, and notes what took long.

    The disk belongs to it: a broker whose writes do not come back answers nobody, while whoever only
    computes has its turns.
    """

    def __init__(self, touch: Callable[[], None], *, every: float = EVERY_S) -> None:
        super().__init__(name="ticker", daemon=True)
        self._touch = touch
        self._every = every
        self._done = threading.Event()
        self.stalls: list[tuple[float, float, str]] = []
        """From, to, and of what: machine (no turn) or disk."""

    def run(self) -> None:
        last = time.monotonic()
        while not self._done.wait(self._every):
            last = self._note(last, "machine")
            self._touch()
            last = self._note(last, "disk")

    def _note(self, last: float, what: str) -> float:
        now, at = time.monotonic(), time.time()
        if now - last > STALL_S:
            self.stalls.append((at - (now - last), at, what))
        return now

    def end(self) -> None:
        """Tick no more; a stall that lasts is noted before."""
        self._done.set()
        if self.is_alive():
            self.join()


def synced_byte(path: Path) -> Callable[[], None]:
    """Writes the one byte of that file anew, as far as the disk."""

    def write() -> None:
        file = os.open(path, os.O_WRONLY | os.O_CREAT, 0o644)
        try:
            os.pwrite(file, b".", 0)
            os.fsync(file)
        finally:
            os.close(file)

    return write

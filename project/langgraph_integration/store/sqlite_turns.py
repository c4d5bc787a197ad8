"""Fair turns for the processes that write one SQLite file.

SQLite lets a waiter sleep up to 100 ms between two looks, while the process that commits takes the lock
again within microseconds: under load a second worker hardly gets in. Here who waits is next: to write one
needs the turn, and to wait for the turn one needs the place in front of it, which the waiter holds.
The system gives both back when a process dies.
"""

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from workflow_events.errors import StoreUnavailable

if sys.platform != "win32":
    import fcntl

_LOOK_EVERY = 0.0005  # seconds


class Turns:
    """Two lock files beside the database; open as long as this object is."""

    def __init__(self, database: Path, timeout_ms: int) -> None:
        self._timeout = timeout_ms / 1000
        self._place = _open(database.with_name(database.name + "-next"))
        self._turn = _open(database.with_name(database.name + "-turn"))

    @contextmanager
    def mine(self) -> Iterator[None]:
        """The right to write, until the block ends. `StoreUnavailable` if another keeps it too long."""
        if sys.platform == "win32":  # no such locks: SQLite's own have to do
            yield
            return
        deadline = time.monotonic() + self._timeout
        self._take(self._place, deadline)
        try:
            self._take(self._turn, deadline)
        finally:
            fcntl.flock(self._place, fcntl.LOCK_UN)
        try:
            yield
        finally:
            fcntl.flock(self._turn, fcntl.LOCK_UN)

    def close(self) -> None:
        """Give everything back."""
        os.close(self._place)
        os.close(self._turn)

    def _take(self, lock: int, deadline: float) -> None:
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise StoreUnavailable("locked by another process") from None
                time.sleep(_LOOK_EVERY)
            else:
                return


def _open(path: Path) -> int:
    return os.open(path, os.O_CREAT | os.O_RDWR | getattr(os, "O_CLOEXEC", 0), 0o600)

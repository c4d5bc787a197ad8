"""Which workers are in the middle of a node right now, read from the history as it grows."""

from __future__ import annotations

import json
import threading
from collections import defaultdict
from pathlib import Path


class AtWork:
    """Follows the history; cheap to ask."""

    def __init__(self, history: Path) -> None:
        self._file = history.open("rb")
        self._open: defaultdict[int, set[tuple[str, str]]] = defaultdict(set)
        self._lock = threading.Lock()
        self._rest = b""

    def is_busy(self, pid: int) -> bool:
        """Whether a node has begun in that process and has not ended."""
        with self._lock:
            self._catch_up()
            return bool(self._open.get(pid))

    def close(self) -> None:
        """Look no more."""
        self._file.close()

    def _catch_up(self) -> None:
        *lines, self._rest = (self._rest + self._file.read()).split(b"\n")
        for line in map(json.loads, lines):
            nodes = self._open[line["pid"]]
            node = (line["event"], line["node"])
            if line["what"] == "start":
                nodes.add(node)
            else:
                nodes.discard(node)

"""Marks: a contestant's graph notes when its first node began, so that all are timed from the same moment.

Bare `ainvoke`, which starts many runs at once, notes it before the first is set up. Importing, connecting and
joining the group are over by then, whoever does them. On an event loop the lag of that loop is measured from
there on; elsewhere there is no `lag_s`.
"""

import asyncio
import json
import os
import time
from contextlib import suppress
from pathlib import Path

_PROBE_S = 0.02
_NEWS_S = 0.002  # worth a write


class Marks:
    """Written by the contestant into BENCH_MARKS/<pid>.json; see `read_marks`."""

    def __init__(self) -> None:
        self._facts: dict[str, float] = {}
        self._probe: asyncio.Task[None] | None = None

    def began(self) -> None:
        """The first node begins; later calls cost next to nothing."""
        if self._facts:
            return
        self._facts = {"began": time.monotonic(), "cpu_s": time.process_time()}
        with suppress(RuntimeError):
            loop = asyncio.get_running_loop()
            self._facts["lag_s"] = 0.0
            self._probe = loop.create_task(self._measure_lag())
        self._write()

    def ended(self) -> None:
        """The last run ended; for contestants that publish nothing."""
        self._facts["ended"] = time.monotonic()
        self._facts["cpu_end_s"] = time.process_time()
        self._write()

    async def _measure_lag(self) -> None:
        while True:
            due = time.monotonic() + _PROBE_S
            await asyncio.sleep(_PROBE_S)
            lag_s = time.monotonic() - due
            if lag_s > self._facts["lag_s"] + _NEWS_S:
                self._facts["lag_s"] = lag_s
                self._write()

    def _write(self) -> None:
        folder = os.environ.get("BENCH_MARKS")
        if folder:
            path = Path(folder) / f"{os.getpid()}.json"
            new = path.with_suffix(".new")
            new.write_text(json.dumps(self._facts))
            new.replace(path)


MARKS = Marks()


def read_marks(folder: Path) -> dict[int, dict[str, float]]:
    """The marks of every process that began, by its id."""
    return {int(path.stem): json.loads(path.read_text()) for path in folder.glob("*.json")}

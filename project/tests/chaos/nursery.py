"""The other end of the zygote: asks it for workers and hears of their ends."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(slots=True)
class Life:
    """One worker process. Times are seconds since 1970; `code` is negative for a signal."""

    name: str
    pid: int
    started: float
    armed: str | None = None
    ended: float | None = None
    code: int | None = None
    ended_by_us: str | None = None
    """`kill`, `leave` or `end`; None = it lives, or ended by itself."""
    asked_at: float | None = None
    """When it was first sent SIGTERM."""
    namesakes: int = 0
    """How many processes of the run had the same id before: the system uses them again in the end."""
    pauses: list[tuple[float, float]] = field(default_factory=list)

    @property
    def identity(self) -> int:
        """The process id; that and a multiple of ten million for one whose id was used before."""
        return self.pid + 10_000_000 * self.namesakes

    @property
    def was_killed(self) -> bool:
        return self.code == -signal.SIGKILL

    def ask_to_end(self, why: str) -> None:
        """SIGTERM, which a stopped process hears too."""
        self.ended_by_us = why
        self.asked_at = self.asked_at or time.time()
        self.signal(signal.SIGCONT)
        self.signal(signal.SIGTERM)

    def signal(self, number: int) -> bool:
        """False if it is gone."""
        if self.code is not None:
            return False
        try:
            os.kill(self.pid, number)
        except ProcessLookupError:
            return False
        return True


class Nursery:
    """Spawns workers. `began` and `ended` are called in a thread of its own, in the order of things."""

    def __init__(
        self,
        log_file: Path,
        *,
        began: Callable[[Life], None] = lambda _: None,
        ended: Callable[[Life], None] = lambda _: None,
    ) -> None:
        self._tell_began = began
        self._tell_ended = ended
        self._by_pid: dict[int, Life] = {}
        self._births: Counter[int] = Counter()
        self._orders = threading.Lock()
        self._armed: dict[str, str | None] = {}
        with log_file.open("ab") as log:
            self._zygote = subprocess.Popen(
                [sys.executable, "-m", "tests.chaos.zygote"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                bufsize=1,
            )
        threading.Thread(target=self._listen, name="nursery", daemon=True).start()

    def spawn(self, name: str, environment: Mapping[str, str], log: Path) -> None:
        """Ask for a worker; `began` tells when it is there."""
        self._armed[name] = environment.get("WORKFLOW_FAULT_POINT") or None
        order = {"spawn": name, "env": dict(environment), "log": str(log)}
        assert self._zygote.stdin is not None
        with self._orders, suppress(OSError):
            self._zygote.stdin.write(json.dumps(order) + "\n")

    def close(self) -> None:
        """End all workers and the zygote."""
        assert self._zygote.stdin is not None
        assert self._zygote.stdout is not None
        with suppress(OSError):
            self._zygote.stdin.close()
        self._zygote.wait(30)

    def _listen(self) -> None:
        assert self._zygote.stdout is not None
        with self._zygote.stdout as answers:
            for line in answers:
                message = json.loads(line)
                if "started" in message:
                    name, pid = message["name"], message["started"]
                    life = Life(name, pid, message["time"], self._armed[name], namesakes=self._births[pid])
                    self._by_pid[pid] = life
                    self._births[pid] += 1
                    self._tell_began(life)
                else:
                    life = self._by_pid.pop(message["ended"])
                    life.ended, life.code = message["time"], message["code"]
                    self._tell_ended(life)

"""The workers of a run: spawned by the zygote, killed, stopped, replaced, their lives written down."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.support import wait_until_sync

RESPAWN_AFTER_S = 0.1


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
    """`kill` or `leave`; None = it lives, or ended by itself."""
    pauses: list[tuple[float, float]] = field(default_factory=list)

    @property
    def was_killed(self) -> bool:
        return self.code == -signal.SIGKILL


class Crew:
    """Keeps every place filled with a worker, unless told to leave it empty."""

    def __init__(
        self, folder: Path, environment: Mapping[str, str], names: list[str], *, static: bool
    ) -> None:
        self._folder = folder
        self._environment = dict(environment)
        self._static = static
        self.names = names
        self.lives: list[Life] = []
        self._current: dict[str, Life] = {}
        self._wanted: dict[str, bool] = dict.fromkeys(names, True)
        self._armed: dict[str, str | None] = dict.fromkeys(names)
        self._lock = threading.RLock()
        self._ready_at: dict[str, float] = dict.fromkeys(names, 0.0)
        self._stopping = False
        self._zygote = subprocess.Popen(
            [sys.executable, "-m", "tests.chaos.zygote"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=(folder / "zygote.log").open("ab"),
            text=True,
            bufsize=1,
        )
        self._threads = [
            threading.Thread(target=self._listen, name="crew-listen", daemon=True),
            threading.Thread(target=self._keep_full, name="crew-keep-full", daemon=True),
        ]
        self._spawning: set[str] = set()
        for thread in self._threads:
            thread.start()

    def pid(self, name: str) -> int | None:
        """The process in that place, if one lives there."""
        with self._lock:
            life = self._current.get(name)
            return life.pid if life else None

    @property
    def living(self) -> int:
        with self._lock:
            return len(self._current)

    def kill(self, name: str) -> bool:
        """SIGKILL; False if nobody was there."""
        with self._lock:
            life = self._current.get(name)
            if life is None or life.ended_by_us:
                return False
            life.ended_by_us = "kill"
            return _send(life.pid, signal.SIGKILL)

    def arm(self, name: str, point: str) -> None:
        """The next worker in that place dies at the fault point, by itself."""
        with self._lock:
            self._armed[name] = point
        self.kill(name)

    def pause(self, name: str, seconds: float) -> None:
        """SIGSTOP, and SIGCONT after a while; returns at once."""
        with self._lock:
            life = self._current.get(name)
            if life is None or life.ended_by_us:
                return
            life.pauses.append((time.time(), time.time() + seconds))
            _send(life.pid, signal.SIGSTOP)
        threading.Timer(seconds, _send, (life.pid, signal.SIGCONT)).start()

    def leave(self, name: str, seconds: float) -> None:
        """SIGTERM; the place stays empty for a while."""
        with self._lock:
            life = self._current.get(name)
            if life is None or life.ended_by_us:
                return
            life.ended_by_us = "leave"
            self._ready_at[name] = time.time() + seconds
            _send(life.pid, signal.SIGCONT)
            _send(life.pid, signal.SIGTERM)

    def disarm(self) -> None:
        """Replace workers that wait for their fault point."""
        with self._lock:
            self._armed = dict.fromkeys(self.names)
            armed = [name for name, life in self._current.items() if life.armed]
        for name in armed:
            self.kill(name)

    def end(self, timeout: float = 45.0) -> None:
        """SIGTERM everybody and wait for the exit codes (seconds)."""
        with self._lock:
            self._stopping = True
            lives = list(self._current.values())
            for life in lives:
                life.ended_by_us = "end"
                _send(life.pid, signal.SIGCONT)
                _send(life.pid, signal.SIGTERM)
        wait_until_sync(lambda: self.living == 0, timeout, "the workers to end")

    def close(self) -> None:
        """End the zygote and whoever is left."""
        self._stopping = True
        assert self._zygote.stdin is not None
        with suppress(OSError):
            self._zygote.stdin.close()
        self._zygote.wait(10)

    def _keep_full(self) -> None:
        while not self._stopping:
            with self._lock:
                for name in self.names:
                    if (
                        name not in self._current
                        and name not in self._spawning
                        and time.time() > self._ready_at[name]
                    ):
                        self._spawn(name)
            time.sleep(0.02)

    def _spawn(self, name: str) -> None:
        self._spawning.add(name)
        environment = dict(self._environment)
        point = self._armed[name]
        environment["WORKFLOW_FAULT_POINT"] = point or ""
        if self._static:
            environment["KAFKA_GROUP_INSTANCE_ID"] = name
        order = {"spawn": name, "env": environment, "log": str(self._folder / f"{name}.log")}
        assert self._zygote.stdin is not None
        with suppress(OSError):
            self._zygote.stdin.write(json.dumps(order) + "\n")

    def _listen(self) -> None:
        assert self._zygote.stdout is not None
        for line in self._zygote.stdout:
            message = json.loads(line)
            with self._lock:
                if "started" in message:
                    self._began(message)
                else:
                    self._ended(message)

    def _began(self, message: dict[str, object]) -> None:
        name = str(message["name"])
        life = Life(name, int(str(message["started"])), float(str(message["time"])), self._armed[name])
        self._armed[name] = None
        self._spawning.discard(name)
        self.lives.append(life)
        self._current[name] = life

    def _ended(self, message: dict[str, object]) -> None:
        for name, life in list(self._current.items()):
            if life.pid == message["ended"]:
                life.ended = float(str(message["time"]))
                life.code = int(str(message["code"]))
                del self._current[name]
                self._ready_at[name] = max(self._ready_at[name], time.time() + RESPAWN_AFTER_S)


def _send(pid: int, number: int) -> bool:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return False
    return True

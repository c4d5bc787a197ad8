"""The workers of a run: every place filled, whoever was killed replaced, their lives written down."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Mapping
from pathlib import Path

from tests.chaos.nursery import Life, Nursery
from tests.support import wait_until_sync

RESPAWN_AFTER_S = 0.1
ARMED_FOR_S = 12.0


class Crew:
    """Keeps every place filled with a worker, unless told to leave it empty."""

    def __init__(
        self, folder: Path, environment: Mapping[str, str], names: list[str], *, static: bool = False
    ) -> None:
        self._folder = folder
        self._environment = dict(environment)
        self._static = static
        self.names = names
        self.lives: list[Life] = []
        self._current: dict[str, Life] = {}
        self._armed: dict[str, str | None] = dict.fromkeys(names)
        self._ready_at: dict[str, float] = dict.fromkeys(names, 0.0)
        self._spawning: set[str] = set()
        self._stopping = False
        self._lock = threading.RLock()
        self._nursery = Nursery(folder / "zygote.log", began=self._began, ended=self._ended)
        threading.Thread(target=self._keep_full, name="crew-keep-full", daemon=True).start()

    def pid(self, name: str) -> int | None:
        """The process in that place, if one lives there."""
        with self._lock:
            life = self._current.get(name)
            return life.pid if life else None

    def waits_for_its_point(self, name: str) -> bool:
        """Whether the worker is armed and has not had long to come to its fault point."""
        with self._lock:
            life = self._current.get(name)
            return bool(life and life.armed and time.time() - life.started < ARMED_FOR_S)

    @property
    def living(self) -> int:
        with self._lock:
            return len(self._current)

    @property
    def kills(self) -> int:
        """How many were killed so far, whoever did it."""
        with self._lock:
            return sum(life.was_killed for life in self.lives)

    def kill(self, name: str) -> bool:
        """SIGKILL; False if nobody was there."""
        with self._lock:
            life = self._current.get(name)
            if life is None or life.ended_by_us:
                return False
            life.ended_by_us = "kill"
            return life.signal(signal.SIGKILL)

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
            life.signal(signal.SIGSTOP)
        threading.Timer(seconds, life.signal, (signal.SIGCONT,)).start()

    def leave(self, name: str, seconds: float) -> None:
        """SIGTERM; the place stays empty for a while."""
        with self._lock:
            life = self._current.get(name)
            if life is None or life.ended_by_us:
                return
            self._ready_at[name] = time.time() + seconds
            life.ask_to_end("leave")

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
            for life in self._current.values():
                life.ask_to_end("end")
        wait_until_sync(lambda: self.living == 0, timeout, "the workers to end")

    def close(self) -> None:
        """End the zygote and whoever is left."""
        self._stopping = True
        self._nursery.close()

    def _keep_full(self) -> None:
        while not self._stopping:
            with self._lock:
                for name in self.names:
                    empty = name not in self._current and name not in self._spawning
                    if empty and time.time() > self._ready_at[name]:
                        self._spawn(name)
            time.sleep(0.02)

    def _spawn(self, name: str) -> None:
        self._spawning.add(name)
        environment = self._environment | {"WORKFLOW_FAULT_POINT": self._armed[name] or ""}
        self._armed[name] = None
        if self._static:
            environment["KAFKA_GROUP_INSTANCE_ID"] = name
        self._nursery.spawn(name, environment, self._folder / f"{name}.log")

    def _began(self, life: Life) -> None:
        with self._lock:
            self._spawning.discard(life.name)
            self.lives.append(life)
            self._current[life.name] = life

    def _ended(self, life: Life) -> None:
        with self._lock:
            if self._current.get(life.name) is life:
                del self._current[life.name]
            self._ready_at[life.name] = max(self._ready_at[life.name], time.time() + RESPAWN_AFTER_S)

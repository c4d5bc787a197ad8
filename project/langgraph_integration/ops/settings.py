"""What an operator sets beside `ConsumerConfig`: where health is served and how logs look."""

import math
import os
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Self, cast

from langgraph_integration import environment as env
from workflow_events.errors import ConfigurationError
from workflow_events.settings import environment_text

LogFormat = Literal["json", "human"]

_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")
_LARGEST_PORT = 65_535


@dataclass(frozen=True, slots=True)
class HttpSettings:
    """Where /livez, /readyz and /metrics are served. Port 0 = not at all."""

    host: str = "127.0.0.1"
    port: int = 8090

    @classmethod
    def from_env(cls, port: int | None = None) -> Self:
        """From `WORKFLOW_HTTP_HOST` and `WORKFLOW_HTTP_PORT`. Raises `ConfigurationError`."""
        chosen = env.integer("WORKFLOW_HTTP_PORT", cls().port) if port is None else port
        if not 0 <= chosen <= _LARGEST_PORT:
            raise ConfigurationError(
                f"WORKFLOW_HTTP_PORT is {chosen}; use 1 to {_LARGEST_PORT}, or 0 for off"
            )
        return cls(host=env.text("WORKFLOW_HTTP_HOST", cls().host), port=chosen)


def worker_count(given: int | None, state_url: str) -> int:
    """How many processes `serve` runs: the option, WORKFLOW_WORKERS, or one per core.

    One where the state is in memory: processes would not know of each other's runs. Raises
    `ConfigurationError`.
    """
    alone = state_url.startswith("memory:")
    chosen = env.integer("WORKFLOW_WORKERS", 1 if alone else available_cores()) if given is None else given
    if chosen < 1:
        raise ConfigurationError(f"WORKFLOW_WORKERS is {chosen}; use 1 or more")
    return chosen


def available_cores() -> int:
    """The cores that this process may use, at least 1: its affinity, and its container's share where it has
    one (cgroup v2).
    """
    affinity = getattr(os, "sched_getaffinity", None)
    cores = len(affinity(0)) if affinity else os.cpu_count() or 1
    with suppress(OSError, ValueError):
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        cores = min(cores, max(1, math.ceil(int(quota) / int(period))))
    return cores


@dataclass(frozen=True, slots=True)
class LogSettings:
    """How the service logs: `json` (one object a line) or `human`."""

    format: LogFormat
    level: str = "INFO"

    @classmethod
    def from_env(cls) -> Self:
        """From `WORKFLOW_LOG_FORMAT` (json or human; unset: human on a terminal, else json) and
        `WORKFLOW_LOG_LEVEL`. Raises `ConfigurationError`.
        """
        form = environment_text("WORKFLOW_LOG_FORMAT") or ("human" if sys.stderr.isatty() else "json")
        if form not in ("json", "human"):
            raise ConfigurationError(f"WORKFLOW_LOG_FORMAT is {form!r}; use json or human")
        level = env.text("WORKFLOW_LOG_LEVEL", "INFO").upper()
        if level not in _LEVELS:
            raise ConfigurationError(f"WORKFLOW_LOG_LEVEL is {level!r}; use one of {', '.join(_LEVELS)}")
        return cls(cast("LogFormat", form), level)

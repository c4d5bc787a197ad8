"""What an operator sets beside `ConsumerConfig`: where health is served and how logs look."""

import sys
from dataclasses import dataclass
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

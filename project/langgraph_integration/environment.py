"""Typed reading of environment variables, each error naming the variable and what it accepts."""

from collections.abc import Callable
from typing import TypeVar

from workflow_events.errors import ConfigurationError
from workflow_events.settings import environment_text, parse_flag

T = TypeVar("T", int, float)


def text(name: str, default: str) -> str:
    """The variable, or `default` where it is unset or blank."""
    return environment_text(name) or default


def flag(name: str, default: bool) -> bool:
    """A boolean; accepts true/false, 1/0, yes/no, on/off in any case."""
    raw = environment_text(name)
    return default if raw is None else parse_flag(raw, name)


def _parsed(name: str, default: T, parse: Callable[[str], T], kind: str) -> T:
    raw = environment_text(name)
    if raw is None:
        return default
    try:
        return parse(raw)
    except ValueError:
        raise ConfigurationError(f"{name} is {raw!r}; use {kind}") from None


def integer(name: str, default: int) -> int:
    """A whole number."""
    return _parsed(name, default, int, "a whole number")


def number(name: str, default: float) -> float:
    """A number, fractions allowed."""
    return _parsed(name, default, float, "a number")

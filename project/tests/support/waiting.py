"""Wait for a condition instead of for a time."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar, overload

T = TypeVar("T")

_INTERVAL = 0.02  # seconds between two looks


@overload
async def wait_until(
    predicate: Callable[[], Awaitable[T | None]], timeout: float = ..., description: str = ...
) -> T: ...


@overload
async def wait_until(
    predicate: Callable[[], T | None], timeout: float = ..., description: str = ...
) -> T: ...


async def wait_until(
    predicate: Callable[[], object], timeout: float = 10.0, description: str = "the condition"
) -> object:
    """The first truthy value of `predicate` (plain or async), looked at every 20 ms.

    `timeout` is in seconds; AssertionError naming `description` when it has passed.
    """
    deadline = time.monotonic() + timeout
    while True:
        answer = predicate()
        value = await answer if inspect.isawaitable(answer) else answer
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {timeout:g} s in vain for {description}; last value: {value!r}")
        await asyncio.sleep(_INTERVAL)


def wait_until_sync(
    predicate: Callable[[], T | None],
    timeout: float = 10.0,
    description: str = "the condition",
    interval: float = _INTERVAL,
) -> T:
    """`wait_until` for tests without an event loop, with an `interval` (s) for looks that cost something."""
    deadline = time.monotonic() + timeout
    while True:
        value = predicate()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {timeout:g} s in vain for {description}; last value: {value!r}")
        time.sleep(interval)

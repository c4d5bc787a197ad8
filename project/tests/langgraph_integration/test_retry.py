"""retry_async: which errors pass by themselves, and how long to wait for that."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Callable
from email.utils import formatdate
from typing import Any

import aiokafka.errors
import pytest
from hypothesis import given
from hypothesis import strategies as st

from langgraph_integration.retry import RetryConfig, is_transient_error, retry_after, retry_async
from tests.langgraph_integration.pipeline.failures import HttpError
from workflow_events.errors import (
    ConfigurationError,
    NotJson,
    StoreUnavailable,
    UnknownGraph,
    WorkflowTimeout,
)

AT_ONCE = RetryConfig(initial_delay=0.0, jitter=False)


def failing(*errors: BaseException) -> tuple[Callable[..., Any], list[tuple[Any, ...]]]:
    """A function that raises these one after the other and then returns `done`, and its calls."""
    calls: list[tuple[Any, ...]] = []

    async def function(*args: object, **kwargs: object) -> str:
        calls.append((*args, kwargs))
        if len(calls) <= len(errors):
            raise errors[len(calls) - 1]
        return "done"

    return function, calls


async def test_a_call_that_works_is_made_once() -> None:
    """With its arguments, and its value comes back."""
    function, calls = failing()

    assert await retry_async(function, 1, config=AT_ONCE, key="x") == "done"
    assert calls == [(1, {"key": "x"})]


async def test_transient_errors_are_retried() -> None:
    """Until the call works."""
    function, calls = failing(ConnectionError("a"), TimeoutError("b"), OSError("c"))

    assert await retry_async(function, config=AT_ONCE) == "done"
    assert len(calls) == 4


async def test_after_the_last_retry_the_last_error_is_raised_as_it_is() -> None:
    """`max_retries + 1` calls in all."""
    last = ConnectionError("fourth")
    function, calls = failing(*(ConnectionError(f"{n}") for n in range(3)), last)

    with pytest.raises(ConnectionError) as raised:
        await retry_async(function, config=AT_ONCE)
    assert raised.value is last
    assert len(calls) == 4


async def test_permanent_errors_are_raised_after_one_call() -> None:
    """No retry mends them."""
    function, calls = failing(ValueError("bad"))

    with pytest.raises(ValueError, match="bad"):
        await retry_async(function, config=AT_ONCE)
    assert len(calls) == 1


async def test_no_retries_means_one_call() -> None:
    """`max_retries=0` is a value."""
    function, calls = failing(ConnectionError())

    with pytest.raises(ConnectionError):
        await retry_async(function, config=RetryConfig(max_retries=0))
    assert len(calls) == 1


async def test_cancelling_ends_the_wait() -> None:
    """A stop does not wait for a backoff."""
    function, calls = failing(ConnectionError())
    waiting = asyncio.create_task(retry_async(function, config=RetryConfig(initial_delay=60)))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.wait({waiting}, timeout=1)

    assert waiting.cancelled()
    assert len(calls) == 1


def test_the_guides_delays() -> None:
    """One, two, four seconds; then capped."""
    config = RetryConfig(jitter=False)

    assert (config.max_retries, config.initial_delay, config.max_delay) == (3, 1.0, 60.0)
    assert (config.exponential_base, RetryConfig().jitter) == (2.0, True)
    assert list(config.delays()) == [1.0, 2.0, 4.0]
    assert config.delay(6) == 60.0
    assert config.delay(100_000) == 60.0


@given(st.integers(0, 2000), st.floats(0, 100), st.floats(0, 1000), st.floats(1, 10))
def test_jitter_keeps_a_delay_between_half_and_all_of_its_base(
    retry: int, initial: float, longest: float, base: float
) -> None:
    """Never zero by chance, never beyond the cap."""
    options = {"initial_delay": initial, "max_delay": longest, "exponential_base": base}
    plain = RetryConfig(**options, jitter=False).delay(retry)  # type: ignore[arg-type]  # floats all

    assert plain <= longest
    assert plain / 2 <= RetryConfig(**options).delay(retry) <= plain  # type: ignore[arg-type]  # floats all


async def test_waits_go_through_asyncio_sleep() -> None:
    """They take the time that was asked for."""
    function, _ = failing(ConnectionError())
    began = time.monotonic()
    await retry_async(function, config=RetryConfig(initial_delay=0.2, jitter=False))

    assert 0.19 <= time.monotonic() - began < 2


class KafkaConnectionError(Exception):
    """Of some other library; the guide's list goes by name."""


class RateLimitError(Exception):
    """As a model SDK has it, without a status."""


class ReadTimeout(Exception):
    """As httpx has it: under TimeoutException."""


class TimeoutException(Exception):
    """httpx's base of timeouts."""


class ConnectTimeout(TimeoutException):
    """A child of it."""


TRANSIENT = [
    ConnectionError(),
    ConnectionResetError(),
    TimeoutError(),
    OSError("network is unreachable"),
    BlockingIOError(),
    WorkflowTimeout("timed out"),
    KafkaConnectionError(),
    RateLimitError(),
    ConnectTimeout(),
    HttpError("", 408),
    HttpError("", 425),
    HttpError("", 429),
    HttpError("", 500),
    HttpError("", 503),
    HttpError("", 529),
    *(
        getattr(aiokafka.errors, name)()
        for name in (
            "KafkaTimeoutError",
            "KafkaConnectionError",
            "LeaderNotAvailableError",
            "NotLeaderForPartitionError",
            "RequestTimedOutError",
            "CoordinatorNotAvailableError",
            "CoordinatorLoadInProgressError",
            "NotCoordinatorError",
            "GroupCoordinatorNotAvailableError",
            "NotEnoughReplicasError",
            "NotEnoughReplicasAfterAppendError",
            "BrokerNotAvailableError",
        )
        if hasattr(aiokafka.errors, name)
    ),
]

PERMANENT = [
    ValueError(),
    TypeError(),
    KeyError(),
    RuntimeError(),
    ZeroDivisionError(),
    FileNotFoundError(),
    FileExistsError(),
    PermissionError(),
    IsADirectoryError(),
    NotADirectoryError(),
    UnicodeDecodeError("utf-8", b"", 0, 1, ""),
    ssl.SSLCertVerificationError("refused"),
    HttpError("", 400),
    HttpError("", 401),
    HttpError("", 404),
    HttpError("", 422),
    UnknownGraph("x"),
    NotJson("x", path="x"),
    StoreUnavailable("its own kind: neither retried nor given up"),
    ReadTimeout(),
    aiokafka.errors.MessageSizeTooLargeError(),
]


@pytest.mark.parametrize("error", TRANSIENT, ids=lambda error: repr(error))
def test_these_errors_pass_by_themselves(error: Exception) -> None:
    """Connections, timeouts, overload, and the guide's list by class name."""
    assert is_transient_error(error)


@pytest.mark.parametrize("error", PERMANENT, ids=lambda error: repr(error))
def test_these_errors_do_not(error: Exception) -> None:
    """Mistakes, missing files, refused permissions, requests that are wrong."""
    assert not is_transient_error(error)


def test_retry_after_is_read_in_both_forms() -> None:
    """Seconds, or a date (RFC 9110, 10.2.3); anything else is no wish."""
    later = formatdate(time.time() + 100, usegmt=True)

    assert retry_after(HttpError("", 429, {"retry-after": "7"})) == 7
    assert retry_after(HttpError("", 429, {"Retry-After": "-7"})) == 0
    assert 95 < (retry_after(HttpError("", 429, {"Retry-After": later})) or 0) <= 100
    assert retry_after(HttpError("", 429, {"Retry-After": "soon"})) is None
    assert retry_after(HttpError("", 429)) is None
    assert retry_after(ValueError()) is None


@pytest.mark.parametrize("wish", ["nan", "inf", "1e999"])
async def test_a_wish_that_is_no_time_is_ignored(wish: str) -> None:
    """A server must not make us wait for ever."""
    function, calls = failing(HttpError("", 503, {"retry-after": wish}))
    config = RetryConfig(initial_delay=0.0, max_delay=0.01)

    assert await asyncio.wait_for(retry_async(function, config=config), 5) == "done"
    assert len(calls) == 2


@pytest.mark.parametrize(
    "options",
    [{"max_retries": -1}, {"initial_delay": -1.0}, {"max_delay": -1.0}, {"exponential_base": 0.5}],
)
def test_settings_that_make_no_sense_are_refused(options: dict[str, Any]) -> None:
    """When they are made, not at the first error."""
    with pytest.raises(ConfigurationError):
        RetryConfig(**options)

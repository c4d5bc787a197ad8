"""Retries: which errors pass by themselves, and how long to wait for that."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from time import time
from typing import Any, TypeVar

from workflow_events.errors import ConfigurationError

T = TypeVar("T")

# Errors are told by class name, so that no client library has to be imported to know its errors.
_TRANSIENT_NAMES = frozenset(
    {
        # Kafka: the guide's list, whatever library raises them
        "KafkaTimeoutError",
        "KafkaConnectionError",
        "BrokerNotAvailableError",
        "LeaderNotAvailableError",
        "NotLeaderForPartitionError",
        "RequestTimedOutError",
        "CoordinatorNotAvailableError",
        "CoordinatorLoadInProgressError",
        "NotCoordinatorError",
        "GroupCoordinatorNotAvailableError",
        "NotEnoughReplicasError",
        "NotEnoughReplicasAfterAppendError",
        # httpx
        "TimeoutException",
        "NetworkError",
        "RemoteProtocolError",
        # model SDKs
        "APIConnectionError",
        "APITimeoutError",
        "RateLimitError",
        "ServiceUnavailableError",
        "OverloadedError",
    }
)
_PERMANENT_OS_ERRORS = (
    FileNotFoundError,
    FileExistsError,
    PermissionError,
    IsADirectoryError,
    NotADirectoryError,
)
_TRANSIENT_STATUS = frozenset({408, 425, 429})


@dataclass(frozen=True, slots=True)
class RetryConfig:
    """How often and how long. Delays are seconds; `max_retries=0` means one try and no retry."""

    max_retries: int = 3
    initial_delay: float = 1.0
    max_delay: float = 60.0
    exponential_base: float = 2.0
    jitter: bool = True

    def __post_init__(self) -> None:
        if self.max_retries < 0:
            raise ConfigurationError(f"max_retries is {self.max_retries}; it must not be negative")
        if self.initial_delay < 0 or self.max_delay < 0:
            raise ConfigurationError("initial_delay and max_delay are seconds and must not be negative")
        if self.exponential_base < 1:
            raise ConfigurationError(f"exponential_base is {self.exponential_base}; it must be at least 1")

    def delay(self, retry: int) -> float:
        """Seconds before retry number `retry`, counted from 0, with jitter if that is on."""
        try:
            base = min(self.initial_delay * self.exponential_base**retry, self.max_delay)
        except OverflowError:
            base = self.max_delay
        return base * random.uniform(0.5, 1.0) if self.jitter else base

    def delays(self) -> Iterator[float]:
        """The waits between `max_retries + 1` tries."""
        return (self.delay(retry) for retry in range(self.max_retries))


def is_transient_error(exc: BaseException) -> bool:
    """Whether another try may succeed.

    An HTTP status decides where the error carries one: 408, 425, 429 and 5xx are transient, every other
    is not. Then come connection, timeout and other OS errors (but not a missing file or a refused
    permission), errors that call themselves retriable, and the guide's list and the transport errors of
    httpx and the model SDKs by class name.
    """
    status = status_code(exc)
    if status is not None:
        return status in _TRANSIENT_STATUS or 500 <= status <= 599
    if isinstance(exc, _PERMANENT_OS_ERRORS):
        return False
    if isinstance(exc, OSError):
        # a refused certificate is an OSError and a ValueError; no retry mends it
        return not isinstance(exc, ValueError)
    if getattr(exc, "retriable", None) is True:
        return True
    return any(cls.__name__ in _TRANSIENT_NAMES for cls in type(exc).__mro__)


def status_code(exc: BaseException) -> int | None:
    """The HTTP status that the error or its response carries, or `None`."""
    for holder in (exc, getattr(exc, "response", None)):
        status = getattr(holder, "status_code", None)
        if isinstance(status, int) and 100 <= status <= 599:
            return int(status)
    return None


def retry_after(exc: BaseException) -> float | None:
    """Seconds that the server asked to wait (Retry-After, RFC 9110 section 10.2.3), or `None`."""
    headers = getattr(getattr(exc, "response", None), "headers", None)
    try:
        raw = headers.get("retry-after") or headers.get("Retry-After")  # type: ignore[union-attr]  # any mapping
    except AttributeError:
        return None
    if not raw:
        return None
    try:
        return max(0.0, float(raw))
    except ValueError:
        pass
    try:
        return max(0.0, parsedate_to_datetime(str(raw)).timestamp() - time())
    except (ValueError, TypeError):
        return None


def wait_before_retry(config: RetryConfig, retry: int, error: BaseException) -> float:
    """Seconds to wait: the backoff, or the server's wish where that is longer, capped at `max_delay`."""
    wish = retry_after(error) or 0.0
    return max(config.delay(retry), min(wish, config.max_delay))


async def retry_async(
    func: Callable[..., Awaitable[T]], *args: Any, config: RetryConfig | None = None, **kwargs: Any
) -> T:
    """What `func` returns, after at most `max_retries + 1` calls.

    Permanent errors and the last transient one are raised as they are. Waits go through
    `asyncio.sleep`.
    """
    config = config or RetryConfig()
    for retry in range(config.max_retries):
        try:
            return await func(*args, **kwargs)
        except Exception as error:
            if not is_transient_error(error):
                raise
            await asyncio.sleep(wait_before_retry(config, retry, error))
    return await func(*args, **kwargs)

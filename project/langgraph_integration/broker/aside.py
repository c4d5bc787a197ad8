"""Blocking calls of librdkafka, made in threads that nobody has to wait for."""

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import ParamSpec, TypeVar

from workflow_events.errors import BrokerUnavailable

P = ParamSpec("P")
T = TypeVar("T")


async def aside(call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """What the blocking call returns, made in a thread of its own.

    Not in the loop's pool, which may be full of running nodes; and not in a pool at all, because the
    interpreter waits for the threads of pools before it ends, also for one that asks a broker which does
    not answer. Cancelling leaves the call to itself. Raises `BrokerUnavailable` where no thread can be had.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def settle(result: T | None, error: BaseException | None) -> None:
        if future.done():
            return
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(result)  # type: ignore[arg-type]  # None only where T is None

    def work() -> None:
        result: T | None = None
        failure: BaseException | None = None
        try:
            result = call(*args, **kwargs)
        except BaseException as error:  # noqa: BLE001 - carried over to the caller
            failure = error
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(settle, result, failure)

    try:
        threading.Thread(target=work, name="kafka-aside", daemon=True).start()
    except RuntimeError as error:
        raise BrokerUnavailable(f"the broker cannot be asked: {error}") from error
    return await future

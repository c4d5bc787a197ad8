"""A question to the brokers that is asked beside the reading."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Generic, TypeVar

T = TypeVar("T")


class AskedBeside(Generic[T]):
    """Asks in a thread of its own, one question at a time, while its owner goes on.

    A broker answers the requests of a connection one after another, so a question waits for a fetch that
    waits for records. The owner looks for the answer now and then, from one thread.
    """

    def __init__(self, ask: Callable[[], T], name: str) -> None:
        self._ask = ask
        self._name = name
        self._under_way: Future[T] | None = None

    def begin(self) -> None:
        """Ask. Nothing happens if the last answer has not been taken yet."""
        if self._under_way is None:
            self._under_way = Future()
            threading.Thread(target=self._run, args=(self._under_way,), name=self._name, daemon=True).start()

    def take(self) -> T | None:
        """The answer, None as long as there is none. Raises what asking raised."""
        answer = self._under_way
        if answer is None or not answer.done():
            return None
        self._under_way = None
        return answer.result()

    def wait(self) -> None:
        """Until nothing is under way: what is asked may be closed then."""
        if self._under_way is not None:
            self._under_way.exception()

    def _run(self, answer: Future[T]) -> None:
        try:
            answer.set_result(self._ask())
        except Exception as error:  # noqa: BLE001 - it belongs to whoever takes the answer
            answer.set_exception(error)

"""Tests that mostly wait, told side by side: all are begun with the first one, each is reported by itself."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from tests.support.airflow_chain import Chain

Story = Callable[[Chain, Path], None]
"""A test's body: it gets the running chain, and a folder of its own."""

_AT_ONCE: Final = 5
"""More would only wait for each other: two cores start an Airflow task in a second or two."""


class Stories:
    """The stories under way."""

    def __init__(self, running: dict[Story, Future[None]]) -> None:
        self._running = running

    def end_of(self, body: Story) -> None:
        """Wait for one. Raises what it raised."""
        self._running[body].result()

    def wait_for_all(self) -> None:
        """Until the machine is calm again, for those who measure a time or pause a broker."""
        wait(self._running.values())


def story(body: Story) -> Callable[[Stories], None]:
    """Make a test of a body. It may not hang on what runs beside it."""

    def test(stories: Stories) -> None:
        stories.end_of(body)

    test.__name__, test.__qualname__, test.__doc__ = body.__name__, body.__qualname__, body.__doc__
    test.__module__ = body.__module__
    vars(test)["story"] = body
    return test


@contextmanager
def begun(functions: Iterable[Any], chain: Chain, folder: Path) -> Iterator[Stories]:
    """Begin the stories among these test functions, in a few threads."""
    with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="story") as pool:
        running: dict[Story, Future[None]] = {}
        for body in (function.story for function in functions if hasattr(function, "story")):
            own = folder / body.__name__
            own.mkdir(parents=True)
            running[body] = pool.submit(body, chain, own)
        try:
            yield Stories(running)
        finally:
            pool.shutdown(cancel_futures=True)

"""The ticker: it notes what it could not do in time, and tells a machine from its disk."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.chaos.stalls import STALL_S, Ticker, synced_byte
from tests.support import wait_until_sync


def _slow() -> None:
    time.sleep(STALL_S + 0.1)


def _nothing() -> None: ...


@pytest.mark.parametrize(
    ("touch", "every", "what"), [(_nothing, STALL_S + 0.1, "machine"), (_slow, 0.01, "disk")]
)
def test_a_late_tick_is_a_stall(touch: Callable[[], None], every: float, what: str) -> None:
    """With its beginning and its end."""
    began = time.time()
    ticker = Ticker(touch, every=every)
    ticker.start()
    wait_until_sync(lambda: bool(ticker.stalls), 10, "a stall")
    ticker.end()

    since, until, of_what = ticker.stalls[0]
    assert of_what == what
    assert until - since > STALL_S
    assert began - 0.1 <= since < until <= time.time()


def test_ticks_in_time_are_no_stalls(tmp_path: Path) -> None:
    """A byte is written each time, and the file does not grow."""
    written: list[int] = []
    write = synced_byte(tmp_path / "tick")

    def touch() -> None:
        write()
        written.append((tmp_path / "tick").stat().st_size)

    ticker = Ticker(touch, every=0.01)
    ticker.start()
    wait_until_sync(lambda: len(written) >= 3, 10, "three ticks")
    ticker.end()
    ticker.end()

    assert set(written) == {1}

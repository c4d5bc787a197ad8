"""StartPace: how many runs may start in one turn of the event loop, found by measuring the turns."""

_LONGEST_TURN_S = 0.05
"""A third of this is what a heartbeat, a health check or another run's answer may wait."""

_MOST = 64


class StartPace:
    """Additive increase, multiplicative decrease, as TCP's congestion window (RFC 5681).

    A thousand runs started at once make the loop deaf for most of a second, and wake up together ever
    after; started as the loop can take them they are ready sooner in sum. No rate is fixed: a run may cost
    a tenth of a millisecond or ten.
    """

    def __init__(self, *, longest_turn_s: float = _LONGEST_TURN_S) -> None:
        self._longest_turn_s = longest_turn_s
        self._window = 8

    @property
    def starts(self) -> int:
        """How many runs may start in the next turn; at least one."""
        return self._window

    def turned(self, seconds: float) -> None:
        """The last turn took so long."""
        if seconds > self._longest_turn_s:
            self._window = max(1, self._window // 2)
        else:
            self._window = min(_MOST, self._window + 1)

"""DeadLetterLimit: stops the intake after a bad deploy instead of emptying the topic into dead letters."""

import time
from collections import Counter, deque
from collections.abc import Callable

from langgraph_integration.pipeline.happenings import Happening, VerdictPublished
from workflow_events.errors import ConfigurationError

_SPAN_S = 300.0
_PROBE_S = 30.0
_RECOVERY = 10
_STREAK = 5
_CAREFUL = 10
_SMALLEST_SHARE = 20


class DeadLetterLimit:
    """Trips when more than `ratio` of the last `window` runs ended `error` within five minutes.

    Tripped, it lets one event through every 30 s and opens again after 10 successes; one that comes to
    nothing that counts gives its turn back, and one that hangs keeps no other from trying. Before that, once
    5 runs in a row ended so, only 10 may be in flight until one succeeds: all that are in flight when it
    trips become dead letters, too. Runs count, and events for a graph that is not there; never records that
    cannot be decoded, nor verdicts that are sent again. `"0"` switches it off.
    """

    def __init__(self, setting: str, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._ratio, self._window = _parse(setting)
        self._clock = clock
        self._ends: deque[tuple[float, str | None]] = deque(maxlen=self._window or None)
        self._tripped = False
        self._successes = 0
        self._errors_in_a_row = 0
        self._next_probe_at = 0.0
        self._counted = 0

    def observe(self, happening: Happening) -> None:
        """Count it, if a run of this process ended so."""
        match happening:
            case VerdictPublished(status=status, reason=reason, duration_s=duration_s):
                if duration_s > 0:
                    self.record(reason if status == "error" else None)

    def record(self, error_type: str | None) -> None:
        """A run ended; `error_type` is `None` unless it ended `error`."""
        if self._window == 0:
            return
        now = self._clock()
        self._counted += 1
        self._ends.append((now, error_type))
        self._errors_in_a_row = self._errors_in_a_row + 1 if error_type else 0
        if self._tripped:
            self._successes = 0 if error_type else self._successes + 1
            if self._successes >= _RECOVERY:
                self._tripped = False
                self._ends.clear()
            elif error_type is None:
                # one success raises hope: do not wait for the next without need
                self._next_probe_at = now
            return
        if error_type and self._errors_since(now - _SPAN_S) > self._ratio * self._window:
            self._tripped = True
            self._successes = 0
            self._next_probe_at = now + _PROBE_S

    def _errors_since(self, then: float) -> int:
        return sum(1 for at, error in self._ends if error is not None and at >= then)

    @property
    def tripped(self) -> bool:
        """Whether the intake is held."""
        return self._tripped

    @property
    def commonest_error(self) -> str:
        """The error type that most runs of the window ended with."""
        counts = Counter(error for _, error in self._ends if error is not None)
        return counts.most_common(1)[0][0] if counts else "none"

    @property
    def counted(self) -> int:
        """Runs that were counted so far."""
        return self._counted

    def over(self, counted: int) -> None:
        """What was let through when so many had been `counted` is over: was none since, its turn is free."""
        if self._tripped and counted == self._counted:
            self._next_probe_at = self._clock()

    def may_start(self, in_flight: int) -> bool:
        """Whether `allows` would say yes; asking does not use the turn up."""
        if self._tripped:
            return self._clock() >= self._next_probe_at
        return self._errors_in_a_row < _STREAK or in_flight < _CAREFUL

    def allows(self, in_flight: int) -> bool:
        """Whether one more run may start now. Tripped: one every 30 s, and one after each success."""
        allowed = self.may_start(in_flight)
        if allowed and self._tripped:
            self._next_probe_at = self._clock() + _PROBE_S
        return allowed


def share_of(setting: str, workers: int) -> str:
    """The setting of each of so many workers that see the same graphs, so that together they keep it.

    A window of fewer than 20 runs would trip by chance, so none is made smaller than that.
    """
    ratio, window = _parse(setting)
    return setting if window == 0 else f"{ratio:g}/{min(window, max(_SMALLEST_SHARE, window // workers))}"


def _parse(setting: str) -> tuple[float, int]:
    if setting.strip() == "0":
        return 1.0, 0
    try:
        ratio_text, _, window_text = setting.partition("/")
        ratio, window = float(ratio_text), int(window_text)
    except ValueError:
        ratio, window = 0.0, 0
    if not 0 < ratio < 1 or window < 1:
        raise ConfigurationError(
            f"WORKFLOW_DEAD_LETTER_LIMIT is {setting!r}; use RATIO/WINDOW such as 0.5/200, or 0 for off"
        )
    return ratio, window

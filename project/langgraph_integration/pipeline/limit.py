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
_SMALLEST_WINDOW = 20
_SMALLEST_MOST = 10


class DeadLetterLimit:
    """Trips when more than `ratio` of the last `window` runs ended `error` within five minutes.

    Tripped, it lets one event through every 30 s and opens again after 10 successes; one that comes to
    nothing that counts gives its turn back, and one that hangs keeps no other from trying.

    All that are in flight when it trips become dead letters, too, and where runs fail late all places are
    taken by then. So there is an allowance: if all that are in flight failed, errors of the window would be
    more than the successes since the start by `most` and no more. It doubles with each round of successes;
    after 5 errors in a row the successes are forgotten, and only 10 may be in flight until one succeeds.

    Runs count, and events for a graph that is not there; never records that cannot be decoded, nor verdicts
    that are sent again. The setting is `ratio/window` or `ratio/window/most`; `"0"` switches it off.
    """

    def __init__(self, setting: str, *, clock: Callable[[], float] = time.monotonic) -> None:
        ratio, self._window, self._most = _parse(setting)
        self._allowed_errors = min(ratio * self._window, self._most - 1)
        self._clock = clock
        self._ends: deque[tuple[float, str | None]] = deque(maxlen=self._window or None)
        self._tripped = False
        self._successes = 0  # since the start, since it tripped, or since errors in a row
        self._errors_in_a_row = 0
        self._distrusts = False
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
        if error_type is None:
            self._successes += 1
            self._distrusts = self._distrusts and self._successes < self._most
        elif self._tripped or self._errors_in_a_row >= _STREAK:
            self._successes = 0
            self._distrusts = True
        if self._tripped:
            if self._successes >= _RECOVERY:
                self._tripped = False
                self._ends.clear()
            elif error_type is None:
                # one success raises hope: do not wait for the next without need
                self._next_probe_at = now
            return
        if error_type and self._errors_since(now - _SPAN_S) > self._allowed_errors:
            self._tripped = True
            self._successes = 0
            self._next_probe_at = now + _PROBE_S

    def _errors_since(self, then: float) -> int:
        return sum(1 for at, error in tuple(self._ends) if error is not None and at >= then)

    @property
    def tripped(self) -> bool:
        """Whether the intake is held."""
        return self._tripped

    @property
    def careful(self) -> bool:
        """Whether errors in a row keep all but 10 runs from being in flight; for five minutes at most."""
        recent = any(at >= self._clock() - _SPAN_S for at, _ in tuple(self._ends)[-1:])
        return recent and not self._tripped and self._errors_in_a_row >= _STREAK

    def held_by_errors(self, in_flight: int) -> bool:
        """Whether nothing may start, and errors are the reason: not that nothing has succeeded yet."""
        return self._distrusts and not self._tripped and not self.may_start(in_flight)

    @property
    def commonest_error(self) -> str:
        """The error type that most runs of the window ended with."""
        counts = Counter(error for _, error in tuple(self._ends) if error is not None)
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
        # as long as it has not tripped, one more than the successes is always allowed: count no errors then
        return self._window == 0 or in_flight <= self._successes or in_flight < self._allowance()

    def _allowance(self) -> int:
        left = self._most - self._errors_since(self._clock() - _SPAN_S)
        return min(left, _CAREFUL) if self.careful else left + self._successes

    def allows(self, in_flight: int) -> bool:
        """Whether one more run may start now. Tripped: one every 30 s, and one after each success."""
        allowed = self.may_start(in_flight)
        if allowed and self._tripped:
            self._next_probe_at = self._clock() + _PROBE_S
        return allowed


def share_of(setting: str, workers: int) -> str:
    """The setting of each of so many workers that see the same graphs, so that together they keep it.

    A window of fewer than 20 runs would trip by chance, and so would fewer than 10 dead letters: neither
    is made smaller than that.
    """
    ratio, window, most = _parse(setting)
    if window == 0:
        return setting
    return f"{ratio:g}/{_part(window, workers, _SMALLEST_WINDOW)}/{_part(most, workers, _SMALLEST_MOST)}"


def _part(whole: int, workers: int, smallest: int) -> int:
    return min(whole, max(smallest, whole // workers))


def _parse(setting: str) -> tuple[float, int, int]:
    if setting.strip() == "0":
        return 1.0, 0, 0
    try:
        ratio_text, window_text, *most_text = setting.split("/", 2)
        ratio, window = float(ratio_text), int(window_text)
        most = int(most_text[0]) if most_text else window
    except ValueError:
        ratio, window, most = 0.0, 0, 0
    if not 0 < ratio < 1 or window < 1 or most < 1:
        raise ConfigurationError(
            f"WORKFLOW_DEAD_LETTER_LIMIT is {setting!r}; use RATIO/WINDOW such as 0.5/200, "
            "RATIO/WINDOW/MOST, or 0 for off"
        )
    return ratio, window, most

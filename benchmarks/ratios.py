"""Ratios of contestants over interleaved pairs, and the bars they are held against."""

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from benchmarks.measure import Measure


@dataclass(frozen=True, slots=True)
class Spread:
    """Minimum, median and maximum over the repetitions of one figure."""

    low: float
    median: float
    high: float
    count: int

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread":
        """From one value of each repetition."""
        return cls(min(values), statistics.median(values), max(values), len(values))

    def text(self, digits: int = 2) -> str:
        """The median, and the others where there are any."""
        if self.count == 1:
            return f"{self.median:.{digits}f}"
        return f"{self.median:.{digits}f} ({self.low:.{digits}f}-{self.high:.{digits}f})"

    def __str__(self) -> str:
        return self.text()


@dataclass(frozen=True, slots=True)
class Bar:
    """A figure and what it must reach. The median counts."""

    text: str
    spread: Spread
    limit: float
    kind: Literal["at least", "at most"]
    unit: str = ""

    @property
    def met(self) -> bool:
        """Whether it is reached."""
        if self.kind == "at least":
            return self.spread.median >= self.limit
        return self.spread.median <= self.limit


@dataclass(slots=True)
class Section:
    """One workload: what it is, all its measures by label, its bars, and other figures worth a line."""

    key: str
    title: str
    text: str
    measures: dict[str, list[Measure]] = field(default_factory=dict)
    bars: list[Bar] = field(default_factory=list)
    figures: list[tuple[str, str]] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    """What did not come to its end, and why."""

    def ratio(self, text: str, ours: str, other: str, limit: float) -> None:
        """A bar on the ratio of two rates, pair by pair. Nothing where one of them was left out."""
        if not (pairs := self._pairs(ours, other)):
            return
        self.bars.append(Bar(text, _rates(pairs), limit, "at least"))
        self.figures.append((f"{text}: the same in processor time per event", _cpu(pairs)))

    def beside(self, text: str, ours: str, other: str) -> None:
        """A ratio of two rates that no bar is about, as a figure."""
        if pairs := self._pairs(ours, other):
            self.figures.append((text, f"{_rates(pairs)}; in processor time per event {_cpu(pairs)}"))

    def _pairs(self, ours: str, other: str) -> list[tuple[Measure, Measure]]:
        # only whole turns: one that failed has no turns after it
        return list(zip(self.measures.get(ours, []), self.measures.get(other, []), strict=False))

    def at_most(self, text: str, label: str, value: Callable[[Measure], float], limit: float) -> None:
        """A bar on one figure of one contestant, in seconds."""
        measures = self.measures.get(label)
        if measures:
            spread = Spread.of([value(each) for each in measures])
            self.bars.append(Bar(text, spread, limit, "at most", "s"))


def _rates(pairs: Sequence[tuple[Measure, Measure]]) -> Spread:
    return Spread.of([mine.rate / theirs.rate for mine, theirs in pairs])


def _cpu(pairs: Sequence[tuple[Measure, Measure]]) -> str:
    return Spread.of([theirs.cpu_ms / mine.cpu_ms for mine, theirs in pairs]).text()


def told(error: Exception) -> str:
    """Its text with its kind: the text alone may be empty."""
    return f"{type(error).__name__}: {error}"


def interleaved(
    contestants: Mapping[str, Callable[[], Measure]], pairs: int, said: Callable[[str], None]
) -> tuple[dict[str, list[Measure]], list[str]]:
    """Run all in turn, `pairs` times, every other time in the opposite order; what drifts hits all alike.

    Returns the measures by label, and what failed: whoever does is left out of the turns that follow.
    """
    measures: dict[str, list[Measure]] = {label: [] for label in contestants}
    failures: dict[str, str] = {}
    for number in range(pairs):
        turn = list(contestants.items())
        for label, run in turn if number % 2 == 0 else reversed(turn):
            if label in failures:
                continue
            try:
                measure = run()
            except Exception as error:  # noqa: BLE001 - whatever ails one contestant, the others are measured
                failures[label] = f"{label}, repetition {number + 1}: {told(error)}"
                said(f"  failed: {failures[label]}")
                continue
            measures[label].append(measure)
            said(
                f"  {label}: {measure.rate:.0f} events/s in {measure.seconds:.2f} s, "
                f"{measure.cpu_ms:.2f} ms CPU each"
            )
    return {label: each for label, each in measures.items() if each}, list(failures.values())

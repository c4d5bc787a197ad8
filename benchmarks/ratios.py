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

    def ratio(self, text: str, ours: str, other: str, limit: float) -> None:
        """A bar on the ratio of two rates, pair by pair. Nothing where one of them was left out."""
        pairs = list(zip(self.measures.get(ours, []), self.measures.get(other, []), strict=False))
        if not pairs:
            return
        rates = Spread.of([mine.rate / theirs.rate for mine, theirs in pairs])
        self.bars.append(Bar(text, rates, limit, "at least"))
        cpu = Spread.of([theirs.cpu_ms / mine.cpu_ms for mine, theirs in pairs])
        self.figures.append((f"{text}: the same in processor time per event", f"{cpu.median:.2f}"))

    def at_most(self, text: str, label: str, value: Callable[[Measure], float], limit: float) -> None:
        """A bar on one figure of one contestant, in seconds."""
        measures = self.measures.get(label)
        if measures:
            spread = Spread.of([value(each) for each in measures])
            self.bars.append(Bar(text, spread, limit, "at most", "s"))


def interleaved(
    contestants: Mapping[str, Callable[[], Measure]], pairs: int, said: Callable[[str], None]
) -> dict[str, list[Measure]]:
    """Run all in turn, `pairs` times, every other time in the opposite order; what drifts hits all alike."""
    measures: dict[str, list[Measure]] = {label: [] for label in contestants}
    for number in range(pairs):
        turn = list(contestants.items())
        for label, run in turn if number % 2 == 0 else reversed(turn):
            measure = run()
            measures[label].append(measure)
            said(
                f"  {label}: {measure.rate:.0f} events/s in {measure.seconds:.2f} s, "
                f"{measure.cpu_ms:.2f} ms CPU each"
            )
    return measures

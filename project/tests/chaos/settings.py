"""What a run of the programme is told."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tests.chaos.nemesis import MOODS, Mood
from tests.chaos.stores import StoreName


@dataclass(frozen=True, slots=True)
class RunSettings:
    """Times are seconds. The same seed gives the same records and the same schedule of faults."""

    seed: int
    report: Path
    seconds: float = 60.0
    store: StoreName = "sqlite"
    workers: int = 4
    partitions: int = 12
    nodes: int = 1
    static: bool = False
    """Static membership: a worker that comes back takes its old place without a rebalance."""
    events: int = 1_000_000
    session: float = 2.0
    heartbeat: float = 0.5
    max_claims: int = 8
    slots: int = 20
    drain: float = 25.0
    """How long a worker that is asked to end may let its runs go on."""
    settle: float = 300.0
    """How long the end may take after the last fault."""
    mood: str = "fierce"
    """A name of `nemesis.MOODS`: how hard it is on them."""

    @property
    def pressure(self) -> Mood:
        return MOODS[self.mood]

    @property
    def names(self) -> list[str]:
        return [f"worker-{number}" for number in range(self.workers)]

    def command(self) -> str:
        """What repeats this run."""
        parts = [f"python -m tests.chaos --seed {self.seed} --seconds {self.seconds:g} --store {self.store}"]
        parts.append(f"--workers {self.workers} --nodes {self.nodes} --mood {self.mood}")
        return " ".join(parts + (["--static"] if self.static else []))

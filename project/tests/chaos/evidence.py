"""What is known about a run when it is over: everything the oracle judges by, and nothing of the product."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise

from tests.chaos.recipes import Kind, Role

CLOCKS_S = 0.05
"""Two clocks of one machine, milliseconds at the broker, and the way of a log line."""


SIZES_EVERY_S, LAG_S = 0.5, 1.0
"""How often a worker notes its size, and how late that may be without being called a lag."""


@dataclass(frozen=True, slots=True)
class Ask:
    """A record of the events topic. Times, here and below, are seconds since 1970."""

    role: Role
    event_id: str | None
    attempt: int
    partition: int
    offset: int
    time: float
    kind: Kind | None = None
    lasts: Mapping[str, float] = field(default_factory=dict)
    """How long its recipe makes each node last; nothing for a record without one."""
    token: str | None = None
    """What each node that runs for it says of its thread and its input; None in older evidence, too."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A record of the results topic; `digest` stands for its bytes, `time` is when the broker appended it."""

    event_id: str
    attempt: int
    status: str
    result_id: str
    digest: str
    time: float
    path: tuple[str, ...] = ()
    error: str | None = None
    tokens: tuple[str, ...] | None = None
    """What its nodes said of their threads and inputs; None in older evidence."""


@dataclass(frozen=True, slots=True)
class Letter:
    """A record of the dead-letter topic."""

    dlq_id: str
    event_id: str | None
    attempt: int
    reason: str
    partition: int
    offset: int
    digest: str
    time: float


@dataclass(frozen=True, slots=True)
class Step:
    """A line of the execution history."""

    event_id: str
    node: str
    what: str
    epoch: int
    pid: int
    time: float


@dataclass(frozen=True, slots=True)
class Settled:
    """A worker's log line after the verdict was published and marked so."""

    event_id: str
    attempt: int
    pid: int
    time: float


@dataclass(frozen=True, slots=True)
class Process:
    """The life of one worker."""

    name: str
    pid: int
    started: float
    ended: float
    code: int
    asked_at: float | None = None
    """When it was sent SIGTERM, so that its exit code says how that went."""
    at_rest: bool = False
    """It was there at the very end, when nothing was left to do."""
    pauses: tuple[tuple[float, float], ...] = ()
    point: str | None = None
    """The fault point that ended it."""

    @property
    def asked_to_end(self) -> bool:
        return self.asked_at is not None

    @property
    def killed(self) -> bool:
        return self.code == -9


@dataclass(frozen=True, slots=True)
class Sample:
    """The group's committed offsets and the ends of the partitions; read between `time - x` and `time`."""

    time: float
    committed: Mapping[int, int]
    ends: Mapping[int, int]

    @property
    def lag(self) -> int:
        return sum(max(0, end - self.committed.get(number, 0)) for number, end in self.ends.items())


@dataclass(frozen=True, slots=True)
class Size:
    """How much a worker held."""

    pid: int
    time: float
    tasks: int
    rss: int


@dataclass(frozen=True, slots=True)
class ErrorLine:
    """A log line at ERROR or above."""

    worker: str
    time: float
    logger: str
    text: str


@dataclass(slots=True)
class Evidence:
    """One run, whole."""

    asks: list[Ask] = field(default_factory=list)
    acknowledged: set[tuple[int, int]] = field(default_factory=set)
    """Partition and offset of every record in the journal."""
    answers: list[Answer] = field(default_factory=list)
    letters: list[Letter] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    settled: list[Settled] = field(default_factory=list)
    processes: list[Process] = field(default_factory=list)
    outages: list[tuple[float, float, str]] = field(default_factory=list)
    """From, to, and of what: broker or store."""
    stalls: list[tuple[float, float, str]] = field(default_factory=list)
    """From, to, and of what: machine or disk. Older evidence has none."""
    samples: list[Sample] = field(default_factory=list)
    sizes: list[Size] = field(default_factory=list)
    errors: list[ErrorLine] = field(default_factory=list)
    claims: dict[str, int] = field(default_factory=dict)
    """How many owners the ledger counted for a run that ended as a crash loop."""
    max_claims: int = 5
    lease_s: float = 2.0
    drain_s: float = 25.0
    """How long a worker that was asked to end may let its runs go on."""

    def answers_by_event(self) -> Mapping[str, list[Answer]]:
        found: defaultdict[str, list[Answer]] = defaultdict(list)
        for answer in self.answers:
            found[answer.event_id].append(answer)
        return found

    def asks_by_event(self) -> Mapping[str, list[Ask]]:
        found: defaultdict[str, list[Ask]] = defaultdict(list)
        for ask in self.asks:
            if ask.event_id is not None:
                found[ask.event_id].append(ask)
        return found

    def letters_by_event(self) -> Mapping[str, list[Letter]]:
        found: defaultdict[str, list[Letter]] = defaultdict(list)
        for letter in self.letters:
            if letter.event_id is not None:
                found[letter.event_id].append(letter)
        return found

    def steps_by_event(self) -> Mapping[str, list[Step]]:
        """In the order of time."""
        found: defaultdict[str, list[Step]] = defaultdict(list)
        for step in sorted(self.steps, key=lambda each: each.time):
            found[step.event_id].append(step)
        return found

    def settled_by_event(self) -> Mapping[str, list[Settled]]:
        """In the order of time."""
        found: defaultdict[str, list[Settled]] = defaultdict(list)
        for each in sorted(self.settled, key=lambda settled: settled.time):
            found[each.event_id].append(each)
        return found

    def lags(self) -> Mapping[int, list[tuple[float, float]]]:
        """By process, the times in which its event loop did not get to note its size, as it does twice a
        second; up to `LAG_S` is nothing to be told of.
        """
        found: defaultdict[int, list[tuple[float, float]]] = defaultdict(list)
        sizes = sorted(self.sizes, key=lambda size: (size.pid, size.time))
        for one, other in pairwise(sizes):
            if one.pid == other.pid and other.time - one.time > SIZES_EVERY_S + LAG_S:
                found[one.pid].append((one.time + SIZES_EVERY_S, other.time))
        return found

    def kills(self) -> list[Process]:
        return [each for each in self.processes if each.killed]

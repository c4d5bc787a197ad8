"""What goes wrong, and when: a schedule that follows from the seed, and the hand that carries it out."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import cycle
from random import Random
from typing import Literal

from langgraph_integration.pipeline.faults import FAULT_POINTS
from tests.chaos.crew import Crew

Fault = Literal["kill", "arm", "pause", "leave", "broker", "store"]

_RARE: Mapping[str, float] = {
    "after-dead-letter": 1.0,
    "before-commit": 0.5,
    "after-commit": 0.5,
}
"""How likely a passage of a fault point ends the process, where that is not one in three."""


_PATIENCE_S, _OWN_PATIENCE_S = 6.0, 0.5
"""How long a kill waits for somebody in the middle of a node, and how long for the one it is meant for."""


@dataclass(frozen=True, slots=True)
class Deed:
    """One fault. `at` and `seconds` (how long it lasts) are seconds; `at` counts from the first event."""

    at: float
    fault: Fault
    worker: str = ""
    seconds: float = 0.0
    point: str = ""
    node: int = 0


@dataclass(frozen=True, slots=True)
class Mood:
    """How hard it is on them. Times are seconds."""

    pace: float = 3.0
    """Between two blows."""
    most_at_once: int = 3
    session: float = 2.0
    pause_every: float = 25.0
    leave_every: float = 20.0
    broker_every: float = 60.0
    store_every: float = 60.0
    armed: float = 0.5
    """The share of blows after which the next worker in that place ends at a fault point."""
    deadly: float = 1.0
    """Of the events that may end their process by themselves, the share that does."""
    outstanding: int = 150
    """Events that were published and not answered yet, at most."""
    events_per_kill: float = 0.0
    """A blow is left out while fewer events than this were answered for each kill so far; 0 = never."""


ENDURING = Mood(
    pace=1.0,
    pause_every=20.0,
    leave_every=20.0,
    broker_every=100.0,
    store_every=50.0,
    armed=0.8,
    deadly=0.25,
    outstanding=200,
    events_per_kill=18.0,
)
"""For long runs: as many kills as the answers that must come between them allow."""

BRIEF = Mood(broker_every=25.0, store_every=12.0, pause_every=9.0, leave_every=9.0)
"""For twenty seconds, in which everything is to happen once."""

MOODS: Mapping[str, Mood] = {"fierce": Mood(), "enduring": ENDURING, "brief": BRIEF}


def schedule(seed: int, seconds: float, workers: list[str], mood: Mood, *, nodes: int = 1) -> list[Deed]:
    """The deeds of a run in order of time; the same for the same arguments."""
    random = Random(f"{seed}/nemesis")
    deeds: list[Deed] = []
    at = mood.pace
    while at < seconds:
        victims = random.sample(workers, random.randint(1, min(mood.most_at_once, len(workers) - 1)))
        for victim in victims:
            moment = at + random.uniform(0, 0.3)
            deeds.append(Deed(moment, "arm" if random.random() < mood.armed else "kill", victim))
        at += mood.pace * random.uniform(0.7, 1.3)
    deeds += _now_and_then(random, seconds, mood, workers, nodes)
    return sorted(deeds, key=lambda deed: deed.at)


def points_in_turn(seed: int) -> Iterator[str]:
    """Settings of a fault point, each point as often as the others."""
    points = list(FAULT_POINTS)
    Random(f"{seed}/points").shuffle(points)
    return (f"{point}:{_RARE.get(point, 0.33)}" for point in cycle(points))


def _now_and_then(random: Random, seconds: float, mood: Mood, workers: list[str], nodes: int) -> list[Deed]:
    deeds: list[Deed] = []
    for at in _times(random, seconds, mood.pause_every):
        length = mood.session + random.uniform(0.5, 3.0)
        deeds.append(Deed(at, "pause", random.choice(workers), seconds=length))
    for at in _times(random, seconds, mood.leave_every):
        deeds.append(Deed(at, "leave", random.choice(workers), seconds=random.uniform(0.5, 3.0)))
    for at in _times(random, seconds, mood.broker_every):
        length = random.uniform(0.5, 3.0)
        deeds.append(Deed(at, "broker", seconds=length, node=random.randrange(nodes)))
    for at in _times(random, seconds, mood.store_every):
        deeds.append(Deed(at, "store", seconds=random.uniform(2.0, 7.0)))
    return deeds


def _times(random: Random, seconds: float, every: float) -> list[float]:
    if every <= 0:
        return []
    count = int(seconds // every)
    return [every * (index + random.uniform(0.2, 0.8)) for index in range(count)]


class Nemesis:
    """Carries a schedule out. What was done, and when, stands in `done` (seconds since 1970)."""

    def __init__(
        self,
        deeds: list[Deed],
        crew: Crew,
        *,
        mood: Mood,
        points: Iterator[str],
        busy: Callable[[int], bool],
        answered: Callable[[], int],
        hurt_broker: Callable[[int, float], None],
        hurt_store: Callable[[float], None],
    ) -> None:
        self.deeds = deeds
        self._crew = crew
        self._mood = mood
        self._points = points
        self._is_busy = busy
        self._answered = answered
        self._hurt_broker = hurt_broker
        self._hurt_store = hurt_store
        self._end = threading.Event()
        self._busy: list[threading.Thread] = []
        self._striking: set[Deed] = set()
        self.done: list[tuple[float, Deed]] = []

    def run(self) -> None:
        """Return after the last deed, or soon after `end`."""
        began = time.monotonic()
        for deed in self.deeds:
            if self._end.wait(max(0.0, began + deed.at - time.monotonic())):
                break
            if deed.fault in ("kill", "arm") and not self._earned():
                continue
            due = replace(deed, point=next(self._points)) if deed.fault == "arm" else deed
            self.done.append((time.time(), due))
            self._do(due)
        for thread in self._busy:
            thread.join()

    def end(self) -> None:
        """No further deeds."""
        self._end.set()

    def _earned(self) -> bool:
        """Whether enough was answered since the last kills: what never gets anywhere proves little."""
        return self._answered() >= self._mood.events_per_kill * (self._crew.kills + len(self._striking))

    def _do(self, deed: Deed) -> None:
        match deed.fault:
            case "kill" | "arm":
                # beside the schedule, which does not wait
                self._striking.add(deed)
                self._beside(self._strike, deed)
            case "pause":
                self._crew.pause(deed.worker, deed.seconds)
            case "leave":
                self._crew.leave(deed.worker, deed.seconds)
            case "broker":
                self._beside(self._hurt_broker, deed.node, deed.seconds)
            case "store":
                self._beside(self._hurt_store, deed.seconds)

    def _strike(self, deed: Deed) -> None:
        """Kill it in the middle of a node, or another that is in one when it has nothing to do for long."""
        try:
            self._strike_whom_it_hurts(deed)
        finally:
            self._striking.discard(deed)

    def _strike_whom_it_hurts(self, deed: Deed) -> None:
        began = time.monotonic()
        victim: str | None = None
        while victim is None and time.monotonic() < began + _PATIENCE_S and not self._end.is_set():
            others = self._crew.names if time.monotonic() > began + _OWN_PATIENCE_S else [deed.worker]
            victim = next(filter(self._is_worth_it, others), None)
            time.sleep(0.005)
        if victim is None:
            # nobody works; a kill now would prove little
            return
        if deed.fault == "arm":
            self._crew.arm(victim, deed.point)
        else:
            self._crew.kill(victim)

    def _is_worth_it(self, name: str) -> bool:
        pid = self._crew.pid(name)
        return pid is not None and self._is_busy(pid) and not self._crew.waits_for_its_point(name)

    def _beside(self, hurt: Callable[..., None], *arguments: object) -> None:
        thread = threading.Thread(target=hurt, args=arguments, name="nemesis-hurts")
        thread.start()
        self._busy.append(thread)

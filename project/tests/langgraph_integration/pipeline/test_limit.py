"""After a bad deploy the intake stops, instead of emptying the topic into dead letters."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable

import pytest

from langgraph_integration.pipeline.happenings import VerdictPublished
from langgraph_integration.pipeline.limit import DeadLetterLimit, share_of
from workflow_events.errors import ConfigurationError


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def _tripped(clock: Clock, setting: str = "0.5/4") -> DeadLetterLimit:
    limit = DeadLetterLimit(setting, clock=clock)
    for _ in range(3):
        limit.record("permanent")
    return limit


def test_more_than_the_ratio_of_the_window_trips_it() -> None:
    """Half of the window is still allowed."""
    limit = DeadLetterLimit("0.5/4", clock=Clock())
    limit.record("permanent")
    limit.record("timeout")
    at_half = limit.tripped
    limit.record("permanent")

    assert not at_half
    assert limit.tripped
    assert limit.commonest_error == "permanent"


def test_successes_push_errors_out_of_the_window() -> None:
    """Only the last ones count."""
    limit = DeadLetterLimit("0.5/4", clock=Clock())
    for error in ["permanent", "permanent", None, None, None, "permanent", None, "permanent"]:
        limit.record(error)

    assert not limit.tripped


def test_errors_older_than_five_minutes_are_forgotten() -> None:
    """A slow stream of errors is no bad deploy."""
    clock = Clock()
    limit = DeadLetterLimit("0.5/4", clock=clock)
    limit.record("permanent")
    limit.record("permanent")
    clock.now += 301
    limit.record("permanent")

    assert not limit.tripped


def test_tripped_it_lets_one_event_through_every_thirty_seconds() -> None:
    """Looking does not use the turn up, and one that hangs does not keep the next from its turn."""
    clock = Clock()
    limit = _tripped(clock)
    at_once = limit.allows(0)
    clock.now += 30

    assert not at_once
    assert limit.may_start(0)
    assert limit.may_start(0)
    assert limit.allows(0)
    assert not limit.allows(0)
    clock.now += 30
    assert limit.allows(1)
    assert not limit.allows(0)


def test_what_comes_to_nothing_gives_its_turn_back() -> None:
    """A record that was answered before, or is not one for us, says nothing about the deploy."""
    clock = Clock()
    limit = _tripped(clock)
    clock.now += 30
    assert limit.allows(0)
    began = limit.counted
    limit.observe(VerdictPublished("an answer sent again", "error", "permanent", 0.0))
    limit.observe(VerdictPublished(None, "error", "invalid", 0.0))
    limit.over(began)
    again = limit.allows(0)
    limit.observe(VerdictPublished("a run", "error", "permanent", 0.1))
    limit.over(began)

    assert again
    assert not limit.allows(0)


def test_ten_successes_open_it_again_and_each_lets_the_next_follow_at_once() -> None:
    """A mended service is back in the time of ten runs."""
    clock = Clock()
    limit = _tripped(clock)
    clock.now += 30
    states = []
    for _ in range(10):
        assert limit.allows(0)
        limit.record(None)
        states.append(limit.tripped)

    assert states == [True] * 9 + [False]
    assert limit.commonest_error == "none"


def test_an_error_among_the_probes_starts_the_count_anew() -> None:
    """Ten in a row are wanted."""
    clock = Clock()
    limit = _tripped(clock)
    for error in [None] * 9 + ["permanent"] + [None] * 9:
        limit.record(error)
    nearly = limit.tripped
    limit.record(None)

    assert nearly
    assert not limit.tripped


def test_zero_switches_it_off() -> None:
    """Nothing is counted then."""
    limit = DeadLetterLimit("0")
    for _ in range(1000):
        limit.record("permanent")

    assert not limit.tripped
    assert limit.allows(10_000)


@pytest.mark.parametrize(
    "setting",
    ["", "half", "0.5", "2/200", "0.5/0", "0/10", "0.5/ten", "nan/3", "0.5/200/", "0.5/200/0", "0.5/9/9/9"],
)
def test_a_setting_that_cannot_be_used_is_named(setting: str) -> None:
    """With the form that can."""
    with pytest.raises(ConfigurationError, match=r"WORKFLOW_DEAD_LETTER_LIMIT.*RATIO/WINDOW"):
        DeadLetterLimit(setting)


def test_after_errors_alone_few_may_be_in_flight_until_one_succeeds() -> None:
    """What is in flight when it trips becomes dead letters as well."""
    limit = DeadLetterLimit("0.5/200", clock=Clock())
    for _ in range(4):
        limit.record("permanent")
    at_four = limit.allows(99)
    limit.record("permanent")
    full, not_full = limit.allows(10), limit.allows(9)
    limit.record(None)

    assert at_four
    assert not full
    assert not_full
    assert limit.allows(99)


class Workers:
    """Workers of one `serve`, each with slots of its own and more events than it can start.

    `run` says for each run how long it takes (seconds) and whether it fails.
    """

    def __init__(self, setting: str, workers: int, slots: int, run: Callable[[], tuple[float, bool]]) -> None:
        self.clock = Clock()
        share = share_of(setting, workers)
        self._limits = [DeadLetterLimit(share, clock=self.clock) for _ in range(workers)]
        self._slots = slots
        self._run = run
        self._ends: list[tuple[float, int, int, bool]] = []
        self.in_flight = [0] * workers
        self.letters = 0
        self.runs = 0

    def start(self) -> None:
        """All runs that may start now."""
        for worker, limit in enumerate(self._limits):
            while self.in_flight[worker] < self._slots and limit.allows(self.in_flight[worker]):
                self.in_flight[worker] += 1
                self.runs += 1
                seconds, fails = self._run()
                heapq.heappush(self._ends, (self.clock.now + seconds, self.runs, worker, fails))

    def end(self) -> None:
        """The run that ends next."""
        self.clock.now, _, worker, fails = heapq.heappop(self._ends)
        self.in_flight[worker] -= 1
        self.letters += fails
        self._limits[worker].record("permanent" if fails else None)

    def until_paused(self) -> None:
        """Until all have tripped and nothing is in flight."""
        self.start()
        while self._ends:
            self.end()
            if not all(limit.tripped for limit in self._limits):
                self.start()


@pytest.mark.parametrize("slots", [100, 1000])
@pytest.mark.parametrize("seconds", [0.0, 1.0, 30.0])
@pytest.mark.parametrize("workers", [1, 2, 3, 4, 8, 12, 16, 20])
@pytest.mark.parametrize("setting", ["0.5/200", "0.9/200"])
def test_a_graph_that_always_fails_makes_no_more_dead_letters_than_the_limit(
    setting: str, workers: int, seconds: float, slots: int
) -> None:
    """However late it fails and however many workers share the limit; then all of them pause."""
    all_of_them = Workers(setting, workers, slots, lambda: (seconds, True))
    all_of_them.until_paused()

    assert 100 <= all_of_them.letters <= 200


@pytest.mark.parametrize(("workers", "rounds"), [(1, 3), (4, 5), (16, 7)])
def test_runs_that_succeed_double_what_may_be_in_flight(workers: int, rounds: int) -> None:
    """The first wave is the share of the limit; runs of a millisecond have a thousand places at once."""
    healthy = Workers("0.5/200", workers, 1000, lambda: (0.001, False))
    healthy.start()
    first = sum(healthy.in_flight)
    while min(healthy.in_flight) < 1000:
        healthy.end()
        healthy.start()

    assert first == 200 // workers * workers
    assert healthy.clock.now - 1000.0 == pytest.approx(rounds * 0.001)


@pytest.mark.parametrize("slots", [100, 1000])
@pytest.mark.parametrize("workers", [2, 8, 16])
def test_quick_successes_do_not_open_the_way_for_a_broken_graph_that_fails_late(
    workers: int, slots: int
) -> None:
    """Every fourth run succeeds at once, the others fail after a second: each success lets one more in."""
    turns = itertools.cycle([(0.001, False), (1.0, True), (1.0, True), (1.0, True)])
    mixed = Workers("0.5/200", workers, slots, lambda: next(turns))
    mixed.until_paused()

    assert mixed.letters <= 320


def test_errors_in_a_row_make_it_careful_again() -> None:
    """What succeeded before says nothing any more: the first success opens no more than the share allows."""
    limit = DeadLetterLimit(share_of("0.5/200", 16), clock=Clock())
    for _ in range(500):
        limit.record(None)
    trusted = limit.allows(500)
    for _ in range(5):
        limit.record("permanent")
    few = limit.allows(6), limit.allows(7)
    limit.record(None)
    after_one = limit.allows(7), limit.allows(8)

    assert trusted
    assert few == (True, False)
    assert after_one == (True, False)


def test_errors_that_come_too_slowly_to_trip_it_do_not_use_up_what_may_be_in_flight() -> None:
    """They are forgotten after five minutes, and one run may always start."""
    clock = Clock()
    limit = DeadLetterLimit("0.5/20/12", clock=clock)
    for _ in range(10):
        limit.record("permanent")
    used_up = limit.allows(0), limit.allows(2)
    clock.now += 301

    assert used_up == (True, False)
    assert limit.allows(9)


def test_more_dead_letters_may_be_allowed_than_the_window_is_long() -> None:
    """For a service whose first runs must all start at once."""
    limit = DeadLetterLimit("0.5/200/1000", clock=Clock())

    assert limit.allows(999)
    assert not limit.allows(1000)


@pytest.mark.parametrize(
    ("setting", "workers", "share"),
    [
        ("0.5/200", 1, "0.5/200/200"),
        ("0.5/200", 2, "0.5/100/100"),
        ("0.5/200", 16, "0.5/20/12"),
        ("0.3/200", 64, "0.3/20/10"),
        ("0.5/8", 4, "0.5/8/8"),
        ("0.5/200/1000", 4, "0.5/50/250"),
    ],
)
def test_workers_share_the_window(setting: str, workers: int, share: str) -> None:
    """Together they let through what one would; a window that would trip by chance is not made."""
    assert share_of(setting, workers) == share


def test_switched_off_is_off_for_every_worker() -> None:
    """0 has no window to share."""
    assert share_of("0", 4) == "0"


def test_errors_in_a_row_are_forgotten_after_five_minutes() -> None:
    """Long runs in flight would keep everything else waiting until one of them ends."""
    clock = Clock()
    limit = DeadLetterLimit("0.5/200", clock=clock)
    for _ in range(5):
        limit.record("permanent")
    at_first = limit.careful, limit.may_start(10)
    clock.now += 301

    assert at_first == (True, False)
    assert (limit.careful, limit.may_start(10)) == (False, True)


def test_what_is_held_for_errors_is_told_apart_from_a_cold_start() -> None:
    """Only the first is for an operator; before runs have succeeded, a process starts its share."""
    limit = DeadLetterLimit("0.5/20", clock=Clock())
    cold = limit.may_start(20), limit.held_by_errors(20)
    for _ in range(5):
        limit.record("permanent")
    after_errors = limit.may_start(20), limit.held_by_errors(20)
    for _ in range(20):
        limit.record(None)

    assert cold == (False, False)
    assert after_errors == (False, True)
    assert not limit.held_by_errors(100)

"""After a bad deploy the intake stops, instead of emptying the topic into dead letters."""

from __future__ import annotations

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


@pytest.mark.parametrize("setting", ["", "half", "0.5", "2/200", "0.5/0", "0/10", "0.5/ten", "nan/3"])
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


@pytest.mark.parametrize(
    ("setting", "workers", "share"),
    [("0.5/200", 1, "0.5/200"), ("0.5/200", 2, "0.5/100"), ("0.3/200", 64, "0.3/20"), ("0.5/8", 4, "0.5/8")],
)
def test_workers_share_the_window(setting: str, workers: int, share: str) -> None:
    """Together they let through what one would; a window that would trip by chance is not made."""
    assert share_of(setting, workers) == share


def test_switched_off_is_off_for_every_worker() -> None:
    """0 has no window to share."""
    assert share_of("0", 4) == "0"

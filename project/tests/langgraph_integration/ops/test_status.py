"""When the service says that it is alive, and when that it is ready."""

from dataclasses import replace

import pytest

from langgraph_integration.pipeline.delivery import Partition
from langgraph_integration.pipeline.status import ServiceStatus, StatusLimits, liveness, readiness

WORKING = ServiceStatus(
    running=True,
    joined=True,
    last_poll_age_s=0.1,
    last_commit_age_s=0.2,
    partitions=(Partition("events", 0),),
    main_loop_beat_s=0.05,
    kafka_loop_beat_s=0.05,
)


def test_a_service_that_works_is_live_and_ready() -> None:
    """Nothing speaks against it."""
    assert liveness(WORKING) == []
    assert readiness(WORKING) == []


def test_a_service_that_was_never_started_is_live_but_not_ready() -> None:
    """Restarting it would not help; sending it events would not either."""
    assert liveness(ServiceStatus()) == []
    assert readiness(ServiceStatus()) == ["not started"]


def test_a_stopping_service_is_live_and_not_ready() -> None:
    """It drains: no new events, and nobody should kill it for not polling."""
    stopping = replace(WORKING, stopping=True, last_poll_age_s=500.0)

    assert liveness(stopping) == []
    assert readiness(stopping) == ["stopping"]


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ({"main_loop_beat_s": 130.0}, "the graphs' event loop is blocked for 130 s"),
        (
            {"main_loop_beat_s": 130.0, "blocked_by": "abc"},
            "the graphs' event loop is blocked for 130 s in run abc",
        ),
        ({"kafka_loop_beat_s": 130.0}, "the Kafka event loop is blocked for 130 s"),
        ({"last_poll_age_s": 130.0}, "not polled for 130 s"),
    ],
)
def test_a_loop_that_hangs_ends_liveness(fault: dict[str, float], reason: str) -> None:
    """Only a restart helps then."""
    assert liveness(replace(WORKING, **fault)) == [reason]  # type: ignore[arg-type]  # fields by name


def test_a_broker_that_is_away_does_not_end_liveness() -> None:
    """Restarting the service does not bring the broker back; it only loses time."""
    away = replace(WORKING, last_poll_age_s=3600.0, gate_reasons={"consume": "no broker answers"})

    assert liveness(away) == []
    assert readiness(away) == ["intake paused: consume: no broker answers", "not polled for 3600 s"]


def test_a_graph_that_blocks_for_half_a_minute_is_no_reason_to_restart() -> None:
    """Killing the process would throw away the work of all other runs."""
    assert liveness(replace(WORKING, main_loop_beat_s=30.0, last_poll_age_s=30.0)) == []


def test_every_hold_of_the_intake_is_a_reason_with_its_cause() -> None:
    """An operator reads in /readyz what to mend."""
    held = replace(WORKING, gate_reasons={"store": "disk full", "publish": "topic missing"})

    assert readiness(held) == ["intake paused: publish: topic missing", "intake paused: store: disk full"]


def test_the_dead_letter_limit_names_the_commonest_error() -> None:
    """After a bad deploy that is the first thing to know."""
    tripped = replace(WORKING, limit_tripped=True, commonest_error="permanent")

    (reason,) = readiness(tripped)
    assert "most of them with permanent" in reason
    assert "WORKFLOW_DEAD_LETTER_LIMIT" in reason


def test_errors_in_a_row_that_hold_what_waits_are_a_reason() -> None:
    """Long runs in flight and nothing else started: without it the service would seem to idle."""
    held = replace(WORKING, held_by_errors=True, commonest_error="timeout")

    (reason,) = readiness(held)
    assert "most of them with timeout" in reason
    assert len(readiness(replace(held, limit_tripped=True))) == 1


def test_a_standby_without_partitions_is_ready_once_the_group_has_answered() -> None:
    """More workers than partitions is a legal set-up."""
    standby = replace(WORKING, partitions=())

    assert readiness(standby) == []
    assert readiness(replace(standby, joined=False)) == [
        "no partition assigned yet: the group has not answered"
    ]


def test_without_a_poll_there_is_no_readiness() -> None:
    """Being assigned is not yet working."""
    assert readiness(replace(WORKING, last_poll_age_s=None)) == ["not polled yet"]
    assert readiness(replace(WORKING, last_poll_age_s=31.0)) == ["not polled for 31 s"]


def test_the_limits_are_settable() -> None:
    """For those whose graphs block longer, or who want to know earlier."""
    late = replace(WORKING, last_poll_age_s=10.0)

    assert readiness(late, StatusLimits(unpolled_ready_s=5.0)) == ["not polled for 10 s"]
    assert liveness(late, StatusLimits(unpolled_alive_s=5.0)) == ["not polled for 10 s"]

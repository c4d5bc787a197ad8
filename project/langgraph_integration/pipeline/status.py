"""ServiceStatus: what the service knows about itself, and what follows from it for /livez and /readyz.

Facts about work done, never a constant: the loops write timestamps, whoever asks gets their age, so a
loop that hangs is seen from outside of it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from langgraph_integration.pipeline.delivery import Partition

CONSUME_HOLD = "consume"
"""The name under which the gate is held while the broker does not answer a poll."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusLimits:
    """Ages, in seconds, from which a fact counts as bad. Restarting a process is dear: alive is generous."""

    stuck_loop_s: float = 120.0
    unpolled_alive_s: float = 120.0
    unpolled_ready_s: float = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceStatus:
    """One look at the service. Ages are in seconds; `None` means that it has not happened yet.

    `running` is True from the end of `start` to the end of `stop`, `stopping` once a stop was asked for.
    `joined` is True once the group has answered, also if it gave us no partition. `lags` are records
    between our position and the end, `oldest_unsettled_s` the age of the oldest record that was taken
    and is not settled. The loops' `beat` is the age of the last sign of life; `blocked_by` names the run
    that a watchdog found blocking the graphs' loop. `overdue_threads` are synchronous nodes that go on
    after their run's time is over. `held_by_errors`: something waits, and errors in a row are why it is not
    started. `workers` is of how many processes this is told.
    """

    started_at: datetime | None = None
    running: bool = False
    stopping: bool = False
    joined: bool = False
    last_poll_age_s: float | None = None
    last_commit_age_s: float | None = None
    partitions: tuple[Partition, ...] = ()
    lags: Mapping[Partition, int] = field(default_factory=dict)
    oldest_unsettled_s: Mapping[Partition, float] = field(default_factory=dict)
    in_flight: int = 0
    waiting: int = 0
    slots: int = 0
    slots_taken: int = 0
    sync_threads: int = 0
    busy_threads: int = 0
    overdue_threads: int = 0
    gate_reasons: Mapping[str, str] = field(default_factory=dict)
    limit_tripped: bool = False
    held_by_errors: bool = False
    commonest_error: str | None = None
    main_loop_beat_s: float | None = None
    main_loop_worst_lag_s: float = 0.0
    kafka_loop_beat_s: float | None = None
    kafka_loop_worst_lag_s: float = 0.0
    blocked_by: str | None = None
    workers: int = 1


def liveness(status: ServiceStatus, limits: StatusLimits | None = None) -> list[str]:
    """Why the process should be restarted; empty while a restart would help nothing.

    A broker or a database that is away is no reason: waiting is the right thing then.
    """
    limits = limits or StatusLimits()
    if not status.running:
        return []
    reasons = []
    if _older(status.main_loop_beat_s, limits.stuck_loop_s):
        culprit = f" in run {status.blocked_by}" if status.blocked_by else ""
        reasons.append(f"the graphs' event loop is blocked for {status.main_loop_beat_s:.0f} s{culprit}")
    if _older(status.kafka_loop_beat_s, limits.stuck_loop_s):
        reasons.append(f"the Kafka event loop is blocked for {status.kafka_loop_beat_s:.0f} s")
    broker_away = CONSUME_HOLD in status.gate_reasons
    if _older(status.last_poll_age_s, limits.unpolled_alive_s) and not (broker_away or status.stopping):
        reasons.append(f"not polled for {status.last_poll_age_s:.0f} s")
    return reasons


def readiness(status: ServiceStatus, limits: StatusLimits | None = None) -> list[str]:
    """Why no event is taken at the moment; empty while the service takes events."""
    limits = limits or StatusLimits()
    if status.stopping:
        return ["stopping"]
    if not status.running:
        return ["not started"]
    reasons = [f"intake paused: {what}: {cause}" for what, cause in sorted(status.gate_reasons.items())]
    if status.limit_tripped:
        reasons.append(
            "intake paused: too many runs end in dead letters, most of them with "
            f"{status.commonest_error or 'an unknown error'} (WORKFLOW_DEAD_LETTER_LIMIT)"
        )
    elif status.held_by_errors:
        reasons.append(
            "intake held: runs ended in dead letters one after the other, most of them with "
            f"{status.commonest_error or 'an unknown error'}, and until others have succeeded only a few are "
            "in flight (WORKFLOW_DEAD_LETTER_LIMIT)"
        )
    if not (status.partitions or status.joined):
        reasons.append("no partition assigned yet: the group has not answered")
    if status.last_poll_age_s is None:
        reasons.append("not polled yet")
    elif _older(status.last_poll_age_s, limits.unpolled_ready_s):
        reasons.append(f"not polled for {status.last_poll_age_s:.0f} s")
    return reasons


def _older(age_s: float | None, limit_s: float) -> bool:
    return age_s is not None and age_s > limit_s

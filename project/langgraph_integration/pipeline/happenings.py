"""What observers are told: frozen details, one object a happening, many observers (metrics, logs, tests)."""

from collections.abc import Callable
from typing import NamedTuple

from workflow_events.dead_letter import DeadLetterReason


class RunStarted(NamedTuple):
    """A try begins. `takeover` is True where another owner, or an earlier life of this one, had begun it."""

    event_id: str
    takeover: bool


class RetryPlanned(NamedTuple):
    """A transient error; the next try follows after `delay_s`."""

    event_id: str
    error_type: str
    delay_s: float


class VerdictPublished(NamedTuple):
    """An attempt ended and its records are acknowledged. `reason` is set where there is a dead letter.

    `duration_s` is from the claim to the acknowledgement; 0 where nothing ran.
    """

    event_id: str | None
    status: str
    reason: DeadLetterReason | str | None
    duration_s: float


class RecordIgnored(NamedTuple):
    """A record that asks for no run: another event type, or an ask that a live run has absorbed."""

    why: str


Happening = RunStarted | RetryPlanned | VerdictPublished | RecordIgnored
Observer = Callable[[Happening], None]

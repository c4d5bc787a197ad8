"""How a run can end: everything downstream is a match over these."""

from typing import Any, NamedTuple

from workflow_events.dead_letter import DeadLetterReason


class Succeeded(NamedTuple):
    """The graph finished; `result` is what the asker gets."""

    result: dict[str, Any]


class Unfulfilled(NamedTuple):
    """The graph finished and says that the request cannot be met: status `failure`, no dead letter."""

    result: dict[str, Any]
    error: str


class Failed(NamedTuple):
    """The run did not finish: status `error` and a dead letter.

    `message` is what the asker reads, `cause` what the dead letter keeps, `retry_count` the retries that
    really happened.
    """

    reason: DeadLetterReason
    message: str
    cause: Exception
    retry_count: int = 0


Outcome = Succeeded | Unfulfilled | Failed

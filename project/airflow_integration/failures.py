"""What a task does with a verdict: take the result, or fail in a way that Airflow understands."""

from typing import Any, Final

from airflow_integration.airflow_compat import AirflowFailException
from airflow_integration.asking import Ticket, failure_text, result_of
from workflow_events.errors import RecordTooLarge, WorkflowFailed
from workflow_events.exchange import ReceivedResult
from workflow_events.strict_json import dump_json

MAX_RESULT_BYTES: Final = 1_048_576


class WorkflowUnfulfilled(WorkflowFailed, AirflowFailException):
    """The workflow finished and says that the request cannot be met. Airflow does not retry: the same
    request gets the same answer.
    """


class ResultTooLarge(RecordTooLarge, AirflowFailException):
    """The result is larger than the task may put into XCom. Airflow does not retry."""


def accept(ticket: Ticket, received: ReceivedResult) -> dict[str, Any]:
    """The result of a success. Raises `WorkflowUnfulfilled` for the status `failure`, and for `error`
    `WorkflowFailed`, which a retry may mend: it resumes the run from its last checkpoint.
    """
    if received.event.status == "failure":
        raise WorkflowUnfulfilled(failure_text(ticket, received))
    return result_of(ticket, received)


def fitting(
    result: dict[str, Any], received: ReceivedResult, limit: int, *, by_reference: bool
) -> dict[str, Any]:
    """What goes into XCom: the result, or if it is larger than `limit` bytes of JSON (0 = any size) and
    that is wanted, where it stands. Raises `ResultTooLarge` otherwise.
    """
    size = len(dump_json(result))
    if not limit or size <= limit:
        return result
    if by_reference:
        return {
            "reference": {
                "topic": received.topic,
                "partition": received.partition,
                "offset": received.offset,
            },
            "event_id": str(received.event.correlation_id),
            "bytes": size,
        }
    raise ResultTooLarge(
        f"the result of event {received.event.correlation_id} is {size} bytes, max_result_bytes is {limit}: "
        "let the workflow return a reference to its data, raise max_result_bytes, or pass "
        'large_result="reference"'
    )

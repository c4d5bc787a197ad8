"""What travels: the event that asks for a run and the result that answers it.

Both are plain JSON objects on the wire (see `codec`). Unknown fields are ignored on reading, so that
an older reader understands a newer writer; optional fields that are not set are not written.
"""

from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any, ClassVar, Literal
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PlainSerializer

from workflow_events.finite import JsonObject
from workflow_events.ids import new_event_id


class EventType(StrEnum):
    """What an event says. Only `WORKFLOW_TRIGGERED` starts a run."""

    WORKFLOW_TRIGGERED = "workflow.triggered"
    WORKFLOW_COMPLETED = "workflow.completed"
    WORKFLOW_FAILED = "workflow.failed"
    WORKFLOW_RESULT = "workflow.result"
    WORKFLOW_CANCEL = "workflow.cancel"


class EventSource(StrEnum):
    """Who wrote an event."""

    AIRFLOW = "airflow"
    LANGGRAPH = "langgraph"
    FASTAPI = "fastapi"


ResultStatus = Literal["success", "failure", "error"]
"""`success`: the graph finished. `failure`: it finished and says the request cannot be met.
`error`: it did not finish; a dead letter tells the rest."""


def _with_zone(moment: datetime) -> datetime:
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


def _is_none(value: object) -> bool:
    return value is None


def _now() -> datetime:
    return datetime.now(UTC)


Timestamp = Annotated[
    datetime,
    AfterValidator(_with_zone),
    PlainSerializer(datetime.isoformat, return_type=str),
]
"""A moment with its zone; one without is read as UTC. Dumped as an ISO 8601 string."""

Identifier = Annotated[UUID, PlainSerializer(str, return_type=str)]
"""Any UUID. Dumped as a string."""


class WireModel(BaseModel):
    """A JSON object of ours. `optional_fields` are left out while they are None."""

    model_config = ConfigDict(extra="ignore")

    optional_fields: ClassVar[frozenset[str]] = frozenset()

    def wire_fields(self) -> dict[str, Any]:
        """The fields as they are written, values untouched (the codec turns them into JSON)."""
        skipped = self.optional_fields
        return {
            name: value for name, value in self.__dict__.items() if value is not None or name not in skipped
        }


class WorkflowEventPayload(WireModel):
    """The request itself. `data` may be empty or nested and must be JSON."""

    data: JsonObject


class WorkflowEventMetadata(WireModel):
    """Where the event belongs. `version` is the schema's: any `1.x`; the service refuses a newer major."""

    environment: str = Field(pattern="^(dev|staging|prod)$")
    version: str = "1.0"


class WorkflowEvent(WireModel):
    """One thing that happened to a workflow; of type `workflow.triggered`, the wish for a run.

    `event_id` is the run's identity: the same id again is the same run. New ids are time-ordered
    (UUID version 7); any UUID is accepted. `graph` names a graph of the service's `langgraph.json`;
    None lets the service choose.
    """

    optional_fields = frozenset({"graph"})

    event_id: Identifier = Field(default_factory=new_event_id)
    event_type: EventType
    timestamp: Timestamp = Field(default_factory=_now)
    source: EventSource
    workflow_id: str
    workflow_run_id: str
    payload: WorkflowEventPayload
    metadata: WorkflowEventMetadata
    graph: str | None = Field(default=None, exclude_if=_is_none)


class WorkflowResultEvent(WireModel):
    """The answer to the event whose id is `correlation_id`.

    `attempt` is the asker's try that this answers, `result_id` the same for every repeat of one
    verdict, so that a reader can drop repeats; both are None from writers that do not know them.
    """

    optional_fields = frozenset({"attempt", "result_id"})

    correlation_id: Identifier
    workflow_id: str
    workflow_run_id: str
    result: JsonObject
    status: ResultStatus
    error: str | None = None
    timestamp: Timestamp = Field(default_factory=_now)
    attempt: int | None = Field(default=None, ge=1, exclude_if=_is_none)
    result_id: Identifier | None = Field(default=None, exclude_if=_is_none)

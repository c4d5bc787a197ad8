"""Every error this project raises on purpose.

WorkflowError
├── ConfigurationError (ValueError)      a setting cannot be used; names it and the way out
├── InvalidRecord (ValueError)           bytes or fields that no retry will mend
│   ├── InvalidEvent                     a record of the events topic
│   │   └── UnsupportedVersion           written by a newer major version
│   ├── UnknownGraph                     an event names a graph that is not configured
│   └── StateCorrupt                     a stored checkpoint that cannot be read, or must not be
├── NotJson (ValueError)                 a value that cannot be written as JSON; names the path
├── RecordTooLarge (ValueError)          a record above the topic's limit; names both sizes
├── PublishFailed (RuntimeError)         the broker did not confirm a record; retrying is safe
├── WorkflowTimeout (TimeoutError)       a run exceeded its time; transient
├── WorkflowFailed (RuntimeError)        a run ended with an error
└── InfrastructureError                  our store or broker, never the event's fault: wait and go on
    ├── StoreUnavailable
    ├── BrokerUnavailable
    └── LeaseLost                        another worker owns the run now: drop it, it is in good hands
"""


class WorkflowError(Exception):
    """The root of the tree."""


class ConfigurationError(WorkflowError, ValueError):
    """A setting has a value that cannot be used. The text names the setting and what is accepted."""


class InvalidRecord(WorkflowError, ValueError):
    """Bytes or fields that no retry will mend."""


class InvalidEvent(InvalidRecord):
    """A record of the events topic that is no `WorkflowEvent`.

    `event_id` is the id as far as it could be read, or `None`.
    """

    def __init__(self, message: str, *, event_id: str | None = None) -> None:
        super().__init__(message)
        self.event_id = event_id


class UnsupportedVersion(InvalidEvent):
    """The event was written by a newer major version of the schema. Upgrade the service first."""


class UnknownGraph(InvalidRecord):
    """The event names a graph that `langgraph.json` does not. The text lists the known ones."""


class StateCorrupt(InvalidRecord):
    """A stored checkpoint is damaged, or holds a type that its graph does not declare. Nothing of it was run.

    For a type of your own, name it in the graph's state schema.
    """


class NotJson(WorkflowError, ValueError):
    """A value that JSON cannot carry. `path` says where, as in `result.agent_results[2]`."""

    def __init__(self, message: str, *, path: str) -> None:
        super().__init__(message)
        self.path = path


class RecordTooLarge(WorkflowError, ValueError):
    """A record is larger than its topic takes. Raise `max.message.bytes` or make it smaller."""


class PublishFailed(WorkflowError, RuntimeError):
    """The broker did not confirm a record. Publishing it again is safe: ids make repeats harmless."""


class WorkflowTimeout(WorkflowError, TimeoutError):
    """A run exceeded `WORKFLOW_EXECUTION_TIMEOUT`. Transient: a retry goes on from the last checkpoint."""


class WorkflowFailed(WorkflowError, RuntimeError):
    """A run ended with an error; the text is the workflow's own."""


class InfrastructureError(WorkflowError):
    """Our own store or broker failed. Never the event's fault: intake pauses and nothing is dropped."""


class StoreUnavailable(InfrastructureError):
    """The database of runs and checkpoints is full, locked, read-only or gone."""


class BrokerUnavailable(InfrastructureError):
    """Kafka did not answer, refused us, or lacks a topic."""


class RecordNotSent(BrokerUnavailable):
    """Kafka refused the record together with others, so nobody has read it. Sending it again is safe."""


class LeaseLost(InfrastructureError):
    """A newer epoch owns this run. Whatever the old owner writes is refused."""

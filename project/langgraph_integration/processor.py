"""WorkflowProcessor: one event in, the final state of its graph out."""

import logging
from typing import Any

from langgraph_integration import environment as env
from langgraph_integration.graphs.conversion import event_to_multi_agent_state, outcome_of
from langgraph_integration.graphs.registry import load_registry
from langgraph_integration.graphs.runner import LangGraphRunner
from langgraph_integration.pipeline.outcome import Failed, Succeeded, Unfulfilled
from langgraph_integration.result_producer import ResultProducer
from workflow_events import WorkflowEvent
from workflow_events.errors import ConfigurationError
from workflow_events.schema import ResultStatus

__all__ = ["WorkflowProcessor", "event_to_multi_agent_state"]

log = logging.getLogger(__name__)


class WorkflowProcessor:
    """Runs events on LangGraph; `thread_id` is the event id, so that a repeated event goes on where it was.

    With a `result_producer` it publishes one result for each call, success or error. Inside the service it
    has none: there the verdict is published after it is stored. A result that cannot be published is an error
    in the log, as the guide has it; a repeated call answers from the checkpoint.

    `workflow_timeout` is in seconds, fractions allowed; `None` takes `WORKFLOW_EXECUTION_TIMEOUT` (300).
    `runner=None` runs the graphs of `langgraph.json` with the checkpointers they were built with.
    """

    def __init__(
        self,
        result_producer: ResultProducer | None = None,
        workflow_timeout: float | None = None,
        *,
        runner: LangGraphRunner | None = None,
    ) -> None:
        if workflow_timeout is None:
            workflow_timeout = env.number("WORKFLOW_EXECUTION_TIMEOUT", 300)
        if not workflow_timeout > 0:
            raise ConfigurationError(
                f"workflow_timeout (WORKFLOW_EXECUTION_TIMEOUT) is {workflow_timeout}; "
                "it must be greater than 0 seconds"
            )
        self.result_producer = result_producer
        self.workflow_timeout = workflow_timeout
        self.runner = runner

    async def process_workflow_event(self, event: WorkflowEvent) -> dict[str, Any]:
        """The final state of the event's graph.

        Raises TimeoutError when the run exceeds its limit (transient: a retry goes on from the last
        checkpoint), `UnknownGraph`, and whatever the graph raises. With a `result_producer`, an error is
        published before it is raised.
        """
        runner = await self._ready_runner()
        try:
            state = await runner.run(event, self.workflow_timeout)
        except Exception as error:
            await self._publish(event, {}, "error", str(error) or type(error).__name__)
            raise
        if self.result_producer is None:
            return state
        match outcome_of(runner.resolve(event), state):
            case Succeeded(result=result):
                await self._publish(event, result, "success", None)
            case Unfulfilled(result=result, error=text):
                await self._publish(event, result, "failure", text)
            case Failed(message=text):
                await self._publish(event, {}, "error", text)
        return state

    async def _ready_runner(self) -> LangGraphRunner:
        if self.runner is None:
            self.runner = LangGraphRunner(await load_registry(env.text("LANGGRAPH_CONFIG", "") or None))
        return self.runner

    async def _publish(
        self, event: WorkflowEvent, result: dict[str, Any], status: ResultStatus, error: str | None
    ) -> None:
        if self.result_producer is None:
            return
        try:
            await self.result_producer.publish_result(
                correlation_id=event.event_id,
                workflow_id=event.workflow_id,
                workflow_run_id=event.workflow_run_id,
                result=result,
                status=status,
                error=error,
            )
        except Exception as failure:  # noqa: BLE001 - how the run ended is not hidden by how it could be told
            log.error(
                "result not published: %s",
                failure,
                extra={"action": "result_unpublished", "event_id": str(event.event_id)},
            )

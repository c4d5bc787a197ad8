"""LangGraphRunner: runs a thread from where it is: from its input, from its checkpoint, or not at all."""

import asyncio
import logging
from collections.abc import Mapping
from typing import Any, cast

from langchain_core.runnables import RunnableConfig
from langgraph.errors import GraphDrained
from langgraph.runtime import RunControl
from langgraph.types import StateSnapshot

from langgraph_integration.graphs.conversion import INTERRUPT_KEY, event_to_multi_agent_state
from langgraph_integration.graphs.registry import GraphRegistry
from langgraph_integration.graphs.specs import GraphSpec, graph_input
from langgraph_integration.graphs.unreachable import missing_nodes
from langgraph_integration.pipeline.run_context import Drained, RunContext, current_run
from workflow_events import WorkflowEvent
from workflow_events.errors import WorkflowFailed, WorkflowTimeout
from workflow_events.ids import id_text

log = logging.getLogger(__name__)


class LangGraphRunner:
    """Runs events on the registry's graphs; `thread_id` is the event id."""

    def __init__(self, registry: GraphRegistry) -> None:
        self._registry = registry

    def resolve(self, event: WorkflowEvent) -> GraphSpec:
        """The graph that the event runs on; raises `UnknownGraph`."""
        return self._registry.resolve(event)

    async def run(self, event: WorkflowEvent, timeout_s: float) -> dict[str, Any]:
        """The final state of the event's thread.

        A thread that exists is never given its input again: LangGraph would start anew on top of the old
        state. `timeout_s` is the default for graphs that set none. Raises `UnknownGraph`, `InvalidRecord`
        for an input that the graph cannot take, `WorkflowTimeout`, `Drained`, and whatever the graph raises.
        """
        spec = self._registry.resolve(event)
        context = current_run.get() or RunContext()
        limit_s = spec.settings.timeout_s or timeout_s
        context.limit_s = limit_s
        timer = context.timer = asyncio.timeout(limit_s)
        try:
            async with timer:
                return await self._go_on(spec, event, context)
        except TimeoutError as error:
            if not timer.expired():
                raise
            raise WorkflowTimeout(
                f"Workflow {event.workflow_id!r} (graph {spec.name!r}) timed out after {limit_s:g} seconds"
            ) from error

    async def _go_on(self, spec: GraphSpec, event: WorkflowEvent, context: RunContext) -> dict[str, Any]:
        config = _config(spec, event, context)
        if context.fresh:
            return await self._invoke(spec, _input(spec, event), config, context)
        state = await spec.graph.aget_state(config)
        if state.created_at is None:
            return await self._invoke(spec, _input(spec, event), config, context)
        await _check_nodes(spec, state)
        if state.tasks:
            # not `next`: that is empty too when every task of the step has stored its writes and the
            # process ended before the checkpoint that takes them up
            return await self._invoke(spec, None, config, context)
        return _output(spec, state.values)

    async def _invoke(
        self, spec: GraphSpec, given: dict[str, Any] | None, config: RunnableConfig, context: RunContext
    ) -> dict[str, Any]:
        control = RunControl()
        context.on_drain(control.request_drain)
        try:
            # the newer form of the answer: the older one is put together from a stream of updates as well
            output = await spec.graph.ainvoke(
                given, config, durability=spec.settings.durability, control=control, version="v2"
            )
        except GraphDrained as drained:
            raise Drained(drained.reason) from drained
        state = _fields(output.value)
        return {**state, INTERRUPT_KEY: output.interrupts} if output.interrupts else state


async def _check_nodes(spec: GraphSpec, state: StateSnapshot) -> None:
    """Raise `WorkflowFailed` if the thread waits for a node that the graph no longer has."""
    if gone := await missing_nodes(spec.graph, state):
        raise WorkflowFailed(
            f"graph {spec.name!r} has no node {', '.join(map(repr, gone))} any more, and the run is to go on"
            " there: deploy the graph it was started with, or ask under a new event id"
        )


def _config(spec: GraphSpec, event: WorkflowEvent, context: RunContext) -> RunnableConfig:
    # built from the registry alone: an event sets no key of the configuration
    configurable: dict[str, Any] = {"thread_id": id_text(event.event_id)}
    if context.lease_epoch is not None:
        configurable["lease_epoch"] = context.lease_epoch
    return {
        "configurable": configurable,
        "recursion_limit": spec.settings.recursion_limit,
        "run_name": spec.name,
        "metadata": {
            "event_id": id_text(event.event_id),
            "workflow_id": event.workflow_id,
            "workflow_run_id": event.workflow_run_id,
        },
    }


def _input(spec: GraphSpec, event: WorkflowEvent) -> dict[str, Any]:
    return event_to_multi_agent_state(event) if spec.multi_agent else graph_input(spec, event)


def _output(spec: GraphSpec, values: Any) -> dict[str, Any]:
    fields = _fields(values)
    wanted = spec.graph.output_channels
    names = {wanted} if isinstance(wanted, str) else set(wanted)
    return {name: value for name, value in fields.items() if name in names or name == INTERRUPT_KEY}


def _fields(state: Any) -> dict[str, Any]:
    """A state as a dict, whatever its schema class is."""
    if isinstance(state, Mapping):
        return dict(state)
    dump = getattr(state, "model_dump", None)
    if dump is not None:
        return cast(dict[str, Any], dump())
    # the functional API may return anything
    return dict(vars(state)) if hasattr(state, "__dict__") else {"output": state}

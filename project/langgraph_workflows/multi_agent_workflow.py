"""The built-in graph: orchestrator, data agent, orchestrator, analysis agent, orchestrator."""

from typing import Any
from uuid import uuid4

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from langgraph.graph import END, START, StateGraph

from langgraph_workflows.agent import Agent
from langgraph_workflows.analysis_agent import work_on_analysis
from langgraph_workflows.data_agent import is_heavy, work_on_data
from langgraph_workflows.orchestrator_agent import orchestrate
from langgraph_workflows.state import MultiAgentState, initial_state


def build_multi_agent_graph() -> StateGraph[MultiAgentState]:
    """The graph, not yet compiled, so that whoever runs it brings the checkpointer.

    Every run enters at the orchestrator, whatever `current_agent` the input names: what is there in
    `agent_results` decides who is next.
    """
    graph = StateGraph(MultiAgentState)
    graph.add_node("orchestrator", Agent(orchestrate), destinations=("data", "analysis", END))
    graph.add_node("data", Agent(work_on_data, is_heavy=is_heavy))
    graph.add_node("analysis", Agent(work_on_analysis, is_heavy=is_heavy))
    graph.add_edge(START, "orchestrator")
    graph.add_edge("data", "orchestrator")
    graph.add_edge("analysis", "orchestrator")
    return graph


# The fallback: msgpack knows no whole numbers beyond 64 bits, which JSON may hold. These pickles never leave
# the process that wrote them.
_saver = InMemorySaver(serde=JsonPlusSerializer(pickle_fallback=True))

multi_agent_graph = build_multi_agent_graph().compile(checkpointer=_saver, name="multi_agent_graph")
"""Ready to `invoke` and `ainvoke`. Its checkpoints stay in this process's memory; services bring a saver."""


def execute_multi_agent_workflow(task: str, thread_id: str | None = None) -> tuple[dict[str, Any], str]:
    """Run the graph for a task and wait for it: the final state, and the thread it ran on.

    A thread that ran before runs again, with the data it was given and its messages kept.
    """
    thread = thread_id or str(uuid4())
    config: RunnableConfig = {"configurable": {"thread_id": thread}}
    state: dict[str, Any] = multi_agent_graph.invoke(initial_state(task), config=config)
    return state, thread

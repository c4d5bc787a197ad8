"""The orchestrator: decides who comes next, and has the last word."""

import logging
from typing import Any, Literal

from langgraph.types import Command

from langgraph_workflows.refusal import RequestRefused, shown
from langgraph_workflows.request import choose_analysis
from langgraph_workflows.state import MultiAgentState, said

log = logging.getLogger(__name__)

NextAgent = Literal["data", "analysis", "__end__"]
"""The last one is LangGraph's END, spelt out because a Literal takes no constant."""


def orchestrate(state: MultiAgentState) -> Command[NextAgent]:
    """Data first, then the analysis, then the conclusion; a request that cannot be met ends at once."""
    begun = _begin_again(state) if state.get("conclusion") else {}
    results = _lasting(state, begun)
    failure = "" if begun else state.get("failure") or ""
    if not failure and "analysis" not in results:
        failure = _refused(state)
    if failure:
        return _end(state, begun, f"The request could not be met: {failure}.", failure)
    if "data" not in results:
        return Command(update={**begun, "current_agent": "data"}, goto="data")
    if "analysis" not in results:
        return Command(update={**begun, "current_agent": "analysis"}, goto="analysis")
    return _end(state, begun, _conclusion(state, results))


def _begin_again(state: MultiAgentState) -> dict[str, Any]:
    """The update that forgets the run before on this thread.

    Only a thread that was at its end has a conclusion, so finding one on the way in means that the thread
    is invoked again. The old analysis goes, and so does the data result it was made from; another data
    result was brought by the new input and stays.
    """
    results = _results(state)
    analysis = results.get("analysis", {}).get("analysis")
    made_from = analysis.get("data_source") if isinstance(analysis, dict) else None
    stale: dict[str, None] = {"analysis": None}
    if made_from is None or results.get("data") == made_from:
        stale["data"] = None
    return {"agent_results": stale, "failure": "", "conclusion": "", "completed": False}


def _results(state: MultiAgentState) -> dict[str, dict[str, Any]]:
    """The agents' results that are any; an asker may have started with half of them, or with nonsense."""
    results: object = state.get("agent_results")
    if not isinstance(results, dict):
        return {}
    return {agent: result for agent, result in results.items() if isinstance(result, dict) and result}


def _lasting(state: MultiAgentState, begun: dict[str, Any]) -> dict[str, dict[str, Any]]:
    stale = begun.get("agent_results", {})
    return {agent: result for agent, result in _results(state).items() if agent not in stale}


def _refused(state: MultiAgentState) -> str:
    """Why no analysis can be chosen; empty if one can. Asked before anything is read."""
    try:
        choose_analysis(state.get("data"), state.get("task"))
    except RequestRefused as refusal:
        return str(refusal)
    return ""


def _conclusion(state: MultiAgentState, results: dict[str, dict[str, Any]]) -> str:
    analysis = results["analysis"].get("analysis")
    headline = analysis.get("headline") if isinstance(analysis, dict) else None
    if not isinstance(headline, str):
        return f"The task {shown(state.get('task'))} is done."
    return f"The task {shown(state.get('task'))} is done. {headline}"


def _end(
    state: MultiAgentState, begun: dict[str, Any], conclusion: str, failure: str = ""
) -> Command[NextAgent]:
    log.debug("agents are done", extra={"action": "agents-done", "failure": failure or None})
    update = {
        **begun,
        "current_agent": "orchestrator",
        "completed": not failure,
        "conclusion": conclusion,
        "messages": [said("orchestrator", conclusion)],
    }
    if failure:
        update["failure"] = failure
    return Command(update=update, goto="__end__")

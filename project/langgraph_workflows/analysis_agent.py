"""The analysis agent: the analysis that was asked for, on the table that the data agent vouched for."""

from typing import TYPE_CHECKING, Any

from langgraph_workflows.data_agent import NO_TABLE
from langgraph_workflows.refusal import RequestRefused, shown
from langgraph_workflows.request import AnalysisChoice, choose_analysis, table_request
from langgraph_workflows.settings import data_directory
from langgraph_workflows.state import MultiAgentState, said

if TYPE_CHECKING:
    from langgraph_workflows.analyses import Findings
    from langgraph_workflows.table import Table


def work_on_analysis(state: MultiAgentState) -> dict[str, Any]:
    """The analysis agent's result with its figures and headline; or a `failure`."""
    data_result = state["agent_results"].get("data")
    try:
        choice = choose_analysis(state.get("data"), state.get("task"))
        findings = _findings(state, choice, data_result)
    except RequestRefused as refusal:
        return {
            "failure": str(refusal),
            "messages": [said("analysis", f"The analysis cannot be made: {refusal}.")],
        }
    analysis = {
        "status": "success",
        "data_source": data_result,
        "analysis_type": choice.analysis_type,
        "chosen_by": choice.chosen_by,
        "time": findings.time,
        "figures": dict(findings.figures),
        "headline": findings.headline,
        "notes": list(findings.notes),
    }
    result = {"agent": "analysis", "result": "analysis_complete", "analysis": analysis}
    return {"agent_results": {"analysis": result}, "messages": [said("analysis", findings.headline)]}


def _findings(state: MultiAgentState, choice: AnalysisChoice, data_result: object) -> "Findings":
    # as in the data agent: polars is imported by the first run that needs it
    from langgraph_workflows.analyses import Findings, analyse
    from langgraph_workflows.loading import load_table

    request = table_request(state.get("data"))
    if request is None:
        return Findings(f"There was nothing to analyse: {NO_TABLE}.")
    # Loaded again and not handed over: the table would be written into every checkpoint of the run.
    table = load_table(request, data_directory())
    _same_file(table, data_result)
    if table.rows == 0 or not table.columns:
        return Findings("There was nothing to analyse: the table is empty.")
    return analyse(choice.analysis_type, table, request)


def _same_file(table: "Table", data_result: object) -> None:
    """Raises `RequestRefused` if the data agent read other bytes under this name."""
    facts = data_result.get("data") if isinstance(data_result, dict) else None
    source = facts.get("source") if isinstance(facts, dict) else None
    profiled = source.get("sha256") if isinstance(source, dict) else None
    if profiled is not None and table.source.get("sha256") != profiled:
        raise RequestRefused(
            f"the file {shown(table.source.get('file'))} changed while it was worked on; ask again"
        )

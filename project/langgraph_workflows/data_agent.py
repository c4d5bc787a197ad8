"""The data agent: gets the table, checks it and says what is in it."""

import sys
from typing import Any

from langgraph_workflows.figures import counted
from langgraph_workflows.limits import LIGHT_CELLS
from langgraph_workflows.refusal import RequestRefused
from langgraph_workflows.request import table_request
from langgraph_workflows.settings import data_directory
from langgraph_workflows.state import MultiAgentState, said

NO_TABLE = "the data holds neither `records` nor a `file`"


def work_on_data(state: MultiAgentState) -> dict[str, Any]:
    """The data agent's result: the profile of the table, or that there is none; or a `failure`."""
    # here, because polars is a fifth of a second that the start of a service would wait for
    from langgraph_workflows.loading import load_table
    from langgraph_workflows.profile import profile_table

    facts: dict[str, Any] = {"processed": True, "task": state.get("task")}
    try:
        request = table_request(state.get("data"))
        table = None if request is None else load_table(request, data_directory())
    except RequestRefused as refusal:
        return {"failure": str(refusal), "messages": [said("data", f"The table cannot be had: {refusal}.")]}
    if table is None:
        facts |= {"source": {"kind": "none"}, "rows": 0, "columns": [], "profile": {}, "note": NO_TABLE}
        text = f"There is no table: {NO_TABLE}."
    else:
        names = [column.name for column in table.columns]
        profile = profile_table(table)
        facts |= {"source": dict(table.source), "rows": table.rows, "columns": names, "profile": profile}
        text = f"Read {counted(table.rows, 'row')} in {counted(len(names), 'column')}."
    result = {"agent": "data", "result": "data_processed", "data": facts}
    return {"agent_results": {"data": result}, "messages": [said("data", text)]}


def is_heavy(state: MultiAgentState) -> bool:
    """Whether the event loop would feel the work: the table is a file, or large, or polars is still to be
    imported.
    """
    if "polars" not in sys.modules:
        return True
    data = state.get("data")
    if not isinstance(data, dict):
        return False
    records = data.get("records")
    if not isinstance(records, list):
        return data.get("file") is not None
    if len(records) > LIGHT_CELLS:
        return True
    return sum(len(record) for record in records if isinstance(record, dict)) > LIGHT_CELLS

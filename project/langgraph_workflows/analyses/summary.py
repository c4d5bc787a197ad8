"""The summary: each column's figures side by side."""

from typing import Any

from langgraph_workflows.analyses.findings import Findings, numeric_columns
from langgraph_workflows.analyses.time_axis import time_axis
from langgraph_workflows.figures import counted, said_number
from langgraph_workflows.profile import profile_table
from langgraph_workflows.refusal import listed
from langgraph_workflows.request import TableRequest
from langgraph_workflows.table import Table


def summarise(table: Table, request: TableRequest) -> Findings:
    """The profile of all columns, and a sentence on the first column of numbers that is not the time."""
    axis = time_axis(table, request)
    figures = profile_table(table)
    shape = f"{counted(table.rows, 'row')} in {counted(len(table.columns), 'column')}"
    told = [(column.name, figures[column.name]) for column in numeric_columns(table, without=axis.column)]
    headline = f"{shape}; {_told(*told[0])}." if told else f"{shape}, no numbers among them."
    return Findings(headline, figures, _gaps(figures), time=axis.column)


def _told(name: str, figures: dict[str, Any]) -> str:
    low, median, mean, high = (figures[key] for key in ("min", "median", "mean", "max"))
    if low is None or median is None or high is None or mean is None:
        return f"the figures of {name} are too large to give"
    return (
        f"{name} runs from {said_number(low)} to {said_number(high)}"
        f" (median {said_number(median)}, mean {said_number(mean)})"
    )


def _gaps(figures: dict[str, Any]) -> tuple[str, ...]:
    gaps = [
        f"{name} ({counted(column['nulls'] + column.get('not_finite', 0), 'row')})"
        for name, column in figures.items()
        if column["nulls"] + column.get("not_finite", 0)
    ]
    return (f"columns with missing values: {listed(gaps)}",) if gaps else ()

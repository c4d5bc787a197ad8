"""The three analyses of a table: what is in it, where it is heading, and what stands out."""

from typing import assert_never

from langgraph_workflows.analyses.anomalies import find_anomalies
from langgraph_workflows.analyses.findings import Findings
from langgraph_workflows.analyses.summary import summarise
from langgraph_workflows.analyses.trend import find_trends
from langgraph_workflows.request import AnalysisType, TableRequest
from langgraph_workflows.table import Table

__all__ = ["Findings", "analyse"]


def analyse(analysis_type: AnalysisType, table: Table, request: TableRequest) -> Findings:
    """The findings of that analysis. Raises `RequestRefused` if the named time column is no time."""
    match analysis_type:
        case "summary":
            return summarise(table, request)
        case "trend_analysis":
            return find_trends(table, request)
        case "anomaly_detection":
            return find_anomalies(table, request)
        case unreachable:
            assert_never(unreachable)

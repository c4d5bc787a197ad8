"""The trend analysis: a line through each column of numbers, and whether the drift is more than chance."""

from typing import Any, Final

import polars as pl

from langgraph_workflows.analyses.findings import (
    Findings,
    left_out_note,
    no_numbers,
    numeric_columns,
    why_not_computed,
)
from langgraph_workflows.analyses.time_axis import TimeAxis, differences, time_axis
from langgraph_workflows.figures import said_number, said_p
from langgraph_workflows.inference import CONFIDENCE, fit_line, mann_kendall
from langgraph_workflows.limits import MIN_SPREAD
from langgraph_workflows.refusal import shown
from langgraph_workflows.request import TableRequest
from langgraph_workflows.table import Column, Table

AT_LEAST: Final = 3
ALPHA: Final = 0.05


def find_trends(table: Table, request: TableRequest) -> Findings:
    """By column: least-squares slope with its 95 % interval, Mann-Kendall p, and the direction at 5 %.

    A column without enough rows or without spread gets a `note` in place of figures. Several columns are
    several tests; the p values are not corrected for that, and a note says so.
    """
    axis = time_axis(table, request)
    columns = numeric_columns(table, without=axis.column)
    if not columns:
        return no_numbers(table)
    figures = {column.name: _trend_of(column, axis) for column in columns}
    notes = left_out_note(table, columns, axis.column)
    tested = [name for name, column in figures.items() if "p" in column]
    if len(tested) > 1:
        notes = (*notes, f"{len(tested)} columns were tested; their p values are each for one test")
    return Findings(_headline(figures, tested, axis), figures, notes, time=axis.column)


def _trend_of(column: Column, axis: TimeAxis) -> dict[str, Any]:
    usable = column.values.is_not_null() & axis.position.is_not_null()
    values, position = column.values.filter(usable), axis.position.filter(usable)
    base: dict[str, Any] = {"rows": len(values), "left_out": len(column.values) - len(values)}
    kept = Column(column.name, column.kind, values)
    reason = why_not_computed(kept, values=len(values), at_least=AT_LEAST)
    if reason is None and _spread(position) < MIN_SPREAD:
        reason = "no spread: all rows stand at the same time"
    if reason is not None:
        return {**base, "note": reason}
    return {**base, **_figures(values, position, axis.unit)}


def _spread(position: pl.Series) -> float:
    low, high = position.min(), position.max()
    return high - low if isinstance(low, float) and isinstance(high, float) else 0.0


def _figures(values: pl.Series, position: pl.Series, unit: str) -> dict[str, Any]:
    origin = values.min()
    assert isinstance(origin, int | float)  # why_not_computed saw two different numbers
    line = fit_line(position, differences(values, origin))
    test = mann_kendall(position, values)
    assert test is not None  # it is None without spread only
    return {
        "slope": line.slope,
        "slope_low": line.low,
        "slope_high": line.high,
        "confidence": CONFIDENCE,
        "per": unit,
        "r_squared": line.r_squared,
        "tau": test.tau,
        "p": test.p,
        "p_method": f"Mann-Kendall, {test.method}",
        "direction": _direction(test.tau, test.p),
    }


def _direction(tau: float, p: float) -> str:
    if p >= ALPHA:
        return "none shown"
    return "rising" if tau > 0 else "falling"


def _headline(figures: dict[str, Any], tested: list[str], axis: TimeAxis) -> str:
    if not tested:
        name, column = next(iter(figures.items()))
        return f"No trend could be computed for {shown(name)}: {column['note']}."
    name = min(tested, key=lambda name: (figures[name]["p"], -abs(figures[name]["tau"])))
    column = figures[name]
    verb = {"rising": "rises", "falling": "falls", "none shown": "shows no clear trend"}[column["direction"]]
    per = f"per {axis.unit}"
    slope = f"{said_number(column['slope'])} {per}"
    if column["direction"] != "none shown":
        verb = f"{verb} by {said_number(abs(column['slope']))} {per}"
        slope = "slope"
    interval = f"95 % interval {said_number(column['slope_low'])} to {said_number(column['slope_high'])}"
    return f"{name} {verb} ({slope}, {interval}; Mann-Kendall {said_p(column['p'])})."

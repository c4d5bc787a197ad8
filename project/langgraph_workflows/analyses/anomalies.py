"""The anomaly detection: rows whose robust z score is beyond 3.5."""

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
from langgraph_workflows.figures import counted, figure, plain, said_number
from langgraph_workflows.inference import ROBUST_Z_THRESHOLD, robust_scores
from langgraph_workflows.refusal import shown
from langgraph_workflows.request import TableRequest
from langgraph_workflows.table import Column, Table

AT_LEAST: Final = 5
ROWS_NAMED: Final = 10


def find_anomalies(table: Table, request: TableRequest) -> Findings:
    """By column: median, MAD, threshold, how many rows are beyond it, and the ten farthest of them.

    Rows are counted from 1 and named by the time column too, if there is one. A column without enough rows
    or without spread gets a `note` in place of figures.
    """
    axis = time_axis(table, request)
    columns = numeric_columns(table, without=axis.column)
    if not columns:
        return no_numbers(table)
    figures = {column.name: _anomalies_of(column, axis) for column in columns}
    notes = left_out_note(table, columns, axis.column)
    return Findings(_headline(figures, axis), figures, notes, time=axis.column)


def _anomalies_of(column: Column, axis: TimeAxis) -> dict[str, Any]:
    frame = pl.DataFrame({"row": pl.int_range(1, len(column.values) + 1, eager=True), "value": column.values})
    if axis.labels is not None:
        frame = frame.with_columns(axis.labels.alias("time"))
    frame = frame.drop_nulls("value")
    base: dict[str, Any] = {"rows": frame.height, "left_out": len(column.values) - frame.height}
    reason = why_not_computed(column, values=frame.height, at_least=AT_LEAST)
    if reason is not None:
        return {**base, "note": reason}
    origin = frame["value"].min()
    assert isinstance(origin, int | float)  # why_not_computed saw two different numbers
    scores = robust_scores(differences(frame["value"], origin))
    if scores is None:
        return {**base, "note": "no spread: more than half of the values are equal, so the MAD is 0"}
    _, mad, score = scores
    beyond = frame.with_columns(score.alias("z")).filter(pl.col("z").abs() > ROBUST_Z_THRESHOLD)
    farthest = beyond.sort(pl.col("z").abs(), "row", descending=[True, False]).head(ROWS_NAMED)
    return {
        **base,
        "median": figure(frame["value"].median()),
        "mad": figure(mad),
        "threshold": ROBUST_Z_THRESHOLD,
        "count": beyond.height,
        "anomalies": [
            {key: plain(cell) for key, cell in row.items()} for row in farthest.iter_rows(named=True)
        ],
    }


def _headline(figures: dict[str, Any], axis: TimeAxis) -> str:
    computed = {name: column for name, column in figures.items() if "count" in column}
    if not computed:
        name, column = next(iter(figures.items()))
        return f"No anomalies could be looked for in {shown(name)}: {column['note']}."
    found = {name: column for name, column in computed.items() if column["count"]}
    if not found:
        where = next(iter(computed)) if len(computed) == 1 else counted(len(computed), "column")
        return f"Nothing stands out in {where}: no robust z beyond {ROBUST_Z_THRESHOLD}."
    name = max(found, key=lambda name: abs(found[name]["anomalies"][0]["z"]))
    worst, total = found[name]["anomalies"][0], sum(column["count"] for column in found.values())
    when = f" ({axis.column} {worst['time']})" if worst.get("time") is not None else ""
    stands = "value stands out" if total == 1 else "values stand out"
    return (
        f"{total:,} {stands}; the farthest is {said_number(worst['value'])} in {name},"
        f" row {worst['row']:,}{when}, with a robust z of {said_number(worst['z'])}."
    )

"""What each column holds, as plain JSON."""

from typing import Any, Final

import polars as pl

from langgraph_workflows.figures import figure, plain
from langgraph_workflows.table import Column, Table

COMMONEST: Final = 3


def profile_table(table: Table) -> dict[str, Any]:
    """By column name: its kind, how many values and nulls, and the figures that suit its kind."""
    return {column.name: profile_column(column) for column in table.columns}


def profile_column(column: Column) -> dict[str, Any]:
    """One column's part of the profile. A figure that cannot be given as a finite number is `None`."""
    nulls = column.values.null_count() - column.not_finite
    profile: dict[str, Any] = {
        "kind": column.kind,
        "values": len(column.values) - column.values.null_count(),
        "nulls": nulls,
    }
    if column.not_finite:
        profile["not_finite"] = column.not_finite
    there = column.values.drop_nulls()
    match column.kind:
        case "integer" | "number":
            profile.update(_number_figures(there))
        case "boolean":
            profile.update({"true": int(there.sum()), "false": len(there) - int(there.sum())})
        case "text":
            profile.update(_text_figures(there))
        case "time":
            profile.update({"min": plain(there.min()), "max": plain(there.max())})
        case "mixed":
            profile["types"] = dict(column.types)
        case "nested" | "other" | "empty":
            pass
    return profile


def _number_figures(values: pl.Series) -> dict[str, float | int | None]:
    return {
        "min": figure(values.min()),
        "q25": figure(values.quantile(0.25, interpolation="linear")),
        "median": figure(values.median()),
        "q75": figure(values.quantile(0.75, interpolation="linear")),
        "max": figure(values.max()),
        "mean": figure(values.mean()),
        "std": figure(values.std()),
    }


def _text_figures(values: pl.Series) -> dict[str, Any]:
    counts = values.value_counts(sort=True, name="times")
    commonest = [
        {"value": plain(text), "times": times}
        for text, times in counts.sort("times", values.name, descending=[True, False]).head(COMMONEST).rows()
    ]
    return {"distinct": counts.height, "commonest": commonest}

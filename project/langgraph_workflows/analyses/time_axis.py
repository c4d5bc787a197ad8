"""Which column orders the rows, and how far apart they are."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Final

import polars as pl

from langgraph_workflows.limits import MAX_MAGNITUDE
from langgraph_workflows.refusal import RequestRefused, shown
from langgraph_workflows.request import TableRequest, not_there
from langgraph_workflows.table import Column, Table

UNIT_NAMES: Final = frozenset({"year", "month", "week", "day", "hour"})
TIME_NAMES: Final = UNIT_NAMES | {"date", "time", "timestamp", "datetime"}

UNITS: Final = (("year", 365.2425 * 86400, 730 * 86400), ("day", 86400.0, 2 * 86400), ("hour", 3600.0, 7200))
"""A unit, its seconds, and the span in seconds from which slopes are given in it. Below all: seconds."""


@dataclass(frozen=True, slots=True)
class TimeAxis:
    """Where each row stands: `position` (Float64, null where unknown) counted in `unit`.

    `column` is the time column and `labels` its cells, to name a row by; both `None` if rows are counted.
    """

    position: pl.Series
    unit: str
    column: str | None = None
    labels: pl.Series | None = None


def time_axis(table: Table, request: TableRequest) -> TimeAxis:
    """The column named by `time`; else a column that plainly is one; else the number of the row.

    Plainly: a column of times, or one called year, month, week, day, hour, date, time, timestamp or datetime,
    without gaps, growing strictly from row to row, while another column of numbers remains to look at.
    Raises `RequestRefused` if the named column is not there or does not hold times or numbers.
    """
    if request.time is not None:
        column = table.column(request.time)
        if column is None:
            raise not_there([request.time], [column.name for column in table.columns])
        return _named_axis(column)
    for column in table.columns:
        others = any(other.is_numeric for other in table.columns if other is not column)
        if others and (column.kind == "time" or column.name.casefold() in TIME_NAMES):
            axis = _plain_axis(column)
            if axis is not None:
                return axis
    return TimeAxis(pl.int_range(1, table.rows + 1, eager=True).cast(pl.Float64), "row")


def _named_axis(column: Column) -> TimeAxis:
    match column.kind:
        case "integer" | "number":
            return _number_axis(column)
        case "time":
            return _clock_axis(column, column.values.dt.epoch("us").cast(pl.Float64) / 1e6)
        case "text":
            return _clock_axis(column, _parsed(column))
        case "empty":
            raise RequestRefused(f"the time column {shown(column.name)} is empty")
        case _:
            raise RequestRefused(f"the column {shown(column.name)} holds no times: it is {column.kind}")


def _plain_axis(column: Column) -> TimeAxis | None:
    try:
        axis = _named_axis(column)
    except RequestRefused:
        return None
    steps = axis.position.diff().drop_nulls()
    growing = axis.position.null_count() == 0 and len(steps) > 0 and bool((steps > 0).all())
    return axis if growing else None


def _number_axis(column: Column) -> TimeAxis:
    there = column.values.drop_nulls()
    low, high = there.min(), there.max()
    if not isinstance(low, int | float) or not isinstance(high, int | float):
        raise RequestRefused(f"the time column {shown(column.name)} is empty")
    if max(abs(low), abs(high)) > MAX_MAGNITUDE:
        raise RequestRefused(f"the time column {shown(column.name)} holds numbers beyond {MAX_MAGNITUDE:g}")
    unit = column.name if column.name.casefold() in UNIT_NAMES else f"unit of {column.name}"
    return TimeAxis(differences(column.values, low), unit, column.name, column.values)


def differences(values: pl.Series, origin: float | int) -> pl.Series:
    """Each value less the origin, as Float64. Whole numbers are subtracted whole: 2**60 + 1 is not 2**60."""
    if values.dtype == pl.Int64 and isinstance(origin, int):
        high = values.max()
        if isinstance(high, int) and high - origin < 2**63:
            return (values - origin).cast(pl.Float64)
    return values.cast(pl.Float64) - float(origin)


def _clock_axis(column: Column, seconds: pl.Series) -> TimeAxis:
    first, last = seconds.min(), seconds.max()
    if not isinstance(first, float) or not isinstance(last, float):
        raise RequestRefused(f"the time column {shown(column.name)} is empty")
    for unit, length, from_span in UNITS:
        if last - first >= from_span:
            return TimeAxis((seconds - first) / length, unit, column.name, column.values)
    return TimeAxis(seconds - first, "second", column.name, column.values)


def _parsed(column: Column) -> pl.Series:
    """The texts as seconds since 1970. Raises `RequestRefused` naming the first that is no ISO 8601 time."""
    return pl.Series(column.name, list(_seconds(column)), dtype=pl.Float64)


def _seconds(column: Column) -> Iterable[float | None]:
    for row, text in enumerate(column.values, 1):
        if text is None:
            yield None
            continue
        try:
            moment = datetime.fromisoformat(text.strip())
            # Without a zone it is read as UTC. Not timestamp(), which fails before 1970 on some systems.
            aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
            yield (aware - EPOCH).total_seconds()
        except (ValueError, OverflowError):
            raise RequestRefused(
                f"the column {shown(column.name)} holds no times: {shown(text)} in row {row:,} is no ISO 8601"
            ) from None


EPOCH: Final = datetime.combine(date(1970, 1, 1), datetime.min.time(), tzinfo=UTC)

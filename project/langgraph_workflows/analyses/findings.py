"""What an analysis hands back, and which columns it may work on."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from langgraph_workflows.limits import MAX_MAGNITUDE, MIN_SPREAD
from langgraph_workflows.refusal import listed
from langgraph_workflows.table import Column, Table


@dataclass(frozen=True, slots=True)
class Findings:
    """Figures by column (plain JSON), one sentence for a person, and what else has to be said.

    `time` is the column that ordered the rows; `None` if they count as they come.
    """

    headline: str
    figures: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    time: str | None = None


def numeric_columns(table: Table, *, without: str | None = None) -> list[Column]:
    """The columns of numbers, in the table's order."""
    return [column for column in table.columns if column.is_numeric and column.name != without]


def no_numbers(table: Table) -> Findings:
    """The finding that there is nothing to compute with."""
    names = [f"{column.name} ({column.kind})" for column in table.columns]
    return Findings(f"There was nothing to analyse: no column of numbers among {listed(names)}.")


def left_out_note(table: Table, worked_on: list[Column], time: str | None) -> tuple[str, ...]:
    """A note on the columns that no figures were computed for, if there are any."""
    used = {column.name for column in worked_on} | {time}
    others = [f"{column.name} ({column.kind})" for column in table.columns if column.name not in used]
    return (f"left out, being no numbers: {listed(others)}",) if others else ()


def why_not_computed(column: Column, *, values: int, at_least: int) -> str | None:
    """Why no figures can be computed from a column of numbers; `None` if they can."""
    if values < at_least:
        return f"too few rows: {values} with a value, at least {at_least} are needed"
    low, high = column.values.min(), column.values.max()
    # As they are, not as floats: whole numbers beyond 2**53 that differ may be the same float.
    if not isinstance(low, int | float) or not isinstance(high, int | float):
        raise TypeError(f"column {column.name!r} holds no numbers")
    if low == high:
        return "no spread: all values are equal"
    if max(abs(low), abs(high)) > MAX_MAGNITUDE:
        return f"not computed: values beyond {MAX_MAGNITUDE:g} cannot be squared"
    if high - low < MIN_SPREAD:
        return f"not computed: a spread below {MIN_SPREAD:g} cannot be squared"
    return None

"""A table as the agents work on it: columns that know what kind of thing they hold."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

import polars as pl

from langgraph_workflows.limits import MAX_COLUMNS, MAX_NAME_CHARS, MAX_ROWS
from langgraph_workflows.refusal import RequestRefused, shown

Kind = Literal["integer", "number", "boolean", "text", "time", "nested", "other", "mixed", "empty"]

INT64_MIN: Final = -(2**63)
INT64_MAX: Final = 2**63 - 1
NUMBER_MARKERS: Final = ("", "na", "n/a", "nan", "null", "none", "inf", "-inf", "+inf")
"""What people write into a column of numbers where there is none, in lower case."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column. `values` is null where the table has nothing that can be worked with.

    Numbers are Int64 or finite Float64. `not_finite` counts the values among the nulls that were NaN,
    infinite or beyond a float; `types` counts the values of a mixed column by their kind.
    """

    name: str
    kind: Kind
    values: pl.Series
    not_finite: int = 0
    types: Mapping[str, int] = field(default_factory=dict)

    @property
    def is_numeric(self) -> bool:
        """Whether figures can be computed from it. A boolean is no number."""
        return self.kind in ("integer", "number")


@dataclass(frozen=True, slots=True)
class Table:
    """Columns of equal length, and where they came from (`source`, plain JSON)."""

    columns: tuple[Column, ...]
    rows: int
    source: Mapping[str, Any]

    def column(self, name: str) -> Column | None:
        """The column of that name, or `None`."""
        return next((column for column in self.columns if column.name == name), None)


def checked_names(names: Sequence[object]) -> list[str]:
    """The names, if a result can carry them. Raises `RequestRefused` for too many, long or broken ones."""
    if len(names) > MAX_COLUMNS:
        raise RequestRefused(
            f"the table has more than {MAX_COLUMNS} columns, which is the limit; pick some with `columns`"
        )
    checked = []
    for name in names:
        if not isinstance(name, str) or not is_unicode(name):
            raise RequestRefused(f"the column name {shown(name)} is not valid text")
        if len(name) > MAX_NAME_CHARS:
            raise RequestRefused(f"the column name {shown(name)} is longer than {MAX_NAME_CHARS} characters")
        checked.append(name)
    return checked


def checked_rows(rows: int) -> int:
    """The number of rows, if it is not too large. Raises `RequestRefused` otherwise."""
    if rows > MAX_ROWS:
        raise RequestRefused(f"the table has more than {MAX_ROWS:,} rows, which is the limit")
    return rows


def is_unicode(text: str) -> bool:
    """Whether the text can be written as UTF-8. JSON may smuggle lone surrogates in, which cannot."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def column_from_values(name: str, values: Sequence[Any]) -> Column:
    """A column from JSON values. Values of several kinds make it `mixed`; nothing is converted by guess."""
    types: dict[str, int] = {}
    for value in values:
        if value is not None:
            kind = _kind_of(value)
            types[kind] = types.get(kind, 0) + 1
    match set(types):
        case kinds if not kinds:
            return Column(name, "empty", pl.Series(name, values, dtype=pl.Null))
        case kinds if kinds <= {"integer", "number"}:
            return _numbers(name, values)
        case kinds if kinds == {"boolean"}:
            return Column(name, "boolean", pl.Series(name, values, dtype=pl.Boolean))
        case kinds if kinds == {"text"}:
            return Column(name, "text", _texts(name, values))
        case kinds if kinds == {"nested"}:
            return Column(name, "nested", _presence(name, values))
        case kinds if kinds == {"other"}:
            return Column(name, "other", _presence(name, values))
        case _:
            return Column(name, "mixed", _presence(name, values), types=types)


def column_from_series(series: pl.Series) -> Column:
    """A column from what polars read out of a file."""
    name, dtype = series.name, series.dtype
    if dtype == pl.Null or series.null_count() == len(series):
        return Column(name, "empty", series)
    if dtype.is_integer():
        low, high = series.min(), series.max()
        fits = isinstance(low, int) and isinstance(high, int) and low >= INT64_MIN and high <= INT64_MAX
        return Column(name, "integer", series.cast(pl.Int64)) if fits else _floats(series.cast(pl.Float64))
    if dtype.is_numeric():
        return _floats(series.cast(pl.Float64))
    if dtype == pl.Boolean:
        return Column(name, "boolean", series)
    if dtype in (pl.Date, pl.Datetime):
        return Column(name, "time", series)
    if dtype in (pl.String, pl.Categorical, pl.Enum):
        return Column(name, "text", series.cast(pl.String))
    return Column(name, "nested" if dtype.is_nested() else "other", series)


def numbers_in_text(column: Column) -> Column:
    """The column as numbers if each of its texts is one or marks a missing one; else unchanged. For CSV."""
    if column.kind != "text":
        return column
    text = column.values.str.strip_chars()
    marked = text.str.to_lowercase().is_in(NUMBER_MARKERS)
    numbers = text.set(marked, None).cast(pl.Float64, strict=False)
    if numbers.null_count() == len(numbers) or numbers.is_null().sum() > (marked | text.is_null()).sum():
        return column
    converted = _floats(numbers)
    not_finite = int(text.str.to_lowercase().is_in(("nan", "inf", "-inf", "+inf")).sum())
    return Column(column.name, "number", converted.values, not_finite=converted.not_finite + not_finite)


def _kind_of(value: object) -> Kind:
    match value:
        case bool():
            return "boolean"
        case int():
            return "integer"
        case float():
            return "number"
        case str():
            return "text"
        case dict() | list() | tuple():
            return "nested"
        case _:
            return "other"


def _numbers(name: str, values: Sequence[int | float | None]) -> Column:
    if all(value is None or (isinstance(value, int) and INT64_MIN <= value <= INT64_MAX) for value in values):
        return Column(name, "integer", pl.Series(name, values, dtype=pl.Int64))
    return _floats(pl.Series(name, [_as_float(value) for value in values], dtype=pl.Float64))


def _as_float(value: int | float | None) -> float | None:
    try:
        return None if value is None else float(value)
    except OverflowError:
        return float("inf")


def _floats(series: pl.Series) -> Column:
    usable = series.is_finite()
    not_finite = int((~usable).sum())
    return Column(
        series.name, "number", series.set(~usable, None) if not_finite else series, not_finite=not_finite
    )


def _texts(name: str, values: Sequence[Any]) -> pl.Series:
    try:
        return pl.Series(name, values, dtype=pl.String)
    except UnicodeEncodeError:
        raise RequestRefused(f"column {shown(name)} holds text that is not valid Unicode") from None


def _presence(name: str, values: Sequence[Any]) -> pl.Series:
    """Only whether something is there: nothing else is ever computed from such a column."""
    return pl.Series(name, [None if value is None else True for value in values], dtype=pl.Boolean)

"""From a request to a table."""

import hashlib
import io
import json
import logging
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, assert_never

import polars as pl

from langgraph_workflows.data_files import read_data_file
from langgraph_workflows.limits import MAX_COLUMNS, MAX_FILE_COLUMNS, MAX_ROWS
from langgraph_workflows.refusal import RequestRefused, shown, what
from langgraph_workflows.request import TableRequest, require_columns
from langgraph_workflows.table import (
    Column,
    Table,
    checked_names,
    checked_rows,
    column_from_series,
    column_from_values,
    numbers_in_text,
)

log = logging.getLogger(__name__)


def load_table(request: TableRequest, directory: Path | None) -> Table:
    """The table that was asked for; files are read below `directory` only.

    Raises `RequestRefused` with the reason if it cannot be had. Loading it again gives the same table,
    unless the file changed; `source["sha256"]` tells.
    """
    if request.records is not None:
        columns = columns_from_records(request.records, request.to_read)
        return Table(columns, rows=len(request.records), source={"kind": "records"})
    name = request.file or ""
    content = read_data_file(name, directory)
    columns, rows = _columns_from_file(content, request)
    source = {
        "kind": "file",
        "file": name,
        "format": request.file_format,
        "bytes": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
    }
    return Table(columns, rows=rows, source=source)


def columns_from_records(records: Sequence[Any], wanted: tuple[str, ...] | None) -> tuple[Column, ...]:
    """The columns of a list of objects: all their keys in the order of first sight, or the wanted ones."""
    checked_rows(len(records))
    for position, record in enumerate(records, 1):
        if not isinstance(record, dict):
            raise RequestRefused(
                f"`records` must be a list of objects, but number {position:,} is {what(record)}"
            )
    names = checked_names(_keys(records)) if wanted is None else _wanted_keys(records, wanted)
    return tuple(column_from_values(name, [record.get(name) for record in records]) for name in names)


def _keys(records: Sequence[dict[Any, Any]]) -> list[Any]:
    """All keys in the order of first sight; no more than it takes to see that they are too many."""
    keys: dict[Any, None] = {}
    for record in records:
        keys.update(dict.fromkeys(record))
        if len(keys) > MAX_COLUMNS:
            break
    return list(keys)


def _wanted_keys(records: Sequence[dict[Any, Any]], wanted: tuple[str, ...]) -> list[str]:
    if not records:
        return []  # an empty table is no reason to complain about its columns
    there = [name for name in wanted if any(name in record for record in records)]
    if len(there) < len(wanted):
        others = [key for key in _keys(records) if isinstance(key, str) and key not in there]
        require_columns(wanted, [*there, *others])
    return checked_names(there)


def _columns_from_file(content: bytes, request: TableRequest) -> tuple[tuple[Column, ...], int]:
    match request.file_format:
        case "jsonl" | None:
            records = list(_json_lines(content))
            return columns_from_records(records, request.to_read), len(records)
        case "csv":
            frame = _foreign(_read_csv, content, request)
            columns = (numbers_in_text(column_from_series(series)) for series in frame.get_columns())
        case "parquet":
            frame = _foreign(_read_parquet, content, request)
            columns = (column_from_series(series) for series in frame.get_columns())
        case unreachable:
            assert_never(unreachable)
    return tuple(columns), frame.height


def _json_lines(content: bytes) -> Iterable[Any]:
    lines = [(number, line) for number, line in enumerate(content.splitlines(), 1) if line.strip()]
    checked_rows(len(lines))
    for number, line in lines:
        try:
            yield json.loads(line)
        except (ValueError, RecursionError):
            raise RequestRefused(f"line {number:,} of the file is not JSON") from None


def _foreign(
    read: Callable[[bytes, TableRequest], pl.DataFrame], content: bytes, request: TableRequest
) -> pl.DataFrame:
    """What `read` makes of foreign bytes. polars' own complaints, its panics too, become the reason."""
    try:
        frame = read(content, request)
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, ValueError, OverflowError) as error:
        log.debug(
            "file not readable", extra={"action": "file-unreadable", "file": request.file}, exc_info=True
        )
        first_line = (str(error).splitlines() or [type(error).__name__])[0]
        raise RequestRefused(
            f"the file {shown(request.file)} cannot be read as {request.file_format}: {shown(first_line)}"
        ) from None
    checked_rows(frame.height)
    return frame


def _read_csv(content: bytes, request: TableRequest) -> pl.DataFrame:
    if not content.strip():
        return pl.DataFrame()
    # Before polars sees it: a header of a million names costs gigabytes.
    _checked_width(content.split(b"\n", 1)[0].count(b",") + 1)
    names = pl.read_csv(io.BytesIO(content), n_rows=0, infer_schema=False).columns
    return pl.read_csv(
        io.BytesIO(content),
        columns=_picked(names, request),
        infer_schema_length=None,
        try_parse_dates=True,
        n_rows=MAX_ROWS + 1,
    )


def _read_parquet(content: bytes, request: TableRequest) -> pl.DataFrame:
    names = list(pl.read_parquet_schema(io.BytesIO(content)))
    _checked_width(len(names))
    # The footer tells the rows: a small file of repeated values may unpack to billions of them.
    checked_rows(pl.scan_parquet(io.BytesIO(content)).select(pl.len()).collect().item())
    return pl.read_parquet(io.BytesIO(content), columns=_picked(names, request))


def _picked(names: list[str], request: TableRequest) -> list[str]:
    if request.to_read is not None:
        require_columns(request.to_read, names)
        return checked_names(request.to_read)
    return checked_names(names)


def _checked_width(columns: int) -> None:
    if columns > MAX_FILE_COLUMNS:
        raise RequestRefused(f"the file has {columns:,} columns; the limit is {MAX_FILE_COLUMNS:,}")

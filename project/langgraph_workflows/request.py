"""What the asker wants: which table, which of its columns, and which analysis."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, get_args

from langgraph_workflows.limits import MAX_COLUMNS
from langgraph_workflows.refusal import RequestRefused, listed, shown, what

AnalysisType = Literal["summary", "trend_analysis", "anomaly_detection"]
ChosenBy = Literal["analysis_type", "task", "default"]
FileFormat = Literal["csv", "jsonl", "parquet"]

ANALYSIS_TYPES: Final[tuple[AnalysisType, ...]] = get_args(AnalysisType)
FILE_FORMATS: Final[tuple[FileFormat, ...]] = get_args(FileFormat)

WORDS: Final[dict[AnalysisType, frozenset[str]]] = {
    "trend_analysis": frozenset(
        [
            "trend",
            "trends",
            "trending",
            "slope",
            "growth",
            "grow",
            "grows",
            "growing",
            "decline",
            "declines",
            "declining",
            "rise",
            "rises",
            "rising",
            "fall",
            "falls",
            "falling",
            "increase",
            "increases",
            "increasing",
            "decrease",
            "decreases",
            "decreasing",
        ]
    ),
    "anomaly_detection": frozenset(
        [
            "anomaly",
            "anomalies",
            "anomalous",
            "outlier",
            "outliers",
            "unusual",
            "abnormal",
            "abnormality",
            "abnormalities",
            "spike",
            "spikes",
            "suspicious",
            "odd",
            "strange",
        ]
    ),
    "summary": frozenset(
        [
            "summary",
            "summarise",
            "summarize",
            "summarises",
            "summarizes",
            "overview",
            "describe",
            "profile",
            "statistics",
        ]
    ),
}
"""The words of a task that choose an analysis; the guide lists them. The earliest one in the task wins."""

TASK_CHARS_READ: Final = 10_000


@dataclass(frozen=True, slots=True)
class AnalysisChoice:
    """The analysis to make, and what decided it."""

    analysis_type: AnalysisType
    chosen_by: ChosenBy


@dataclass(frozen=True, slots=True)
class TableRequest:
    """Where the table is (exactly one of `records` and `file`) and which part of it is wanted.

    `columns` is `None` for all of them. `time` names the column that orders the rows, if the asker did.
    """

    records: list[Any] | None
    file: str | None
    file_format: FileFormat | None
    columns: tuple[str, ...] | None
    time: str | None

    @property
    def to_read(self) -> tuple[str, ...] | None:
        """The columns that must be there: the wanted ones and `time`. `None` for all."""
        if self.columns is None or self.time is None or self.time in self.columns:
            return self.columns
        return (*self.columns, self.time)


def choose_analysis(data: object, task: object) -> AnalysisChoice:
    """The analysis named by `analysis_type`, else by the task's earliest telling word, else the summary.

    Raises `RequestRefused` for an `analysis_type` that nobody here knows.
    """
    named = data.get("analysis_type") if isinstance(data, Mapping) else None
    if named is not None:
        wanted = named.strip().lower() if isinstance(named, str) else named
        for known in ANALYSIS_TYPES:
            if wanted == known:
                return AnalysisChoice(known, "analysis_type")
        raise RequestRefused(f"unknown analysis_type {shown(named)}; known are {', '.join(ANALYSIS_TYPES)}")
    text = task[:TASK_CHARS_READ].lower() if isinstance(task, str) else ""
    for word in re.findall(r"[a-z]+", text):
        for analysis_type, words in WORDS.items():
            if word in words:
                return AnalysisChoice(analysis_type, "task")
    return AnalysisChoice("summary", "default")


def table_request(data: object) -> TableRequest | None:
    """The table that `data` holds or names; `None` if it does neither, which is no fault.

    Raises `RequestRefused` if what it says about a table cannot be understood.
    """
    if not isinstance(data, Mapping):
        return None
    records, file = data.get("records"), data.get("file")
    if records is None and file is None:
        return None
    if records is not None and file is not None:
        raise RequestRefused("both `records` and `file` are given; give one of them")
    if records is not None and not isinstance(records, list):
        raise RequestRefused(f"`records` must be a list of objects, not {what(records)}")
    if file is not None and (not isinstance(file, str) or not file):
        raise RequestRefused("`file` must be the name of a file below the data folder")
    return TableRequest(
        records=records,
        file=file,
        file_format=_file_format(data.get("format"), file) if file is not None else None,
        columns=_columns(data.get("columns")),
        time=_time(data.get("time")),
    )


def _file_format(named: object, file: str) -> FileFormat:
    wanted = file.rpartition(".")[2].lower() if named is None else named
    if named is None and wanted == "ndjson":
        wanted = "jsonl"
    for known in FILE_FORMATS:
        if wanted == known:
            return known
    if named is None:
        raise RequestRefused(
            f"the format of {shown(file)} is not told by its suffix; add `format`: {_FORMATS}"
        )
    raise RequestRefused(f"unknown format {shown(named)}; known are {_FORMATS}")


_FORMATS: Final = ", ".join(FILE_FORMATS)


def _columns(named: object) -> tuple[str, ...] | None:
    if named is None:
        return None
    names = [named] if isinstance(named, str) else named
    if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
        raise RequestRefused("`columns` must be a list of column names with at least one name")
    distinct = tuple(dict.fromkeys(names))
    if len(distinct) > MAX_COLUMNS:
        raise RequestRefused(
            f"`columns` names {len(distinct):,} columns; at most {MAX_COLUMNS} are read at once"
        )
    return distinct


def _time(named: object) -> str | None:
    if named is None or isinstance(named, str):
        return named
    raise RequestRefused(f"`time` must be the name of a column, not {what(named)}")


def require_columns(wanted: Sequence[str], there: Sequence[str]) -> None:
    """Raises `RequestRefused` if a wanted column is not there."""
    known = set(there)
    absent = [name for name in wanted if name not in known]
    if absent:
        raise not_there(absent, there)


def not_there(absent: Sequence[str], there: Sequence[str]) -> RequestRefused:
    """The refusal that names the columns that are not there, and those that are."""
    plural = "columns" if len(absent) > 1 else "column"
    return RequestRefused(f"no {plural} {listed(absent)}; there are {listed(there)}")

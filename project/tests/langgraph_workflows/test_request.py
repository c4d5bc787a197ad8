"""How a request is read: the analysis from a name or from words, the table from `records` or `file`."""

import pytest

from langgraph_workflows.refusal import RequestRefused, listed, shown
from langgraph_workflows.request import (
    ANALYSIS_TYPES,
    WORDS,
    AnalysisChoice,
    choose_analysis,
    table_request,
)


@pytest.mark.parametrize("name", ANALYSIS_TYPES)
def test_the_named_analysis_is_taken_whatever_the_task_says(name: str) -> None:
    """`analysis_type` wins over the words."""
    task = "find the trend and the outliers in summary"
    choice = choose_analysis({"analysis_type": f" {name.upper()} "}, task)
    assert (choice.analysis_type, choice.chosen_by) == (name, "analysis_type")


@pytest.mark.parametrize(
    ("task", "expected"),
    [
        ("trend_analysis", "trend_analysis"),
        ("Is there a TREND?", "trend_analysis"),
        ("show what is unusual, then the trend", "anomaly_detection"),
        ("find outliers", "anomaly_detection"),
        ("summarise the trend", "summary"),
    ],
)
def test_the_earliest_telling_word_of_the_task_chooses(task: str, expected: str) -> None:
    """Case, underscores and punctuation do not matter."""
    choice = choose_analysis({}, task)
    assert (choice.analysis_type, choice.chosen_by) == (expected, "task")


@pytest.mark.parametrize("task", ["process_workflow", "", "trendy oddity", None, 5, {"a": 1}])
def test_without_a_telling_word_it_is_the_summary(task: object) -> None:
    """A task need not even be text, and a word counts only as a whole."""
    assert choose_analysis(None, task) == AnalysisChoice("summary", "default")


def test_no_word_chooses_two_analyses() -> None:
    """Else the order of a dict would decide."""
    words = [word for words in WORDS.values() for word in words]
    assert len(words) == len(set(words))


@pytest.mark.parametrize("name", ["magic", "", 5, [], {}, True, "trend analysis"])
def test_an_unknown_analysis_is_refused_with_the_known_ones(name: object) -> None:
    """The reason lists what could have been asked."""
    with pytest.raises(
        RequestRefused, match=r"unknown analysis_type .*summary, trend_analysis, anomaly_detection"
    ):
        choose_analysis({"analysis_type": name}, "trend")


@pytest.mark.parametrize(
    "data", [None, {}, {"input": "test"}, [], "text", 5, {"records": None, "columns": 5}]
)
def test_data_that_name_no_table_are_no_fault(data: object) -> None:
    """There is simply nothing to read."""
    assert table_request(data) is None


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        ({"records": [], "file": "a.csv"}, "both"),
        ({"records": {"a": [1]}}, "must be a list of objects"),
        ({"records": "a,b"}, "must be a list of objects"),
        ({"file": 5}, "`file` must be"),
        ({"file": ""}, "`file` must be"),
        ({"file": "a.xlsx"}, "not told by its suffix"),
        ({"file": "a"}, "not told by its suffix"),
        ({"file": "a.csv", "format": "xlsx"}, "unknown format 'xlsx'"),
        ({"file": "a.csv", "format": 5}, "unknown format"),
        ({"records": [], "columns": []}, "`columns` must be"),
        ({"records": [], "columns": [1]}, "`columns` must be"),
        ({"records": [], "columns": {"a": 1}}, "`columns` must be"),
        ({"records": [], "columns": [str(i) for i in range(101)]}, "names 101 columns; at most 100"),
        ({"records": [], "time": ["year"]}, "`time` must be"),
    ],
)
def test_a_table_that_is_named_wrongly_is_refused_with_the_reason(data: object, reason: str) -> None:
    """Whoever names a table means it."""
    with pytest.raises(RequestRefused, match=reason):
        table_request(data)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ({"file": "a.CSV"}, "csv"),
        ({"file": "a.ndjson"}, "jsonl"),
        ({"file": "b/a.parquet"}, "parquet"),
        ({"file": "a.txt", "format": "csv"}, "csv"),
        ({"file": "a.csv", "format": "jsonl"}, "jsonl"),
    ],
)
def test_the_format_is_the_named_one_or_that_of_the_suffix(data: object, expected: str) -> None:
    """The name wins over the suffix."""
    asked = table_request(data)
    assert asked is not None
    assert asked.file_format == expected


def test_the_columns_to_read_are_those_wanted_and_the_time() -> None:
    """Repeated names count once; a single name need not be a list."""
    asked = table_request({"records": [], "columns": ["a", "b", "a"], "time": "t"})
    assert asked is not None
    assert (asked.columns, asked.to_read) == (("a", "b"), ("a", "b", "t"))
    single = table_request({"records": [], "columns": "a", "time": "a"})
    assert single is not None
    assert single.to_read == ("a",)


def test_what_an_asker_wrote_is_shown_on_one_printable_line() -> None:
    """Reasons are logged and printed: no control characters, no lone surrogates, not endless."""
    text = shown("a\n\x1b[31m\ud800" + "x" * 1000)
    assert text.isprintable()
    assert len(text) < 100
    text.encode()
    assert listed([str(i) for i in range(12)]).endswith("'9' and 2 more")

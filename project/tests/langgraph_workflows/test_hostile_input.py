"""Whatever comes in, a result or a reason comes out, as strict JSON and never as an exception."""

import json
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from langgraph_workflows import multi_agent_graph
from langgraph_workflows.loading import columns_from_records
from langgraph_workflows.refusal import RequestRefused, what
from langgraph_workflows.request import ANALYSIS_TYPES
from tests.langgraph_workflows.asking import analysis, ask, failure, on_thread, patient, request, rows

leaves = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(min_value=-(2**80), max_value=2**80)
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(
        ["2020-01-01", "1", "NaN", "\ud800", "\u0000", 10**400, 2**63, -(2**63), 1.7e308, 5e-324]
    )
)
values = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)
names = st.sampled_from(["v", "w", "year", "größe", "", " ", "a\nb", "v" * 200, "\ud800"]) | st.text(
    max_size=3
)
keys = st.sampled_from(["records", "file", "format", "columns", "time", "analysis_type", "data", "x"])
sensible = st.sampled_from([*ANALYSIS_TYPES, "csv", "a.csv", "v", ["v"], ["v", "w"], "year", "w"])
numbers = st.floats() | st.integers(min_value=-3, max_value=3) | st.none()


@patient
@given(
    data=st.dictionaries(
        keys, values | sensible | st.lists(st.dictionaries(names, values, max_size=3), max_size=5), max_size=5
    )
    | values
)
def test_any_data_end_in_a_result_or_a_reason(data: Any) -> None:
    """Of whatever shape."""
    ends_well(data)


@patient
@given(
    records=st.lists(st.dictionaries(names, values, max_size=4), max_size=12),
    analysis_type=st.sampled_from(ANALYSIS_TYPES),
    time_column=st.none() | names,
)
def test_any_records_end_in_a_result_or_a_reason(
    records: list[Any], analysis_type: str, time_column: str | None
) -> None:
    """Mixed types, nested values, huge numbers, odd names."""
    ends_well({"records": records, "analysis_type": analysis_type, "time": time_column})


@patient
@example(
    cells=[(1e308, 0.0), (-1e308, 1.0), (1e308, 2.0), (0.0, 3.0), (1.0, 4.0)],
    analysis_type="trend_analysis",
    named=True,
)
@example(
    cells=[(5e-324, 0.0), (0.0, 1.0), (5e-324, 2.0), (0.0, 3.0), (1e-323, 4.0)],
    analysis_type="anomaly_detection",
    named=False,
)
@example(cells=[(1.0, 5e-324), (2.0, 0.0), (3.0, 1e-323)], analysis_type="trend_analysis", named=True)
@example(cells=[(1.0, -1e308), (2.0, 1e308), (3.0, 0.0)], analysis_type="trend_analysis", named=True)
@given(
    cells=st.lists(st.tuples(numbers, numbers), min_size=3, max_size=30),
    analysis_type=st.sampled_from(ANALYSIS_TYPES),
    named=st.booleans(),
)
def test_any_numbers_give_finite_figures_or_a_note(
    cells: list[tuple[Any, Any]], analysis_type: str, named: bool
) -> None:
    """The largest and the smallest that a float can hold, gaps, NaN and infinities."""
    state = ends_well(
        {
            "records": [{"v": v, "year": t} for v, t in cells],
            "analysis_type": analysis_type,
            **({"time": "year"} if named else {}),
        }
    )
    if not state["completed"]:
        assert named, state["failure"]
        return
    for figures in state["agent_results"]["analysis"]["analysis"]["figures"].values():
        if analysis_type == "trend_analysis" and "note" not in figures:
            assert figures["slope_low"] <= figures["slope"] <= figures["slope_high"]
            assert 0 <= figures["p"] <= 1
            assert -1 <= figures["tau"] <= 1.0000000001
        if analysis_type == "anomaly_detection" and "note" not in figures:
            assert all(abs(row["z"]) > 3.5 for row in figures["anomalies"])


@patient
@given(
    content=st.binary(max_size=200) | st.text(alphabet='a1,.\n"-eE \t{}:[]', max_size=100).map(str.encode),
    suffix=st.sampled_from(["csv", "jsonl", "parquet"]),
)
def test_any_file_ends_in_a_result_or_a_reason(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, suffix: str
) -> None:
    """Random bytes, and text that almost is a table."""
    with pytest.MonkeyPatch.context() as environment:
        folder = tmp_path_factory.mktemp("data", numbered=True)
        environment.setenv("WORKFLOW_DATA_DIR", str(folder))
        (folder / f"a.{suffix}").write_bytes(content)
        ends_well({"file": f"a.{suffix}"}, task="trend")


@patient
@given(name=st.text(max_size=30))
def test_any_file_name_ends_in_a_result_or_a_reason(name: str) -> None:
    """With the root of the file system as the folder nothing crashes either."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("WORKFLOW_DATA_DIR", str(Path(__file__).parent))
        ends_well({"file": name, "format": "csv"})


def ends_well(data: Any, **more: Any) -> dict[str, Any]:
    """The final state, which is complete or gives a reason."""
    state = ask_anything(data, **more)
    assert state["completed"] is (not state.get("failure"))
    assert state["conclusion"]
    return state


def ask_anything(data: Any, **more: Any) -> dict[str, Any]:
    """Like `ask`, but its own words alone must be JSON: the echo of such an input cannot be."""
    state: dict[str, Any] = multi_agent_graph.invoke(request(data=data, **more), on_thread())
    told = {key: value for key, value in state.items() if key != "data"}
    json.dumps(told, allow_nan=False).encode()
    return state


def test_a_million_columns_are_refused_quickly() -> None:
    """With the limit and the way out; one of them may be picked."""
    record = dict.fromkeys((f"c{i}" for i in range(1_000_000)), 1)
    begun = time.perf_counter()
    with pytest.raises(RequestRefused, match="more than 100 columns, which is the limit; pick some"):
        columns_from_records([record], None)
    (picked,) = columns_from_records([record], ("c999999",))
    assert picked.values.to_list() == [1]
    assert time.perf_counter() - begun < 10


def test_different_columns_in_each_row_are_many_columns() -> None:
    """The columns of a list of objects are all keys of all objects."""
    assert "more than 100 columns" in failure({"records": [{f"c{i}": 1} for i in range(101)]})


def test_a_million_and_one_records_are_refused() -> None:
    """With the limit."""
    assert "more than 1,000,000 rows" in failure({"records": [{}] * 1_000_001})


@pytest.mark.parametrize("item", [5, "x", None, [1], True])
def test_an_item_that_is_no_object_is_named(item: Any) -> None:
    """By its number, counted from 1, and its type."""
    assert f"number 2 is {what(item)}" in failure({"records": [{"v": 1}, item]})


def test_a_column_of_several_types_is_told_and_not_computed() -> None:
    """How many of each; booleans are no numbers."""
    figures = analysis({"records": rows(v=[1, 2.5, "x", True, None, [1], {}])})["figures"]
    assert figures["v"] == {
        "kind": "mixed",
        "values": 6,
        "nulls": 1,
        "types": {"integer": 1, "number": 1, "text": 1, "boolean": 1, "nested": 2},
    }


def test_numbers_beyond_a_float_are_counted_as_not_finite() -> None:
    """And those beyond 64 bits are floats."""
    figures = analysis({"records": rows(v=[10**400, 2**70, 1])})["figures"]["v"]
    assert (figures["kind"], figures["not_finite"], figures["max"]) == ("number", 1, float(2**70))


def test_names_in_any_script_are_kept() -> None:
    """Exactly as they came."""
    name = "größe 大きさ \U0001f30a"
    assert list(analysis({"records": [{name: 1}]})["figures"]) == [name]


@pytest.mark.parametrize("name", ["\ud800", "n" * 101])
def test_names_that_no_result_can_carry_are_refused(name: str) -> None:
    """Lone surrogates and endless ones."""
    assert "the column name" in refused({"records": [{name: 1}]})


def test_text_that_is_not_unicode_is_refused_with_its_column() -> None:
    """JSON may hold half of a surrogate pair."""
    assert "column 'v' holds text that is not valid Unicode" in refused({"records": [{"v": "\ud800"}]})


def refused(data: Any) -> str:
    state = ask_anything(data)
    assert state["completed"] is False
    reason: str = state["failure"]
    return reason


def test_long_texts_are_cut_in_results() -> None:
    """At 80 characters, so that a result does not grow with the table's cells."""
    commonest = analysis({"records": rows(v=["x" * 10_000])})["figures"]["v"]["commonest"]
    assert commonest == [{"value": "x" * 80 + "…", "times": 1}]


def test_a_result_of_the_largest_table_fits_into_a_kafka_record() -> None:
    """A hundred columns with the longest names and many anomalies stay below 1 MiB."""
    names = [f"{i:03}" + "大" * 97 for i in range(100)]
    cells = [(row * 7 % 11) / 3 if row < 150 else 1e9 * row for row in range(200)]
    records = [dict.fromkeys(names, cell) for cell in cells]
    for analysis_type in ANALYSIS_TYPES:
        state = ask({"records": records, "analysis_type": analysis_type})
        assert len(json.dumps(state["agent_results"], ensure_ascii=False).encode()) < 1_000_000

"""The three analyses on small tables whose figures can be worked out, and what they say when they cannot."""

import math
from datetime import date, timedelta
from typing import Any

import pytest
from scipy import stats

from tests.langgraph_workflows.asking import analysis, failure, rows


def trend(records: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    return analysis({"records": records, "analysis_type": "trend_analysis", **more})


def anomalies(records: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    return analysis({"records": records, "analysis_type": "anomaly_detection", **more})


def test_the_summary_gives_the_figures_of_each_kind() -> None:
    """Numbers, texts and booleans each in their way."""
    records = rows(v=[1, 2, 3, 4, None], city=["b", "a", "b", None, "c"], new=[True, False, True, None, None])
    found = analysis({"records": records, "analysis_type": "summary"})
    assert found["figures"]["v"] == {
        "kind": "integer",
        "values": 4,
        "nulls": 1,
        "min": 1,
        "q25": 1.75,
        "median": 2.5,
        "q75": 3.25,
        "max": 4,
        "mean": 2.5,
        "std": pytest.approx(math.sqrt(5 / 3)),
    }
    assert found["figures"]["city"] == {
        "kind": "text",
        "values": 4,
        "nulls": 1,
        "distinct": 3,
        "commonest": [{"value": "b", "times": 2}, {"value": "a", "times": 1}, {"value": "c", "times": 1}],
    }
    assert found["figures"]["new"] == {"kind": "boolean", "values": 3, "nulls": 2, "true": 2, "false": 1}
    assert found["headline"] == "5 rows in 3 columns; v runs from 1 to 4 (median 2.500, mean 2.500)."
    assert found["notes"] == ["columns with missing values: 'v (1 row)', 'city (1 row)', 'new (2 rows)'"]


def test_the_summary_of_words_says_that_there_are_no_numbers() -> None:
    """It is a summary all the same."""
    found = analysis({"records": rows(a=["x"])})
    assert found["headline"] == "1 row in 1 column, no numbers among them."


def test_the_profile_and_the_summary_agree() -> None:
    """The data agent's profile is what the summary shows."""
    found = analysis({"records": rows(v=[1, 2, 3])})
    assert found["data_source"]["data"]["profile"] == found["figures"]


def test_a_trend_has_the_figures_that_scipy_gives() -> None:
    """Slope with its interval, R², tau and p of one noisy column."""
    values = [2.0, 1.5, 3.7, 3.1, 5.2, 4.4, 6.9, 5.8, 7.7, 9.1, 8.2, 9.9]
    figures = trend(rows(v=values))["figures"]["v"]
    steps = range(len(values))
    expected = stats.linregress(steps, values)
    half = stats.t.ppf(0.975, len(values) - 2) * expected.stderr
    assert figures["slope"] == pytest.approx(expected.slope, rel=1e-12)
    assert figures["slope_low"] == pytest.approx(expected.slope - half, rel=1e-9)
    assert figures["slope_high"] == pytest.approx(expected.slope + half, rel=1e-9)
    assert figures["r_squared"] == pytest.approx(expected.rvalue**2, rel=1e-9)
    assert figures["tau"] == pytest.approx(stats.kendalltau(steps, values).statistic, rel=1e-9)
    assert (figures["confidence"], figures["per"], figures["direction"]) == (0.95, "row", "rising")
    assert figures["p"] < 0.001


def test_gaps_are_left_out_and_counted() -> None:
    """A row without a value keeps its place in time."""
    figures = trend(rows(v=[0, None, 2, 3, None, 5]))["figures"]["v"]
    assert (figures["rows"], figures["left_out"], figures["slope"]) == (4, 2, 1.0)


@pytest.mark.parametrize(
    ("values", "note"),
    [
        ([1, 2], "too few rows: 2 with a value, at least 3 are needed"),
        ([1, None, None, 2], "too few rows: 2 with a value, at least 3 are needed"),
        ([5, 5, 5, 5], "no spread: all values are equal"),
        ([1e200, 2e200, 3e200], "not computed: values beyond 1e+150 cannot be squared"),
        ([0.0, 1e-200, 2e-200], "not computed: a spread below 1e-150 cannot be squared"),
    ],
)
def test_a_trend_that_cannot_be_computed_is_not_made_up(values: list[Any], note: str) -> None:
    """The note says why, and the headline with it."""
    found = trend(rows(v=values))
    assert found["figures"]["v"]["note"] == note
    assert "slope" not in found["figures"]["v"]
    assert note in found["headline"]


def test_a_named_time_column_orders_the_rows() -> None:
    """Whatever order they come in; the slope is per unit of that column."""
    found = trend(rows(x=[3, 1, 2, 5, 4], v=[30, 10, 20, 50, 40]), time="x")
    assert found["time"] == "x"
    assert list(found["figures"]) == ["v"]
    figures = found["figures"]["v"]
    assert (figures["slope"], figures["tau"], figures["per"]) == (10.0, 1.0, "unit of x")
    assert found["headline"].startswith("v rises by 10 per unit of x (slope, 95 % interval 10 to 10;")


@pytest.mark.parametrize(
    ("step", "unit", "slope"),
    [
        (timedelta(days=366), "year", 365.2425 / 366),
        (timedelta(days=10), "day", 0.1),
        (timedelta(minutes=30), "hour", 2.0),
        (timedelta(seconds=2), "second", 0.5),
    ],
)
def test_times_as_text_are_read_and_the_unit_suits_their_span(
    step: timedelta, unit: str, slope: float
) -> None:
    """ISO 8601, with or without a zone."""
    from datetime import datetime

    moments = [datetime(2020, 1, 1) + i * step for i in range(6)]
    for texts in ([str(m) for m in moments], [m.isoformat() + "+02:00" for m in moments]):
        figures = trend(rows(at=texts, v=[0, 1, 2, 3, 4, 5]), time="at")["figures"]["v"]
        assert figures["per"] == unit
        assert figures["slope"] == pytest.approx(slope)


def test_dates_before_1970_and_at_the_ends_of_the_calendar_are_times() -> None:
    """From year 1 to year 9999."""
    days = ["0001-01-01", "1066-10-14", "1969-12-31", "9999-12-31"]
    assert trend(rows(day=days, v=[1, 2, 3, 4]), time="day")["figures"]["v"]["per"] == "year"


@pytest.mark.parametrize("name", ["year", "Date", "TIMESTAMP", "month"])
def test_a_column_that_plainly_is_the_time_is_taken_as_it(name: str) -> None:
    """By its name, if it grows from row to row: nobody wants the trend of the years."""
    found = trend(rows(**{name: [2000, 2001, 2003], "v": [1, 2, 4]}))
    assert found["time"] == name
    assert found["figures"]["v"]["slope"] == 1.0


@pytest.mark.parametrize(
    "years", [[2000, 2000, 2001], [2002, 2001, 2000], [2000, None, 2002], ["x", "y", "z"]]
)
def test_a_column_named_like_a_time_that_does_not_grow_is_no_time(years: list[Any]) -> None:
    """Rows are counted then."""
    found = trend(rows(year=years, v=[1, 2, 3]))
    assert (found["time"], found["figures"]["v"]["per"]) == (None, "row")


def test_years_alone_are_numbers() -> None:
    """If there is nothing else to look at."""
    assert list(trend(rows(year=[2000, 2001, 2002]))["figures"]) == ["year"]


@pytest.mark.parametrize(
    ("column", "reason"),
    [
        (["2020-01-01", "soon", "2020-01-03"], "'soon' in row 2 is no ISO 8601"),
        (["1", "2", "3"], "is no ISO 8601"),
        ([None, None, None], "is empty"),
        ([True, False, True], "it is boolean"),
        ([1, "x", 2], "it is mixed"),
        ([[1], [2], [3]], "it is nested"),
        ([1e200, 2e200, 3e200], "numbers beyond 1e+150"),
        ([10**400, None, None], "is empty"),
    ],
)
def test_a_named_time_column_without_times_is_a_failure(column: list[Any], reason: str) -> None:
    """It was asked for, and cannot be had."""
    for analysis_type in ("summary", "trend_analysis", "anomaly_detection"):
        data = {"records": rows(t=column, v=[1, 2, 3]), "time": "t", "analysis_type": analysis_type}
        assert reason in failure(data)


def test_a_named_time_column_that_is_not_there_is_a_failure() -> None:
    """Like any other column."""
    data = {"records": rows(v=[1, 2, 3]), "time": "t", "analysis_type": "trend_analysis"}
    assert "no column 't'; there are 'v'" in failure(data)
    assert "no column 't'" in failure({**data, "columns": ["v"]})


def test_rows_at_the_same_time_have_no_trend() -> None:
    """Said, not divided by zero."""
    figures = trend(rows(t=[1, 1, 1], v=[1, 2, 3]), time="t")["figures"]["v"]
    assert figures["note"] == "no spread: all rows stand at the same time"


def test_several_tests_are_called_several() -> None:
    """The p values are each for one test; the clearest trend is the headline."""
    found = trend(rows(a=[1, 3, 2, 4, 3, 5], b=[1, 2, 3, 4, 5, 6], c=[1, 1, 1, 1, 1, 1]))
    assert found["notes"] == ["2 columns were tested; their p values are each for one test"]
    assert found["headline"].startswith("b rises by 1 per row")


def test_no_trend_is_said_to_be_none() -> None:
    """With the slope all the same."""
    found = trend(rows(v=[1, 2, 1, 2, 1, 2, 1, 2]))
    assert found["figures"]["v"]["direction"] == "none shown"
    assert found["headline"].startswith("v shows no clear trend (0.04762 per row, 95 % interval")


def test_whole_numbers_beyond_2_to_the_53_keep_their_differences() -> None:
    """Nanoseconds since 1970 are such."""
    base = 1_700_000_000_000_000_001
    times, values = [base + i for i in range(5)], [base + 2 * i for i in range(5)]
    assert trend(rows(t=times, v=values), time="t")["figures"]["v"]["slope"] == 2.0
    found = anomalies(rows(v=[base, base + 1, base + 2, base + 3, base + 4, base + 1000]))["figures"]["v"]
    assert [row["value"] for row in found["anomalies"]] == [base + 1000]


def test_anomalies_by_hand() -> None:
    """Median 3.5, MAD 1.5: 100 scores 0.6745 x 96.5 / 1.5, and nothing else is beyond 3.5."""
    found = anomalies(rows(day=["a", "b", "c", "d", "e", "f"], v=[1, 2, 3, 4, 5, 100]))
    assert found["figures"] == {
        "v": {
            "rows": 6,
            "left_out": 0,
            "median": 3.5,
            "mad": 1.5,
            "threshold": 3.5,
            "count": 1,
            "anomalies": [{"row": 6, "value": 100, "z": pytest.approx(0.6745 * 96.5 / 1.5)}],
        }
    }
    assert (
        found["headline"] == "1 value stands out; the farthest is 100 in v, row 6, with a robust z of 43.39."
    )
    assert found["notes"] == ["left out, being no numbers: 'day (text)'"]


def test_the_median_is_the_tables_and_not_that_of_differences() -> None:
    """Differences are only taken to keep digits."""
    assert anomalies(rows(v=[1001, 1002, 1003, 1004, 1009]))["figures"]["v"]["median"] == 1003


def test_rows_are_counted_as_they_stand_in_the_table_and_named_by_the_time() -> None:
    """Rows without a value count too."""
    days = [str(date(2020, 1, 1) + timedelta(days=i)) for i in range(8)]
    found = anomalies(rows(date=days, v=[None, 1, 2, 3, 4, 5, -90, None]))
    (row,) = found["figures"]["v"]["anomalies"]
    assert (row["row"], row["time"], row["value"]) == (7, "2020-01-07", -90)
    assert "row 7 (date 2020-01-07)" in found["headline"]
    assert found["figures"]["v"]["left_out"] == 2


def test_only_the_ten_farthest_are_named_but_all_are_counted() -> None:
    """The farthest first."""
    values = [i % 10 for i in range(100)] + [1000 + i for i in range(15)]
    figures = anomalies(rows(v=values))["figures"]["v"]
    assert figures["count"] == 15
    assert [row["value"] for row in figures["anomalies"]] == [1014 - i for i in range(10)]


@pytest.mark.parametrize(
    ("values", "note"),
    [
        ([1, 2, 3, 4], "too few rows: 4 with a value, at least 5 are needed"),
        ([5] * 6, "no spread: all values are equal"),
        ([5, 5, 5, 5, 6, 1000], "no spread: more than half of the values are equal, so the MAD is 0"),
        ([1e200, 1, 2, 3, 4], "not computed: values beyond 1e+150 cannot be squared"),
    ],
)
def test_anomalies_that_cannot_be_told_are_not_made_up(values: list[Any], note: str) -> None:
    """The note says why, and the headline with it."""
    found = anomalies(rows(v=values))
    assert found["figures"]["v"]["note"] == note
    assert "anomalies" not in found["figures"]["v"]
    assert note in found["headline"]


def test_nothing_standing_out_is_a_finding() -> None:
    """In one column, which is named, or in several."""
    calm = [1, 2, 3, 4, 5]
    assert anomalies(rows(v=calm))["headline"] == "Nothing stands out in v: no robust z beyond 3.5."
    assert anomalies(rows(v=calm, w=calm))["headline"].startswith("Nothing stands out in 2 columns")


@pytest.mark.parametrize("analysis_type", ["trend_analysis", "anomaly_detection"])
def test_a_table_without_numbers_completes_and_says_so(analysis_type: str) -> None:
    """The columns are named with what they hold."""
    found = analysis({"records": rows(a=["x"], b=[True]), "analysis_type": analysis_type})
    assert found["figures"] == {}
    assert found["headline"] == (
        "There was nothing to analyse: no column of numbers among 'a (text)', 'b (boolean)'."
    )


def test_only_the_wanted_columns_are_looked_at() -> None:
    """In the order in which they are named."""
    found = trend(rows(a=[1, 2, 3], b=[3, 2, 1], c=[1, 2, 3]), columns=["c", "b"])
    assert list(found["figures"]) == ["c", "b"]
    assert found["data_source"]["data"]["columns"] == ["c", "b"]

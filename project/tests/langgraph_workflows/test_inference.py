"""The statistics, against scipy and against numbers that can be checked by hand."""

import itertools
import math
import time

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from langgraph_workflows.inference import (
    INSERTION_UP_TO,
    fit_line,
    kendall_variance,
    mann_kendall,
    robust_scores,
    signs_by_blocks,
    signs_by_insertion,
    t_quantile,
)
from tests.langgraph_workflows.asking import patient

FREEDOMS = [*range(1, 250), 300, 999, 1_000, 12_345, 999_998]

steady = st.floats(min_value=-1e6, max_value=1e6, allow_nan=False)
few_values = st.integers(min_value=0, max_value=6)


def numbers(values: list[float] | list[int]) -> pl.Series:
    return pl.Series([float(value) for value in values], dtype=pl.Float64)


def spread_both_ways(points: list[tuple[int, int]]) -> bool:
    return len({x for x, _ in points}) > 1 and len({y for _, y in points}) > 1


def sign(value: int) -> int:
    return (value > 0) - (value < 0)


@pytest.mark.parametrize("confidence", [0.5, 0.9, 0.95, 0.99])
def test_t_quantiles_agree_with_scipy(confidence: float) -> None:
    """To nine digits for every number of degrees up to 249, and for some up to a million."""
    for freedom in FREEDOMS:
        expected = stats.t.ppf((1 + confidence) / 2, freedom)
        assert t_quantile(freedom, confidence) == pytest.approx(expected, rel=1e-9, abs=0), freedom


@patient
@given(st.lists(st.tuples(steady, steady), min_size=3, max_size=60))
def test_lines_agree_with_scipy(points: list[tuple[float, float]]) -> None:
    """Slope, interval and R² of any scatter of points are those of scipy.stats.linregress."""
    x, y = [p[0] for p in points], [p[1] for p in points]
    if max(x) - min(x) < 1e-3 or len(set(y)) == 1:
        return  # scipy loses its digits there, or has no R² to compare with
    line, expected = fit_line(numbers(x), numbers(y)), stats.linregress(x, y)
    half = stats.t.ppf(0.975, len(x) - 2) * expected.stderr
    scale = (max(map(abs, y)) + 1e-9) / (max(x) - min(x))
    assert line.slope == pytest.approx(expected.slope, rel=1e-6, abs=1e-9 * scale)
    assert line.high - line.slope == pytest.approx(half, rel=1e-6, abs=1e-6 * scale)
    assert line.slope - line.low == pytest.approx(half, rel=1e-6, abs=1e-6 * scale)
    assert 0 <= line.r_squared <= 1


def test_a_perfect_line_is_told_as_one() -> None:
    """y = 3 x + 2 has slope 3, an interval of no width, and R² 1."""
    line = fit_line(numbers([0, 1, 2, 3, 4]), numbers([2, 5, 8, 11, 14]))
    assert (line.slope, line.low, line.high, line.r_squared) == (3.0, 3.0, 3.0, 1.0)


def test_a_line_far_from_the_origin_keeps_its_digits() -> None:
    """A billion added to all values changes nothing in the slope."""
    x, y = numbers(list(range(50))), numbers([math.sin(i) for i in range(50)])
    far = fit_line(x + 1e9, y + 1e9)
    assert far.slope == pytest.approx(fit_line(x, y).slope, rel=1e-6)


@patient
@given(st.lists(st.tuples(few_values, few_values), min_size=2, max_size=40))
def test_the_sum_of_signs_is_that_of_all_pairs(points: list[tuple[int, int]]) -> None:
    """Counted pair by pair, with many ties in both directions, the sum and Kendall's tau are the same."""
    x, y = [p[0] for p in points], [p[1] for p in points]
    test = mann_kendall(numbers(x), numbers(y))
    if len(set(x)) == 1 or len(set(y)) == 1:
        assert test is None
        return
    pairs = itertools.combinations(points, 2)
    by_hand = sum(sign(later[0] - one[0]) * sign(later[1] - one[1]) for one, later in pairs)
    assert test is not None
    assert test.s == by_hand
    assert test.tau == pytest.approx(stats.kendalltau(x, y).statistic, abs=1e-12)


@patient
@given(st.lists(few_values, max_size=70))
def test_both_ways_to_count_signs_agree(values: list[int]) -> None:
    """The one for a few thousand values and the one for a million, which takes their ranks."""
    ranks = numbers(values).rank("dense").cast(pl.Int64)
    assert signs_by_blocks(ranks) == signs_by_insertion([*map(float, values)])


@pytest.mark.parametrize("more", [0, 1])
def test_ties_are_counted_alike_in_small_and_large_tables(more: int) -> None:
    """On both sides of the change of method, with every x many times."""
    x = [i % 40 for i in range(INSERTION_UP_TO + more)]
    y = [i * 7 % 13 + i % 3 for i in range(INSERTION_UP_TO + more)]
    test = mann_kendall(numbers(x), numbers(y))
    assert test is not None
    assert test.tau == pytest.approx(stats.kendalltau(x, y).statistic, rel=1e-9)


@patient
@given(st.lists(st.tuples(few_values, few_values), min_size=12, max_size=40).filter(spread_both_ways))
def test_the_variance_for_ties_is_that_of_scipy(points: list[tuple[int, int]]) -> None:
    """scipy leaves the continuity correction out: without it the same sum gives the same p."""
    x, y = [p[0] for p in points], [p[1] for p in points]
    test = mann_kendall(numbers(x), numbers(y))
    assert test is not None
    ties = [[values.count(value) for value in set(values)] for values in (x, y)]
    deviation = math.sqrt(kendall_variance(len(x), *ties))
    expected = stats.kendalltau(x, y, method="asymptotic").pvalue
    assert math.erfc(abs(test.s) / deviation / math.sqrt(2)) == pytest.approx(expected, rel=1e-9, abs=1e-300)
    assert test.p == pytest.approx(math.erfc(max(abs(test.s) - 1, 0) / deviation / math.sqrt(2)), rel=1e-12)


@patient
@given(st.permutations(range(8)), st.integers(min_value=3, max_value=8))
def test_small_samples_without_ties_get_the_exact_p(order: list[int], size: int) -> None:
    """Up to ten points the p is counted out, as scipy's exact method does."""
    y = order[:size]
    test = mann_kendall(numbers(list(range(size))), numbers(y))
    assert test is not None
    assert test.method == "exact"
    assert test.p == pytest.approx(stats.kendalltau(range(size), y, method="exact").pvalue, rel=1e-12)


def test_three_rising_values_prove_little() -> None:
    """One order of six rises and one falls, so the two-sided p of three rising values is 1/3."""
    test = mann_kendall(numbers([1, 2, 3]), numbers([10, 20, 30]))
    assert test is not None
    assert (test.s, test.tau) == (3, 1.0)
    assert test.p == pytest.approx(1 / 3)


def test_the_order_of_the_rows_does_not_matter() -> None:
    """x orders the points, not their place in the table."""
    points = [(i, math.sin(i)) for i in range(30)]
    shuffled = sorted(points, key=lambda p: p[1])
    straight = mann_kendall(*(numbers(list(column)) for column in zip(*points, strict=True)))
    assert straight == mann_kendall(*(numbers(list(column)) for column in zip(*shuffled, strict=True)))


def test_a_hundred_thousand_values_take_well_under_five_seconds() -> None:
    """The pairs are five thousand million; they are not counted one by one."""
    n = 100_000
    begun = time.perf_counter()
    test = mann_kendall(pl.int_range(n, eager=True), pl.int_range(n, 0, -1, eager=True))
    assert time.perf_counter() - begun < 5
    assert test is not None
    assert (test.s, test.tau, test.p) == (-n * (n - 1) // 2, -1.0, 0.0)


def test_robust_scores_by_hand() -> None:
    """Of 1 2 3 4 100 the median is 3 and the MAD 1, so 100 scores 0.6745 x 97."""
    scores = robust_scores(numbers([1, 2, 3, 4, 100]))
    assert scores is not None
    median, mad, score = scores
    assert (median, mad) == (3.0, 1.0)
    assert score.to_list() == pytest.approx([-1.349, -0.6745, 0.0, 0.6745, 65.4265])


@patient
@given(st.lists(steady, min_size=5, max_size=40))
def test_the_mad_is_that_of_scipy(values: list[float]) -> None:
    """And scores are refused exactly when it is 0."""
    expected = stats.median_abs_deviation(values)
    scores = robust_scores(numbers(values))
    assert (scores is None) == (expected == 0)
    if scores is not None:
        assert scores[1] == pytest.approx(expected)

"""The statistics behind the figures, without scipy: straight lines, Mann-Kendall, robust z scores.

Series are polars Float64 (or Int64 where ranks suffice), without nulls.
"""

import math
from bisect import bisect_left, bisect_right
from collections import Counter
from dataclasses import dataclass
from functools import lru_cache
from statistics import NormalDist
from typing import Final, Literal

import polars as pl

CONFIDENCE: Final = 0.95
ROBUST_Z_FACTOR: Final = 0.6745
ROBUST_Z_THRESHOLD: Final = 3.5
"""Both from B. Iglewicz and D. C. Hoaglin (1993), How to Detect and Handle Outliers, ASQC Quality Press:
0.6745 is the expected MAD of a standard normal variable, and scores beyond 3.5 are labelled outliers."""

CLOSED_FORM_UP_TO: Final = 200
EXACT_KENDALL_UP_TO: Final = 10
INSERTION_UP_TO: Final = 5_000
"""Measured: beyond it sorting in blocks is quicker, and it leaves the interpreter free for other threads."""


@dataclass(frozen=True, slots=True)
class Line:
    """A least-squares line. `low` and `high` bound the slope's confidence interval; `r_squared` is 0 to 1."""

    slope: float
    low: float
    high: float
    r_squared: float


@dataclass(frozen=True, slots=True)
class Kendall:
    """A Mann-Kendall test: the sum `s` of all pairs' signs, Kendall's tau-b, and the two-sided p."""

    s: int
    tau: float
    p: float
    method: Literal["exact", "normal"]


def fit_line(x: pl.Series, y: pl.Series) -> Line:
    """The line through at least three points whose x are not all equal."""
    across, up = _centred(x), _centred(y)
    sxx, syy = _dot(across, across), _dot(up, up)
    slope = _dot(across, up) / sxx
    rest = up - slope * across
    unexplained = _dot(rest, rest)
    freedom = len(x) - 2
    half_width = t_quantile(freedom) * (math.sqrt(unexplained / freedom) / math.sqrt(sxx))
    explained = 1 - unexplained / syy if syy > 0 else 0.0
    return Line(slope, slope - half_width, slope + half_width, min(max(explained, 0.0), 1.0))


@lru_cache(maxsize=1024)
def t_quantile(freedom: int, confidence: float = CONFIDENCE) -> float:
    """The t for which Student's distribution with `freedom` degrees lies within ±t with that probability.

    Abramowitz and Stegun, Handbook of Mathematical Functions: up to 200 degrees the closed form for whole
    degrees (26.7.3 and 26.7.4), inverted by bisection; above, the expansion about the normal (26.7.5).
    """
    if freedom > CLOSED_FORM_UP_TO:
        return _t_expanded(NormalDist().inv_cdf((1 + confidence) / 2), freedom)
    low, high = 0.0, math.pi / 2
    for _ in range(64):
        middle = (low + high) / 2
        low, high = (middle, high) if _within(middle, freedom) < confidence else (low, middle)
    return math.sqrt(freedom) * math.tan((low + high) / 2)


def _within(theta: float, freedom: int) -> float:
    """A(t|freedom), the probability within ±t, for theta = atan(t / sqrt(freedom))."""
    sine, cosine = math.sin(theta), math.cos(theta)
    odd = freedom % 2
    term, total = (cosine, cosine) if odd else (1.0, 1.0)
    if freedom == 1:
        total = 0.0
    for step in range(2 + odd, freedom - 1, 2):
        term *= cosine * cosine * (step - 1) / step
        total += term
    return 2 / math.pi * (theta + sine * total) if odd else sine * total


def _t_expanded(z: float, freedom: int) -> float:
    first = (z**3 + z) / 4
    second = (5 * z**5 + 16 * z**3 + 3 * z) / 96
    third = (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384
    fourth = (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160
    return z + first / freedom + second / freedom**2 + third / freedom**3 + fourth / freedom**4


def mann_kendall(x: pl.Series, y: pl.Series) -> Kendall | None:
    """Whether y tends one way as x grows; `None` if all x or all y are equal, for then nothing can be said.

    Ten points at most, without ties: the exact distribution. Otherwise the normal one with the variance
    for ties in both and the continuity correction (M. G. Kendall 1975, Rank Correlation Methods;
    R. O. Gilbert 1987, Statistical Methods for Environmental Pollution Monitoring, section 16.4).
    """
    n = len(x)
    ties_x, ties_y = _tie_sizes(x), _tie_sizes(y)
    pairs, tied_x, tied_y = n * (n - 1) // 2, _pairs(ties_x), _pairs(ties_y)
    if pairs in (tied_x, tied_y):
        return None
    s = _sum_of_signs(x, y)
    tau = s / math.sqrt((pairs - tied_x) * (pairs - tied_y))
    if n <= EXACT_KENDALL_UP_TO and tied_x == tied_y == 0:
        return Kendall(s, tau, _exact_p(n, s), "exact")
    deviation = math.sqrt(kendall_variance(n, ties_x, ties_y))
    p = math.erfc(max(abs(s) - 1, 0) / deviation / math.sqrt(2))
    return Kendall(s, tau, p, "normal")


def kendall_variance(n: int, ties_x: list[int], ties_y: list[int]) -> float:
    """The variance of the sum of signs if nothing depends on anything, given the sizes of groups of ties."""

    def spread(sizes: list[int]) -> int:
        return sum(t * (t - 1) * (2 * t + 5) for t in sizes)

    def triples(sizes: list[int]) -> int:
        return sum(t * (t - 1) * (t - 2) for t in sizes)

    variance = (n * (n - 1) * (2 * n + 5) - spread(ties_x) - spread(ties_y)) / 18
    variance += 4 * _pairs(ties_x) * _pairs(ties_y) / (2 * n * (n - 1))
    if n > 2:
        variance += triples(ties_x) * triples(ties_y) / (9 * n * (n - 1) * (n - 2))
    return variance


def _exact_p(n: int, s: int) -> float:
    """The share of all orders of n values whose sum of signs is at least as far from 0 as s."""
    pairs = n * (n - 1) // 2
    # orders[k]: how many orders of the values so far have k pairs the wrong way round
    orders = [1]
    for size in range(2, n + 1):
        orders = [sum(orders[max(0, k - size + 1) : k + 1]) for k in range(size * (size - 1) // 2 + 1)]
    extreme = sum(count for wrong, count in enumerate(orders) if abs(pairs - 2 * wrong) >= abs(s))
    return extreme / math.factorial(n)


def _sum_of_signs(x: pl.Series, y: pl.Series) -> int:
    """The sum over all pairs with different x of the sign of y's step."""
    if len(x) <= INSERTION_UP_TO:
        points = sorted(zip(x.to_list(), y.to_list(), strict=True))
        total = signs_by_insertion([up for _, up in points])
        tied_in_both = _pairs(list(Counter(points).values()))
    else:
        frame = pl.DataFrame({"x": x, "y": y.rank("dense").cast(pl.Int64)}).sort("x", "y")
        total = signs_by_blocks(frame["y"])
        tied_in_both = _pairs(frame.group_by("x", "y").len()["len"].to_list())
    # Sorted by y within one x, such pairs counted +1, or 0 where y is the same too. They are no steps.
    return total - (_pairs(_tie_sizes(x)) - tied_in_both)


def signs_by_insertion(values: list[float]) -> int:
    """The sum over all pairs of the sign of the later less the earlier value; quick for a few thousand."""
    total, seen = 0, list[float]()
    for value in values:
        below, not_above = bisect_left(seen, value), bisect_right(seen, value)
        total += below - (len(seen) - not_above)
        seen.insert(not_above, value)
    return total


def signs_by_blocks(ranks: pl.Series) -> int:
    """The same for a million ranks, 0 to n: a merge sort that does all blocks of one size at once.

    Each value of a right half asks how many of its block's left half are below and above it.
    """
    n = len(ranks)
    place = pl.int_range(n, eager=True)
    total, size = 0, 1
    while size < n:
        block, right = place // (2 * size), (place // size) % 2 == 1
        key = block * (n + 1) + ranks
        left_keys, right_keys = key.filter(~right).sort(), key.filter(right)
        before = block.filter(right) * size
        below = (left_keys.search_sorted(right_keys, side="left").cast(pl.Int64) - before).sum()
        not_above = (left_keys.search_sorted(right_keys, side="right").cast(pl.Int64) - before).sum()
        total += int(below) - (len(right_keys) * size - int(not_above))
        size *= 2
    return total


def robust_scores(values: pl.Series) -> tuple[float, float, pl.Series] | None:
    """The median, the MAD (median distance from the median) and each value's score 0.6745 (x - median) / MAD.

    `None` if the MAD is 0: more than half of the values are equal, and no distance can be called large.
    """
    median = _median(values)
    distance = values - median
    mad = _median(distance.abs())
    if mad == 0:
        return None
    return median, mad, ROBUST_Z_FACTOR * distance / mad


def _median(values: pl.Series) -> float:
    return float(values.median())  # type: ignore[arg-type]  # a float for numbers; polars types it for any dtype


def _centred(values: pl.Series) -> pl.Series:
    # Twice: the first mean of large values is off by rounding, the second takes the rest away.
    once = values - values.mean()
    return once - once.mean()


def _dot(left: pl.Series, right: pl.Series) -> float:
    return float((left * right).sum())


def _tie_sizes(values: pl.Series) -> list[int]:
    counts = values.value_counts(name="n")["n"]
    return counts.filter(counts > 1).to_list()


def _pairs(sizes: list[int]) -> int:
    return sum(size * (size - 1) // 2 for size in sizes)

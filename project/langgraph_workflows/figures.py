"""Numbers on their way out: finite floats for JSON, short ones for sentences."""

import math
from datetime import date, datetime
from typing import Final

SHOWN_TEXT_CHARS: Final = 80


def figure(value: object) -> float | int | None:
    """The number for JSON; `None` for whatever is no finite number."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return value if isinstance(value, int) or math.isfinite(value) else None


def plain(value: object) -> str | float | int | bool | None:
    """A cell of the table for JSON: times as ISO 8601, texts cut at 80 characters."""
    if isinstance(value, bool):
        return value
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, str):
        return value if len(value) <= SHOWN_TEXT_CHARS else f"{value[:SHOWN_TEXT_CHARS]}…"
    return figure(value)


def said_number(value: float) -> str:
    """The number in a sentence: four digits or more, thousands grouped, as in `1,120` or `-2.714`."""
    if value == int(value) and abs(value) < 1e15:
        return f"{int(value):,}"
    if 1e-4 <= abs(value) < 1e15:
        digits = max(1 if abs(value) < 1e5 else 0, 3 - math.floor(math.log10(abs(value))))
        return f"{value:,.{digits}f}"
    return f"{value:.3e}"


def said_p(p: float) -> str:
    """A p value in a sentence: `p = 0.03`, or `p < 0.0001`."""
    return "p < 0.0001" if p < 1e-4 else f"p = {p:.2g}"


def counted(number: int, noun: str) -> str:
    """The number and its noun: `1 row`, `1,000 rows`, `no rows`."""
    amount = f"{number:,}" if number else "no"
    return f"{amount} {noun}{'' if number == 1 else 's'}"

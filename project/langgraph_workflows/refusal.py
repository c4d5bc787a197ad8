"""The one way in which a part of the built-in graph says that a request cannot be met."""

from collections.abc import Sequence
from typing import Final

SHOWN_CHARS: Final = 60


class RequestRefused(Exception):
    """The request cannot be met; the text is the reason that the asker reads. No retry helps."""


def shown(value: object) -> str:
    """A value of the asker's inside a message: a text quoted, printable and at most 60 characters long.

    Of anything else only what it is.
    """
    if not isinstance(value, str):
        return what(value)
    return repr(value if len(value) <= SHOWN_CHARS else f"{value[:SHOWN_CHARS]}…")


def what(value: object) -> str:
    """What a JSON value is, in a sentence: `a number`, `a list`."""
    match value:
        case None:
            return "null"
        case bool():
            return "a boolean"
        case int() | float():
            return "a number"
        case str():
            return "a text"
        case list() | tuple():
            return "a list"
        case dict():
            return "an object"
        case _:
            return "something else"


def listed(names: Sequence[str], *, limit: int = 10) -> str:
    """Names inside a message, the first ten of them, and how many more there are."""
    head = ", ".join(shown(name) for name in names[:limit])
    return f"{head} and {len(names) - limit} more" if len(names) > limit else head or "none"

"""The one way in which a part of the built-in graph says that a request cannot be met."""

from typing import Final

SHOWN_CHARS: Final = 60


class RequestRefused(Exception):
    """The request cannot be met; the text is the reason that the asker reads. No retry helps."""


def shown(value: object) -> str:
    """A value of the asker's inside a message: quoted, one line, printable, at most 60 characters."""
    text = value if isinstance(value, str) else str(type(value).__name__)
    return repr(text if len(text) <= SHOWN_CHARS else f"{text[:SHOWN_CHARS]}…")


def listed(names: "list[str] | tuple[str, ...]", *, limit: int = 10) -> str:
    """Names inside a message, the first ten of them, and how many more there are."""
    head = ", ".join(shown(name) for name in names[:limit])
    return f"{head} and {len(names) - limit} more" if len(names) > limit else head or "none"

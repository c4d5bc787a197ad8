"""Whose result a record is, found without parsing it."""

import re
from collections.abc import Iterable
from typing import Final
from uuid import UUID

from workflow_events.headers import CORRELATION_ID

_UUID_LENGTH: Final = 36
_CANONICAL: Final = re.compile(rb"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_IN_BODY: Final = re.compile(rb'"correlation_id"\s*:\s*"([0-9a-fA-F-]{32,36})"')
_MAX_IN_BODY: Final = 64
"""A result may quote others; its own id stands among the first ones."""


def id_key(event_id: UUID) -> bytes:
    """An id as records carry it in key and header."""
    return str(event_id).encode()


def header_key(headers: Iterable[tuple[str, bytes | str | None]] | None) -> bytes | None:
    """The id that a record's header names. None without one."""
    for name, value in headers or ():
        if name == CORRELATION_ID and value is not None:
            return canonical_key(value.encode() if isinstance(value, str) else value)
    return None


def canonical_key(text: bytes) -> bytes | None:
    """Any spelling of a UUID as `id_key` spells it. None for anything else."""
    if len(text) == _UUID_LENGTH and _CANONICAL.fullmatch(text):
        return text
    if not 32 <= len(text) <= 45:
        return None
    try:
        return str(UUID(text.decode("ascii"))).encode()
    except ValueError:
        return None


def candidate_keys(
    key: bytes | None,
    headers: Iterable[tuple[str, bytes | str | None]] | None,
    value: bytes | None,
) -> tuple[bytes, ...]:
    """The ids that the record may answer. A header settles it; without one (another producer's record)
    its key and every `correlation_id` in its text count, and whoever is asked for parses it to be sure.
    """
    named = header_key(headers)
    if named is not None:
        return (named,)
    found: dict[bytes, None] = {}
    if key is not None and (by_key := canonical_key(key)) is not None:
        found[by_key] = None
    if value is not None:
        for number, match in enumerate(_IN_BODY.finditer(value)):
            if number >= _MAX_IN_BODY:
                break
            if (in_body := canonical_key(match[1])) is not None:
                found[in_body] = None
    return tuple(found)

"""JSON that every reader understands in the same way.

Refused when reading: anything but UTF-8, NaN and infinities (also `1e400`), a key twice in one
object, half a surrogate pair, numbers of more than 4300 digits, more than 200 levels. Whole numbers
keep all their digits. Refused when writing: the same, and every value that JSON has no form for.
"""

import dataclasses
import json
import re
from collections.abc import Iterator
from datetime import date, datetime, time
from enum import Enum
from math import isfinite
from typing import Any, Final, NoReturn
from uuid import UUID

import orjson
from pydantic import BaseModel

from workflow_events.errors import InvalidRecord, NotJson
from workflow_events.schema import WireModel

MAX_DEPTH: Final = 200
"""Levels of arrays and objects that are read. Writers (orjson) end at 254, so a result has room around it."""

_MAX_WRITTEN_DEPTH: Final = 250
_STRING: Final = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"')
_NOT_BRACKETS: Final = bytes(sorted(set(range(256)) - set(b"[]{}")))
_SURROGATE_ESCAPE: Final = re.compile(rb"\\u[dD][89a-fA-F]")
_MAX_NAMED_DEPTH: Final = 8


def parse_json(data: bytes) -> Any:
    """The value of a JSON text. Raises `InvalidRecord` for everything the module's head names."""
    try:
        value = _DECODER.decode(data.decode())
    except UnicodeDecodeError as error:
        raise InvalidRecord(f"not UTF-8: byte {error.start} cannot be read") from None
    except RecursionError:
        raise InvalidRecord(f"nested more than {MAX_DEPTH} levels deep") from None
    except ValueError as error:
        raise InvalidRecord(f"not JSON: {error}") from None
    if data.count(b"[") + data.count(b"{") > MAX_DEPTH:
        _check_depth(data)
    if b"\\u" in data and _SURROGATE_ESCAPE.search(data):
        _check_surrogates(value)
    return value


def dump_json(value: object, *, root: str = "value", sort_keys: bool = False) -> bytes:
    """The JSON text of a value: UTF-8, no spaces, `datetime`, `date`, `time` and `UUID` as strings
    (ISO 8601), enums as their values, dataclasses and pydantic models as objects.

    Raises `NotJson` naming the path of the first value that has no JSON form, as in
    `value.rows[2].price`; `root` is how that path begins ("" = with the first key).
    """
    option = orjson.OPT_SORT_KEYS if sort_keys else 0
    try:
        text = orjson.dumps(value, default=_plain, option=option)
    except TypeError:
        # Either no JSON at all, or whole numbers and keys that orjson has no room for.
        plain = _checked(value, root)
        return json.dumps(
            plain, ensure_ascii=False, allow_nan=False, separators=(",", ":"), sort_keys=sort_keys
        ).encode()
    # orjson writes null for NaN. Where no null stands but those that are meant, there is none.
    if text.count(b"null") > _nulls_meant(value):
        _checked(value, root)
    return text


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the key {twice[:100]!a} stands twice in one object")
    return found


def _finite(text: str) -> float:
    number = float(text)
    if not isfinite(number):
        raise ValueError(f"the number {text[:40]} is too large")
    return number


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")


_DECODER: Final = json.JSONDecoder(
    object_pairs_hook=_unique, parse_float=_finite, parse_constant=_refuse_constant
)


def _check_depth(data: bytes) -> None:
    """Peels one level a turn off the brackets alone, all of it in C. `data` is known to be JSON."""
    brackets = _STRING.sub(b"", data).translate(None, delete=_NOT_BRACKETS)
    for _ in range(MAX_DEPTH):
        if not brackets:
            return
        brackets = brackets.replace(b"[]", b"").replace(b"{}", b"")
    if brackets:
        raise InvalidRecord(f"nested more than {MAX_DEPTH} levels deep")


def _check_surrogates(value: object) -> None:
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise InvalidRecord("not JSON: half a surrogate pair stands alone in a string") from None


def _plain(value: object) -> object:
    """One step towards JSON for what orjson does not know. Raises TypeError where there is none."""
    match value:
        case WireModel():
            return value.wire_fields()
        case BaseModel():
            return value.model_dump()
        case float():  # a subclass, such as numpy.float64
            return float(value)
        case _:
            raise TypeError(f"{type(value).__name__} has no JSON form")


def _nulls_meant(value: object) -> int:
    if not isinstance(value, dict):
        value = value.wire_fields() if isinstance(value, WireModel) else {}
    return sum(item is None for item in value.values())


def _checked(value: object, path: str, depth: int = 0) -> Any:
    """The value as str, int, float, bool, None, list and dict. Raises `NotJson` where that fails."""
    if depth > _MAX_WRITTEN_DEPTH:
        raise NotJson(f"{path}: nested too deep, or a value that contains itself", path=path)
    match value:
        case None | bool():
            return value
        case Enum():
            return _checked(value.value, path, depth + 1)
        case str():
            return _checked_text(value, path)
        case int():
            return _checked_int(value, path)
        case float():
            if not isfinite(value):
                raise NotJson(f"{path} is {float(value)}, which JSON cannot carry", path=path)
            return float(value)
        case datetime() | date() | time():
            return value.isoformat()
        case UUID():
            return str(value)
        case dict():
            return {
                _checked_key(key, path): _checked(item, _inside(path, f".{key}", depth), depth + 1)
                for key, item in value.items()
            }
        case list() | tuple():
            return [
                _checked(item, _inside(path, f"[{index}]", depth), depth + 1)
                for index, item in enumerate(value)
            ]
        case _:
            return _checked_object(value, path, depth)


def _checked_text(text: str, path: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise NotJson(f"{path} holds half a surrogate pair, which UTF-8 cannot carry", path=path) from None
    return str(text)


def _checked_int(number: int, path: str) -> int:
    if abs(number) >= 10**4300:  # Python's own limit for reading it back
        raise NotJson(f"{path} is a number of more than 4300 digits", path=path)
    return int(number)


def _checked_key(key: object, path: str) -> str:
    if not isinstance(key, str):
        raise NotJson(f"{path} has the key {key!r:.100}; JSON takes strings only", path=path)
    return _checked_text(key.value if isinstance(key, Enum) else key, f"{path} (a key)")


def _checked_object(value: object, path: str, depth: int) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return _checked(dict(_public_fields(value)), path, depth + 1)
    try:
        return _checked(_plain(value), path, depth + 1)
    except TypeError:
        kind = type(value).__name__
        raise NotJson(f"{path} is a {kind}, which JSON has no form for", path=path) from None


def _public_fields(instance: Any) -> Iterator[tuple[str, object]]:
    """As orjson writes a dataclass: its fields without those that begin with an underscore."""
    for field in dataclasses.fields(instance):
        if not field.name.startswith("_"):
            yield field.name, getattr(instance, field.name)


def _inside(path: str, step: str, depth: int) -> str:
    if depth < _MAX_NAMED_DEPTH:
        return f"{path}{step[:100]}".removeprefix(".")
    return path if path.endswith("...") else f"{path}..."

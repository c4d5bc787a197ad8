"""JSON that every reader understands in the same way."""

import json
import math
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from decimal import Decimal
from enum import Enum, StrEnum
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import BaseModel

from tests.workflow_events.samples import a_result
from workflow_events.errors import InvalidRecord, NotJson
from workflow_events.strict_json import MAX_DEPTH, dump_json, parse_json

JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8")),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(codec="utf-8")), inner),
    max_leaves=20,
)


@given(JSON_VALUES)
@example(10**40)
@example({"null": None, "text": "null", "list": [None, 1.5]})
def test_what_is_written_is_read_back_the_same(value: Any) -> None:
    """Also whole numbers of any size and texts that look like JSON."""
    assert parse_json(dump_json(value)) == value


@given(JSON_VALUES)
def test_what_is_written_is_json_for_everybody(value: Any) -> None:
    """Python's own reader, strict about nothing, sees the same value."""
    assert json.loads(dump_json(value)) == value


@given(st.binary() | JSON_VALUES.map(lambda value: json.dumps(value).encode()))
@example(b"\x00")
@example("{}".encode("utf-16"))
@example(b'"\\ud83d\\ude00"')
def test_any_bytes_give_a_value_or_one_kind_of_error(data: bytes) -> None:
    """Whatever a producer writes, the reader is not surprised."""
    with suppress(InvalidRecord):
        parse_json(data)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"nul",
        b"NaN",
        b"[Infinity]",
        b"-Infinity",
        b"1e400",
        b"[-1.0e999999]",
        b"1" + b"0" * 5000,
        b'{"a": 1, "a": 1}',
        b'{"outer": {"a": 1, "b": 2, "a": 3}}',
        b'"\\ud800"',
        b'{"\\udc00": 1}',
        b'"tab\tinside"',
        b"\xff\xfe",
        b"\xef\xbb\xbf{}",
        "{}".encode("utf-16"),
        b'"caf\xe9"',
        b"{} {}",
        b"[" * 10_000 + b"]" * 10_000,
        b'{"a":' * 10_000 + b"1" + b"}" * 10_000,
    ],
    ids=lambda text: repr(text[:14]),
)
def test_what_two_readers_could_understand_differently_is_refused(text: bytes) -> None:
    """Each of these is read as something by some library, and as something else by another."""
    with pytest.raises(InvalidRecord):
        parse_json(text)


@pytest.mark.parametrize("brackets", [(b"[", b"]"), (b'{"[{":', b"}")], ids=["arrays", "objects"])
def test_depth_has_a_limit_that_does_not_depend_on_the_caller(brackets: tuple[bytes, bytes]) -> None:
    """200 levels are read and one more is not, whatever brackets stand in texts."""
    opening, closing = brackets

    def nested(levels: int) -> bytes:
        return opening * levels + b'"]}"' + closing * levels

    assert parse_json(nested(MAX_DEPTH)) is not None
    with pytest.raises(InvalidRecord, match="200 levels"):
        parse_json(nested(MAX_DEPTH + 1))


def test_many_brackets_are_not_depth() -> None:
    """A table of ten thousand rows is three levels deep."""
    rows = [{"cells": [1, 2]} for _ in range(10_000)]

    assert parse_json(dump_json(rows)) == rows


class Colour(StrEnum):
    RED = "red"


class Level(Enum):
    LOW = 1


@dataclass
class Point:
    x: float
    label: str | None = None


class Answer(BaseModel):
    at: datetime
    points: list[Point]


class Half(float):
    pass


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (datetime(2025, 1, 2, 3, 4, 5, tzinfo=UTC), '"2025-01-02T03:04:05+00:00"'),
        (date(2025, 1, 2), '"2025-01-02"'),
        (time(3, 4), '"03:04:00"'),
        (UUID(int=1), '"00000000-0000-0000-0000-000000000001"'),
        ((1, 2), "[1,2]"),
        (Colour.RED, '"red"'),
        (Level.LOW, "1"),
        (Half(0.5), "0.5"),
        ({Colour.RED: 1}, '{"red":1}'),
        (Point(1.5, "a"), '{"x":1.5,"label":"a"}'),
        (Answer(at=datetime(2025, 1, 2, tzinfo=UTC), points=[Point(2.5)]),
         '{"at":"2025-01-02T00:00:00+00:00","points":[{"x":2.5,"label":null}]}'),
        (2**70, "1180591620717411303424"),
        ({"big": 2**70, "point": Point(1), "when": date(2025, 1, 2), "level": Level.LOW, "id": UUID(int=2)},
         '{"big":1180591620717411303424,"point":{"x":1,"label":null},"when":"2025-01-02","level":1,'
         '"id":"00000000-0000-0000-0000-000000000002"}'),
        ("é", '"é"'),
    ],
    ids=lambda value: type(value).__name__,
)  # fmt: skip
def test_values_with_an_obvious_form_are_written(value: object, written: str) -> None:
    """Times as ISO 8601, models and dataclasses as objects, big numbers with all their digits."""
    assert dump_json(value).decode() == written


@pytest.mark.parametrize(
    ("value", "path"),
    [
        ({"a": [1, {"b": math.nan}]}, "value.a[1].b"),
        ({"rows": [0.5, math.inf]}, "value.rows[1]"),
        ([None, -math.inf], "value[1]"),
        (math.nan, "value"),
        ({"x": {1, 2}}, "value.x"),
        ({"x": b"bytes"}, "value.x"),
        ({"x": Decimal("1.5")}, "value.x"),
        ({"x": Path("/")}, "value.x"),
        ({"x": 1 + 2j}, "value.x"),
        ({"x": object()}, "value.x"),
        ({"x": Point}, "value.x"),
        ({"x": {1: "one"}}, "value.x"),
        ({"x": ["\ud800"]}, "value.x[0]"),
        ({"x": 10**5000}, "value.x"),
        ({"x": Point(math.nan)}, "value.x.x"),
        ({"x": Half(math.inf)}, "value.x"),
        ({"x": {"big": 2**70, "bad": math.nan}}, "value.x.bad"),
    ],
)
def test_a_value_without_a_form_is_an_error_that_names_its_path(value: object, path: str) -> None:
    """The person who reads it finds the place in their own data."""
    with pytest.raises(NotJson) as caught:
        dump_json(value)

    assert caught.value.path == path
    assert str(caught.value).startswith(path)


def test_the_path_begins_as_the_caller_wants() -> None:
    """With a name of the caller's, or with the first key."""
    with pytest.raises(NotJson, match=r"^result\.rows\[0\] is nan"):
        dump_json({"rows": [math.nan]}, root="result")
    with pytest.raises(NotJson, match=r"^rows\[0\] is nan"):
        dump_json({"rows": [math.nan]}, root="")


def test_a_value_that_contains_itself_is_an_error_and_no_crash() -> None:
    """It would never end."""
    loop: list[object] = []
    loop.append(loop)

    with pytest.raises(NotJson, match="contains itself"):
        dump_json({"loop": loop})


def test_an_unset_field_does_not_hide_a_nan() -> None:
    """`error` is null in every good result; a NaN beside it is still found."""
    with pytest.raises(NotJson, match=r"result\.mean is nan"):
        dump_json(a_result(result={"mean": math.nan}), root="")


@given(st.dictionaries(st.text(st.characters(codec="utf-8")), st.integers(), max_size=8))
def test_sorted_keys_give_the_same_bytes_whatever_the_order(value: dict[str, int]) -> None:
    """Hashes are made of it."""
    backwards = dict(reversed(value.items()))

    assert dump_json(value, sort_keys=True) == dump_json(backwards, sort_keys=True)

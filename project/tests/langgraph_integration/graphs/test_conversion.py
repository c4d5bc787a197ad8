"""From final states to outcomes: results as JSON, failures in the graph's own words."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from enum import Enum, IntEnum, StrEnum
from types import MappingProxyType
from typing import Any
from uuid import UUID

import pytest
from langchain_core.messages import AIMessage
from pydantic import BaseModel

from langgraph_integration.graphs.conversion import multi_agent_result, outcome_of, to_json
from langgraph_integration.graphs.registry import load_registry
from langgraph_integration.pipeline.outcome import Failed, Succeeded, Unfulfilled
from tests.langgraph_integration.events import event
from workflow_events.codec import dump_json
from workflow_events.errors import NotJson


class Colour(Enum):
    RED = "red"


class Size(IntEnum):
    BIG = 3


class Shade(StrEnum):
    DARK = "dark"


class Model(BaseModel):
    at: datetime
    inner: Model | None = None


@dataclass
class Row:
    name: str
    day: date


MOMENT = datetime(2025, 1, 27, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ({"a": [1, 2.5, None, True, "x"]}, {"a": [1, 2.5, None, True, "x"]}),
        ((1, {2}), [1, [2]]),
        (MOMENT, "2025-01-27T12:00:00+00:00"),
        (date(2025, 1, 27), "2025-01-27"),
        (time(12, 30), "12:30:00"),
        (UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (Colour.RED, "red"),
        ([Size.BIG, Shade.DARK], [3, "dark"]),
        (MappingProxyType({"a": MappingProxyType({})}), {"a": {}}),
        (Row("a", date(2025, 1, 27)), {"name": "a", "day": "2025-01-27"}),
        (Model(at=MOMENT), {"at": "2025-01-27T12:00:00+00:00", "inner": None}),
    ],
)
def test_values_become_json(value: Any, written: Any) -> None:
    """Models and dataclasses dumped, times in ISO 8601."""
    assert repr(to_json(value, "result")) == repr(written)  # 3 and not a member that equals it
    dump_json(to_json(value, "result"))


def test_messages_are_dumped() -> None:
    """Content and type, as the ecosystem has them."""
    (message,) = to_json([AIMessage("hello")], "result")

    assert (message["content"], message["type"]) == ("hello", "ai")
    dump_json(message)


LOOP: list[Any] = []
LOOP.append(LOOP)


@pytest.mark.parametrize(
    ("value", "path"),
    [
        ({"a": [1, object()]}, "result.a[1]"),
        ({"a": {"b": b"raw"}}, "result.a.b"),
        ({1: 2}, "result has a key of type int"),
        (Row, "result is a type"),
        (Row("a", object()), "result.day"),  # type: ignore[arg-type]  # what is refused
        (LOOP, "nested more than 100 levels"),
        (1j, "result is a complex"),
    ],
)
def test_what_json_cannot_carry_is_named_by_its_path(value: Any, path: str) -> None:
    """And not turned into some text."""
    with pytest.raises(NotJson) as raised:
        to_json(value, "result")

    assert path in str(raised.value)


async def test_states_become_outcomes() -> None:
    """`failure` is the only channel for "cannot be met"; an interrupt is an error for now."""
    spec = (await load_registry(None)).resolve(event())
    done = {"completed": True, "agent_results": {}, "task": "t", "metadata": {}, "conclusion": "so it is"}

    assert outcome_of(spec, done) == Succeeded(done)
    assert outcome_of(spec, {**done, "failure": ""}) == Succeeded(done)
    assert outcome_of(spec, {**done, "failure": ["a list"]}) == Succeeded(done)
    assert outcome_of(spec, {**done, "failure": "no column x"}) == Unfulfilled(
        {**done, "completed": False}, "no column x"
    )
    interrupted = outcome_of(spec, {**done, "__interrupt__": ["really?"]})
    assert isinstance(interrupted, Failed)
    assert interrupted.reason == "interrupted"
    broken = outcome_of(spec, {**done, "agent_results": {"data": object()}})
    assert isinstance(broken, Failed)
    assert (broken.reason, "result.agent_results.data" in broken.message) == ("result-invalid", True)


def test_the_guides_four_fields_are_always_there() -> None:
    """Also of a state that has none of them."""
    assert multi_agent_result({}) == {"completed": False, "agent_results": {}, "task": "", "metadata": {}}

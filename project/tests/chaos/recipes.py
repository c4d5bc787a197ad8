"""What the programme asks for: a reproducible stream of records, good and bad, from one seed."""

from __future__ import annotations

import hashlib
import json
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from random import Random
from typing import Any, Literal
from uuid import UUID

from tests.langgraph_integration.events import event, headers_of, value_of
from workflow_events import EventType

NODES = ("a", "b", "c")

Kind = Literal[
    "good", "flaky", "told-to-wait", "exhausted", "broken", "mended", "failing", "deadly", "crash-loop"
]
"""What a run does: passes; fails and passes by itself after some tries; fails once and is told to come again
after `WAIT_S`; never passes; is broken for good, or until it is asked again; says no; ends its process some
times, or each time.
"""

WAIT_S = 6.0
"""A wait that is written down and gives its slot back: it outlives the process."""

Role = Literal["first", "again", "raised", "conflict", "garbage", "keyed-garbage", "other-type"]
"""Why a record is there: the first ask of an event, the same ask again, one with a greater attempt, one with
another payload; bytes nobody can read, without and with an id; an event that asks for nothing.
"""

_KINDS: dict[Kind, float] = {
    "good": 0.872,
    "flaky": 0.04,
    "told-to-wait": 0.008,
    "exhausted": 0.01,
    "broken": 0.02,
    "mended": 0.02,
    "failing": 0.02,
    "deadly": 0.008,
    "crash-loop": 0.002,
}
_MORE: dict[Role, float] = {
    "again": 0.04,
    "raised": 0.03,
    "conflict": 0.02,
    "garbage": 0.01,
    "keyed-garbage": 0.01,
    "other-type": 0.01,
}
_ASK_AGAIN_AFTER = (1, 60)  # records


@dataclass(frozen=True, slots=True)
class Planned:
    """One record to publish."""

    role: Role
    key: bytes | None
    value: bytes
    headers: list[tuple[str, bytes]]
    event_id: UUID | None = None
    kind: Kind | None = None
    attempt: int = 1


def token_of(event_id: str, data: Mapping[str, Any]) -> str:
    """Stands for an event and its input: of no two payloads is it the same, not even of one event."""
    text = json.dumps([event_id, data["recipe"], data.get("other")], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def planned(seed: int, *, deadly: float = 1.0) -> Iterator[Planned]:
    """An endless stream, the same for the same arguments. Of the runs that would end their process only
    the share `deadly` does; the others are good.
    """
    random = Random(seed)
    later: deque[tuple[int, Planned]] = deque()
    number = 0
    while True:
        number += 1
        while later and later[0][0] <= number:
            yield later.popleft()[1]
        first, data = _first(random, deadly=deadly)
        yield first
        for role, chance in _MORE.items():
            if random.random() < chance:
                due = number + random.randint(*_ASK_AGAIN_AFTER)
                later.append((due, _another(random, role, first, data)))
                later = deque(sorted(later, key=lambda each: each[0]))


def _first(random: Random, *, deadly: float) -> tuple[Planned, dict[str, Any]]:
    kind = random.choices(list(_KINDS), list(_KINDS.values()))[0]
    if kind in ("deadly", "crash-loop") and random.random() >= deadly:
        kind = "good"
    event_id = UUID(int=random.getrandbits(128), version=4)
    total = _duration(random)
    shares = [random.random() + 0.1 for _ in NODES]
    recipe = {
        "kind": kind,
        "node": random.choice(NODES),
        "times": random.randint(1, 2),
        "seconds": {
            node: round(total * share / sum(shares), 4) for node, share in zip(NODES, shares, strict=True)
        },
    }
    return _ask("first", event_id, kind, {"recipe": recipe}, 1), {"recipe": recipe}


def _another(random: Random, role: Role, first: Planned, data: dict[str, Any]) -> Planned:
    assert first.event_id is not None
    assert first.kind is not None
    stranger = UUID(int=random.getrandbits(128), version=4)
    match role:
        case "again" | "first":
            return _ask("again", first.event_id, first.kind, data, 1)
        case "raised":
            return _ask("raised", first.event_id, first.kind, data, random.randint(2, 3))
        case "conflict":
            return _ask("conflict", first.event_id, first.kind, {**data, "other": random.random()}, 1)
        case "garbage":
            return Planned(role, None, b"{" + random.randbytes(random.randint(0, 40)), [])
        case "keyed-garbage":
            # an id of its own: whether it can be read decides between a result and none
            value = json.dumps({"event_id": str(stranger), "wrong": "schema"}).encode()
            return Planned(role, str(stranger).encode(), value, [], stranger)
        case "other-type":
            other = event({"said": "by another service"}, event_type=EventType.WORKFLOW_COMPLETED)
            return Planned(role, None, value_of(other), headers_of(other))


def _ask(role: Role, event_id: UUID, kind: Kind, data: dict[str, Any], attempt: int) -> Planned:
    asked = event(data, event_id=event_id, workflow_id="chaos")
    return Planned(
        role,
        str(event_id).encode(),
        value_of(asked),
        headers_of(asked, attempt=attempt),
        event_id,
        kind,
        attempt,
    )


def _duration(random: Random) -> float:
    """Seconds of all nodes together: mostly tens of milliseconds, some of seconds."""
    dice = random.random()
    if dice < 0.80:
        return random.uniform(0.001, 0.05)
    if dice < 0.95:
        return random.uniform(0.2, 1.0)
    return random.uniform(1.0, 5.0)

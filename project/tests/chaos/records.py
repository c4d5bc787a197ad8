"""The events topic as it lies there, with the journal's word for what each record is."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from confluent_kafka import Message

from tests.chaos.evidence import Ask
from tests.chaos.recipes import Kind, Role, token_of
from tests.chaos.witness import TopicWatcher, appended_at
from workflow_events.headers import RecordHeaders


def asks_on(bootstrap_servers: str, topic: str, journal: Sequence[dict[str, Any]]) -> list[Ask]:
    """Every record of the topic, in the order of partition and offset."""
    known = {(line["partition"], line["offset"]): line for line in journal}
    asks: list[Ask] = []

    def take(message: Message) -> None:
        partition, offset = message.partition() or 0, message.offset() or 0
        line = known.get((partition, offset))
        role, kind = (line["role"], line["kind"]) if line else _guess(message)
        headers = RecordHeaders.parse(_pairs(message))
        key = message.key()
        asks.append(
            Ask(
                role,
                key.decode() if key else None,
                headers.attempt,
                partition,
                offset,
                appended_at(message),
                kind,
                _lasts(message),
                _token(message),
            )
        )

    watcher = TopicWatcher(bootstrap_servers, topic, take)
    watcher.start()
    watcher.end()
    return sorted(asks, key=lambda ask: (ask.partition, ask.offset))


def _data(message: Message) -> dict[str, Any] | None:
    """What it gives its graph; None = nobody can read it."""
    try:
        data: dict[str, Any] = json.loads(message.value() or b"")["payload"]["data"]
    except (ValueError, KeyError, TypeError):
        return None
    return data


def _lasts(message: Message) -> Mapping[str, float]:
    recipe = (_data(message) or {}).get("recipe")
    return recipe["seconds"] if recipe else {}


def _token(message: Message) -> str | None:
    data, key = _data(message) or {}, message.key()
    return token_of(key.decode(), data) if key and "recipe" in data else None


def _guess(message: Message) -> tuple[Role, Kind | None]:
    """For a record on the topic whose acknowledgement never came."""
    data = _data(message)
    if data is None:
        return ("keyed-garbage", None) if message.key() else ("garbage", None)
    if "recipe" not in data:
        return "other-type", None
    return ("conflict" if "other" in data else "first"), data["recipe"]["kind"]


def _pairs(message: Message) -> list[tuple[str, bytes | str | None]]:
    headers = message.headers() or []
    return list(headers.items() if isinstance(headers, dict) else headers)

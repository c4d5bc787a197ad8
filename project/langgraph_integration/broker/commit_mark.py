"""CommitMark: what travels in the metadata of every commit."""

import json
from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True, slots=True)
class CommitMark:
    """Whose store settled the offset, and of which topic it is: a topic that was made anew under its name has
    another id (KIP-516). None where that is not known, or does not matter.
    """

    store: str | None = None
    topic: str | None = None

    def encode(self) -> str:
        """The metadata."""
        return json.dumps({"v": 1, "store": self.store, "topic": self.topic}, separators=(",", ":"))

    @classmethod
    def read(cls, metadata: str | None) -> Self:
        """The mark in a commit's metadata; without any, if it is not ours."""
        # confluent-kafka commits the zero byte at its end, too
        text = (metadata or "").rstrip("\0")
        try:
            fields = json.loads(text or "null")
        except ValueError:
            return cls()
        if not isinstance(fields, dict):
            return cls()
        return cls(_text(fields.get("store")), _text(fields.get("topic")))


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None

"""Where a wait begins to read."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any, Final, Self
from uuid import UUID

from workflow_events.ids import event_time

CLOCK_MARGIN: Final = timedelta(minutes=5)
"""How far the clocks of asker and brokers may differ."""


@dataclass(frozen=True, slots=True)
class StartPoint:
    """A moment on the results topic. A result published after it is found by a wait that begins there.

    `offsets` are the positions noted per partition; where they lack a partition, `time_ms`
    (milliseconds since 1970) counts if `offsets` is empty, and else the partition is new and read whole.
    With neither, the topic is read from its beginning.
    """

    offsets: Mapping[int, int] = field(default_factory=lambda: MappingProxyType({}))
    time_ms: int | None = None

    @classmethod
    def beginning(cls) -> Self:
        """The first record that the topic still has."""
        return cls()

    @classmethod
    def at(cls, moment: datetime) -> Self:
        """The first record written at `moment` or later, by the brokers' record times."""
        return cls(time_ms=max(0, int(moment.timestamp() * 1000)))

    @classmethod
    def before(cls, event_id: UUID) -> Self:
        """Early enough for any result of the event: five minutes before a version 7 id was made, the
        beginning for any other id.
        """
        made = event_time(event_id)
        if made is None or made > datetime.now(UTC) + CLOCK_MARGIN:
            return cls.beginning()
        return cls.at(made - CLOCK_MARGIN)

    @property
    def noted(self) -> bool:
        """Whether positions were noted, so that nothing before them can be the result."""
        return bool(self.offsets)

    def to_dict(self) -> dict[str, Any]:
        """As JSON, for whoever has to go on waiting in another process."""
        return {"offsets": {str(key): value for key, value in self.offsets.items()}, "time_ms": self.time_ms}

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> Self:
        """The start point that `to_dict` wrote."""
        offsets = {int(key): int(value) for key, value in (fields.get("offsets") or {}).items()}
        return cls(MappingProxyType(offsets), fields.get("time_ms"))


def distinct(starts: Iterable[StartPoint]) -> list[StartPoint]:
    """Those that matter when all are served together: each noted one, and the earliest of the others."""
    all_of_them = list(starts)
    noted = [one for one in all_of_them if one.noted]
    others = [one for one in all_of_them if not one.noted]
    return noted + ([min(others, key=lambda one: one.time_ms or 0)] if others else [])

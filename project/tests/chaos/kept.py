"""The evidence of a run as a file, so that it can be judged again when the run is long over."""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from tests.chaos.evidence import (
    Answer,
    Ask,
    ErrorLine,
    Evidence,
    Letter,
    Process,
    Sample,
    Settled,
    Size,
    Step,
)

NAME = "evidence.json.gz"

_KINDS: Mapping[str, type] = {
    "asks": Ask,
    "answers": Answer,
    "letters": Letter,
    "steps": Step,
    "settled": Settled,
    "processes": Process,
    "samples": Sample,
    "sizes": Size,
    "errors": ErrorLine,
}


def keep(evidence: Evidence, folder: Path) -> None:
    """Write it into the folder of its run."""
    known = {each.name: getattr(evidence, each.name) for each in fields(evidence)}
    for name in _KINDS:
        known[name] = [asdict(each) for each in known[name]]
    known["acknowledged"] = sorted(evidence.acknowledged)
    with gzip.open(folder / NAME, "wt", compresslevel=3) as file:
        json.dump(known, file)


def kept(folder: Path) -> Evidence:
    """What `keep` has written. Raises `FileNotFoundError` where no evidence was kept."""
    with gzip.open(folder / NAME, "rt") as file:
        known: dict[str, Any] = json.load(file)
    for name, kind in _KINDS.items():
        known[name] = [kind(**_as_it_was(each)) for each in known[name]]
    known["acknowledged"] = {(partition, offset) for partition, offset in known["acknowledged"]}
    for name in ("outages", "stalls"):
        known[name] = [(since, until, what) for since, until, what in known.get(name, ())]
    return Evidence(**known)


def _as_it_was(values: dict[str, Any]) -> dict[str, Any]:
    """JSON knows neither tuples nor numbers as keys."""
    for name in ("path", "tokens"):
        if values.get(name) is not None:
            values[name] = tuple(values[name])
    if "pauses" in values:
        values["pauses"] = tuple((since, until) for since, until in values["pauses"])
    for name in ("committed", "ends"):
        if name in values:
            values[name] = {int(partition): offset for partition, offset in values[name].items()}
    return values

"""Fault points: named places where the fault programme may end the process, to prove that nothing is lost.

`WORKFLOW_FAULT_POINT=name` or `name:0.01` (a probability per pass; 1 without it) switches one on in the
service; several are separated by commas. Off, a point costs one comparison.
"""

import logging
import random
import signal
from collections.abc import Mapping
from typing import Final, Literal, get_args

from workflow_events.errors import ConfigurationError

log = logging.getLogger(__name__)

FaultPoint = Literal[
    "after-claim",
    "before-finish",
    "after-finish",
    "after-dead-letter",
    "after-result",
    "after-published",
    "before-commit",
    "after-commit",
]
"""In the order of effects: claim, run, outcome stored, dead letter and result acknowledged, marked
published, offset committed."""

FAULT_POINTS: Final = get_args(FaultPoint)

_armed: Mapping[str, float] = {}


def arm(setting: str | None) -> None:
    """Switch points on; `None` or an empty text switches all off. Raises `ConfigurationError`."""
    global _armed
    _armed = dict(map(_parse, setting.split(","))) if setting else {}
    if _armed:
        log.warning("fault points armed: %s", setting, extra={"action": "faults_armed"})


def reached(point: FaultPoint) -> None:
    """End the process here without any clean-up, if this point is armed and the dice say so."""
    if _armed and random.random() < _armed.get(point, 0.0):
        signal.raise_signal(signal.SIGKILL)


def _parse(text: str) -> tuple[str, float]:
    name, _, chance = text.strip().partition(":")
    try:
        probability = float(chance or 1)
    except ValueError:
        probability = -1.0
    if name not in FAULT_POINTS or not 0 <= probability <= 1:
        raise ConfigurationError(
            f"WORKFLOW_FAULT_POINT has {text!r}; use NAME or NAME:PROBABILITY with NAME one of "
            f"{', '.join(FAULT_POINTS)}"
        )
    return name, probability

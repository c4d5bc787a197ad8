"""IntakeGate: closed while our own store or broker is at fault, so that nothing is taken that must wait."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import TypeVar

from workflow_events.errors import InfrastructureError, LeaseLost

T = TypeVar("T")

log = logging.getLogger(__name__)

_FIRST_WAIT_S = 0.1
_LONGEST_WAIT_S = 5.0


class IntakeGate:
    """Open unless somebody holds it. Each hold has a name and a cause that an operator can read.

    Several holders may hold under one name, told apart by `by`: the gate opens when the last one lets go.
    """

    def __init__(self) -> None:
        self._holds: dict[str, dict[object, str]] = {}
        self._open = asyncio.Event()
        self._open.set()

    @property
    def reasons(self) -> Mapping[str, str]:
        """Under which names the gate is held, and why; empty while it is open."""
        return {what: next(reversed(holders.values())) for what, holders in self._holds.items()}

    @property
    def is_open(self) -> bool:
        """Whether events may be taken."""
        return not self._holds

    def hold(self, what: str, cause: object, *, by: object = None) -> None:
        """Close the gate, or update the cause. Logged once per closing."""
        if what not in self._holds:
            log.warning("intake paused: %s: %s", what, cause, extra={"action": "intake_paused", "what": what})
        holders = self._holds.setdefault(what, {})
        holders.pop(by, None)
        holders[by] = str(cause)
        self._open.clear()

    def release(self, what: str, *, by: object = None) -> None:
        """Take back a hold; harmless if there is none."""
        holders = self._holds.get(what, {})
        if holders.pop(by, None) is not None and not holders:
            del self._holds[what]
            log.info("intake hold ended: %s", what, extra={"action": "intake_resumed", "what": what})
        if not self._holds:
            self._open.set()

    async def wait_open(self) -> None:
        """Return once nobody holds the gate."""
        await self._open.wait()

    async def insist(
        self, what: str, call: Callable[[], Awaitable[T]], *, given_up: asyncio.Event | None = None
    ) -> T:
        """What `call` returns, repeated until the infrastructure answers; the gate is closed meanwhile.

        `LeaseLost` and errors that are not the infrastructure's are raised at once, and the
        infrastructure's once `given_up` is set. Whichever way it ends, cancelled too, this call holds the
        gate no longer.
        """
        me, held, wait_s = object(), False, _FIRST_WAIT_S
        try:
            while True:
                try:
                    return await call()
                except LeaseLost:
                    raise
                except InfrastructureError as error:
                    # made here, because nearly every call is answered at once
                    given_up = given_up or asyncio.Event()
                    if not given_up.is_set():
                        held = True
                        self.hold(what, error, by=me)
                        with suppress(TimeoutError):
                            await asyncio.wait_for(given_up.wait(), wait_s)
                        wait_s = min(wait_s * 2, _LONGEST_WAIT_S)
                    if given_up.is_set():
                        raise
        finally:
            if held:
                self.release(what, by=me)

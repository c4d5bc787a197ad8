"""IntakeGate: closed while our own store or broker is at fault, so that nothing is taken that must wait."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import TypeVar

from workflow_events.errors import InfrastructureError, LeaseLost

T = TypeVar("T")

log = logging.getLogger(__name__)

_FIRST_WAIT_S = 0.1
_LONGEST_WAIT_S = 5.0


class IntakeGate:
    """Open unless somebody holds it. Each holder has a name and a cause that an operator can read."""

    def __init__(self) -> None:
        self._holds: dict[str, str] = {}
        self._open = asyncio.Event()
        self._open.set()

    @property
    def reasons(self) -> Mapping[str, str]:
        """Who holds the gate, and why; empty while it is open."""
        return dict(self._holds)

    @property
    def is_open(self) -> bool:
        """Whether events may be taken."""
        return not self._holds

    def hold(self, what: str, cause: object) -> None:
        """Close the gate, or update the cause. Logged once per closing."""
        if what not in self._holds:
            log.warning("intake paused: %s: %s", what, cause, extra={"action": "intake_paused", "what": what})
        self._holds[what] = str(cause)
        self._open.clear()

    def release(self, what: str) -> None:
        """Take back a hold; harmless if there is none."""
        if self._holds.pop(what, None) is not None:
            log.info("intake hold ended: %s", what, extra={"action": "intake_resumed", "what": what})
        if not self._holds:
            self._open.set()

    async def wait_open(self) -> None:
        """Return once nobody holds the gate."""
        await self._open.wait()

    async def insist(self, what: str, call: Callable[[], Awaitable[T]]) -> T:
        """What `call` returns, repeated until the infrastructure answers; the gate is closed meanwhile.

        `LeaseLost` and errors that are not the infrastructure's are raised at once.
        """
        wait_s = _FIRST_WAIT_S
        while True:
            try:
                answer = await call()
            except LeaseLost:
                raise
            except InfrastructureError as error:
                self.hold(what, error)
                await asyncio.sleep(wait_s)
                wait_s = min(wait_s * 2, _LONGEST_WAIT_S)
            else:
                self.release(what)
                return answer

"""A worker's process, as its supervisor holds it."""

import asyncio
import sys
import threading
import time
from contextlib import suppress
from dataclasses import replace
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from signal import Signals
from typing import Any, Self

from langgraph_integration.ops.workers.report import Report, WorkerTask, silent_for

_ANSWER_S = 1.0
_MODULE = "langgraph_integration.ops.workers.worker"


class WorkerProcess:
    """Runs the service with a task. Settings travel through a pipe: arguments could be read by others."""

    def __init__(self, process: asyncio.subprocess.Process, connection: "Connection[Any, Any]") -> None:
        self._process = process
        self._connection = connection
        self._asking = threading.Lock()
        self._question = 0
        self._last: Report | None = None
        self._answered_at = time.monotonic()

    @classmethod
    async def start(cls, task: WorkerTask) -> Self:
        """A new process. Its group is its own: Ctrl-C reaches the supervisor alone, which tells it once."""
        ours, theirs = Pipe()
        try:
            process = await asyncio.create_subprocess_exec(
                # -P: the folder it is started in is no place for modules, as for the command itself
                *(sys.executable, "-P", "-m", _MODULE, str(theirs.fileno())),
                pass_fds=(theirs.fileno(),),
                process_group=0,
            )
        finally:
            theirs.close()
        with suppress(OSError):
            # a process that is gone already is seen by `ended`
            ours.send(task)
        return cls(process, ours)

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    async def ended(self) -> int:
        """Its exit code, once it has ended; negative where a signal ended it."""
        code = await self._process.wait()
        await asyncio.to_thread(self._hang_up)
        return code

    def _hang_up(self) -> None:
        with self._asking:
            self._connection.close()

    def signal(self, number: Signals) -> None:
        """Send it a signal; harmless once it has ended."""
        with suppress(ProcessLookupError):
            self._process.send_signal(number)

    def look(self) -> Report | None:
        """Its report as of now; the last one with all ages grown where it does not answer within a second.

        None before its first answer, which is not waited for. From any thread.
        """
        with self._asking:
            with suppress(OSError, EOFError, ValueError):
                self._ask()
            if self._last is None:
                return None
            silence_s = time.monotonic() - self._answered_at
            if self._last.question == self._question:
                return self._last
            return replace(self._last, status=silent_for(self._last.status, silence_s))

    def _ask(self) -> None:
        if self._last is None or self._last.question == self._question:
            # one question at a time: a stopped process would fill the pipe with them
            self._question += 1
            self._connection.send(self._question)
        deadline = time.monotonic() + (0.0 if self._last is None else _ANSWER_S)
        while self._connection.poll(max(0.0, deadline - time.monotonic())):
            self._last = self._connection.recv()
            self._answered_at = time.monotonic()
            if self._last.question == self._question:
                return

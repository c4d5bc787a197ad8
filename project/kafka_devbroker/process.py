"""A child process that can be killed, paused and stopped, and that never outlives its parent."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from kafka_devbroker.errors import BrokerNotReady

log = logging.getLogger(__name__)

_GUARD = Path(__file__).with_name("guard.py")
_LOG_TAIL_BYTES = 4000


class GuardedProcess:
    """One running command, its output in `log_file`. See guard.py for how it ends with its parent.

    `throw_away`: a folder of the command's own, removed if this process is gone before it could clean up.
    """

    def __init__(
        self,
        command: list[str],
        *,
        log_file: Path,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        throw_away: Path | None = None,
    ) -> None:
        self._log_file = log_file
        with log_file.open("ab") as output:
            self._guard = subprocess.Popen(
                [sys.executable, "-I", str(_GUARD), str(throw_away or ""), *command],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=output,
                env=None if env is None else dict(env),
                cwd=cwd,
            )
        self.pid = self._read_pid()

    def _read_pid(self) -> int:
        assert self._guard.stdout is not None
        line = self._guard.stdout.readline()
        if not line:
            self._reap(timeout=5)
            raise BrokerNotReady(f"could not be started:\n{self.log_tail()}")
        return int(line)

    @property
    def running(self) -> bool:
        return self._guard.poll() is None

    @property
    def exit_code(self) -> int | None:
        """How it ended; 128 + n if signal n did it, None while it runs."""
        return self._guard.poll()

    def log_tail(self) -> str:
        """The last 4 kB of what the process wrote."""
        with self._log_file.open("rb") as output:
            output.seek(0, os.SEEK_END)
            output.seek(max(0, output.tell() - _LOG_TAIL_BYTES))
            return output.read().decode(errors="replace")

    def kill(self) -> None:
        """End it with SIGKILL, as a crash would. Returns when it is gone; quiet if it already was."""
        self._signal(getattr(signal, "SIGKILL", signal.SIGTERM))
        self._reap(timeout=10)

    def ask_to_end(self, number: signal.Signals = signal.SIGTERM) -> None:
        """Send signal `number` and return at once; quiet if it is gone."""
        self._signal(number)

    def wait_or_kill(self, timeout: float) -> None:
        """Wait `timeout` seconds for it to end, then kill it. Returns when it is gone."""
        try:
            self._reap(timeout=timeout)
        except subprocess.TimeoutExpired:
            log.warning("process did not end when asked to", extra={"action": "kill", "pid": self.pid})
            self.kill()

    def pause(self) -> None:
        """Freeze it (SIGSTOP): connections stay open and nothing answers. POSIX only."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let a paused process go on."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: int) -> None:
        # The guard has not reaped its child while it runs itself, so the id cannot be somebody else's.
        if self.running:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def _reap(self, timeout: float) -> None:
        self._guard.wait(timeout=timeout)
        for pipe in (self._guard.stdin, self._guard.stdout):
            if pipe is not None:
                pipe.close()

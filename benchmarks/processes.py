"""Processes as Linux tells of them: processor time, memory, children; and one that ends with its block."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Self

ROOT = Path(__file__).parents[1]


def cpu_s(pid: int) -> float:
    """Seconds of processor time, user and system, that the process has used; 0 if it is gone."""
    # the clock id of another process (clock_getcpuclockid(3)): its inverted pid, and CPUCLOCK_SCHED
    try:
        return time.clock_gettime(((~pid) << 3) | 2)
    except OSError:
        return 0.0


def tree_cpu_s(pid: int) -> float:
    """What the process and its descendants have used, those included that it has waited for; 0 if it is gone.

    For servers with a process for each session, which ends with it.
    """
    with suppress(OSError):
        ended = _stat(Path(f"/proc/{pid}/stat"))[13:15]
        return sum(map(cpu_s, family(pid))) + sum(map(int, ended)) / os.sysconf("SC_CLK_TCK")
    return 0.0


def descendant(name: str) -> int | None:
    """The nearest of our descendants that runs the program of this name."""
    for pid in family(os.getpid()):
        with suppress(OSError):
            if Path(f"/proc/{pid}/comm").read_text().strip() == name:
                return pid
    return None


def peak_mib(pid: int) -> float:
    """The most memory that was ever resident; 0 if the process is gone."""
    return _status_mib(pid, "VmHWM")


def resident_mib(pid: int) -> float:
    """The memory that is resident now; 0 if the process is gone."""
    return _status_mib(pid, "VmRSS")


def _status_mib(pid: int, name: str) -> float:
    with suppress(OSError):
        found = re.search(rf"^{name}:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
        if found:
            return int(found[1]) / 1024
    return 0.0


def family(pid: int) -> list[int]:
    """The process and all its descendants."""
    parents: dict[int, list[int]] = {}
    for entry in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            parents.setdefault(int(_stat(entry)[1]), []).append(int(entry.parent.name))
    found = [pid]
    for each in found:
        found += parents.get(each, [])
    return found


def _stat(path: Path) -> list[str]:
    # proc(5), from the third field on: the second is a name that may have blanks
    return path.read_text().rpartition(")")[2].split()


def python(environment: str = ".venv") -> str:
    """The interpreter of one of the project's environments."""
    return str(ROOT / environment / "bin" / "python") if environment != ".venv" else sys.executable


class Child:
    """A process with its log in a file; killed at the end of the block if it does not end by itself."""

    def __init__(self, command: list[str], log: Path, env: dict[str, str] | None = None) -> None:
        self.log = log
        path = os.pathsep.join([str(ROOT), str(ROOT / "project")])
        with log.open("wb") as out:
            self.process = subprocess.Popen(
                command,
                stdout=out,
                stderr=out,
                cwd=ROOT,
                env={**os.environ, "PYTHONPATH": path, **(env or {})},
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """Its id."""
        return self.process.pid

    def check(self) -> None:
        """Raises RuntimeError with the end of its log if it has ended with an error."""
        code = self.process.poll()
        if code:
            raise RuntimeError(f"{self.process.args!r} ended with {code}:\n{self._tail()}")

    def wait_for(self, condition: Callable[[], bool], *, limit_s: float = 60.0) -> None:
        """Return once it holds. Raises RuntimeError if the process ends before, TimeoutError at the limit."""
        deadline = time.monotonic() + limit_s
        while not condition():
            self.check()
            if time.monotonic() > deadline:
                raise TimeoutError(f"not so after {limit_s:.0f} s; its log ends:\n{self._tail()}")
            time.sleep(0.02)

    def _tail(self) -> str:
        return self.log.read_text(errors="replace")[-3000:]

    def stop(self, *, within_s: float = 10.0) -> None:
        """Ask it to end; kill it and its family if it does not."""
        everyone = family(self.pid)
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(within_s)
        self._kill(everyone)

    def kill(self) -> None:
        """End it and its family at once: nobody waits for what it would still settle."""
        if self.process.poll() is None:
            self._kill(family(self.pid))

    def _kill(self, everyone: list[int]) -> None:
        for pid in everyone:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

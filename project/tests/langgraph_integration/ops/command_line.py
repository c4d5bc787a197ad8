"""Runs `langgraph-kafka` with this test's environment."""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from typer.testing import CliRunner

from langgraph_integration.ops.cli import app

_PROGRAM = "from langgraph_integration.ops.cli import main; main()"
COMMAND = [sys.executable, "-c", _PROGRAM]


@dataclass(frozen=True, slots=True)
class Ran:
    """How a command ended and what it said."""

    code: int
    out: str
    err: str


def within(*arguments: str, stdin: str | None = None) -> Ran:
    """The command's end, run in this very process: quick, for commands that start nothing."""
    result = CliRunner().invoke(app, arguments, input=stdin)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return Ran(result.exit_code, result.stdout, result.stderr)


def run(*arguments: str, timeout: float = 45) -> Ran:
    """The command's end, in a process of its own."""
    done = subprocess.run(
        [*COMMAND, *arguments],
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    return Ran(done.returncode, done.stdout, done.stderr)


@contextmanager
def started(
    *arguments: str, log_file: Path, environment: Mapping[str, str] | None = None, cwd: Path | None = None
) -> Iterator["subprocess.Popen[bytes]"]:
    """The command while it runs, its output in `log_file`; killed at the end if it still does."""
    with log_file.open("wb") as log:
        process = subprocess.Popen(
            [*COMMAND, *arguments], stdout=log, stderr=log, env={**os.environ, **(environment or {})}, cwd=cwd
        )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.wait(10)

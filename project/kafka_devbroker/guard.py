"""Run one command and end it when whoever asked for it is gone, even by SIGKILL.

Started as a script of its own (`python -I guard.py FOLDER COMMAND...`), it imports only the standard library.
Its standard input is a pipe held open by the asking process: the end of that pipe is how it learns that the
process is no more, on every system; then it kills the command and removes FOLDER ("" for none), which nobody
else will. It writes the command's process id as its first line and exits with the command's code.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import signal
import subprocess
import sys
import threading

_PR_SET_PDEATHSIG = 1


def _die_with_guard() -> None:
    # Linux alone: covers the case that the guard itself is killed. Elsewhere the pipe is the only tie.
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def _end_at_end_of_input(process: subprocess.Popen[bytes], orphaned: threading.Event) -> None:
    while sys.stdin.buffer.read(4096):
        pass
    orphaned.set()
    process.kill()


def main(folder: str, command: list[str]) -> int:
    """Run `command` until it ends or the input does. Its exit code; 128 + n if signal n ended it."""
    # Ctrl-C in a terminal reaches the whole group; the asking process decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=sys.stderr.fileno(),
        start_new_session=os.name == "posix",
        preexec_fn=_die_with_guard if sys.platform == "linux" else None,
    )
    sys.stdout.write(f"{process.pid}\n")
    sys.stdout.flush()
    orphaned = threading.Event()
    threading.Thread(target=_end_at_end_of_input, args=(process, orphaned), daemon=True).start()
    code = process.wait()
    if orphaned.is_set() and folder:
        shutil.rmtree(folder, ignore_errors=True)
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    # os._exit: the thread that waits for the end of the input must not hold the way out.
    os._exit(main(sys.argv[1], sys.argv[2:]))

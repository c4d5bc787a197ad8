"""One heavy service for all pytest-xdist workers: the first who needs it starts it, the last one out ends it.

The lock files make this safe against workers that are killed: the system drops their locks.
"""

from __future__ import annotations

import fcntl
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path


@contextmanager
def shared_service(
    folder: Path, name: str, start: Callable[[], AbstractContextManager[str]]
) -> Iterator[str]:
    """The address of the service `name`, started by `start` unless a worker with this `folder` did."""
    address_file = folder / f"{name}.address"
    users = folder / f"{name}.users"
    with users.open("a") as use:
        with _locked(folder / f"{name}.lock"):
            owned = None if address_file.exists() else start()
            if owned is not None:
                address_file.write_text(owned.__enter__())
            fcntl.flock(use, fcntl.LOCK_SH)
            address = address_file.read_text()
        try:
            yield address
        finally:
            fcntl.flock(use, fcntl.LOCK_UN)
            if owned is not None:
                with _locked(folder / f"{name}.lock"):
                    # Waits for the other workers' last test; who comes later starts a service of its own.
                    fcntl.flock(use, fcntl.LOCK_EX)
                    address_file.unlink()
                    owned.__exit__(None, None, None)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield

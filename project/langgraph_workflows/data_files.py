"""Bytes of a file below the data folder, and of no other file."""

import errno
import os
import stat
from pathlib import Path
from typing import Final

from langgraph_workflows.limits import MAX_FILE_BYTES
from langgraph_workflows.refusal import RequestRefused, shown
from langgraph_workflows.settings import DATA_DIR_VARIABLE

ASKERS_FAULT: Final = frozenset(
    {
        errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.EACCES, errno.EPERM,
        errno.ELOOP, errno.ENAMETOOLONG, errno.EINVAL, errno.ENXIO,
    }
)  # fmt: skip
"""System errors that the same request meets again. Others (a sick disk) are raised: a retry may help."""


def read_data_file(name: str, directory: Path | None) -> bytes:
    """The whole file `name` below `directory`.

    Raises `RequestRefused` if files are not allowed at all (`directory` is `None`), if the path leads out
    of the folder in whatever way, and if what is there is no readable file of at most 64 MiB.
    """
    if directory is None:
        raise RequestRefused(
            f"the file {shown(name)} was not read: no files are, while {DATA_DIR_VARIABLE} is not set"
        )
    try:
        parts = _parts_below(name, directory)
        descriptor = _open_below(directory.resolve(), parts)
        try:
            return _read_regular(descriptor, name)
        finally:
            os.close(descriptor)
    except OSError as error:
        if error.errno not in ASKERS_FAULT:
            raise
        raise RequestRefused(f"the file {shown(name)} cannot be read: {_why(error)}") from None
    except (ValueError, RuntimeError):
        # A NUL byte, a lone surrogate, or (before Python 3.13) a loop of symbolic links.
        raise RequestRefused(f"{shown(name)} is not the name of a file") from None


def _parts_below(name: str, directory: Path) -> tuple[str, ...]:
    """The way from the folder to the file, free of links and `..`."""
    root = directory.resolve(strict=True)
    # Not strict: whether a file outside is there is nobody's business, the answer is the same.
    target = (root / name).resolve()
    if target == root or not target.is_relative_to(root):
        raise RequestRefused(f"the file {shown(name)} is not below the data folder")
    return target.relative_to(root).parts


def _open_below(root: Path, parts: tuple[str, ...]) -> int:
    """A descriptor for the file, opened step by step without following links.

    The path was resolved a moment ago; whoever puts a link in its way since then gets an error, not a file
    from elsewhere. O_NONBLOCK: opening a named pipe must not wait for its writer.
    """
    if os.open not in os.supports_dir_fd:
        return os.open(root.joinpath(*parts), os.O_RDONLY | getattr(os, "O_BINARY", 0))
    folder = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    try:
        for part in parts[:-1]:
            below = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=folder)
            os.close(folder)
            folder = below
        return os.open(parts[-1], os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder)
    finally:
        os.close(folder)


def _read_regular(descriptor: int, name: str) -> bytes:
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        raise RequestRefused(f"{shown(name)} is not a file")
    chunks, size = [], 0
    # Counted while reading and not by fstat alone: the file may grow meanwhile.
    while chunk := os.read(descriptor, 1024 * 1024):
        chunks.append(chunk)
        size += len(chunk)
        if size > MAX_FILE_BYTES:
            raise RequestRefused(f"the file {shown(name)} is larger than {MAX_FILE_BYTES // 1024**2} MiB")
    return b"".join(chunks)


def _why(error: OSError) -> str:
    """The system's words without the path, which would tell the asker where the folder lies."""
    if error.errno == errno.ENOENT:
        return "there is no such file"
    return (error.strerror or "the system refused").lower()

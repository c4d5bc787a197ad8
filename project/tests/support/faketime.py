"""libfaketime: processes whose wall clock a test sets, while their monotonic clock goes on as it did."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

_DEBIAN = "/usr/lib"
_LIBRARY = "*/faketime/libfaketimeMT.so.1"


def faketime_library() -> Path | None:
    """What `LD_PRELOAD` has to name (as Debian installs it); None when it is not there."""
    return next(iter(sorted(Path(_DEBIAN).glob(_LIBRARY))), None)


def why_no_faketime() -> str | None:
    """What keeps the tests from moving a clock, with the way out; None when nothing does."""
    return None if faketime_library() else "libfaketime not found: apt-get install libfaketime"


class WallClock:
    """The wall clock of the processes that were started with its environment."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self.jump_to(0)

    def environment(self) -> Mapping[str, str]:
        """For the process at its start."""
        return {
            "LD_PRELOAD": str(faketime_library()),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            # 0.9.10 takes the waits for the interpreter's lock for others otherwise, and threads starve
            "FAKETIME_FORCE_MONOTONIC_FIX": "0",
            "NO_FAKE_STAT": "1",
        }

    def jump_to(self, seconds: int) -> None:
        """So far ahead of the true time, or behind it; at once."""
        # whoever reads it meanwhile must not find half of it
        new = self._file.with_suffix(".new")
        new.write_text(f"{seconds:+d}\n")
        new.replace(self._file)

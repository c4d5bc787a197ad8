"""`python -m tests.chaos.judge FOLDER...`: what the oracle says of runs that are over, by the evidence that
they kept; 1 as exit code if an invariant was broken, 2 if a folder has no evidence.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tests.chaos.kept import NAME, kept
from tests.chaos.oracle import judge
from tests.chaos.report import findings


def main(arguments: list[str] | None = None) -> int:
    """The exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.judge", description=__doc__)
    parser.add_argument("folders", type=Path, nargs="+", metavar="FOLDER")
    given = parser.parse_args(arguments)
    code = 0
    for folder in given.folders:
        sys.stdout.write(f"{folder}\n")
        try:
            broken = judge(kept(folder))
        except FileNotFoundError:
            sys.stdout.write(f"- no {NAME}: the run was cut off, or was made before evidence was kept\n")
            code = 2
            continue
        sys.stdout.write("\n".join(findings(broken)) + "\n")
        code = max(code, int(any(broken.values())))
    return code


if __name__ == "__main__":
    sys.exit(main())

"""Each guard is worth its place: without it, the named test fails."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.faults.guards import GUARDS, Guard

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

_ROOT = Path(__file__).parents[3]
_FAILED = 1
"""pytest's exit code for tests that ran and failed; others mean that they did not run."""


@pytest.fixture(scope="module")
def copied(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project, in a folder where it may be damaged."""
    folder = tmp_path_factory.mktemp("copy")
    skip = shutil.ignore_patterns("__pycache__", ".*")
    shutil.copytree(_ROOT / "project", folder / "project", ignore=skip)
    shutil.copy(_ROOT / "pyproject.toml", folder)
    return folder


@pytest.mark.parametrize("guard", GUARDS, ids=lambda guard: guard.name.replace(" ", "-"))
def test_without_the_guard_a_test_fails(copied: Path, guard: Guard) -> None:
    """The copy with everything in place passes all of them in the ordinary run."""
    file = copied / "project" / guard.file
    whole = file.read_text()
    damaged = whole
    for guarded, bare in zip(guard.guarded, guard.bare, strict=True):
        assert guarded in whole, f"the guard {guard.name!r} is not where it was: {guard.file}"
        damaged = damaged.replace(guarded, bare)
    file.write_text(damaged)
    try:
        done = _run(copied, guard.test)
    finally:
        file.write_text(whole)

    assert done.returncode == _FAILED, done.stdout[-3000:] + done.stderr[-1000:]


def test_with_all_guards_these_tests_pass(copied: Path) -> None:
    """Or their failing would prove nothing."""
    done = _run(copied, *sorted({guard.test for guard in GUARDS}))

    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]


def _run(folder: Path, *tests: str) -> subprocess.CompletedProcess[str]:
    # before the installed project, so that the copy is what is imported
    environment = {**os.environ, "PYTHONPATH": str(folder / "project"), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *tests]
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=170, check=False
    )

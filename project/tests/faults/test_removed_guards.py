"""Each guard is worth its place: without it, the named test fails."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.faults.guards import GUARDS, Guard
from tests.faults.guards_sql import SQL_GUARDS

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

_ROOT = Path(__file__).parents[3]
_ALL = (*GUARDS, *SQL_GUARDS)
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


@pytest.mark.parametrize(
    "guard",
    [
        pytest.param(guard, marks=[pytest.mark.postgres] * guard.on_postgres, id=guard.name.replace(" ", "-"))
        for guard in _ALL
    ],
)
def test_without_the_guard_a_test_fails(request: pytest.FixtureRequest, copied: Path, guard: Guard) -> None:
    """The copy with everything in place passes all of them in the ordinary run."""
    file = copied / "project" / guard.file
    whole = file.read_text()
    damaged = whole
    for guarded, bare in zip(guard.guarded, guard.bare, strict=True):
        assert whole.count(guarded) == 1, f"the guard {guard.name!r} is not where it was: {guard.file}"
        damaged = damaged.replace(guarded, bare)
    file.write_text(damaged)
    try:
        done = _run(copied, _server(request, guard.on_postgres), guard.test)
    finally:
        file.write_text(whole)

    assert done.returncode == _FAILED, done.stdout[-3000:] + done.stderr[-1000:]
    assert guard.sign in done.stdout, f"it failed, but not for want of the guard:\n{done.stdout[-3000:]}"


@pytest.mark.parametrize(
    "on_postgres", [False, pytest.param(True, marks=pytest.mark.postgres)], ids=["here", "postgres"]
)
def test_with_all_guards_these_tests_pass(
    request: pytest.FixtureRequest, copied: Path, on_postgres: bool
) -> None:
    """Or their failing would prove nothing."""
    tests = sorted({guard.test for guard in _ALL if guard.on_postgres == on_postgres})
    done = _run(copied, _server(request, on_postgres), *tests)

    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]
    # one that was left out has not passed
    assert re.search(r"^\d+ passed in ", done.stdout, re.MULTILINE), done.stdout[-3000:]


def _server(request: pytest.FixtureRequest, on_postgres: bool) -> dict[str, str]:
    """So that the tests in the copy need not start one each."""
    return {"POSTGRES_DSN": request.getfixturevalue("postgres_server")} if on_postgres else {}


def _run(folder: Path, server: dict[str, str], *tests: str) -> subprocess.CompletedProcess[str]:
    # before the installed project, so that the copy is what is imported
    path = {"PYTHONPATH": str(folder / "project"), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *tests]
    return subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, **server, **path},
        capture_output=True,
        text=True,
        timeout=170,
        check=False,
    )

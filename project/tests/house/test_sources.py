"""What every source file keeps to."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from tests.house.tables import LONGER_THAN_300_LINES, READS_THE_ENVIRONMENT

PROJECT = Path(__file__).parents[2]
ALL = sorted(PROJECT.rglob("*.py"))
PRODUCT = [path for path in ALL if not path.is_relative_to(PROJECT / "tests")]
_MAX_LINES = 300


def _name(path: Path) -> str:
    return path.relative_to(PROJECT).as_posix()


@cache
def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def test_modules_end_before_300_lines() -> None:
    """Longer ones are in the table, with the reason; the table names no module that got shorter."""
    longer = {_name(path) for path in PRODUCT if len(path.read_text().splitlines()) > _MAX_LINES}

    assert longer == set(LONGER_THAN_300_LINES)


def test_the_product_does_not_print() -> None:
    """Programs log, and command lines write through their console object."""
    printing = {
        f"{_name(path)}:{node.lineno}"
        for path in PRODUCT
        for node in ast.walk(_tree(path))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
    }

    assert printing == set()


def test_only_settings_modules_read_the_environment() -> None:
    """Whoever needs a setting is given it; the table names every module that reads one."""
    reading = {
        _name(path)
        for path in PRODUCT
        for node in ast.walk(_tree(path))
        if isinstance(node, ast.Attribute) and node.attr in ("environ", "getenv", "environb")
    }

    assert reading <= set(READS_THE_ENVIRONMENT)


def test_the_environment_is_not_read_at_import() -> None:
    """A module read the environment when its function is called, so the order of imports changes nothing."""
    at_import = {
        f"{_name(path)}:{node.lineno}"
        for path in PRODUCT
        for statement in _tree(path).body
        if not isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
        for node in ast.walk(statement)
        if isinstance(node, ast.Attribute) and node.attr in ("environ", "getenv", "environb")
    }

    assert at_import == set()


@pytest.mark.parametrize(
    "word", ["TODO", "FIXME", "XXX", "unittest.mock", "MagicMock", "monkeypatch.setattr"]
)
def test_nothing_is_left_unfinished_or_pretended(word: str) -> None:
    """Neither a note to oneself nor a mock."""
    here = Path(__file__)
    found = [_name(path) for path in ALL if path != here and word in path.read_text()]

    assert found == []


def test_every_type_ignore_has_a_code_and_a_reason() -> None:
    """`# type: ignore[code]  # reason`, so that the next reader knows when it may go."""
    bare = [
        f"{_name(path)}:{number}"
        for path in ALL
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if re.search(r"#\s*type:\s*ignore", line)
        and path != Path(__file__)
        and not re.search(r"# type: ignore\[[\w, -]+\]\s+# \w+", line)
    ]

    assert bare == []


def test_every_test_has_a_docstring() -> None:
    """One plain sentence says what the behaviour is good for."""
    silent = [
        f"{_name(path)}:{node.lineno}"
        for path in ALL
        if path.name.startswith("test_")
        for node in ast.walk(_tree(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.name.startswith("test_")
        and ast.get_docstring(node) is None
    ]

    assert silent == []


def test_tests_do_not_sleep() -> None:
    """They wait for conditions: a pause in a `while` that asks for one is fine, `sleep(0)` only yields."""
    sleeping = [
        f"{_name(path)}:{call.lineno}"
        for path in ALL
        if path.name.startswith("test_")
        for node in ast.walk(_tree(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_")
        for call in _own_calls(node)
        if isinstance(call.func, ast.Attribute)
        and call.func.attr == "sleep"
        and ast.unparse(call.args[0]) != "0"
    ]

    assert sleeping == []


def test_folders_of_tests_are_packages() -> None:
    """Two files of one name in two folders would otherwise be one module."""
    folders = {path.parent for path in ALL if path.is_relative_to(PROJECT / "tests")}

    assert [_name(folder) for folder in folders if not (folder / "__init__.py").exists()] == []


def _own_calls(function: ast.FunctionDef | ast.AsyncFunctionDef) -> list[ast.Call]:
    """The calls a function makes once itself, without those of loops and of functions defined in it."""
    calls: list[ast.Call] = []
    waiting: list[ast.AST] = list(function.body)
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | ast.While):
            continue
        if isinstance(node, ast.Call):
            calls.append(node)
        waiting.extend(ast.iter_child_nodes(node))
    return calls

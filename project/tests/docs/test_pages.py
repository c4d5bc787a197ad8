"""Links lead somewhere, listings are what they say, commands and variables exist."""

from __future__ import annotations

import ast
import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main
import yaml

from langgraph_integration.ops.cli import app
from tests.docs.pages import PAGES, ROOT, anchors, listings, name, prose, text
from tests.docs.variables import BROKERS_OWN, variables
from workflow_events import EventType

pytestmark = pytest.mark.parametrize("page", PAGES, ids=name)

_SHELL = ("bash", "sh", "shell", "console")


def test_links_lead_somewhere(page: Path) -> None:
    """A link inside the repository names a file that is there, and a heading that is in it."""
    broken = []
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, fragment = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        if not file.exists() or (fragment and fragment not in anchors(file)):
            broken.append(target)

    assert broken == []


def test_python_listings_are_python(page: Path) -> None:
    """They compile; `await` outside of a function stands for a coroutine around it."""
    for listing in listings(page, "python"):
        try:
            compile(listing.text, listing.where, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        except SyntaxError as error:
            pytest.fail(f"{listing.where}: {error}")


def test_other_listings_are_what_they_say(page: Path) -> None:
    """JSON and YAML can be read, and no fence is left open."""
    for listing in listings(page, "json"):
        json.loads(listing.text)
    for listing in listings(page, "yaml"):
        yaml.safe_load(listing.text)
    assert text(page).count("```") % 2 == 0


def test_commands_exist(page: Path) -> None:
    """`langgraph-kafka`, `make`, `pytest` and `python -m` as a reader would type them."""
    assert [command for command in _commands(page) if not _exists(command)] == []


def _commands(page: Path) -> Iterator[list[str]]:
    for listing in listings(page, *_SHELL):
        for line in listing.text.replace("\\\n", " ").splitlines():
            line = line.strip().removeprefix("$ ")
            if line and not line.startswith("#"):
                words = shlex.split(line, comments=True)
                while words and re.match(r"[A-Z_]+=", words[0]):
                    words = words[1:]
                yield words


def _exists(command: list[str]) -> bool:
    match command:
        case ["langgraph-kafka", subcommand, *arguments]:
            return _is_ours(subcommand, arguments)
        case ["make", target, *_]:
            return f"\n{target}:" in (ROOT / "Makefile").read_text()
        case ["pytest", path, *_]:
            return (ROOT / path).exists()
        case ["python", "-m", module, *_]:
            file = ROOT / "project" / module.replace(".", "/")
            return file.with_suffix(".py").is_file() or (file / "__main__.py").is_file()
        case _:
            return True


def _is_ours(subcommand: str, arguments: list[str]) -> bool:
    group: Any = typer.main.get_command(app)
    found = group.commands.get(subcommand)
    if found is None:
        return subcommand.startswith("-") or subcommand == "COMMAND"
    known = {option for each in found.params for option in (*each.opts, *each.secondary_opts)}
    return all(word in known | {"--help"} for word in arguments if word.startswith("--"))


def test_variables_are_read_by_somebody(page: Path) -> None:
    """A variable that a page names is one that the product reads, or a broker's own."""
    named = set(re.findall(r"(?:KAFKA|WORKFLOW|LANGGRAPH)_[A-Z_]+[A-Z]", text(page)))
    event_types = {member.name for member in EventType}

    assert sorted(named - variables() - BROKERS_OWN - event_types) == []

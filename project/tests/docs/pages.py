"""The pages a reader may open, and what is in them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[3]
PAGES = sorted(
    [
        *ROOT.glob("*.md"),
        *ROOT.glob("docs/*.md"),
        *ROOT.glob("examples/**/*.md"),
        *ROOT.glob("benchmarks/*.md"),
        ROOT / "project/tests/fundamentals/README.md",
    ]
)

_FENCE = re.compile(r"^( *)```(\w*)\n(.*?)^\1```", re.DOTALL | re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Listing:
    """A fenced block. `where` is page:line."""

    where: str
    language: str
    text: str


def name(page: Path) -> str:
    """The page as a reader of the repository names it."""
    return page.relative_to(ROOT).as_posix()


@cache
def text(page: Path) -> str:
    """The whole page."""
    return page.read_text(encoding="utf-8")


@cache
def prose(page: Path) -> str:
    """The page without its listings."""
    return _FENCE.sub("", text(page))


@cache
def listings(page: Path, *languages: str) -> list[Listing]:
    """The page's listings in these languages, in order."""
    found = []
    for match in _FENCE.finditer(text(page)):
        if match[2] in languages:
            line = text(page).count("\n", 0, match.start()) + 2
            found.append(Listing(f"{name(page)}:{line}", match[2], match[3]))
    return found


def anchors(page: Path) -> set[str]:
    """The fragments that GitHub makes of the page's headings."""
    headings = re.findall(r"^#+ (.+)$", prose(page), flags=re.MULTILINE)
    plain = [re.sub(r"[`*]|\[|\]\([^)]*\)", "", heading).strip().lower() for heading in headings]
    return {re.sub(r"[^\w\- ]", "", heading).replace(" ", "-") for heading in plain}

"""What `WORKFLOW_STATE_URL` may be."""

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

from workflow_events.errors import ConfigurationError

ACCEPTED = "memory:, sqlite:/absolute/path.db, sqlite:relative.db or postgresql://user@host/database"


@dataclass(frozen=True, slots=True)
class MemoryUrl:
    """State that ends with the process."""


@dataclass(frozen=True, slots=True)
class SqliteUrl:
    """A local file; `path` is absolute or relative to the working directory."""

    path: Path


@dataclass(frozen=True, slots=True)
class PostgresUrl:
    """A connection string of libpq. Hidden in repr: it may hold a password."""

    dsn: str

    def __repr__(self) -> str:
        return "PostgresUrl(...)"


StoreUrl = MemoryUrl | SqliteUrl | PostgresUrl


def parse_url(url: str | None) -> StoreUrl:
    """The store that the text names; None is memory. Raises ConfigurationError for everything else."""
    if url is None or url in ("memory:", "memory://"):
        return MemoryUrl()
    scheme, separator, rest = url.partition(":")
    if scheme == "sqlite":
        return SqliteUrl(_path(rest))
    if scheme in ("postgresql", "postgres"):
        return PostgresUrl(url)
    # the scheme alone: what follows may be a password
    given = f"{scheme}:..." if separator else "..."
    raise ConfigurationError(f"WORKFLOW_STATE_URL: {given} is no store, accepted are {ACCEPTED}")


def _path(rest: str) -> Path:
    """`sqlite:a.db`, `sqlite:/a.db` and `sqlite:///a.db` (the two slashes of an empty host are dropped)."""
    path = unquote(rest.removeprefix("//") if rest.startswith("///") else rest)
    if not path or path.startswith("//"):
        raise ConfigurationError(f"WORKFLOW_STATE_URL: sqlite: needs a path, accepted are {ACCEPTED}")
    return Path(path)

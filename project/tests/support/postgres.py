"""A PostgreSQL server for tests: throw-away, on a loopback port, run by an unprivileged user."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

import psycopg

from kafka_devbroker.net import LOOPBACK, free_ports
from kafka_devbroker.process import GuardedProcess
from tests.support.topics import unique_name

_START_TIMEOUT = 30.0  # seconds
# The data is thrown away with the server, so nothing needs to reach the disk.
_FAST = ("fsync=off", "synchronous_commit=off", "full_page_writes=off", "max_connections=200")


def postgres_bin() -> Path | None:
    """The folder with `initdb` and `postgres` (newest of Debian's, else PATH); None when there is none."""
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[4]))
    found = str(debian[-1]) if debian else shutil.which("initdb")
    return Path(found).parent if found else None


def why_no_postgres() -> str | None:
    """What keeps the tests from having PostgreSQL, with the way out; None when nothing does."""
    if os.environ.get("POSTGRES_DSN") or postgres_bin():
        return None
    return "PostgreSQL server not found: apt-get install postgresql, or set POSTGRES_DSN"


@contextmanager
def running_postgres() -> Iterator[str]:
    """The DSN of a fresh server's maintenance database, as its superuser. The server ends with the block."""
    programs = postgres_bin()
    assert programs is not None, why_no_postgres()
    folder = Path(tempfile.mkdtemp(prefix="langgraph-kafka-postgres-"))
    prefix = _as_unprivileged_user(folder)
    data, port = folder / "data", free_ports(1)[0]
    initdb = [*prefix, str(programs / "initdb"), "--auth=trust", "--username=postgres", "--no-sync"]
    initdb += ["--encoding=UTF8", "--locale=C", f"--pgdata={data}"]
    subprocess.run(initdb, check=True, capture_output=True, cwd=folder)
    command = [*prefix, str(programs / "postgres"), "-D", str(data), "-h", LOOPBACK, "-p", str(port)]
    command += ["-k", str(folder), *(part for setting in _FAST for part in ("-c", setting))]
    server = GuardedProcess(command, log_file=folder / "postgres.log", throw_away=folder)
    try:
        dsn = f"postgresql://postgres@{LOOPBACK}:{port}/postgres"
        _wait_for(dsn, server)
        yield dsn
    finally:
        # SIGINT is PostgreSQL's fast stop: it does not wait for clients that are still connected.
        server.ask_to_end(signal.SIGINT)
        server.wait_or_kill(timeout=20)
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def fresh_database(server_dsn: str) -> Iterator[str]:
    """The DSN of an empty database of one's own on that server, dropped afterwards."""
    name = unique_name("test").replace("-", "_")
    with psycopg.connect(server_dsn, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}" TEMPLATE template0'.encode())
        try:
            yield _with_database(server_dsn, name)
        finally:
            connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)'.encode())


def _with_database(dsn: str, name: str) -> str:
    return urlsplit(dsn)._replace(path=f"/{name}").geturl()


def _as_unprivileged_user(folder: Path) -> list[str]:
    """The words before a command that make it run without root's rights, which PostgreSQL refuses."""
    if os.geteuid() != 0:
        return []
    user = _unprivileged_user()
    os.chown(folder, user.pw_uid, user.pw_gid)
    return ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups", "--"]


def _unprivileged_user() -> pwd.struct_passwd:
    with suppress(KeyError):
        return pwd.getpwnam("postgres")
    return pwd.getpwnam("nobody")


def _wait_for(dsn: str, server: GuardedProcess) -> None:
    deadline = time.monotonic() + _START_TIMEOUT
    while True:
        try:
            psycopg.connect(dsn, connect_timeout=2).close()
            return
        except psycopg.OperationalError:
            if not server.running or time.monotonic() > deadline:
                raise AssertionError(f"PostgreSQL did not come up:\n{server.log_tail()}") from None
            time.sleep(0.05)

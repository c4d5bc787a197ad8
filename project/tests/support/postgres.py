"""A PostgreSQL server for tests: throw-away, on a loopback port, run by an unprivileged user."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

import psycopg

from kafka_devbroker.net import LOOPBACK, free_ports
from kafka_devbroker.process import GuardedProcess
from tests.support.topics import unique_name

_START_TIMEOUT = 30.0  # seconds
# The data is thrown away with the server, so nothing needs to reach the disk. Commits must reach the system
# all the same (synchronous_commit stays on): tests kill the server, and what it confirmed has to be there.
_FAST = ("fsync=off", "full_page_writes=off", "max_connections=200")


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


class PostgresServer:
    """A server on a data folder of its own; a restart keeps data and port."""

    def __init__(self, folder: Path, settings: Sequence[str] = _FAST) -> None:
        programs = postgres_bin()
        assert programs is not None, why_no_postgres()
        self._folder = folder
        self._settings = settings
        self._prefix = _as_unprivileged_user(folder)
        self._programs = programs
        self._port = free_ports(1)[0]
        self._process: GuardedProcess | None = None
        self.dsn = f"postgresql://postgres@{LOOPBACK}:{self._port}/postgres"
        """Of the maintenance database, as its superuser."""
        initdb = [*self._prefix, str(programs / "initdb"), "--auth=trust", "--username=postgres", "--no-sync"]
        initdb += ["--encoding=UTF8", "--locale=C", f"--pgdata={folder / 'data'}"]
        subprocess.run(initdb, check=True, capture_output=True, cwd=folder)

    def restart(self) -> None:
        """Start it where it is down; return when it answers."""
        command = [*self._prefix, str(self._programs / "postgres"), "-D", str(self._folder / "data")]
        command += ["-h", LOOPBACK, "-p", str(self._port), "-k", str(self._folder)]
        command += [part for setting in self._settings for part in ("-c", setting)]
        deadline = time.monotonic() + _START_TIMEOUT
        while True:
            log_file = self._folder / "postgres.log"
            self._process = GuardedProcess(command, log_file=log_file, throw_away=self._folder)
            if _answers(self.dsn, self._process, deadline):
                return
            # sessions of a killed server hold its shared memory for a moment
            assert time.monotonic() < deadline, f"PostgreSQL did not come up:\n{self._process.log_tail()}"
            self._process.kill()

    def kill(self) -> None:
        """SIGKILL, as a crash of the machine would end it."""
        assert self._process is not None
        self._process.kill()

    def stop(self) -> None:
        """End it in order."""
        if self._process is not None:
            # SIGINT is PostgreSQL's fast stop: it does not wait for clients that are still connected.
            self._process.ask_to_end(signal.SIGINT)
            self._process.wait_or_kill(timeout=20)


@contextmanager
def running_server(settings: Sequence[str] = _FAST) -> Iterator[PostgresServer]:
    """A fresh server that may be killed and started again. It ends with the block."""
    folder = Path(tempfile.mkdtemp(prefix="langgraph-kafka-postgres-"))
    server = PostgresServer(folder, settings)
    try:
        server.restart()
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def running_postgres() -> Iterator[str]:
    """The DSN of a fresh server's maintenance database, as its superuser. The server ends with the block."""
    with running_server() as server:
        yield server.dsn


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


def _answers(dsn: str, server: GuardedProcess, deadline: float) -> bool:
    """Whether the server took a connection before it ended or the deadline came."""
    while server.running and time.monotonic() < deadline:
        try:
            psycopg.connect(dsn, connect_timeout=2).close()
        except psycopg.OperationalError:
            time.sleep(0.05)
        else:
            return True
    return False

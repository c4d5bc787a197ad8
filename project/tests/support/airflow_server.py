"""A real Airflow for tests and the demo: its four components as child processes.

Airflow lives in an environment of its own (`make airflow`); whoever uses this talks to it over HTTP and
needs none. Nothing outlives the process that started it, but for workers if that is killed with SIGKILL.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import secrets
import signal
import subprocess
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, TypeVar

from kafka_devbroker.net import free_ports
from kafka_devbroker.process import GuardedProcess
from tests.support.postgres import postgres_bin, running_postgres
from tests.support.waiting import wait_until_sync

T = TypeVar("T")

ROOT: Final = Path(__file__).parents[3]
AIRFLOW_3: Final = ROOT / ".venv-airflow"
AIRFLOW_2: Final = ROOT / ".venv-airflow2"

_COMPONENTS: Final = ("scheduler", "dag-processor", "api-server", "triggerer")
_START_TIMEOUT: Final = 300.0
_STOP_TIMEOUT: Final = 15.0
_HTTP_TIMEOUT: Final = 30.0
_PATIENCE: Final = 120.0
_LOOK_EVERY: Final = 0.3
"""Seconds: who asks an API server of one process more often takes a core from those who work."""


def why_no_airflow() -> str | None:
    """None if a real Airflow can be started, else what is missing."""
    if (AIRFLOW_3 / "bin" / "airflow").exists():
        return None
    return "no Airflow in .venv-airflow (make airflow)"


class AirflowServer:
    """A running Airflow, spoken to over its REST API."""

    def __init__(self, home: Path, environment: Mapping[str, str], url: str) -> None:
        self.home = home
        self.url = url
        self.environment = dict(environment)
        self._processes: dict[str, GuardedProcess] = {}

    def start(self, component: str) -> None:
        """Start `scheduler`, `dag-processor`, `api-server` or `triggerer`. Returns at once."""
        command = [str(AIRFLOW_3 / "bin" / "airflow"), component]
        self._processes[component] = GuardedProcess(
            command, log_file=self.home / f"{component}.log", env=self.environment, cwd=self.home
        )

    def kill(self, component: str) -> None:
        """SIGKILL for a component and all its children, as a crash of its machine would."""
        process = self._processes.pop(component)
        if process.running:  # else its id may be somebody else's by now
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        process.kill()

    def stop(self) -> None:
        """End all components; those that take longer than 15 s are killed with their children."""
        processes, self._processes = dict(self._processes), {}
        for process in processes.values():
            process.ask_to_end(signal.SIGINT)
        deadline = time.monotonic() + _STOP_TIMEOUT
        for process in processes.values():
            process.wait_or_kill(max(0.1, deadline - time.monotonic()))
        for pid in _with_variable(f"AIRFLOW_HOME={self.home}"):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def pids(self, component: str) -> list[int]:
        """The component's process and all its descendants."""
        leader = self._processes[component].pid
        return [pid for pid, session in _sessions() if session == leader]

    def healthy(self) -> bool:
        """Whether all four components say they are well."""
        dead = [name for name, process in self._processes.items() if not process.running]
        if dead:
            raise AssertionError(f"Airflow's {dead[0]} ended:\n{self._processes[dead[0]].log_tail()}")
        try:
            health = self.get("monitor/health")
        except OSError:
            return False
        parts = ("metadatabase", "scheduler", "triggerer", "dag_processor")
        return all((health.get(part) or {}).get("status") == "healthy" for part in parts)

    def get(self, path: str, **query: Any) -> Any:
        """The JSON at a path below /api/v2. Raises OSError (HTTPError among them).

        Asks up to three times: an API server of one process on a full machine may take its time.
        """
        whole = f"{path}?{urllib.parse.urlencode(query)}" if query else path
        for _ in range(2):
            with contextlib.suppress(TimeoutError):
                return self._call("GET", whole)
        return self._call("GET", whole)

    def post(self, path: str, body: Mapping[str, Any]) -> Any:
        """What a POST answers."""
        return self._call("POST", path, body)

    def patch(self, path: str, body: Mapping[str, Any]) -> Any:
        """What a PATCH answers."""
        return self._call("PATCH", path, body)

    def wait_for(
        self, predicate: Callable[[], T | None], timeout: float = _PATIENCE, description: str = ""
    ) -> T:
        """`wait_until_sync` for what is asked of this Airflow."""
        return wait_until_sync(predicate, timeout, description, _LOOK_EVERY)

    def wait_for_dag(self, dag_id: str, timeout: float = _PATIENCE) -> None:
        """Until the DAG processor has read the DAG. An import error of its fails at once."""

        def there() -> bool:
            with contextlib.suppress(urllib.error.HTTPError):
                self.get(f"dags/{dag_id}")
                return True
            errors = self.get("importErrors")["import_errors"]
            assert not errors, errors[0]["stack_trace"]
            return False

        self.wait_for(there, timeout, f"DAG {dag_id}")

    def trigger(self, dag_id: str, conf: Mapping[str, Any] | None = None, run_id: str | None = None) -> str:
        """Start a run and return its id."""
        body = {"logical_date": None, "conf": dict(conf or {}), "dag_run_id": run_id}
        answer = self.post(
            f"dags/{dag_id}/dagRuns", {k: v for k, v in body.items() if k != "dag_run_id" or v}
        )
        return str(answer["dag_run_id"])

    def run(self, dag_id: str, run_id: str) -> dict[str, Any]:
        """A run: `state` is queued, running, success or failed; `duration` is in seconds."""
        answer: dict[str, Any] = self.get(f"dags/{dag_id}/dagRuns/{_quoted(run_id)}")
        return answer

    def finish(self, dag_id: str, run_id: str, timeout: float = _PATIENCE) -> str:
        """Wait until the run has ended: success or failed."""
        return self.wait_for(
            lambda: (
                state if (state := str(self.run(dag_id, run_id)["state"])) in ("success", "failed") else ""
            ),
            timeout,
            f"the end of {dag_id} {run_id}",
        )

    def tasks(self, dag_id: str, run_id: str) -> list[dict[str, Any]]:
        """All task instances, mapped ones each."""
        found: list[dict[str, Any]] = []
        while True:
            page = self.get(
                f"dags/{dag_id}/dagRuns/{_quoted(run_id)}/taskInstances", limit=100, offset=len(found)
            )
            found += page["task_instances"]
            if len(found) >= page["total_entries"] or not page["task_instances"]:
                return found

    def task(self, dag_id: str, run_id: str, task_id: str) -> dict[str, Any]:
        """One task instance."""
        answer: dict[str, Any] = self.get(self._task_path(dag_id, run_id, task_id))
        return answer

    def wait_for_task(
        self, dag_id: str, run_id: str, task_id: str, *states: str, timeout: float = _PATIENCE
    ) -> dict[str, Any]:
        """Until the task is in one of these states."""

        def reached() -> dict[str, Any]:
            now = self.task(dag_id, run_id, task_id)
            return now if now["state"] in states else {}

        return self.wait_for(reached, timeout, f"{task_id} in {' or '.join(states)}")

    def xcom(
        self, dag_id: str, run_id: str, task_id: str, key: str = "return_value", map_index: int = -1
    ) -> Any:
        """What the task left."""
        path = f"{self._task_path(dag_id, run_id, task_id)}/xcomEntries/{key}"
        return self.get(path, map_index=map_index, deserialize="true")["value"]

    def links(self, dag_id: str, run_id: str, task_id: str) -> dict[str, str]:
        """The task's extra links."""
        found: dict[str, str] = self.get(f"{self._task_path(dag_id, run_id, task_id)}/links")["extra_links"]
        return found

    def log(self, dag_id: str, run_id: str, task_id: str, attempt: int = 1) -> str:
        """The log of a try, as one text."""
        path = f"{self._task_path(dag_id, run_id, task_id)}/logs/{attempt}"
        return json.dumps(self.get(path, full_content="true")["content"])

    def mark(self, dag_id: str, run_id: str, task_id: str, state: str) -> None:
        """Mark a task failed or success, as a person does on the page."""
        self.patch(self._task_path(dag_id, run_id, task_id), {"new_state": state})

    def clear(self, dag_id: str, run_id: str, task_id: str) -> None:
        """Clear a task and let its run go on, as a person does on the page."""
        self.post(
            f"dags/{dag_id}/clearTaskInstances",
            {
                "dry_run": False,
                "dag_run_id": run_id,
                "task_ids": [task_id],
                "only_failed": False,
                "only_running": False,
                "reset_dag_runs": True,
                "include_downstream": True,
            },
        )

    def _task_path(self, dag_id: str, run_id: str, task_id: str) -> str:
        return f"dags/{dag_id}/dagRuns/{_quoted(run_id)}/taskInstances/{task_id}"

    def _call(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        request = urllib.request.Request(
            f"{self.url}/api/v2/{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json", "Accept": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=_HTTP_TIMEOUT) as answer:
            return json.loads(answer.read() or b"null")


def airflow_environment(home: Path, dags: Path, settings: Mapping[str, str]) -> tuple[dict[str, str], str]:
    """The environment of an Airflow of one's own, on free ports, and the address of its page.

    Nobody has to log in. `settings` come last.
    """
    api, workers, triggers = free_ports(3)
    url = f"http://127.0.0.1:{api}"
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("AIRFLOW", "PYTEST", "PYTHON", "COV")) and name != "VIRTUAL_ENV"
    }
    ours = {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__DAGS_FOLDER": str(dags),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
        "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
        "AIRFLOW__CORE__PARALLELISM": "4",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
        "AIRFLOW__CORE__FERNET_KEY": base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{url}/execution/",
        "AIRFLOW__API__HOST": "127.0.0.1",
        "AIRFLOW__API__PORT": str(api),
        "AIRFLOW__API__WORKERS": "1",
        "AIRFLOW__API__BASE_URL": url,
        "AIRFLOW__API__SECRET_KEY": secrets.token_hex(32),
        "AIRFLOW__API_AUTH__JWT_SECRET": secrets.token_hex(32),
        "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": str(workers),
        "AIRFLOW__LOGGING__TRIGGER_LOG_SERVER_PORT": str(triggers),
        "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "5",
        "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "30",
        "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.2",
        "AIRFLOW__TRIGGERER__JOB_HEARTBEAT_SEC": "2",
        "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "1",
        "PATH": f"{AIRFLOW_3 / 'bin'}{os.pathsep}{os.environ['PATH']}",
        "NO_COLOR": "1",
    }
    return {**inherited, **ours, **settings}, url


@contextmanager
def running_airflow(home: Path, dags: Path, settings: Mapping[str, str]) -> Iterator[AirflowServer]:
    """An Airflow with an empty database in `home` that reads its DAGs from `dags`. Ready in 10 to 20 s.

    `settings` are environment variables, such as where Kafka is.
    """
    home.mkdir(parents=True, exist_ok=True)
    with _metadata_database(home) as database:
        environment, url = airflow_environment(home, dags, {**database, **settings})
        yield from _running(AirflowServer(home, environment, url), home, environment)


@contextmanager
def _metadata_database(home: Path) -> Iterator[dict[str, str]]:
    """PostgreSQL where it is installed. SQLite has one writer, and a scheduler that meets another one while
    many tasks begin gives up and ends.
    """
    if postgres_bin() is None:
        yield {"AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home}/airflow.db"}
        return
    with running_postgres() as dsn:
        where = dsn.removeprefix("postgresql")
        yield {
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"postgresql+psycopg{where}",
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN_ASYNC": f"postgresql+psycopg_async{where}",
        }


def _running(server: AirflowServer, home: Path, environment: Mapping[str, str]) -> Iterator[AirflowServer]:
    _migrate(home, environment)
    try:
        for component in _COMPONENTS:
            server.start(component)
        server.wait_for(server.healthy, _START_TIMEOUT, "Airflow to be healthy")
        yield server
    finally:
        server.stop()


def _migrate(home: Path, environment: Mapping[str, str]) -> None:
    done = subprocess.run(
        [str(AIRFLOW_3 / "bin" / "airflow"), "db", "migrate"],
        env=dict(environment),
        cwd=home,
        capture_output=True,
        text=True,
        timeout=_START_TIMEOUT,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def _sessions() -> Iterator[tuple[int, int]]:
    """Process ids with their session (Linux)."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError, ValueError):
                pid = int(entry.name)
                yield pid, os.getsid(pid)


def _with_variable(setting: str) -> Iterator[int]:
    """Processes with this in their environment (Linux): children that outlived their parents."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            with contextlib.suppress(OSError):
                if setting.encode() in (entry / "environ").read_bytes().split(b"\0"):
                    yield int(entry.name)


def _quoted(run_id: str) -> str:
    return urllib.parse.quote(run_id, safe="")


class MemoryWatch:
    """The most memory an Airflow used while this watched, in bytes: shared pages counted once."""

    def __init__(self, server: AirflowServer, interval: float = 1.0) -> None:
        self.peak = 0
        self._server = server
        self._interval = interval
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> MemoryWatch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopping.wait(self._interval):
            self.peak = max(self.peak, self.now())

    def now(self) -> int:
        """Proportional set size of all processes (Linux; 0 elsewhere)."""
        return sum(_pss(pid) for component in _COMPONENTS for pid in self._pids(component))

    def _pids(self, component: str) -> list[int]:
        with contextlib.suppress(KeyError):
            return self._server.pids(component)
        return []


def _pss(pid: int) -> int:
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    return 0

"""An Airflow in this very process: a home of its own, `dag.test()`, and the real service beside it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from kafka_devbroker import running_broker
from kafka_devbroker.process import GuardedProcess
from tests.support.topics import create_topics
from workflow_events.settings import TopicNames

HAS_AIRFLOW = find_spec("airflow") is not None
collect_ignore_glob = [] if HAS_AIRFLOW else ["test_*.py"]

_GRAPHS = Path(__file__).parents[1] / "graphs" / "langgraph.json"
_HOME = Path(tempfile.mkdtemp(prefix="airflow-home-"))

if HAS_AIRFLOW:
    # Airflow reads these when it is first imported, which is when the tests are collected.
    (_HOME / "dags").mkdir()
    os.environ.update(
        AIRFLOW_HOME=str(_HOME),
        AIRFLOW__CORE__DAGS_FOLDER=str(_HOME / "dags"),
        AIRFLOW__CORE__LOAD_EXAMPLES="False",
        AIRFLOW__CORE__UNIT_TEST_MODE="False",
        # dag.test() has no scheduler whose reports would have to be awaited
        AIRFLOW__LANGGRAPH_KAFKA__RESUME_HOLD="0",
    )


@pytest.fixture(autouse=True)
def _clean_environment() -> None:
    """Instead of the other tests' one: the environment of this Airflow stays as it is."""


@pytest.fixture(autouse=True)
def _no_errors_in_the_log() -> None:
    """Instead of the other tests' one: Airflow logs every failure of a task as an error."""


@pytest.fixture(scope="session")
def service() -> Iterator[TopicNames]:
    """A broker and the real service, both from this environment; Airflow's variables name them."""
    topics = TopicNames()
    with running_broker("tansu") as broker:
        create_topics(
            broker.bootstrap_servers, [topics.events, topics.results, topics.dead_letters], partitions=3
        )
        os.environ["KAFKA_BOOTSTRAP_SERVERS"] = broker.bootstrap_servers
        process = GuardedProcess(
            [sys.executable, "-m", "langgraph_integration.service"],
            log_file=_HOME / "service.log",
            env={**os.environ, **_service_settings()},
        )
        try:
            yield topics
        finally:
            process.ask_to_end()
            process.wait_or_kill(30)
            del os.environ["KAFKA_BOOTSTRAP_SERVERS"]


def _service_settings() -> dict[str, str]:
    return {
        "KAFKA_AUTO_OFFSET_RESET": "earliest",
        "KAFKA_SESSION_TIMEOUT_MS": "6000",
        "KAFKA_HEARTBEAT_INTERVAL_MS": "1000",
        "LANGGRAPH_CONFIG": str(_GRAPHS),
        "WORKFLOW_HTTP_PORT": "0",
        "WORKFLOW_STATE_URL": "memory:",
    }


@pytest.fixture(scope="session")
def database() -> Iterator[None]:
    """Airflow's database, migrated; the home goes at the end."""
    from airflow.utils.db import initdb

    initdb()
    yield
    shutil.rmtree(_HOME, ignore_errors=True)


@dataclass(frozen=True, slots=True)
class Finished:
    """A DAG run that `dag.test()` has brought to its end."""

    state: str
    values: Mapping[str, Any]
    """By task id; of mapped tasks a list."""
    states: Mapping[str, str]


class Runner:
    """Runs DAGs in this process."""

    def __call__(self, dag: Any, conf: Mapping[str, Any] | None = None) -> Finished:
        """Run a DAG that was made in a test."""
        from airflow_integration.airflow_compat import AIRFLOW_3

        if AIRFLOW_3:
            _register(dag)
        run = dag.test(run_conf=dict(conf or {}))
        instances = run.get_task_instances()
        values: dict[str, Any] = {}
        for ti in sorted(instances, key=lambda one: (one.task_id, one.map_index)):
            value = ti.xcom_pull(task_ids=ti.task_id, map_indexes=ti.map_index)
            if ti.map_index < 0:
                values[ti.task_id] = value
            else:
                values.setdefault(ti.task_id, []).append(value)
        return Finished(str(run.state), values, {ti.task_id: str(ti.state) for ti in instances})


def _register(dag: Any) -> None:
    """Airflow 3 runs what its database knows."""
    from airflow.dag_processing.bundles.manager import DagBundlesManager
    from airflow.dag_processing.dagbag import DagBag, sync_bag_to_db

    DagBundlesManager().sync_bundles_to_db()
    bag = DagBag(dag_folder=os.devnull, bundle_path=None)
    bag.bag_dag(dag)
    sync_bag_to_db(bag, "dags-folder", None)


@pytest.fixture
def run_dag(service: TopicNames, database: None) -> Runner:
    """`run_dag(dag, conf)` -> `Finished`."""
    return Runner()


@pytest.fixture
def isolated_python() -> Any:
    """`isolated_python(program)` -> its output: for what must be seen in a process of its own."""

    def run(program: str) -> str:
        done = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run

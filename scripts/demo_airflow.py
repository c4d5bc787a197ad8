"""The whole chain on the screen: a DAG run in Airflow, its workflow, the result in the next task.

    make demo-airflow              # and look at Airflow's page until Ctrl-C
    make demo-airflow ARGS=--once  # end after the run

Starts a broker, the service and an Airflow of its own on free ports; nothing of it is left behind.
"""

from __future__ import annotations

import argparse
import json
import logging
import signal
import sys
import tempfile
import threading
import time
from pathlib import Path

from rich.console import Console

from tests.support.airflow_chain import OUR_DAGS, Chain, running_chain
from tests.support.airflow_server import why_no_airflow

DAG = "langgraph_integration_dag"
_INTERVAL = 0.3
_LIMIT = 120.0
_SYMBOLS = {"success": "[green]✔[/]", "failed": "[red]✘[/]", "deferred": "[blue]◔ waits without a slot[/]"}


def main() -> int:
    """Exit code 0 if the run succeeded."""
    parser = argparse.ArgumentParser(description="Airflow -> Kafka -> LangGraph -> Kafka -> Airflow, live.")
    parser.add_argument("--once", action="store_true", help="end after the run")
    once = parser.parse_args().once
    console = Console(highlight=False)
    if (missing := why_no_airflow()) is not None:
        console.print(f"[red]{missing}[/]")
        return 1
    logging.basicConfig(level=logging.WARNING)
    ending = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ending.set())
    console.print("starting a broker, the service and Airflow (10 to 20 s) ...")
    with tempfile.TemporaryDirectory(prefix="demo-airflow-") as folder:
        with running_chain(Path(folder), dags_from=[OUR_DAGS]) as chain:
            state = show(chain, console, ending)
            if not once:
                console.print("\nLook around; start further runs there. [bold]Ctrl-C[/] ends everything.")
                ending.wait()
            console.print("stopping ...")
    return 0 if state == "success" else 1


def show(chain: Chain, console: Console, ending: threading.Event) -> str:
    """Run the guide's DAG and tell each step. The state in which it ended."""
    airflow = chain.airflow
    airflow.wait_for_dag(DAG)
    run = airflow.trigger(DAG)
    page = f"{airflow.url}/dags/{DAG}/runs/{run}"
    console.print(f"Airflow's page: [bold cyan]{page}[/] (no login)", soft_wrap=True)
    console.print(f"broker: {chain.broker.bootstrap_servers} ({chain.broker.backend})\n")
    state = follow(chain, console, run, ending)
    for record in chain.records(chain.topics.results):
        if record.body["workflow_run_id"] == run:
            console.print(f"\nresult of run [bold]{record.key}[/] on topic {chain.topics.results}:")
            console.print(record.body["result"].get("conclusion", record.body["error"]), soft_wrap=True)
    if state == "success":
        console.print("what the next task made of it (XCom):")
        console.print_json(json.dumps(airflow.xcom(DAG, run, "process_result")))
    return state


def follow(chain: Chain, console: Console, run: str, ending: threading.Event) -> str:
    """Print every change of a task's state until the run has ended."""
    seen: dict[str, str] = {}
    begin = time.monotonic()
    while not ending.is_set() and time.monotonic() - begin < _LIMIT:
        for task in chain.airflow.tasks(DAG, run):
            name, state = task["task_id"], str(task["state"] or "none")
            if seen.get(name, "none") != state:
                seen[name] = state
                passed = time.monotonic() - begin
                console.print(f"{passed:5.1f} s  {name:28} {state:10} {_SYMBOLS.get(state, '')}")
        state = str(chain.airflow.run(DAG, run)["state"])
        if state in ("success", "failed"):
            return state
        ending.wait(_INTERVAL)
    return "unfinished"


if __name__ == "__main__":
    sys.exit(main())

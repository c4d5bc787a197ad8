"""Many tasks at once in a real Airflow.

    python -m benchmarks.airflow_bursts race      # bursts of short workflows, with and without our cure
    python -m benchmarks.airflow_bursts wide      # 200 mapped tasks: slots and consumers while they wait
    python -m benchmarks.airflow_bursts crash     # the triggerer killed in a burst of 500 results

`race` shows Airflow's deferral race (a task that resumes quickly is failed by the scheduler): the figure
without the cure says how this machine fared today, no more.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.support.airflow_chain import TEST_DAGS, Chain, running_chain
from tests.support.waiting import wait_until_sync

MAPPED = "probe_mapped"
_LIMIT = 3000.0
_MANY_AT_ONCE = {"AIRFLOW__CORE__PARALLELISM": "8"}


def main() -> None:
    """Run a scenario."""
    parser = argparse.ArgumentParser()
    parser.add_argument("scenario", choices=("race", "wide", "crash"))
    parser.add_argument("--tasks", type=int)
    options = parser.parse_args()
    scenarios: dict[str, Callable[[int | None], None]] = {"race": race, "wide": wide, "crash": crash}
    scenarios[options.scenario](options.tasks)


def race(tasks: int | None) -> None:
    """Bursts of 10 workflows of 1 s, Airflow's own defaults, no retries."""
    defaults = {"AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "5"}
    recommended = {"AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "1"}
    without = {**defaults, "AIRFLOW__LANGGRAPH_KAFKA__RESUME_HOLD": "0"}
    for name, settings in (
        ("our default", defaults),
        ("our default, interval 1", recommended),
        ("without the cure", without),
    ):
        with chain(settings) as running:
            states: Counter[str] = Counter()
            seconds = []
            for _ in range((tasks or 40) // 10):
                begin = time.monotonic()
                run = start(running, [{"wait": 1.0}] * 10)
                running.airflow.finish(MAPPED, run, _LIMIT)
                seconds.append(round(time.monotonic() - begin, 1))
                states.update(states_of(running, run))
            report(f"race, {name}", states=states, seconds_per_burst=seconds)


def wide(tasks: int | None) -> None:
    """All wait at a gate; then it is opened."""
    count = tasks or 200
    with chain(_MANY_AT_ONCE) as running:
        gate, begin = running.folder / "gate", time.monotonic()
        run = start(running, [{"gate": str(gate), "echo": n} for n in range(count)])
        figures = all_waiting(running, run, count)
        deferred, begin = time.monotonic() - begin, time.monotonic()
        gate.touch()
        state = running.airflow.finish(MAPPED, run, _LIMIT)
        report(
            f"wide, {count} tasks",
            state=state,
            states=states_of(running, run),
            own_result=own_results(running, run, count),
            **figures,
            seconds_to_defer_all=round(deferred, 1),
            seconds_to_resume_all=round(time.monotonic() - begin, 1),
        )


def crash(tasks: int | None) -> None:
    """SIGKILL for the triggerer and its runner, in the middle of the results."""
    count = tasks or 500
    with chain(_MANY_AT_ONCE) as running:
        gate, journal = running.folder / "gate", running.folder / "journal"
        told, begin = {"gate": str(gate), "journal": str(journal)}, time.monotonic()
        run = start(running, [{**told, "echo": n} for n in range(count)])
        figures = all_waiting(running, run, count)
        deferred = time.monotonic() - begin
        gate.touch()
        wait_until_sync(lambda: results(running) >= count // 3, _LIMIT, "a third of the results")
        running.airflow.kill("triggerer")
        killed_at = results(running)
        wait_until_sync(lambda: results(running) >= count, _LIMIT, "all results")
        running.airflow.start("triggerer")
        begin = time.monotonic()
        state = running.airflow.finish(MAPPED, run, _LIMIT)
        resumed = time.monotonic() - begin
        lines = journal.read_text().splitlines()
        report(
            f"crash, {count} tasks",
            state=state,
            states=states_of(running, run),
            own_result=own_results(running, run, count),
            tries=Counter(one["try_number"] for one in asked(running, run)),
            results_when_killed=killed_at,
            runs_begun=sum(line.startswith("begin") for line in lines),
            different_runs=len({line.split()[1] for line in lines}),
            **figures,
            seconds_to_defer_all=round(deferred, 1),
            seconds_after_restart=round(resumed, 1),
        )


def all_waiting(running: Chain, run: str, count: int) -> dict[str, int]:
    """Wait until all tasks are deferred and in the triggerer. What that holds meanwhile."""
    wait_until_sync(lambda: states_of(running, run)["deferred"] == count, _LIMIT, "all to be deferred")
    wait_until_sync(lambda: picked_up(running, run) == count, _LIMIT, "the triggerer to have them all")
    pool = running.airflow.get("pools/default_pool")
    return {
        "slots_held_while_waiting": pool["running_slots"] + pool["queued_slots"],
        "deferred_slots": pool["deferred_slots"],
        "kafka_clients_in_triggerer": consumers(running),
    }


def own_results(running: Chain, run: str, count: int) -> int:
    """How many tasks have the answer to their own question."""
    return sum(running.airflow.xcom(MAPPED, run, "ask", map_index=n)["echo"] == n for n in range(count))


def chain(settings: dict[str, str]) -> Any:
    """The chain in a folder of its own."""
    folder = Path(tempfile.mkdtemp(prefix="bursts-"))
    return running_chain(folder, settings=settings, dags_from=[TEST_DAGS])


def start(running: Chain, everything: list[dict[str, Any]]) -> str:
    """One mapped run."""
    running.airflow.wait_for_dag(MAPPED)
    return running.airflow.trigger(MAPPED, {"all": everything})


def asked(running: Chain, run: str) -> list[dict[str, Any]]:
    """The mapped tasks."""
    return [one for one in running.airflow.tasks(MAPPED, run) if one["task_id"] == "ask"]


def states_of(running: Chain, run: str) -> Counter[str]:
    """How many mapped tasks are in which state."""
    time.sleep(1)  # this looks at hundreds of tasks: not too often
    return Counter(str(one["state"]) for one in asked(running, run))


def picked_up(running: Chain, run: str) -> int:
    """How many a triggerer has taken."""
    time.sleep(1)
    return sum(one["triggerer_job"] is not None for one in asked(running, run))


def results(running: Chain) -> int:
    """How many results are on the topic."""
    return len(running.records(running.topics.results))


def consumers(running: Chain) -> int:
    """librdkafka's clients in all processes of the triggerer: each has one main thread."""
    return sum(
        (thread / "comm").read_text().strip() == "rdk:main"
        for pid in running.airflow.pids("triggerer")
        for thread in Path(f"/proc/{pid}/task").iterdir()
    )


def report(name: str, **figures: Any) -> None:
    """One line."""
    load = round(os.getloadavg()[0], 1)
    sys.stdout.write(f"{name}: {json.dumps({**figures, 'load': load}, default=dict)}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()

"""A process that has imported everything and forks workers on command: a new worker costs milliseconds.

One JSON object a line: `{"spawn": name, "env": {...}, "log": path}` in, `{"started": pid, "name": name}` and
`{"ended": pid, "code": code}` out, where a negative code is the signal that ended it. It starts no thread
and no client of its own; when its input ends, it ends its workers and itself.
"""

from __future__ import annotations

import asyncio
import ctypes
import gc
import json
import logging
import os
import select
import signal
import time
from contextlib import suppress
from typing import IO, Any

from langgraph_integration import service
from langgraph_integration.config import ConsumerConfig
from langgraph_integration.ops import monitoring as _monitoring
from langgraph_integration.ops.logs import configure_logging
from langgraph_integration.ops.settings import HttpSettings, LogSettings
from langgraph_integration.store import postgres as _postgres
from langgraph_workflows import multi_agent_workflow as _multi_agent
from tests.chaos import graph as _graph
from tests.chaos.evidence import SIZES_EVERY_S

PRELOADED = (_graph, _multi_agent, _monitoring, _postgres)
STATS_VARIABLE = "CHAOS_STATS"

_PR_SET_PDEATHSIG = 1
_TICK_S = 0.02


def main() -> None:
    """Serve until the input ends."""
    commands = os.fdopen(os.dup(0), "rb", buffering=0)
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)
    # what was imported is shared by all workers, until a collection touches it
    gc.collect()
    gc.freeze()
    children: set[int] = set()
    pending = b""
    while True:
        _reap(children, answers)
        if not select.select([commands], [], [], _TICK_S)[0]:
            continue
        chunk = commands.read(65536)
        if not chunk:
            break
        *lines, pending = (pending + chunk).split(b"\n")
        for line in lines:
            order = json.loads(line)
            pid = os.fork()
            if pid == 0:
                commands.close()
                answers.close()
                _be_worker(order)
            children.add(pid)
            _tell(answers, {"started": pid, "name": order["spawn"]})
    for pid in children:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    # nothing of all that was imported needs to be taken down in order
    os._exit(0)


def _reap(children: set[int], answers: IO[str]) -> None:
    while children:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid == 0:
            return
        children.discard(pid)
        _tell(answers, {"ended": pid, "code": os.waitstatus_to_exitcode(status)})


def _tell(answers: IO[str], message: dict[str, Any]) -> None:
    answers.write(json.dumps({**message, "time": time.time()}) + "\n")


def _be_worker(order: dict[str, Any]) -> None:
    """The service, as `python -m langgraph_integration.service` is; never returns."""
    code = 70
    try:
        # a worker must not outlive the programme, however that ends
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        os.environ.update(order["env"])
        log = os.open(order["log"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        os.dup2(log, 1)
        os.dup2(log, 2)
        configure_logging(LogSettings("json"), stream=os.fdopen(log, "a"))
        code = asyncio.run(_life())
    except BaseException:
        logging.getLogger("tests.chaos.zygote").exception("the worker failed")
    finally:
        logging.shutdown()
        os._exit(code)


async def _life() -> int:
    stats = os.open(os.environ[STATS_VARIABLE], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    watching = asyncio.create_task(_note_size(stats))
    http = HttpSettings.from_env(None if "WORKFLOW_HTTP_PORT" in os.environ else 0)
    code = await service.main(ConsumerConfig(), http=http)
    watching.cancel()
    return code


async def _note_size(stats: int) -> None:
    page = os.sysconf("SC_PAGE_SIZE")
    statm = os.open("/proc/self/statm", os.O_RDONLY)
    while True:
        resident = int(os.pread(statm, 200, 0).split()[1]) * page
        line = {
            "pid": os.getpid(),
            "time": time.time(),
            "tasks": len(asyncio.all_tasks()),
            "rss": resident,
        }
        os.write(stats, json.dumps(line).encode() + b"\n")
        await asyncio.sleep(SIZES_EVERY_S)


if __name__ == "__main__":
    main()

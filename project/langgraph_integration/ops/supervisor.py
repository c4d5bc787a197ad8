"""The supervisor of `langgraph-kafka serve`: keeps so many workers running, and is their one face."""

import asyncio
import logging
import os
import signal
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Final

from langgraph_integration.config import ConsumerConfig
from langgraph_integration.graphs.manifest import find_manifest
from langgraph_integration.ops.settings import HttpSettings, LogSettings
from langgraph_integration.ops.workers.process import WorkerProcess
from langgraph_integration.ops.workers.report import CrewMetrics, Report, WorkerTask, together
from langgraph_integration.pipeline.limit import share_of
from langgraph_integration.pipeline.status import ServiceStatus

log = logging.getLogger(__name__)

EXIT_OK: Final = 0
EXIT_FAILED: Final = 1
EXIT_USAGE: Final = 2
EXIT_FORCED: Final = 130

_LOOK_S = 1.0
_GRACE_S = 7.0  # over the shutdown timeout a worker may take 5 s
_FORCED_S = 1.0
_STORES = ("memory:", "sqlite:/", "postgresql://", "postgres://")


@dataclass(frozen=True, slots=True)
class Backoff:
    """How long a dead worker is left: doubling, and from the start again after a life of `healthy_s`."""

    first_s: float = 1.0
    longest_s: float = 30.0
    healthy_s: float = 60.0

    def after(self, waited_s: float, lived_s: float) -> float:
        """The next wait, after one of `waited_s` (0 = none yet) and a life of `lived_s`."""
        if waited_s == 0 or lived_s >= self.healthy_s:
            return self.first_s
        return min(waited_s * 2, self.longest_s)


def supervise(config: ConsumerConfig, http: HttpSettings, logs: LogSettings, workers: int) -> int:
    """Run workers until SIGINT or SIGTERM; the exit code of the service.

    0 when all stopped in order, 1 when one did not, or could not start, 2 for settings that cannot be used,
    130 forced by a second signal. Raises `ConfigurationError` for a port that cannot be had, and before any
    worker is started for a graphs file that cannot be read or a store that there is not.
    """
    _check(config)
    return asyncio.run(Supervisor(config, logs, workers).run(http))


def _check(config: ConsumerConfig) -> None:
    """What every worker would refuse, told once and at once."""
    find_manifest(config.graphs_file)
    # what looks like a store is left to the workers: to parse it costs a quarter of a second of imports
    if not config.state_url.startswith(_STORES):
        from langgraph_integration.store.urls import parse_url

        parse_url(config.state_url)


class Supervisor:
    """Starts workers, starts dead ones again, tells all to stop, and answers for all.

    A worker with settings that cannot be used (exit code 2) ends the service, and so does one that cannot
    run (1) before any worker ever could: it would not be better for being repeated. Every other end is
    followed by a new start.
    """

    def __init__(
        self, config: ConsumerConfig, logs: LogSettings, workers: int, *, backoff: Backoff | None = None
    ) -> None:
        self._config = replace(config, dead_letter_limit=share_of(config.dead_letter_limit, workers))
        self._logs = logs
        self._numbers = range(1, workers + 1)
        self._backoff = backoff or Backoff()
        self._workers: dict[int, WorkerProcess] = {}
        self._stopping = asyncio.Event()
        self._ever_ran = False
        self.metrics = CrewMetrics()

    @property
    def workers(self) -> Mapping[int, WorkerProcess]:
        """The processes that run now, by their numbers."""
        return dict(self._workers)

    async def run(self, http: HttpSettings) -> int:
        """See `supervise`."""
        self._on_signals()
        if self._config.state_url.startswith("memory:"):
            log.warning(
                "state in memory and several workers: each knows its own runs alone",
                extra={"action": "memory_not_shared"},
            )
        keeping = [
            asyncio.create_task(self._keep(number), name=f"worker-{number}") for number in self._numbers
        ]
        # the workers' first half second is theirs: what is served takes a while to be imported
        await asyncio.sleep(0)
        from langgraph_integration.ops.monitoring import Monitoring

        looking = asyncio.create_task(self._look_now_and_then(), name="look")
        try:
            with Monitoring(self._config, http, self.metrics, self.status):
                log.info("supervising", extra={"action": "supervising", "workers": len(keeping)})
                codes = await asyncio.gather(*keeping)
        finally:
            self._stop()
            looking.cancel()
            await asyncio.wait(keeping)
        log.info("all workers ended", extra={"action": "workers_ended"})
        return max((EXIT_FAILED if code < 0 else code for code in codes), default=EXIT_OK)

    def status(self) -> ServiceStatus:
        """All workers as one service; asks each of them. From any thread."""
        statuses = {}
        for number, worker in self.workers.items():
            report = self._look(number, worker)
            statuses[number] = report.status if report else ServiceStatus()
        return together(statuses, stopping=self._stopping.is_set())

    def _look(self, number: int, worker: WorkerProcess) -> Report | None:
        report = worker.look()
        if report is not None:
            self.metrics.totals.update(number, report.families)
            self._ever_ran = self._ever_ran or report.status.running
        return report

    async def _look_now_and_then(self) -> None:
        """So that little is missing in the counters of a worker that dies."""
        while True:
            await asyncio.sleep(_LOOK_S)
            await asyncio.to_thread(self.status)

    async def _keep(self, number: int) -> int:
        """Its last exit code, once the service stops."""
        waited_s = 0.0
        while not self._stopping.is_set():
            began = time.monotonic()
            worker = await WorkerProcess.start(self._task(number))
            self._workers[number] = worker
            code = await self._end_of(worker)
            del self._workers[number]
            self.metrics.totals.end(number)
            if self._stopping.is_set():
                # one that was ended before it listened to signals had nothing to put in order
                return EXIT_OK if code == -signal.SIGTERM else code
            if code == EXIT_USAGE or (code == EXIT_FAILED and not self._ever_ran):
                self._stop()
                return code
            waited_s = self._backoff.after(waited_s, time.monotonic() - began)
            self.metrics.totals.restarts += 1
            log.warning(
                "worker %d ended with %d; started again in %.0f s",
                *(number, code, waited_s),
                extra={"action": "worker_ended", "worker": number, "exit_code": code},
            )
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), waited_s)
        return EXIT_OK

    async def _end_of(self, worker: WorkerProcess) -> int:
        ended = asyncio.create_task(worker.ended(), name="worker-end")
        stopping = asyncio.create_task(self._stopping.wait(), name="worker-stop")
        await asyncio.wait({ended, stopping}, return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if not ended.done():
            worker.signal(signal.SIGTERM)
            await asyncio.wait({ended}, timeout=self._config.shutdown_timeout + _GRACE_S)
        if not ended.done():
            log.error("a worker did not stop: killed", extra={"action": "worker_killed", "pid": worker.pid})
            worker.signal(signal.SIGKILL)
        return await ended

    def _task(self, number: int) -> WorkerTask:
        config = self._config
        static = config.group_instance_id
        return WorkerTask(
            number,
            replace(
                config,
                # two members of one name would put each other out of the group, again and again
                group_instance_id=f"{static}-{number}" if static else None,
                # a view on a dict does not go through a pipe
                kafka=replace(config.kafka, client_options=dict(config.kafka.client_options)),
            ),
            self._logs,
        )

    def _stop(self) -> None:
        self._stopping.set()

    def _on_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._told, number)

    def _told(self, number: signal.Signals) -> None:
        if not self._stopping.is_set():
            log.info("%s: stopping", number.name, extra={"action": "signal", "signal": number.name})
            self._stop()
            return
        log.warning("%s again: ending at once", number.name, extra={"action": "forced"})
        for worker in self._workers.values():
            worker.signal(signal.SIGTERM)
        asyncio.get_running_loop().call_later(_FORCED_S, self._force)

    def _force(self) -> None:
        for worker in self._workers.values():
            worker.signal(signal.SIGKILL)
        logging.shutdown()
        os._exit(EXIT_FORCED)

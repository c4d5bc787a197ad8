"""/livez, /readyz and /metrics, served from a thread of its own: a blocked graph cannot hide from them."""

import asyncio
import logging
import socket
import threading
from collections.abc import Callable
from dataclasses import fields
from typing import Any, Self

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from langgraph_integration.ops.metrics import CONTENT_TYPE, MetricsPage
from langgraph_integration.ops.settings import HttpSettings
from langgraph_integration.pipeline.status import ServiceStatus, liveness, readiness
from workflow_events.errors import ConfigurationError

log = logging.getLogger(__name__)

_STOP_S = 2.0
_OK, _UNAVAILABLE = 200, 503


def health_app(status: Callable[[], ServiceStatus], metrics: MetricsPage) -> Starlette:
    """The application. `status` is called for each request, in another thread than the service's."""

    async def livez(_: Request) -> Response:
        return _answer("live", liveness(status()))

    async def readyz(_: Request) -> Response:
        now = status()
        return _answer("ready", readiness(now), facts(now))

    async def page(_: Request) -> Response:
        return Response(metrics.page(), media_type=CONTENT_TYPE)

    return Starlette(routes=[Route("/livez", livez), Route("/readyz", readyz), Route("/metrics", page)])


def facts(status: ServiceStatus) -> dict[str, Any]:
    """The status as JSON: partitions as `topic[number]`, times in ISO 8601, ages in seconds."""
    known = {each.name: getattr(status, each.name) for each in fields(status)}
    known["gate_reasons"] = dict(status.gate_reasons)
    known["started_at"] = status.started_at and status.started_at.isoformat()
    known["partitions"] = [f"{each.topic}[{each.number}]" for each in status.partitions]
    for name, by_partition in (("lags", status.lags), ("oldest_unsettled_s", status.oldest_unsettled_s)):
        known[name] = {f"{where.topic}[{where.number}]": value for where, value in by_partition.items()}
    return known


def _answer(what: str, reasons: list[str], details: dict[str, Any] | None = None) -> Response:
    body: dict[str, Any] = {what: not reasons, "reasons": reasons}
    if details is not None:
        body["facts"] = details
    return JSONResponse(body, status_code=_UNAVAILABLE if reasons else _OK)


class HealthServer:
    """Serves an application until closed. `with` and `start`/`close` both work; closing twice is harmless."""

    def __init__(self, app: Starlette, settings: HttpSettings) -> None:
        self._app = app
        self._settings = settings
        self._server: uvicorn.Server | None = None
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Listen, if the port is not 0. Raises `ConfigurationError` naming a port that cannot be had."""
        if self._settings.port == 0 or self._thread is not None:
            return
        listener = self._bind()
        config = uvicorn.Config(self._app, log_config=None, access_log=False, lifespan="off", workers=1)
        self._server = server = uvicorn.Server(config)
        self._thread = threading.Thread(
            target=lambda: asyncio.run(server.serve(sockets=[listener])), name="health", daemon=True
        )
        self._thread.start()
        log.info("health at %s", self.url, extra={"action": "http_started"})

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://{self._settings.host}:{self._settings.port}"

    def close(self) -> None:
        """Stop listening; waits at most two seconds."""
        server, thread = self._server, self._thread
        self._server = self._thread = None
        if server is None or thread is None:
            return
        server.should_exit = True
        thread.join(_STOP_S)

    def _bind(self) -> socket.socket:
        where = (self._settings.host, self._settings.port)
        try:
            return socket.create_server(where, family=_family(self._settings.host), backlog=64)
        except OSError as error:
            raise ConfigurationError(
                f"WORKFLOW_HTTP_PORT: cannot listen on {where[0]}:{where[1]} ({error.strerror or error}); "
                "choose another port, or 0 to switch health and metrics off"
            ) from error

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET

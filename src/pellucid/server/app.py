"""The routes of the server."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from fastapi import FastAPI, Request
from fastapi_offline import FastAPIOffline
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pellucid import __version__, zoo
from pellucid.errors import PellucidError
from pellucid.imaging.contents import most
from pellucid.imaging.reader import MAX_PIXELS
from pellucid.server.access import HEALTH, LOOPBACK, Access
from pellucid.server.answers import answer
from pellucid.server.jobs import Jobs, Models, Options, RestoreRequest, options_of
from pellucid.server.metrics import Metrics
from pellucid.server.page import mount
from pellucid.server.problems import Problem, problem_of
from pellucid.server.uploads import IMAGE, MASKS, Room, Upload, upload
from pellucid.server.work import Cancelled, Told, Worker
from pellucid.zoo import AUTO

GONE = 499  # nginx's status for a client that closed the connection; nobody reads it
UPLOADS = 2  # of the greatest length, for which there is room at once; there is for many short ones
METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Settings:
    """What a server is told when it starts.

    `seconds`: how long an answer may take, waiting included; `upload_seconds`: how long an
    upload may take. `user` and `hosts`: see `Access`. `loading`: further arguments of
    `pellucid.load`.
    """

    model: str = AUTO
    max_pixels: int = MAX_PIXELS
    queue: int = 16
    seconds: float = 600.0
    upload_seconds: float = 120.0
    user: str = ""
    hosts: tuple[str, ...] = LOOPBACK
    loading: dict[str, Any] = field(default_factory=dict)

    @property
    def most(self) -> int:
        """Greatest length of an upload in bytes."""
        return most(self.max_pixels)


class Service:
    """The worker, what it does, and its counts: one for the whole server."""

    def __init__(self, settings: Settings):
        self.settings = settings
        self.worker = Worker(settings.queue, settings.seconds)
        self.room = Room(UPLOADS * settings.most)
        self.jobs = Jobs(Models(settings.model, **settings.loading), settings.max_pixels)
        self.metrics = Metrics()
        self.metrics.jobs.set_function(lambda: self.worker.taken)
        self.metrics.bytes.set_function(lambda: self.room.taken)

    async def do(self, request: Request, job: Callable[[Upload, Told], Any]) -> Any:
        """Read the upload, take a place, and do a job with it.

        An upload takes no place while it arrives: a slow one keeps nobody waiting.
        """
        self.worker.check()  # before the upload is read in vain
        limits = self.settings.most, self.settings.upload_seconds
        async with upload(request, *limits, self.room) as given, self.worker.place():
            return await self.worker.do(lambda told: job(given, told), request.is_disconnected)


def create(settings: Settings) -> FastAPI:
    """The application, ready for an ASGI server; `state.service` is its `Service`."""
    service = Service(settings)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        yield
        await asyncio.to_thread(service.worker.close)

    app = FastAPIOffline(
        title="Pellucid",
        version=__version__,
        summary="Photographs without noise, blur, haze, rain, snow, darkness, JPEG blocks, holes.",
        docs_url="/docs",
        redoc_url=None,
        lifespan=lifespan,
    )
    app.state.service = service
    app.add_middleware(_Counted, metrics=service.metrics)
    app.add_middleware(Access, user=settings.user, hosts=settings.hosts)
    _handle_errors(app)
    _add_routes(app, service)
    mount(app, service)
    return app


def _handle_errors(app: FastAPI) -> None:
    @app.exception_handler(Problem)
    async def problem(request: Request, error: Problem) -> Response:
        return error.response()

    @app.exception_handler(PellucidError)
    async def said(request: Request, error: PellucidError) -> Response:
        return problem_of(error).response()

    @app.exception_handler(Cancelled)
    async def cancelled(request: Request, error: Cancelled) -> Response:
        return Response(status_code=GONE)

    @app.exception_handler(HTTPException)
    async def refused(request: Request, error: HTTPException) -> Response:
        detail = f"{request.method} {request.url.path}: {error.detail}"
        return Problem(error.status_code, detail, error.headers).response()

    @app.exception_handler(Exception)
    async def failed(request: Request, error: Exception) -> Response:
        return Problem(500, "the server failed; its log says why").response()


def _add_routes(app: FastAPI, service: Service) -> None:
    jobs = service.jobs

    @app.post("/api/restore", tags=["pictures"], openapi_extra=_body(RestoreRequest, MASKS))
    async def restore(request: Request) -> Response:
        """Restore a picture.

        The answer is the picture; the header `Pellucid-Report` has the report as JSON. With
        `Accept: application/json` the answer is JSON (`image` in base64, `report`, `name`, `type`),
        with `Accept: multipart/form-data` a form with the parts `report` and `image`. Options may
        be fields of the form or parameters of the query. Errors are `application/problem+json`.
        """

        def job(given: Upload, told: Told):
            options = options_of(RestoreRequest, given.options)
            return jobs.restore(given, options, told).made(options.format, options.quality)

        return answer(await service.do(request, job), request.headers.get("accept", ""))

    @app.post("/api/diagnose", tags=["pictures"], openapi_extra=_body(Options))
    async def diagnose(request: Request) -> Response:
        """Find what is wrong with a picture: the probability of each degradation, its quality."""

        def job(given: Upload, told: Told):
            return jobs.diagnose(given, options_of(Options, given.options))

        return JSONResponse(await service.do(request, job))

    @app.post("/api/damage", tags=["pictures"], openapi_extra=_body(Options))
    async def damage(request: Request) -> Response:
        """Show where a picture is damaged: a map over it, by a model that has one."""

        def job(given: Upload, told: Told):
            return jobs.damage(given, options_of(Options, given.options))

        return answer(await service.do(request, job), request.headers.get("accept", ""))

    @app.get("/api/models", tags=["server"])
    async def models() -> list[dict[str, str]]:
        """The models that a request may name; the first is the server's own."""
        rows = []
        for name in jobs.models.sources:
            entry = zoo.MODELS.get(name)
            summary = "for each picture the model that covers what is wrong with it"
            row = {"name": name, "summary": summary if name == AUTO else "a file of weights"}
            known = {"summary": entry.summary, "licence": entry.licence} if entry else {}
            rows.append(row | known)
        return rows

    @app.get(HEALTH, tags=["server"])
    async def healthz() -> dict[str, str]:
        """Whether the server answers."""
        return {"status": "ok", "version": __version__}

    @app.get("/metrics", tags=["server"])
    async def metrics() -> Response:
        """Counts and times in the text format of Prometheus."""
        return PlainTextResponse(service.metrics.text())

    paths = {getattr(route, "path", "") for route in app.routes}

    @app.api_route("/api/{rest:path}", methods=METHODS, include_in_schema=False)
    async def none(request: Request) -> Response:
        """What is not above; otherwise the page, which has all other paths, would answer."""
        raise HTTPException(405 if request.url.path in paths else 404)


def _body(kind: type[Options], masks: tuple[str, ...] = ()) -> dict[str, Any]:
    """What OpenAPI is told of a request: a form, or the picture itself with a query."""
    fields = kind.model_json_schema()["properties"]
    files = {IMAGE: "The picture."} | dict.fromkeys(masks, "White where it counts.")
    parts = {
        name: {"type": "string", "format": "binary", "description": files[name]} for name in files
    }
    form = {"type": "object", "required": [IMAGE], "properties": parts | fields}
    picture = {"schema": {"type": "string", "format": "binary"}}
    return {
        "requestBody": {
            "required": True,
            "content": {
                "multipart/form-data": {"schema": form},
                "application/octet-stream": picture,
                "image/*": picture,
            },
        },
        "parameters": [
            {"name": name, "in": "query", "required": False, "schema": schema}
            for name, schema in fields.items()
        ],
    }


class _Counted:
    """ASGI middleware that counts answers and times them."""

    def __init__(self, app: ASGIApp, metrics: Metrics):
        self.app, self.metrics = app, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        began, status = time.perf_counter(), 500

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self.app(scope, receive, watched)
        finally:
            route = getattr(scope.get("route"), "path", "other")  # not the path: anybody chooses it
            self.metrics.add(route, status, time.perf_counter() - began)

"""The server's socket, and its graceful stop."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable

import uvicorn
from fastapi import FastAPI

from pellucid.errors import PellucidError, UsageError

_LOOK = 0.1  # seconds


class Server(uvicorn.Server):
    """Stops on SIGINT or SIGTERM: takes nothing new, finishes what runs, then closes.

    A page that is open keeps a connection for news; such connections are not waited for.

    Args:
        app: of `server.app.create`.
        started: is called when the first request can come.
    """

    def __init__(self, app: FastAPI, started: Callable[[], None] = lambda: None):
        self._worker, self._tell = app.state.service.worker, started
        config = uvicorn.Config(app, log_level="warning", lifespan="on", server_header=False)
        super().__init__(config)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to listen."""
        await super().startup(sockets)
        if self.started:
            self._tell()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Close the socket, wait for what runs, close the rest."""
        closing = asyncio.create_task(self._close())
        await super().shutdown(sockets)
        closing.cancel()

    async def _close(self) -> None:
        while self._worker.taken:
            await asyncio.sleep(_LOOK)
        while True:
            await asyncio.sleep(_LOOK)  # the last answers go out
            for connection in list(self.server_state.connections):
                connection.transport.close()


def listen(host: str, port: int) -> socket.socket:
    """A socket that takes connections; `UsageError` if the address cannot be had."""
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        taken = socket.create_server((host, port), family=family, backlog=1024)
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UsageError(
            f"cannot listen on {host}, port {port} ({reason}); choose others with --host and --port"
        ) from error
    taken.setblocking(False)
    return taken


def run(app: FastAPI, taken: socket.socket, started: Callable[[], None]) -> None:
    """Serve until a signal comes.

    Raises:
        PellucidError: the server's own model cannot be loaded, or the server does not start.
    """
    app.state.service.jobs.models.get()
    server = Server(app, started)
    try:
        server.run([taken])
    except KeyboardInterrupt:  # uvicorn raises the signal again after its stop
        if not server.started:
            raise
    if not server.started:
        raise PellucidError("the server did not start; its reason is above")

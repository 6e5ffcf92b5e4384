"""Who may ask, and what the page may load: checked before any route."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Sequence
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pellucid.server.problems import Problem

LOOPBACK = ("127.0.0.1", "localhost", "::1")
HEALTH = "/healthz"  # is open to all: it says nothing but that the server lives
# Nothing comes from another host, whatever a library's page asks for.
POLICY = "; ".join(
    (
        "default-src 'self' data: blob:",
        "script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:",
        "style-src 'self' 'unsafe-inline'",
        "frame-ancestors 'none'",
        "form-action 'self'",
        "base-uri 'self'",
    )
)


class Access:
    """ASGI middleware that lets in who has the password and calls the server by its name.

    Args:
        app: what is protected.
        user: `NAME:PASSWORD` that HTTP's basic authentication must give; empty for none.
        hosts: names by which the server may be called, which stops other sites that give
            themselves its address (DNS rebinding); empty for any.
    """

    def __init__(self, app: ASGIApp, user: str = "", hosts: Sequence[str] = ()):
        self.app, self.hosts = app, hosts
        self.secret = b"Basic " + base64.b64encode(user.encode()) if user else b""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer 401 or 403, or let the request pass and add the policy to the answer."""
        if scope["type"] != "http":
            refused = scope["type"] == "websocket"  # there is none here
            await (send({"type": "websocket.close"}) if refused else self.app(scope, receive, send))
            return
        problem = self._problem(Headers(scope=scope), scope["path"])

        async def with_policy(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["Content-Security-Policy"] = POLICY
                headers["X-Content-Type-Options"] = "nosniff"
                headers["Referrer-Policy"] = "same-origin"
            await send(message)

        app = self.app if problem is None else problem.response()
        await app(scope, receive, with_policy)

    def _problem(self, headers: Headers, path: str) -> Problem | None:
        host = headers.get("host", "")
        if self.hosts and _name(host) not in self.hosts:
            return Problem(403, f"this server does not answer for the host {host!r}")
        origin = headers.get("origin")
        if origin and urlsplit(origin).netloc != host:
            return Problem(403, f"a page of {origin} may not use this server")
        given = headers.get("authorization", "").encode()
        if self.secret and path != HEALTH and not secrets.compare_digest(given, self.secret):
            ask = {"WWW-Authenticate": 'Basic realm="Pellucid", charset="UTF-8"'}
            return Problem(401, "a user and a password are needed", ask)
        return None


def _name(host: str) -> str:
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""

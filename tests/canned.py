"""A server on loopback that answers what it is told: indexes of other kinds, and broken ones."""

from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from starlette.responses import Response

from hatch_attest.sandbox.server import Loopback

if TYPE_CHECKING:
    from collections.abc import Iterator

    from starlette.types import Receive, Scope, Send


@dataclass
class Canned:
    """What it answers by path, and what it was asked: path and headers."""

    url: str = ""
    answers: dict[str, tuple[int, str, bytes]] = field(default_factory=dict)
    asked: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    delayed: dict[str, tuple[int, object]] = field(default_factory=dict)

    def answer(self, path: str, body: object, *, status: int = 200, kind: str = "application/json") -> None:
        """Answer a path; anything but text and bytes is sent as JSON."""
        content = body if isinstance(body, bytes) else (body if isinstance(body, str) else json.dumps(body)).encode()
        self.answers[path] = (status, kind, content)

    def redirect(self, path: str, location: str) -> None:
        """Answer a path with a redirect that keeps method and body."""
        self.answers[path] = (307, "text/plain", location.encode())

    def later(self, path: str, after: int, body: object) -> None:
        """Answer a path as it does now, and so many requests later with something else."""
        self.delayed[path] = (after, body)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        self.asked.append((scope["path"], headers))
        after, body = self.delayed.get(scope["path"], (-1, None))
        if after == 0:
            self.answer(scope["path"], body)
        if after >= 0:
            self.delayed[scope["path"]] = (after - 1, body)
        status, kind, content = self.answers.get(scope["path"], (404, "text/plain", b"nothing"))
        extra = {"location": content.decode()} if status // 100 == 3 else None
        await Response(content, status, extra, kind)(scope, receive, send)


@contextmanager
def canned() -> Iterator[Canned]:
    """Start one."""
    loopback = Loopback()
    listener = loopback.listen("canned")
    server = Canned(listener.url)
    listener.app = server
    with loopback:
        yield server

"""A package index on loopback that holds what no other index has, and notes what it is asked for."""

from __future__ import annotations

import hashlib
import threading
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote

from packaging.utils import canonicalize_name

if TYPE_CHECKING:
    from pathlib import Path

    from typing_extensions import Self

_FOR_EVER = "max-age=365000000, immutable, public"  # as PyPI says of its files


class Packages:
    """A simple repository (PEP 503), beside the machine's own index; a context manager.

    It proxies nothing: an installer that needs a project asks here first, is told "not here", and goes on. So ``asked``
    holds the name of everything that installers wanted, ours or not.

    Attributes:
        asked: the path of each request, in order.
        caching: how long installers may keep what they are told of a project (RFC 9111's ``Cache-Control``); not at
            all, or else they would not ask.

    """

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.caching = "no-store"
        self._files: dict[str, dict[str, Path]] = {}
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._thread = threading.Thread(target=self._server.serve_forever, name="packages", daemon=True)

    @property
    def url(self) -> str:
        """What installers are given as an index's URL."""
        return f"http://127.0.0.1:{self._server.server_address[1]}/simple/"

    def add(self, project: str, artifact: Path) -> None:
        """Offer ``artifact`` as a file of ``project``."""
        self._files.setdefault(canonicalize_name(project), {})[artifact.name] = artifact

    def projects(self, since: int = 0) -> set[str]:
        """Return the names of the projects that were asked for after the request with the number ``since``."""
        return {path.split("/")[2] for path in self.asked[since:] if path.startswith("/simple/")} - {""}

    def downloads(self, since: int = 0) -> set[str]:
        """Return the names of the files that were downloaded after the request with the number ``since``."""
        return {path.rpartition("/")[2] for path in self.asked[since:] if path.startswith("/files/")}

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _answer(self, path: str) -> tuple[HTTPStatus, str, bytes]:
        _, kind, project, name = (*unquote(path).split("/"), "", "", "")[:4]
        files = self._files.get(project)
        if kind == "simple" and files:
            return HTTPStatus.OK, "text/html", _page(project, files)
        if kind == "files" and files and name in files:
            return HTTPStatus.OK, "application/octet-stream", files[name].read_bytes()
        return HTTPStatus.NOT_FOUND, "text/plain", b"not here"

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        packages = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                packages.asked.append(self.path)
                status, kind, body = packages._answer(self.path)
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.send_header("Cache-Control", packages.caching if self.path.startswith("/simple/") else _FOR_EVER)
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(body)

            do_HEAD = do_GET  # noqa: N815 - http.server's names

            def log_message(self, *_: object) -> None:
                """Print nothing: `asked` has it."""

        return Handler


def _page(project: str, files: dict[str, Path]) -> bytes:
    links = []
    for name, path in files.items():
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        links.append(f'<a href="/files/{project}/{quote(name)}#sha256={digest}">{name}</a><br>')
    return "\n".join(["<!DOCTYPE html><html><body>", *links, "</body></html>"]).encode()

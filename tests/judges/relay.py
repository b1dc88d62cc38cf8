"""A relay on loopback that alters requests on their way to a service, so that a sound client meets its refusals."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import requests

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@contextmanager
def relay(service: str, alter: Callable[[bytes, dict[str, str]], bytes], times: int = 1) -> Iterator[str]:
    """Relay posts to `service` until the block ends.

    Args:
        service: its URL.
        alter: is given the body and the headers, which it may change; returns the body.
        times: how often each request is sent; the last answer is given back.

    Yields:
        the relay's URL.

    """

    class Handler(BaseHTTPRequestHandler):
        timeout = 30

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            headers = {name: self.headers[name] for name in ("Authorization", "Content-Type") if name in self.headers}
            body = alter(body, headers)
            answers = [requests.post(service + self.path, body, headers=headers, timeout=30) for _ in range(times)]
            self.send_response(answers[-1].status_code)
            self.send_header("Content-Type", answers[-1].headers["Content-Type"])
            self.send_header("Content-Length", str(len(answers[-1].content)))
            self.end_headers()
            self.wfile.write(answers[-1].content)

        def log_message(self, *args: Any) -> None:
            """Keep the test's output clean."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()

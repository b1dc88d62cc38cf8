"""OIDC issuers for the real Fulcio: a CONNECT proxy that ends TLS for any host and answers discovery and keys.

Fulcio so keeps its production configuration, with the real issuers' URLs, and needs neither names nor the internet.
"""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ssl import PROTOCOL_TLS_SERVER, SSLContext
from typing import TYPE_CHECKING, Any

import trustme

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

Keys = dict[str, "list[Callable[[], Mapping[str, Any]]]"]
_DISCOVERY = "/.well-known/openid-configuration"


@contextmanager
def serve(keys: Keys, directory: Path) -> Iterator[str]:
    """Serve the proxy on loopback until the block ends; its CA is written to `directory`/proxy-ca.pem.

    Args:
        keys: what gives the JSON Web Key Sets of an issuer, by its URL; may grow. Others have no keys.
        directory: where the CA goes.

    Yields:
        the proxy's URL.

    """
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(directory / "proxy-ca.pem"))
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(keys, authority))
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _handler(keys: Keys, authority: trustme.CA) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = 30
        host = ""

        def do_CONNECT(self) -> None:
            self.host = self.path.partition(":")[0]
            self.send_response(200)
            self.end_headers()
            context = SSLContext(PROTOCOL_TLS_SERVER)
            authority.issue_cert(self.host).configure_cert(context)
            self.connection = context.wrap_socket(self.connection, server_side=True)
            self.rfile = self.connection.makefile("rb")
            self.wfile = self.connection.makefile("wb", buffering=0)

        def do_GET(self) -> None:
            url = f"https://{self.host}{self.path}"
            if url.endswith(_DISCOVERY):
                issuer = url.removesuffix(_DISCOVERY)
                answer: dict[str, Any] = {
                    "issuer": issuer,
                    "jwks_uri": f"{issuer}/jwks",
                    "id_token_signing_alg_values_supported": ["RS256"],
                }
            else:
                sources = keys.get(url.removesuffix("/jwks"), [])
                answer = {"keys": [key for source in sources for key in source()["keys"]]}
            body = json.dumps(answer).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def finish(self) -> None:
            super().finish()
            self.connection.close()  # the server knows the socket below TLS only

        def log_message(self, *args: Any) -> None:
            """Keep the test's output clean."""

    return Handler

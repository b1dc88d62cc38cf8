"""OIDC issuers for the real Fulcio: a CONNECT proxy that ends TLS for any host and answers discovery and keys.

Fulcio so keeps its production configuration, with the real issuers' URLs, and needs neither names nor the internet.
"""

from __future__ import annotations

import json
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ssl import PROTOCOL_TLS_SERVER, SSLContext
from typing import TYPE_CHECKING, Any

import jwt
import trustme
from cryptography.hazmat.primitives.asymmetric import rsa

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

GITHUB = "https://token.actions.githubusercontent.com"
GITLAB = "https://gitlab.com"
REPOSITORY = "octo-org/widget"
WORKFLOW_REF = f"{REPOSITORY}/.github/workflows/release.yml@refs/tags/v1"
SAN = f"https://github.com/{WORKFLOW_REF}"
SHA = "9d8c7b6a5f4e3d2c1b0a9f8e7d6c5b4a39281706"
CLAIMS = {
    "iss": GITHUB,
    "sub": f"repo:{REPOSITORY}:ref:refs/tags/v1",
    "actor": "octocat",
    "actor_id": "1",
    "event_name": "push",
    "job_workflow_ref": WORKFLOW_REF,
    "job_workflow_sha": SHA,
    "ref": "refs/tags/v1",
    "ref_type": "tag",
    "repository": REPOSITORY,
    "repository_id": "1296269",
    "repository_owner": "octo-org",
    "repository_owner_id": "9919",
    "repository_visibility": "public",
    "run_attempt": "1",
    "run_id": "4242",
    "run_number": "7",
    "runner_environment": "github-hosted",
    "sha": SHA,
    "workflow": "Release",
    "workflow_ref": WORKFLOW_REF,
    "workflow_sha": SHA,
}


class Issuers:
    """Every OIDC issuer that Fulcio knows, with one key for all; `jwks` may be given more keys."""

    def __init__(self) -> None:
        self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        public: dict[str, Any] = jwt.algorithms.RSAAlgorithm.to_jwk(self._key.public_key(), as_dict=True)
        self.jwks = [{**public, "kid": "judges", "alg": "RS256", "use": "sig"}]
        self.proxy_url = ""

    def token(self, audience: Any = "sigstore", **claims: Any) -> str:
        """Return a signed token of the GitHub workflow ``CLAIMS``, changed by `claims`; None leaves a claim out."""
        now = int(time.time())
        times = {"aud": audience, "iat": now, "nbf": now, "exp": now + 300}
        payload = {name: value for name, value in {**CLAIMS, **times, **claims}.items() if value is not None}
        return jwt.encode(payload, self._key, algorithm="RS256", headers={"kid": "judges"})

    @contextmanager
    def serve(self, directory: Path) -> Iterator[Issuers]:
        """Serve the proxy on loopback, its CA in `directory`/proxy-ca.pem, until the block ends."""
        authority = trustme.CA()
        authority.cert_pem.write_to_path(str(directory / "proxy-ca.pem"))
        server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self, authority))
        server.daemon_threads = True
        self.proxy_url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            server.shutdown()
            server.server_close()
            thread.join()


def _handler(issuers: Issuers, authority: trustme.CA) -> type[BaseHTTPRequestHandler]:
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
            issuer, discovery, _ = self.path.partition("/.well-known/openid-configuration")
            base = f"https://{self.host}"
            answer: dict[str, Any] = {"keys": issuers.jwks}
            if discovery:
                answer = {
                    "issuer": base + issuer,
                    "jwks_uri": f"{base}/jwks",
                    "id_token_signing_alg_values_supported": ["RS256", "ES256"],
                }
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

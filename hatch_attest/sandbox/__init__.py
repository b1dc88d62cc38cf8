"""The sandbox: an embedded Sigstore, OIDC issuer and package index on loopback, for rehearsals and tests.

It hands over data only: a directory with a ClientTrustConfig, a CA certificate and an environment.
"""

from __future__ import annotations

import json
import os
import shlex
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from hatch_attest.errors import SandboxError
from hatch_attest.sandbox.authority import Authority
from hatch_attest.sandbox.ct import CTLog
from hatch_attest.sandbox.identities import EmailIdentity, GitHubIdentity, GitLabIdentity, GoogleIdentity
from hatch_attest.sandbox.index import Index
from hatch_attest.sandbox.index.reason import ReasonProtocol
from hatch_attest.sandbox.issuer import Issuer
from hatch_attest.sandbox.log import Log
from hatch_attest.sandbox.server import Faults, Loopback, Request

if TYPE_CHECKING:
    import datetime as dt

    from typing_extensions import Self

    from hatch_attest.sandbox.identities import Identity

__all__ = [
    "AUDIENCE",
    "EmailIdentity",
    "Faults",
    "GitHubIdentity",
    "GitLabIdentity",
    "GoogleIdentity",
    "Request",
    "Sandbox",
]

#: The audience of the identity tokens that the sandbox's index exchanges for upload tokens.
AUDIENCE = "hatch-attest-sandbox"
_OPERATOR = "sandbox.invalid"


class Sandbox:
    """Everything together; a context manager that starts and stops it.

    Args:
        directory: where ``trust_config.json``, ``ca.pem``, ``environment.json`` and ``environment.sh`` are written;
            made if it is not there.
        identity: who is played at first.

    Attributes:
        directory: as given, absolute.
        issuer: gives the identity tokens; set its ``identity`` to play another.
        authority: Fulcio.
        log: Rekor.
        index: the package index.
        requests: every request that any service received, in order.
        faults: what shall go wrong.

    """

    def __init__(self, directory: Path, identity: Identity | None = None) -> None:
        self.directory = Path(directory).absolute()
        self._running = False
        self._loopback = Loopback()
        self.requests = self._loopback.requests
        self.faults = self._loopback.faults
        issuer, authority, log, index, index_tls = (
            self._loopback.listen("issuer"),
            self._loopback.listen("authority"),
            self._loopback.listen("log"),
            self._loopback.listen("index", protocol=ReasonProtocol),
            self._loopback.listen("index", protocol=ReasonProtocol, tls=True),
        )
        self.issuer = Issuer(issuer.url, identity, on_change=self._write_environment)
        self._ct = CTLog()
        self.authority = Authority(self.issuer.issuers(), self._ct)
        self.log = Log(urlsplit(log.url).netloc)
        issuer.app, authority.app, log.app = self.issuer.app, self.authority.app, self.log.app
        self.authority_url, self.log_url = authority.url, log.url
        self.trusted_root = self._trusted_root()
        self.index = Index(self.issuer.issuers(), self.trusted_root, AUDIENCE)
        self.index.simple_url = f"{index.url}/simple/"
        self.index.upload_url = f"{index_tls.url}/legacy/"
        index.app = index_tls.app = self.index.app

    def __enter__(self) -> Self:
        """Write the files and serve.

        Raises:
            SandboxError: the directory cannot be written.

        """
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
            _write(self.directory / "trust_config.json", json.dumps(self.trust_config(), indent=2) + "\n")
            _write(self.directory / "ca.pem", self._loopback.ca_pem.decode())
            self._running = True
            self._write_environment()
            self._loopback.start()
        except BaseException as error:
            self._close()
            if isinstance(error, OSError):
                raise SandboxError("sandbox-start", cause=error.strerror, directory=self.directory) from error
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._close()

    def _close(self) -> None:
        self._running = False
        self._loopback.stop()
        self.index.close()

    @property
    def environment(self) -> dict[str, str]:
        """What a job of the played identity sees, and where hatch-attest and Hatch find the sandbox."""
        return {
            **self.issuer.environment(("sigstore", AUDIENCE)),
            "HATCH_ATTEST_SIGSTORE": str(self.directory / "trust_config.json"),
            "HATCH_INDEX_REPO": self.index.upload_url,
            "HATCH_INDEX_CA_CERT": str(self.directory / "ca.pem"),
        }

    def count(self, service: str, method: str | None = None, path_prefix: str = "") -> int:
        """Return how many requests a service received, of a method and with the start of a path if given."""
        return sum(
            request.service == service and method in (None, request.method) and request.path.startswith(path_prefix)
            for request in self.requests
        )

    def trust_config(self) -> dict[str, Any]:
        """Return the ClientTrustConfig, as its JSON has it: a Rekor v1 log, no timestamp authority."""
        start = self._start()

        def service(url: str) -> list[dict[str, object]]:
            return [{"url": url, "majorApiVersion": 1, "validFor": {"start": start}, "operator": _OPERATOR}]

        return {
            "mediaType": "application/vnd.dev.sigstore.clienttrustconfig.v0.1+json",
            "trustedRoot": self.trusted_root,
            "signingConfig": {
                "mediaType": "application/vnd.dev.sigstore.signingconfig.v0.2+json",
                "caUrls": service(self.authority_url),
                "oidcUrls": service(self.issuer.login_url),
                "rekorTlogUrls": service(self.log_url),
                "rekorTlogConfig": {"selector": "ANY"},
                "tsaUrls": [],
                "tsaConfig": {"selector": "ANY"},
            },
        }

    def _trusted_root(self) -> dict[str, Any]:
        start = self._start()
        return {
            "mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
            "tlogs": [self.log.key.trusted(self.log_url, start)],
            "certificateAuthorities": [self.authority.trusted(self.authority_url, start)],
            "ctlogs": [self._ct.key.trusted(f"{self.authority_url}/ct", start)],
            "timestampAuthorities": [],
        }

    def _start(self) -> str:
        """Return when the sandbox's keys became valid: with the root, an hour ago, so that no clock is behind it."""
        start: dt.datetime = self.authority.chain[1].not_valid_before_utc
        return start.isoformat().replace("+00:00", "Z")

    def _write_environment(self) -> None:
        if not self._running:
            return
        environment = self.environment
        _write(self.directory / "environment.json", json.dumps(environment, indent=2) + "\n")
        lines = [f"export {name}={shlex.quote(value)}\n" for name, value in environment.items()]
        _write(self.directory / "environment.sh", "".join(lines))


def _write(path: Path, text: str) -> None:
    """Write a file for the owner's eyes only (it may hold tokens), as a whole or not at all."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=path.name)
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as file:
            file.write(text)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise

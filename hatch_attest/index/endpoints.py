"""Addresses of an index, derived from its upload URL alone; nothing is requested here."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from typing import Literal
from urllib.parse import SplitResult, quote, urljoin, urlsplit

from packaging.utils import canonicalize_name

from hatch_attest.errors import IndexFailure
from hatch_attest.trust import is_loopback

PYPI_UPLOAD = "https://upload.pypi.org/legacy/"
TEST_PYPI_UPLOAD = "https://test.pypi.org/legacy/"

_LEGACY = "legacy"


@dataclass(frozen=True)
class Endpoints:
    """Where an index is spoken to.

    Attributes:
        upload: the upload URL.
        simple: where the Simple API may be, best first; each ends with a slash.
        integrity: the root of the Integrity API, with a slash at the end.
        kind: ``pypi``, ``testpypi``, or ``other``.
        audience: where PyPI names its audience; empty for others, which are discovered.
        mint: where PyPI exchanges identity tokens; empty for others.
        discovery: where draft PEP 807 says whether and how others do, newest form first; empty for PyPI, which does
            not serve it.

    """

    upload: str
    simple: tuple[str, ...]
    integrity: str
    kind: Literal["pypi", "testpypi", "other"]
    audience: str = ""
    mint: str = ""
    discovery: tuple[str, ...] = ()

    @property
    def host(self) -> str:
        """The upload URL's host (and port), for output."""
        return urlsplit(self.upload).netloc

    @property
    def is_pypi(self) -> bool:
        """Whether it is PyPI or TestPyPI themselves."""
        return self.kind != "other"

    @property
    def loopback(self) -> bool:
        """Whether it is on this machine."""
        return is_loopback(self.upload)

    @property
    def origin(self) -> str:
        """Scheme and host of the upload URL: credentials go nowhere else."""
        parts = urlsplit(self.upload)
        return f"{parts.scheme}://{parts.netloc}"

    def provenance(self, project: str, version: str, filename: str) -> str:
        """Return where the Integrity API serves a file's provenance (PEP 740)."""
        parts = (canonicalize_name(project), version, filename)
        return self.integrity + "/".join(quote(part, safe="") for part in parts) + "/provenance"

    def release_page(self, project: str, version: str) -> str:
        """Return the page for people, where PyPI has one; empty for others."""
        if not self.is_pypi:
            return ""
        return f"https://{_WEB_HOSTS[self.kind]}/project/{canonicalize_name(project)}/{version}/"


_WEB_HOSTS = {"pypi": "pypi.org", "testpypi": "test.pypi.org"}


def endpoints_of(upload_url: str) -> Endpoints:
    """Derive an index's addresses from its upload URL.

    Raises:
        IndexFailure: it is no URL to upload to: another scheme than https (http on loopback), credentials in it,
            or a place at PyPI that takes no uploads.

    """
    parts = _checked(upload_url)
    host = (parts.hostname or "").rstrip(".")
    if host == "pypi.org" or host.endswith(".pypi.org") or host in ("pypi.python.org", "testpypi.python.org"):
        return _pypi(upload_url, parts, host)
    path = parts.path or "/"
    url = f"{parts.scheme}://{parts.netloc}{path}"
    well_known = f"{parts.scheme}://{parts.netloc}/.well-known/pytp"
    discovery_key = sha256(parts.path.encode()).hexdigest()
    return Endpoints(
        upload=url,
        simple=_simple_candidates(url),
        integrity=urljoin(_parent(url), "integrity/"),
        kind="other",
        # The draft as of January 2026 asks for the path itself, before that it asked for the path's hash.
        discovery=(f"{well_known}?discover={quote(parts.path, safe='')}", f"{well_known}/{discovery_key}"),
    )


def _checked(upload_url: str) -> SplitResult:
    try:
        parts = urlsplit(upload_url)
        _ = parts.port  # raises where it is no number
    except ValueError as error:
        raise IndexFailure("index-url", cause=str(error), url="the upload URL") from error
    if parts.username is not None or parts.password is not None:
        # The URL is not shown: it holds a secret.
        raise IndexFailure("index-url-credentials")
    if parts.scheme not in ("https", "http") or not parts.hostname:
        raise IndexFailure("index-url", url=upload_url)
    if parts.query or parts.fragment:
        raise IndexFailure("index-url", cause="it has a query or a fragment", url=upload_url)
    if parts.scheme == "http" and not is_loopback(upload_url):
        raise IndexFailure("index-plain-http", url=upload_url)
    return parts


def _pypi(upload_url: str, parts: SplitResult, host: str) -> Endpoints:
    """PyPI's own: fixed addresses, whatever the URL's spelling (docs.pypi.org; twine's utils)."""
    place = (host, parts.port or 443, parts.path.rstrip("/"))
    if place == ("upload.pypi.org", 443, f"/{_LEGACY}"):
        return _warehouse(PYPI_UPLOAD, "pypi")
    if place == ("test.pypi.org", 443, f"/{_LEGACY}"):
        return _warehouse(TEST_PYPI_UPLOAD, "testpypi")
    raise IndexFailure("index-url-pypi", url=upload_url, main=PYPI_UPLOAD, test=TEST_PYPI_UPLOAD)


def _warehouse(upload: str, kind: Literal["pypi", "testpypi"]) -> Endpoints:
    base = f"https://{_WEB_HOSTS[kind]}"
    return Endpoints(
        upload=upload,
        simple=(f"{base}/simple/",),
        integrity=f"{base}/integrity/",
        kind=kind,
        audience=f"{base}/_/oidc/audience",
        mint=f"{base}/_/oidc/mint-token",
    )


def _simple_candidates(url: str) -> tuple[str, ...]:
    """Where the Simple API is: beside `legacy/` (warehouse, Pulp), else below the upload URL.

    The latter is `simple/` for Artifactory, Nexus, GitLab and pypiserver, and `+simple/` for devpi (as Hatch has it).
    """
    if url.rstrip("/").endswith(f"/{_LEGACY}"):
        return (urljoin(_parent(url), "simple/"),)
    below = url if url.endswith("/") else f"{url}/"
    return (f"{below}simple/", f"{below}+simple/")


def _parent(url: str) -> str:
    """Return the URL without its last segment `legacy`; other URLs with a slash at the end."""
    below = url if url.endswith("/") else f"{url}/"
    return below.removesuffix(f"{_LEGACY}/") if below.endswith(f"/{_LEGACY}/") else below

"""Trust: which Sigstore instance signs and is believed, and who would receive the identity token."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from hatch_attest.errors import TrustError
from hatch_attest.retries import retried

if TYPE_CHECKING:
    from pathlib import Path

    from sigstore.models import ClientTrustConfig, TrustedRoot

PRODUCTION = "production"
STAGING = "staging"
PUBLIC_INSTANCES = (PRODUCTION, STAGING)

# The public good instance and its staging twin: what enters their logs is public for ever.
_PUBLIC_DOMAINS = ("sigstore.dev", "sigstage.dev")
_MAX_CONFIG_BYTES = 10 << 20


@dataclass(frozen=True)
class Trust:
    """A Sigstore instance: what it is believed for, and its services.

    Attributes:
        name: how it was named: ``production``, ``staging``, a path or a URL.
        trusted_root: certificate authorities and log keys.
        fulcio_url: the certificate authority, which receives the identity token.
        rekor_url: the transparency log (Rekor v1).
        oidc_url: the issuer for interactive signing; empty where there is none.

    """

    name: str
    trusted_root: TrustedRoot
    fulcio_url: str
    rekor_url: str
    oidc_url: str

    @property
    def log(self) -> str:
        """The log's host, for output."""
        return urlsplit(self.rekor_url).netloc

    @property
    def public(self) -> bool:
        """Whether its log is the public one, where a repository's name is there for ever."""
        return _is_public(self.rekor_url) or _is_public(self.fulcio_url)

    @property
    def loopback(self) -> bool:
        """Whether any of its services is on this machine, which makes it a rehearsal."""
        return is_loopback(self.fulcio_url) or is_loopback(self.rekor_url)

    @property
    def token_hosts(self) -> tuple[str, ...]:
        """The hosts that would receive the identity token and are not Sigstore's own, to be said beforehand."""
        return () if _is_public(self.fulcio_url) else (urlsplit(self.fulcio_url).netloc,)


def load_trust(name: str, root: Path, *, offline: bool = False) -> Trust:
    """Load the trust of a Sigstore instance. It is fresh for one run: load it once and hand it on.

    Args:
        name: ``production``, ``staging``, a path (relative ones from ``root``) of a ClientTrustConfig, or a URL of an
            instance that ``sigstore --instance URL trust-instance ROOT`` has made known.
        root: the project's root directory.
        offline: use what was fetched before, for verification only.

    Raises:
        TrustError: it cannot be had, is not of that form, names no Rekor v1, or would send tokens over plain http.

    """
    return _check(name, _read(name, root / name) if is_file(name) else _fetch(name, offline=offline))


def is_file(name: str) -> bool:
    """Say whether the instance is named by a file, whose trust is loaded without any request."""
    return name not in PUBLIC_INSTANCES and "://" not in name


def is_loopback(url: str) -> bool:
    """Say whether the URL's host is this machine: ``localhost`` or a loopback address (RFC 6761, RFC 1122)."""
    host = urlsplit(url).hostname or ""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _is_public(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    return any(host == domain or host.endswith(f".{domain}") for domain in _PUBLIC_DOMAINS)


def _read(name: str, path: Path) -> ClientTrustConfig:
    from sigstore.errors import Error
    from sigstore.models import ClientTrustConfig

    try:
        with path.open("rb") as stream:
            raw = stream.read(_MAX_CONFIG_BYTES + 1)
        if len(raw) > _MAX_CONFIG_BYTES:
            raise TrustError("trust-config-malformed", cause="it is far too large", name=name)
        return ClientTrustConfig.from_json(raw.decode("utf-8"))
    except OSError as error:
        raise TrustError("trust-config-unreadable", cause=error.strerror, name=name) from error
    except (Error, ValueError) as error:  # pydantic's and json's errors are ValueErrors
        cause = str(error).splitlines()[0]
        raise TrustError("trust-config-malformed", cause=cause, name=name) from error


def _fetch(name: str, *, offline: bool) -> ClientTrustConfig:
    """Refresh the instance's trust from its TUF repository (that client has time-outs of its own)."""
    from sigstore.errors import Error
    from sigstore.models import ClientTrustConfig

    def load() -> ClientTrustConfig:
        if name == PRODUCTION:
            return ClientTrustConfig.production(offline=offline)
        if name == STAGING:
            return ClientTrustConfig.staging(offline=offline)
        return ClientTrustConfig.from_tuf(name, offline=offline)

    try:
        return retried(load, passing=lambda error: isinstance(error, (Error, OSError)))
    except (Error, OSError, ValueError) as error:
        code = "trust-unreachable" if name in PUBLIC_INSTANCES else "trust-unknown"
        raise TrustError(code, cause=_innermost(error), name=name) from error


def _check(name: str, config: ClientTrustConfig) -> Trust:
    """Pick the services: Rekor v1 always, since PEP 740 carries no timestamp and a v2 entry has no time of its own."""
    from sigstore.errors import Error

    config.force_tlog_version = 1
    try:
        signing = config.signing_config
        trusted_root = config.trusted_root
        rekor_url = signing._tlogs[0].url  # noqa: SLF001 - no public way to learn a service's URL
        fulcio_url = signing._fulcios[0].url  # noqa: SLF001
        oidc_url = signing._oidcs[0].url if signing._oidcs else ""  # noqa: SLF001
    except (Error, ValueError) as error:
        raise TrustError("trust-config-malformed", cause=str(error), name=name) from error
    for url in (fulcio_url, rekor_url, *filter(None, [oidc_url])):
        if urlsplit(url).scheme != "https" and not is_loopback(url):
            raise TrustError("trust-plain-http", name=name, url=url)
    return Trust(name, trusted_root, fulcio_url, rekor_url.rstrip("/"), oidc_url)


def _innermost(error: BaseException) -> str:
    """Return the words of the first cause: sigstore says only that it failed to refresh."""
    while (cause := error.__cause__ or error.__context__) is not None:
        error = cause
    return str(error).splitlines()[0] if str(error) else type(error).__name__

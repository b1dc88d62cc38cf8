"""Who uploads: API tokens of users, tokens minted for Trusted Publishers, or names and passwords.

Credentials are kept as digests only and never shown. What a token may do follows PyPI's macaroons
(warehouse/macaroons/caveats), in its words.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
import threading
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name

from hatch_attest.sandbox.index.refusal import forbidden

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from hatch_attest.sandbox.index.publishers import Publisher
    from hatch_attest.sandbox.index.store import Project

#: How long a minted token lives on PyPI, in seconds (warehouse/oidc/views.py).
MINTED_TOKEN_LIFETIME = 900

INVALID_AUTHENTICATION = (
    "Invalid or non-existent authentication information. See https://pypi.org/help/#invalid-auth for more information."
)
PASSWORDS_ENDED = (
    "Username/Password authentication is no longer supported. Migrate to API Tokens or Trusted Publishers instead."
    " See https://pypi.org/help/#apitoken and https://pypi.org/help/#trusted-publishers"
)


@dataclass(frozen=True)
class Grant:
    """What a credential stands for: a user (perhaps bound to some projects) or a Trusted Publisher (for a time)."""

    user: str | None = None
    projects: frozenset[str] | None = None
    publisher: Publisher | None = None
    expires_at: float | None = None
    by_password: bool = False

    @property
    def kind(self) -> str:
        """The kind of the identity, for the index's own records."""
        if self.publisher is not None:
            return f"{self.publisher.kind} publisher"
        return "password" if self.by_password else "API token"


class Accounts:
    """All credentials of the index.

    Args:
        clock: tells the time in seconds since the epoch.
        passwords: name to password; where it is given, the index takes passwords, else it refuses them as PyPI does.

    """

    def __init__(self, clock: Callable[[], float] = time.time, passwords: Mapping[str, str] | None = None) -> None:
        self._clock = clock
        self._grants: dict[str, Grant] = {}
        self._passwords = None if passwords is None else {name: _digest(word) for name, word in passwords.items()}
        self._lock = threading.Lock()

    def add_token(self, user: str, projects: Iterable[str] | None) -> str:
        """Make an API token of a user, for all that the user may do or for some projects."""
        scope = None if projects is None else frozenset(canonicalize_name(project) for project in projects)
        return self._issue(Grant(user=user, projects=scope))

    def mint(self, publisher: Publisher, projects: Iterable[str]) -> tuple[str, int]:
        """Make a short-lived token for a Trusted Publisher's projects; returns it with its end (seconds, Unix)."""
        expires_at = int(self._clock()) + MINTED_TOKEN_LIFETIME
        scope = frozenset(canonicalize_name(project) for project in projects)
        return self._issue(Grant(publisher=publisher, projects=scope, expires_at=expires_at)), expires_at

    def expire_minted(self) -> None:
        """End the life of every minted token now."""
        with self._lock:
            self._grants = {
                key: grant if grant.expires_at is None else replace(grant, expires_at=0.0)
                for key, grant in self._grants.items()
            }

    def burn(self, token: str) -> None:
        """Forget a minted token; any other is left as it is."""
        with self._lock:
            grant = self._grants.get(_digest(token))
            if grant is not None and grant.publisher is not None:
                del self._grants[_digest(token)]

    def identify(self, authorization: str | None) -> Grant:
        """Tell whom an ``Authorization`` header stands for.

        Raises:
            Refusal: it stands for nobody.

        """
        scheme, _, value = (authorization or "").partition(" ")
        if scheme.lower() in ("token", "bearer"):
            return self._of_token(value.strip())
        if scheme.lower() != "basic":
            raise forbidden(INVALID_AUTHENTICATION)
        try:
            name, colon, secret = base64.b64decode(value, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            raise forbidden(INVALID_AUTHENTICATION) from None
        if not colon:
            raise forbidden(INVALID_AUTHENTICATION)
        if name == "__token__":
            return self._of_token(secret.strip())
        if self._passwords is None:
            raise forbidden(PASSWORDS_ENDED)
        if not hmac.compare_digest(self._passwords.get(name, ""), _digest(secret)):
            raise forbidden(INVALID_AUTHENTICATION)
        return Grant(user=name, by_password=True)

    def check_permission(self, grant: Grant, project: Project) -> None:
        """Check that a credential may upload to a project.

        Raises:
            Refusal: it may not.

        """
        failures = []
        if grant.publisher is not None and project.normalized_name not in (grant.projects or ()):
            failures.append(f"OIDC scoped token is not valid for project {project.name!r}")
        if grant.projects is not None and project.normalized_name not in grant.projects:
            failures.append(f"project-scoped token is not valid for project: {project.name!r}")
        if grant.expires_at is not None and self._clock() >= grant.expires_at:
            failures.append("token is expired")
        if failures:
            raise forbidden(f"Invalid API Token: {', '.join(failures)}")
        if grant.user is not None and grant.user not in project.owners:
            raise forbidden(
                f"The user '{grant.user}' isn't allowed to upload to project '{project.name}'."
                " See https://pypi.org/help/#project-name for more information."
            )

    def _issue(self, grant: Grant) -> str:
        token = "pypi-" + secrets.token_urlsafe(96)
        with self._lock:
            self._grants[_digest(token)] = grant
        return token

    def _of_token(self, token: str) -> Grant:
        with self._lock:
            grant = self._grants.get(_digest(token))
        if grant is None:
            raise forbidden(INVALID_AUTHENTICATION)
        return grant


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()

"""Credentials besides Trusted Publishing's: given for this run, Hatch's config, `.pypirc`, keyring, prompt."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from hatch_attest.errors import IndexFailure

if TYPE_CHECKING:
    from hatch_attest.index.repositories import Login, Repository

TOKEN_USER = "__token__"  # noqa: S105 - a user's name
# Ask a person: the question, and whether the answer must not be shown.
Ask = Callable[[str, bool], str]


@dataclass(frozen=True)
class Credentials:
    """Who uploads, with which secret, and where that came from; the secret does not show itself."""

    user: str
    place: str
    _secret: str = field(repr=False)

    def reveal(self) -> str:
        """Return the secret, to be sent to the index and nowhere else."""
        return self._secret

    @property
    def is_api_token(self) -> bool:
        """Whether it is a token of PyPI's kind, not a password."""
        return self.user == TOKEN_USER


def given_credentials(user: str | None, secret: str | None) -> Credentials | None:
    """Return what a flag, a variable or `-o` gave in full; a token needs no user."""
    if not secret:
        return None
    return Credentials(user or TOKEN_USER, "given for this run", secret)


def stored_credentials(repository: Repository, user: str | None) -> Credentials | None:
    """Look into Hatch's config, `.pypirc` and the keyring; None where nothing is complete.

    Args:
        repository: whose credentials.
        user: where one was given: only that one's secret will do.

    """
    for login in repository.logins:
        found = _complete(login, repository.url, user)
        if found is not None:
            return found
    return _from_keyring(repository.url, user)


def asked_credentials(repository: Repository, user: str | None, ask: Ask | None) -> Credentials:
    """Ask a person.

    Raises:
        IndexFailure: nobody is to be asked.

    """
    if ask is None:
        raise IndexFailure("credentials-missing", repo=repository.name)
    user = user or next((login.user for login in repository.logins if login.user), None)
    user = user or ask(f"Username for '{repository.url}' [{TOKEN_USER}]", False).strip() or TOKEN_USER  # noqa: FBT003
    secret = ask("Password / Token", True).strip()  # noqa: FBT003
    if not secret:
        raise IndexFailure("credentials-missing", repo=repository.name)
    return Credentials(user, "prompt", secret)


def _complete(login: Login, url: str, user: str | None) -> Credentials | None:
    """Fill up what a configuration left open: the user of a token, the secret from the keyring."""
    if user is not None and login.user not in (None, user):
        return None
    name = user or login.user
    if login.secret:
        return Credentials(name or TOKEN_USER, login.place, login.secret)
    return _from_keyring(url, name) if name else None


def _from_keyring(url: str, user: str | None) -> Credentials | None:
    """Ask the keyring. One that is locked, absent or broken has nothing: the next place is tried, as twine does."""
    try:
        import keyring
    except ImportError:  # pragma: no cover - twine leaves it out on two architectures only
        return None
    try:
        if user is not None:
            secret = keyring.get_password(url, user)
            return Credentials(user, "keyring", secret) if secret else None
        found = keyring.get_credential(url, None)
        # PyPI's tokens are kept under this name, and most backends cannot be asked without one.
        secret = None if found else keyring.get_password(url, TOKEN_USER)
    except Exception:  # noqa: BLE001 - backends raise what they like
        return None
    if found and found.password:
        return Credentials(found.username or TOKEN_USER, "keyring", found.password)
    return Credentials(TOKEN_USER, "keyring", secret) if secret else None

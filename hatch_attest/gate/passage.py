"""Passage: how the upload is let in, by Trusted Publishing or by credentials; decided once, in the design's order."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from hatch_attest.errors import IndexFailure
from hatch_attest.identity import is_on_platform, request_token, set_up_platform, why_not_at_hand
from hatch_attest.index.credentials import (
    TOKEN_USER,
    Credentials,
    asked_credentials,
    given_credentials,
    stored_credentials,
)
from hatch_attest.index.exchange import find_offer, mint_token

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hatch_attest.gate.request import Place, Request
    from hatch_attest.identity import Platform, Token
    from hatch_attest.index.exchange import Offer, UploadToken
    from hatch_attest.index.transport import Transport

_MINT_ATTEMPTS = 3
# An identity token this near its end is not sent any more (seconds).
_MARGIN = 15


class ByPassword:
    """An upload with a user's password or API token."""

    trusted_publishing = False

    def __init__(self, credentials: Credentials) -> None:
        self._credentials = credentials
        self.place = credentials.place
        self.is_api_token = credentials.is_api_token

    def __str__(self) -> str:
        kind = "an API token" if self.is_api_token else f"the password of {self._credentials.user}"
        return f"{kind} ({self.place})"

    def login(self) -> tuple[str, str]:
        """Return user and secret."""
        return self._credentials.user, self._credentials.reveal()

    def renew(self) -> bool:
        """Say that there is no other secret."""
        return False


class ByTrustedPublishing:
    """An upload with a token that an identity was exchanged for; minted at the first upload, and renewed in time.

    Args:
        transport: to the index.
        offer: of the index.
        platform: gives identity tokens.
        token: the first one, whose claims were checked.

    """

    trusted_publishing = True
    place = "Trusted Publishing"

    def __init__(self, transport: Transport, offer: Offer, platform: Platform, token: Token) -> None:
        self._transport = transport
        self._offer = offer
        self._platform = platform
        self._pending: Token | None = token
        self._upload_token: UploadToken | None = None
        self.claims: Mapping[str, Any] = token.claims

    def __str__(self) -> str:
        return f"Trusted Publishing ({self._platform.name})"

    def login(self) -> tuple[str, str]:
        """Return user and upload token, minting one where there is none that lasts.

        Raises:
            IndexFailure: the index refused the exchange.
            IdentityError: the platform gives no identity token any more.

        """
        if self._upload_token is None or self._upload_token.is_old():
            self._upload_token = self._mint()
        return TOKEN_USER, self._upload_token.reveal()

    def renew(self) -> bool:
        """Forget the upload token, so that the next login mints another; say that there will be one."""
        self._upload_token = None
        return True

    def _mint(self) -> UploadToken:
        for attempt in range(1, _MINT_ATTEMPTS + 1):
            token = self._identity()
            try:
                return mint_token(self._transport, self._offer, token)
            except IndexFailure as error:
                # A lost answer may have used the token up: the next attempt brings another one.
                if error.code != "index-unreachable" or attempt == _MINT_ATTEMPTS:
                    raise
        raise AssertionError  # pragma: no cover - the last pass returns or raises

    def _identity(self) -> Token:
        token, self._pending = self._pending, None
        if token is None or token.claims["exp"] <= time.time() + _MARGIN:
            token = request_token(self._platform, self._offer.audience)
        return token


Passage = ByPassword | ByTrustedPublishing


class Choice:
    """Chooses the passage; remembers why a better one was not to be had."""

    def __init__(self, request: Request, place: Place) -> None:
        self._options = request.options
        self._environ = request.environ
        self._ask = request.ask
        self._place = place
        self._reasons: list[str] = []

    def make(self) -> Passage:
        """Choose: given for this run; Trusted Publishing; Hatch's config, `.pypirc`, keyring; prompt.

        Raises:
            IndexFailure: the index cannot be reached, breaks a rule of the exchange, or there are no credentials.
            IdentityError: an identity is set up and gives no usable token.

        """
        options = self._options
        given = given_credentials(options.user, options.auth)
        if given is not None and "auth" in options.given:
            return ByPassword(given)
        # A user who was given for this run has a password; an exchange's user is the one of tokens.
        has_password = "user" in options.given and options.user != TOKEN_USER
        if not has_password and (passage := self._trusted_publishing()) is not None:
            return passage
        found = given or stored_credentials(self._place.repository, options.user)
        return ByPassword(found or self._asked())

    def _asked(self) -> Credentials:
        repository = self._place.repository
        try:
            return asked_credentials(repository, self._options.user, self._ask)
        except IndexFailure as error:
            cause = "; ".join(self._reasons) or why_not_at_hand(self._environ)
            raise IndexFailure(error.code, cause=cause, repo=repository.name) from error

    def _trusted_publishing(self) -> ByTrustedPublishing | None:
        if not is_on_platform(self._environ):
            self._reasons.append(why_not_at_hand(self._environ))
            return None
        offer = find_offer(self._place.transport, self._place.endpoints)
        if offer is None:
            self._reasons.append(f"{self._place.endpoints.host} does not offer Trusted Publishing")
            return None
        platform = set_up_platform(self._environ, offer.audience)
        if platform is None:
            self._reasons.append(why_not_at_hand(self._environ, offer.audience))
            return None
        token = request_token(platform, offer.audience)
        return ByTrustedPublishing(self._place.transport, offer, platform, token)

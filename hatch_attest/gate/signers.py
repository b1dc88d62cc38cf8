"""Signers: with which identity the missing attestations are made, checked before the first of them."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from hatch_attest.errors import AttestError, GateError
from hatch_attest.gate.policy import check_signing_identity
from hatch_attest.identity import identity_token, interactive_token, is_at_hand, why_not_at_hand
from hatch_attest.provenance import identity_of_claims

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from hatch_attest.identity import Token
    from hatch_attest.options import TrustedPublisher
    from hatch_attest.signing import Signer
    from hatch_attest.trust import Trust


def find_signer(  # noqa: PLR0913 - what decides it, each once
    trust: Trust,
    expected: TrustedPublisher | None,
    environ: Mapping[str, str],
    *,
    allow_public_log: bool,
    interactive: bool,
    for_pypi: bool,
    refuse: Callable[[str], None],
) -> Callable[[], Signer]:
    """Return what makes the signer; the identity at hand is checked now, a browser is opened only then.

    Args:
        trust: the Sigstore instance.
        expected: who must sign; None where anybody may.
        environ: the environment.
        allow_public_log: whether a private repository's name may enter a public log.
        interactive: whether a person may log in through the browser.
        for_pypi: whether PyPI is to take the attestations; it takes no person's.
        refuse: raises the failure for a reason why nothing can be signed.

    Raises:
        GateError: the identity is not the one that must sign, or there is none.
        IdentityError: an identity is set up and gives no usable token.

    """
    check = partial(check_signing_identity, expected=expected, trust=trust, allow_public_log=allow_public_log)
    if is_at_hand(environ):
        token = identity_token(environ)
        if token is not None:
            check(identity_of_claims(token.claims))
            return lambda: _signer(trust, _once(token, lambda: identity_token(environ)))
    if not interactive:
        refuse(why_not_at_hand(environ))
    if for_pypi:
        raise GateError("interactive-pypi")
    if not trust.oidc_url:
        raise AttestError("login-none")

    def log_in() -> Signer:
        token = interactive_token(trust.oidc_url)
        check(identity_of_claims(token.claims))
        return _signer(trust, _once(token, lambda: None))

    return log_in


def _signer(trust: Trust, new_token: Callable[[], Token]) -> Signer:
    from hatch_attest.signing import Signer

    return Signer(trust, new_token)


def _once(token: Token, fresh: Callable[[], Token | None]) -> Callable[[], Token]:
    """Serve the token that was checked first, then fresh ones: a certificate is renewed with a new token."""
    pending = [token]

    def new_token() -> Token:
        following = pending.pop() if pending else fresh()
        if following is None:
            raise AttestError("identity-gone")
        return following

    return new_token

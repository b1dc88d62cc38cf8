"""Identities: where this machine's OIDC token comes from, and the token, which never shows itself."""

from __future__ import annotations

import base64
import binascii
import json
import re
import time
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from hatch_attest.errors import IdentityError
from hatch_attest.retries import retried

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

SIGSTORE_AUDIENCE = "sigstore"
TOKEN_VARIABLE = "SIGSTORE_IDENTITY_TOKEN"  # noqa: S105 - the name of a variable, not a token


@dataclass(frozen=True)
class Token:
    """An OIDC identity token: its source and claims can be shown and compared, the token itself cannot.

    Attributes:
        source: where it came from, for output.
        claims: the payload, decoded and not verified (that is the business of whoever it is sent to).

    """

    source: str
    claims: Mapping[str, Any] = field(repr=False)
    _raw: str = field(repr=False)

    @classmethod
    def parse(cls, raw: str, source: str) -> Token:
        """Decode the claims of a token.

        Raises:
            IdentityError: it is not a JSON Web Token (RFC 7519) with a JSON object as its payload.

        """
        raw = raw.strip()
        try:
            _, payload, _ = raw.split(".")
            claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        except (ValueError, binascii.Error, RecursionError):
            # `from None`: the cause would quote the token.
            raise IdentityError("token-malformed", source=source) from None
        if not isinstance(claims, dict):
            raise IdentityError("token-malformed", source=source)
        return cls(source, claims, raw)

    def reveal(self) -> str:
        """Return the secret, to be sent to the service that it is meant for and nowhere else."""
        return self._raw

    def __str__(self) -> str:
        return f"the identity of {self.source}"


class Platform(NamedTuple):
    """A CI platform: how it shows, when its identity is set up, and what to write where it is not.

    ``variables`` are all needed for an identity to be set up; ``detector`` names the function of the ``id`` library.
    """

    name: str
    marker: str
    variables: tuple[str, ...]
    detector: str
    advice: str


# In the order of the design. The `id` library is asked only where the platform's own variables are set: by itself it
# would take the account of any Google machine, and it calls "not set up" and "broken" by one name.
PLATFORMS = (
    Platform(
        "GitHub Actions",
        "GITHUB_ACTIONS",
        ("ACTIONS_ID_TOKEN_REQUEST_URL", "ACTIONS_ID_TOKEN_REQUEST_TOKEN"),
        "detect_github",
        "give the job `permissions: id-token: write`",
    ),
    Platform(
        "GitLab CI",
        "GITLAB_CI",
        ("SIGSTORE_ID_TOKEN",),
        "detect_gitlab",
        "give the job `id_tokens: SIGSTORE_ID_TOKEN: aud: sigstore`",
    ),
    Platform("CircleCI", "CIRCLECI", ("CIRCLE_OIDC_TOKEN_V2",), "detect_circleci", "give the job a context"),
    Platform(
        "Buildkite", "BUILDKITE", ("BUILDKITE_AGENT_ACCESS_TOKEN",), "detect_buildkite", "run it on a Buildkite agent"
    ),
    Platform(
        "Google Cloud",
        "GOOGLE_SERVICE_ACCOUNT_NAME",
        ("GOOGLE_SERVICE_ACCOUNT_NAME",),
        "detect_gcp",
        "set GOOGLE_SERVICE_ACCOUNT_NAME to the service account",
    ),
)


def set_up_platform(environ: Mapping[str, str], audience: str = SIGSTORE_AUDIENCE) -> Platform | None:
    """Return the first platform whose identity is set up here, judged by its own variables, without any request."""
    return next((each for each in _platforms(audience) if _is_set_up(each, environ)), None)


def is_at_hand(environ: Mapping[str, str]) -> bool:
    """Say whether an identity is set up here; nothing is requested."""
    return bool(environ.get(TOKEN_VARIABLE)) or set_up_platform(environ) is not None


def is_on_platform(environ: Mapping[str, str]) -> bool:
    """Say whether this is a platform that may give an identity for some audience; nothing is requested."""
    gitlab = bool(environ.get("GITLAB_CI")) and any(name.endswith("_ID_TOKEN") and environ[name] for name in environ)
    return gitlab or set_up_platform(environ) is not None


def why_not_at_hand(environ: Mapping[str, str], audience: str = SIGSTORE_AUDIENCE) -> str:
    """Say why no identity is at hand, with what to add where the platform is known."""
    if environ.get("GITHUB_EVENT_NAME") == "pull_request" and set_up_platform(environ, audience) is None:
        return (
            "a pull request gets no identity from GitHub Actions where it comes from a fork, or where the job has no "
            "`permissions: id-token: write`; release from a push, a tag or a release"
        )
    for platform in _platforms(audience):
        if environ.get(platform.marker):
            return f"no identity is set up in this {platform.name} job: {platform.advice}"
    return "no identity is at hand on this machine"


def identity_token(environ: Mapping[str, str]) -> Token | None:
    """Get the token that signs: ``SIGSTORE_IDENTITY_TOKEN``, else the platform's; None where none is set up.

    Raises:
        IdentityError: an identity is set up and gives no usable token.

    """
    raw = environ.get(TOKEN_VARIABLE)
    if raw:
        return check_token(Token.parse(raw, TOKEN_VARIABLE), SIGSTORE_AUDIENCE)
    platform = set_up_platform(environ)
    return None if platform is None else request_token(platform, SIGSTORE_AUDIENCE)


def interactive_token(oidc_url: str) -> Token:
    """Let a person log in at the Sigstore instance's own login service, through the browser.

    Raises:
        IdentityError: there is no such service, or nobody logged in.

    """
    from sigstore.errors import Error
    from sigstore.oidc import Issuer, IssuerError

    if not oidc_url:
        raise IdentityError("login-none")
    try:
        raw = str(Issuer(oidc_url).identity_token())
    except (Error, IssuerError, OSError, KeyError, ValueError, EOFError) as error:
        # The innermost cause never holds the token: there is none yet.
        raise IdentityError("login-failed", cause=str(error.__cause__ or error), url=oidc_url) from error
    return check_token(Token.parse(raw, "the browser"), SIGSTORE_AUDIENCE)


def request_token(platform: Platform, audience: str) -> Token:
    """Ask the platform for a token for ``audience``, through the ``id`` library, three times at most.

    Raises:
        IdentityError: it gives none, or one that does not fit.

    """
    import id as ambient
    import urllib3
    from id._internal.oidc import ambient as detectors

    detect: Callable[[str], str | None] = getattr(detectors, platform.detector)
    try:
        raw = retried(partial(detect, audience), passing=_is_passing)
    except ambient.IdentityError as error:
        raise IdentityError(
            "identity-broken", cause=str(error), platform=platform.name, advice=platform.advice
        ) from error
    except (OSError, urllib3.exceptions.HTTPError) as error:
        raise IdentityError(
            "identity-broken", cause=str(error), platform=platform.name, advice=platform.advice
        ) from error
    if not raw:
        raise IdentityError("identity-broken", cause="it gave no token", platform=platform.name, advice=platform.advice)
    return check_token(Token.parse(raw, platform.name), audience)


def check_token(token: Token, audience: str) -> Token:
    """Return ``token`` if it is meant for ``audience`` and still valid, as far as its claims say.

    Raises:
        IdentityError: another audience, or expired.

    """
    stated = token.claims.get("aud")
    audiences = stated if isinstance(stated, list) else [stated]
    if audience not in audiences:
        shown = ", ".join(str(each) for each in audiences)
        raise IdentityError("token-audience", source=token.source, audience=audience, stated=shown)
    expiry = token.claims.get("exp")
    if not isinstance(expiry, (int, float)) or isinstance(expiry, bool):
        raise IdentityError("token-malformed", source=token.source)
    if expiry <= time.time():
        ago = int(time.time() - expiry)
        raise IdentityError("token-expired", source=token.source, ago=ago)
    return token


def _platforms(audience: str) -> tuple[Platform, ...]:
    """Return the platforms as they are set up for an audience: GitLab's variable is named after it."""
    return tuple(
        platform._replace(
            variables=(gitlab_variable(audience),),
            advice=f"give the job `id_tokens: {gitlab_variable(audience)}: aud: {audience}`",
        )
        if platform.marker == "GITLAB_CI"
        else platform
        for platform in PLATFORMS
    )


def gitlab_variable(audience: str) -> str:
    """Return the variable in which the ``id`` library looks for GitLab's token for an audience."""
    return re.sub(r"[^A-Z0-9_]|^[^A-Z_]", "_", audience.upper()) + "_ID_TOKEN"


def _is_set_up(platform: Platform, environ: Mapping[str, str]) -> bool:
    return bool(environ.get(platform.marker)) and all(environ.get(name) for name in platform.variables)


def _is_passing(error: BaseException) -> bool:
    """Whether asking again may help: a time-out or an answer of the 500s; not a refusal."""
    import id as ambient

    if isinstance(error, ambient.GitHubOidcPermissionCredentialError):
        return False
    return isinstance(error, ambient.AmbientCredentialError) and (
        "timed out" in str(error) or "code=5" in str(error) or "code=429" in str(error)
    )

"""The OIDC issuers: tokens of the played identity, their discovery documents and keys, and the ways to ask for one.

GitHub Actions' own (a request with a bearer token), and the authorization-code flow with PKCE of Sigstore's login
service, which answers at once as a browser in which the played person is signed in.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets
import threading
import time
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlencode, urlsplit

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from starlette.applications import Starlette
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from hatch_attest.sandbox.identities import (
    GITHUB,
    GITLAB,
    GOOGLE,
    SIGSTORE,
    EmailIdentity,
    GitHubIdentity,
    GitLabIdentity,
    GoogleIdentity,
    Identity,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from starlette.requests import Request

_PATHS = {GITHUB: "/github", GITLAB: "/gitlab", GOOGLE: "/google", SIGSTORE: "/auth"}
_OUT_OF_BAND = "urn:ietf:wg:oauth:2.0:oob"
_CODE_LIFETIME = 60.0


class _Key:
    """The RSA key of one issuer, made at its first use: RSA, because PyPI accepts RS256 alone."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._private: rsa.RSAPrivateKey | None = None
        self._id = uuid.uuid4().hex

    def _key(self) -> rsa.RSAPrivateKey:
        with self._lock:
            if self._private is None:
                self._private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
            return self._private

    def encode(self, claims: Mapping[str, object]) -> str:
        return jwt.encode(dict(claims), self._key(), algorithm="RS256", headers={"kid": self._id})

    def jwks(self) -> dict[str, object]:
        public = jwt.algorithms.RSAAlgorithm.to_jwk(self._key().public_key(), as_dict=True)
        return {"keys": [{**public, "kid": self._id, "use": "sig", "alg": "RS256"}]}


@dataclass(frozen=True)
class _Grant:
    """What an authorization code stands for, until it is exchanged once."""

    client_id: str
    redirect_uri: str
    challenge: str
    expires: float


class Issuer:
    """Plays the issuers of one identity at a time.

    Args:
        base_url: where ``app`` is served, without a slash at the end.
        identity: whose tokens are given; may be set to another at any time.
        on_change: called after ``identity`` was set.
        clock: gives the time, in seconds since the epoch.

    Attributes:
        app: the ASGI application.
        person: who is signed in at the browser when the played identity is no person.

    """

    def __init__(
        self,
        base_url: str,
        identity: Identity | None = None,
        *,
        on_change: Callable[[], None] = lambda: None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.base_url = base_url
        self.person = EmailIdentity()
        self.request_token = secrets.token_urlsafe(32)
        self._identity: Identity = identity if identity is not None else GitHubIdentity()
        self._on_change = on_change
        self._clock = clock
        self._keys = {url: _Key() for url in _PATHS}
        self._fixed_tokens: dict[str, str] = {}
        self._grants: dict[str, _Grant] = {}
        self.app = Starlette(
            routes=[
                *[
                    Route(f"{path}/.well-known/openid-configuration", self._discovery(url), methods=["GET"])
                    for url, path in _PATHS.items()
                ],
                *[Route(f"{path}/jwks", self._serve_jwks(url), methods=["GET"]) for url, path in _PATHS.items()],
                Route("/github/idtoken", self._github_token, methods=["GET"]),
                Route("/auth/authorize", self._authorize, methods=["GET"]),
                Route("/auth/token", self._exchange, methods=["POST"]),
            ]
        )

    @property
    def identity(self) -> Identity:
        """Whose tokens are given."""
        return self._identity

    @identity.setter
    def identity(self, identity: Identity) -> None:
        self._identity = identity
        self._fixed_tokens.clear()
        self._on_change()

    @property
    def login_url(self) -> str:
        """The URL of Sigstore's login service, for ``oidcUrls`` of a signing configuration."""
        return f"{self.base_url}{_PATHS[SIGSTORE]}"

    def issuers(self) -> dict[str, Callable[[], dict[str, object]]]:
        """Return each issuer's URL, with what gives its keys: what a verifier of tokens must know."""
        return {url: key.jwks for url, key in self._keys.items()}

    def jwks(self) -> dict[str, object]:
        """Return the keys of the played identity's issuer, as a JSON Web Key Set."""
        return self._keys[self._identity.issuer].jwks()

    def token(self, audience: str | list[str], *, identity: Identity | None = None, **claim_overrides: object) -> str:
        """Return a new signed token.

        Args:
            audience: the ``aud`` claim.
            identity: whose; the played one, if not given.
            claim_overrides: claims to replace or to add; ``None`` leaves the claim out. The key stays that of the
                identity's issuer, even where ``iss`` is replaced.

        """
        identity = identity if identity is not None else self._identity
        now = int(self._clock())
        claims = {
            "iss": identity.issuer,
            "aud": audience,
            "jti": str(uuid.uuid4()),
            "iat": now,
            "exp": now + identity.lifetime,
            **identity.claims(),
        }
        if identity.backdated is not None:
            claims["nbf"] = now - identity.backdated
        claims |= claim_overrides
        return self._keys[identity.issuer].encode({name: value for name, value in claims.items() if value is not None})

    def environment(self, audiences: tuple[str, ...]) -> dict[str, str]:
        """Return what a job of the played identity sees of it.

        Args:
            audiences: the audiences that a job on GitLab asks tokens for beforehand (``id_tokens:``); each token is
                fixed for the job, unlike GitHub's.

        """
        variables = self._identity.environment_variables()
        match self._identity:
            case GitHubIdentity():
                variables["ACTIONS_ID_TOKEN_REQUEST_URL"] = f"{self.base_url}/github/idtoken?api-version=2.0"
                variables["ACTIONS_ID_TOKEN_REQUEST_TOKEN"] = self.request_token
            case GitLabIdentity():
                for audience in audiences:
                    variables[_gitlab_variable(audience)] = self._fixed_token(audience)
            case GoogleIdentity():
                variables["SIGSTORE_IDENTITY_TOKEN"] = self._fixed_token("sigstore")
        return variables

    def _fixed_token(self, audience: str) -> str:
        return self._fixed_tokens.setdefault(audience, self.token(audience))

    def _discovery(self, url: str) -> Callable[[Request], Response]:
        base = f"{self.base_url}{_PATHS[url]}"
        document: dict[str, object] = {
            "issuer": url,
            "jwks_uri": f"{base}/jwks",
            "response_types_supported": ["code"] if url == SIGSTORE else ["id_token"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "scopes_supported": ["openid", "email"] if url == SIGSTORE else ["openid"],
        }
        if url == SIGSTORE:
            document |= {
                "authorization_endpoint": f"{base}/authorize",
                "token_endpoint": f"{base}/token",
                "grant_types_supported": ["authorization_code"],
                "code_challenge_methods_supported": ["S256"],
            }
        return lambda _: JSONResponse(document)

    def _serve_jwks(self, url: str) -> Callable[[Request], Response]:
        return lambda _: JSONResponse(self._keys[url].jwks())

    def _github_token(self, request: Request) -> Response:
        """Answer as GitHub Actions' token service, which the ``id`` library and GitHub's toolkit ask."""
        scheme, _, credential = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not hmac.compare_digest(credential.encode(), self.request_token.encode()):
            return JSONResponse({"message": "Unauthorized"}, status_code=401)
        if not isinstance(self._identity, GitHubIdentity):
            return JSONResponse({"message": "The sandbox plays no job of GitHub Actions now"}, status_code=404)
        default = f"https://github.com/{self._identity.repository.partition('/')[0]}"
        token = self.token(request.query_params.get("audience", default))
        return JSONResponse({"count": len(token), "value": token})

    def _authorize(self, request: Request) -> Response:
        """Sign the person in (RFC 6749, section 4.1.1 with PKCE, RFC 7636), without asking anything."""
        query = request.query_params
        redirect_uri = query.get("redirect_uri", "")
        if query.get("client_id") != "sigstore" or not _is_native_client(redirect_uri):
            return PlainTextResponse("Unregistered client_id or redirect_uri", status_code=400)
        error = _authorization_error(query)
        if error is not None:
            return RedirectResponse(_with_query(redirect_uri, error=error, state=query.get("state", "")), 303)
        code = secrets.token_urlsafe(24)
        self._grants[code] = _Grant(
            query["client_id"], redirect_uri, query["code_challenge"], self._clock() + _CODE_LIFETIME
        )
        if redirect_uri == _OUT_OF_BAND:
            return PlainTextResponse(code)
        return RedirectResponse(_with_query(redirect_uri, code=code, state=query.get("state", "")), 303)

    async def _exchange(self, request: Request) -> Response:
        """Exchange a code for a token (RFC 6749, section 4.1.3); the code holds once."""
        form = await request.form()
        client_id = _basic_user(request.headers.get("authorization", "")) or str(form.get("client_id", ""))
        if form.get("grant_type") != "authorization_code":
            return _oauth_error("unsupported_grant_type")
        grant = self._grants.pop(str(form.get("code", "")), None)
        verifier = hashlib.sha256(str(form.get("code_verifier", "")).encode()).digest()
        challenge = base64.urlsafe_b64encode(verifier).rstrip(b"=").decode()
        if (
            grant is None
            or grant.expires < self._clock()
            or grant.client_id != client_id
            or grant.redirect_uri != form.get("redirect_uri")
            or not hmac.compare_digest(grant.challenge.encode(), challenge.encode())
        ):
            return _oauth_error("invalid_grant")
        person = self._identity if isinstance(self._identity, EmailIdentity) else self.person
        token = self.token(client_id, identity=person)
        # As Dex does, and as sigstore's clients expect: the access token is an ID token too.
        return JSONResponse(
            {"access_token": token, "id_token": token, "token_type": "bearer", "expires_in": person.lifetime},
            headers={"Cache-Control": "no-store"},
        )


def _gitlab_variable(audience: str) -> str:
    """Return the variable in which the ``id`` library looks for GitLab's token for an audience."""
    return re.sub(r"[^A-Z0-9_]|^[^A-Z_]", "_", audience.upper()) + "_ID_TOKEN"


def _is_native_client(redirect_uri: str) -> bool:
    """Tell whether a code may be sent there: the loopback interface (RFC 8252, section 7.3), or shown to a person."""
    parts = urlsplit(redirect_uri)
    return redirect_uri == _OUT_OF_BAND or (
        parts.scheme == "http" and parts.hostname in {"localhost", "127.0.0.1", "::1"}
    )


def _authorization_error(query: Mapping[str, str]) -> str | None:
    if query.get("response_type") != "code":
        return "unsupported_response_type"
    if query.get("code_challenge_method") != "S256" or not query.get("code_challenge"):
        return "invalid_request"
    if "openid" not in query.get("scope", "").split():
        return "invalid_scope"
    return None


def _with_query(url: str, **parameters: str) -> str:
    return f"{url}{'&' if urlsplit(url).query else '?'}{urlencode(parameters)}"


def _basic_user(authorization: str) -> str | None:
    scheme, _, credentials = authorization.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        return base64.b64decode(credentials, validate=True).decode().partition(":")[0]
    except ValueError:
        return None


def _oauth_error(error: str) -> Response:
    return JSONResponse({"error": error}, status_code=400, headers={"Cache-Control": "no-store"})

"""Trusted Publishing: from an identity token to an upload token (warehouse/oidc), and its discovery (draft PEP 807)."""

from __future__ import annotations

import contextlib
import threading
from hashlib import sha256
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import jwt
from packaging.utils import canonicalize_name
from pydantic import BaseModel, StrictStr, ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from hatch_attest.sandbox.index.negotiation import choose
from hatch_attest.sandbox.index.publishers import BY_ISSUER, InvalidPublisherError, find_publisher

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from starlette.requests import Request

    from hatch_attest.sandbox.index.accounts import Accounts
    from hatch_attest.sandbox.index.flags import Flags
    from hatch_attest.sandbox.index.publishers import Claims, Publisher
    from hatch_attest.sandbox.index.store import Store

DISCOVERY_TYPE = "application/vnd.pypi.pytp.v1+json"
_LEEWAY = 30


class TokenPayload(BaseModel):
    """What the endpoints are sent; PyPI passes on pydantic's message, which names this class."""

    token: StrictStr


class MintError(Exception):
    """An answer of the mint endpoint other than a token: PyPI's code and description."""

    def __init__(self, code: str, description: str) -> None:
        super().__init__(f"{code}: {description}")
        self.code = code
        self.description = description


class TrustedPublishing:
    """The publishers of each project, and the endpoints that exchange tokens for them.

    Args:
        issuers: issuer's URL to a function that gives its JWKS.
        audience: what identity tokens must be made for.
        upload_path: the path of the upload URL, which clients ask discovery for.

    """

    def __init__(  # noqa: PLR0913 (what it works with, each once)
        self,
        store: Store,
        accounts: Accounts,
        flags: Flags,
        *,
        issuers: Mapping[str, Callable[[], dict[str, Any]]],
        audience: str,
        upload_path: str,
    ) -> None:
        self._store = store
        self._accounts = accounts
        self._flags = flags
        self._issuers = dict(issuers)
        self._audience = audience
        self._upload_path = upload_path
        self._projects: dict[Publisher, list[str]] = {}
        self._pending: dict[Publisher, tuple[str, str]] = {}
        self._used: set[tuple[str, str]] = set()
        self._lock = threading.RLock()

    @property
    def routes(self) -> list[Route]:
        """The endpoints."""
        return [
            Route("/_/oidc/audience", self._answer_audience, methods=["GET"]),
            Route("/_/oidc/mint-token", self._answer_mint, methods=["POST"]),
            Route("/_/oidc/github/mint-token", self._answer_mint, methods=["POST"]),
            Route("/_/oidc/burn-token", self._answer_burn, methods=["POST"]),
            Route("/.well-known/pytp", self._answer_discovery, methods=["GET"]),
            Route("/.well-known/pytp/{key}", self._answer_first_discovery, methods=["GET"]),
        ]

    def add_publisher(self, project: str, publisher: Publisher, owner: str) -> None:
        """Register a publisher for a project; "pending" where the project does not exist yet.

        Raises:
            ValueError: the publisher is pending for another project already, which PyPI refuses.

        """
        with self._lock:
            if self._store.project(project) is not None:
                names = self._projects.setdefault(publisher, [])
                if canonicalize_name(project) not in names:
                    names.append(canonicalize_name(project))
                return
            pending = self._pending.setdefault(publisher, (project, owner))
        if canonicalize_name(pending[0]) != canonicalize_name(project):
            message = f"this publisher is pending for {pending[0]!r} already; create_project({project!r}) first"
            raise ValueError(message)

    def mint(self, identity_token: str) -> tuple[str, int]:
        """Exchange an identity token for an upload token; returns it with its end (seconds, Unix).

        Raises:
            MintError: PyPI would not.

        """
        kind = self._kind_of(identity_token)
        claims = self._verify(identity_token, kind.issuer)
        with self._lock:
            self._reify(kind, claims)
            try:
                publisher = find_publisher(kind, claims, self._projects)
            except InvalidPublisherError as error:
                description = f"valid token, but no corresponding publisher ({error})"
                raise MintError("invalid-publisher", description) from error
            if kind.single_use:
                self._use_up(kind.issuer, claims["jti"])
            return self._accounts.mint(publisher, self._projects[publisher])

    def _kind_of(self, identity_token: str) -> type[Publisher]:
        try:
            issuer = jwt.decode(identity_token, options={"verify_signature": False})["iss"]
        except (jwt.PyJWTError, KeyError) as error:
            raise MintError("invalid-payload", "malformed JWT") from error
        kind = BY_ISSUER.get(issuer)
        if kind is None or issuer not in self._issuers:
            raise MintError("invalid-payload", "unknown trusted publishing issuer")
        if self._flags.disallow_oidc or kind.service in self._flags.disallowed_services:
            raise MintError("not-enabled", f"{kind.service} trusted publishing functionality not enabled")
        return kind

    def _verify(self, identity_token: str, issuer: str) -> Claims:
        """Verify signature, issuer, audience and times as PyPI does (warehouse/oidc/services.py)."""
        try:
            key_id = jwt.get_unverified_header(identity_token)["kid"]
            keys = {key["kid"]: key for key in self._issuers[issuer]()["keys"]}
            return jwt.decode(
                identity_token,
                key=jwt.PyJWK(keys[key_id]),
                algorithms=["RS256"],
                options={"require": ["iss", "iat", "exp", "aud"], "strict_aud": True},
                issuer=issuer,
                audience=self._audience,
                leeway=_LEEWAY,
            )
        except (jwt.PyJWTError, KeyError) as error:
            raise MintError("invalid-token", "malformed or invalid token") from error

    def _use_up(self, issuer: str, token_id: str) -> None:
        if (issuer, token_id) in self._used:
            raise MintError("invalid-reuse-token", "invalid token: already used")
        self._used.add((issuer, token_id))

    def _reify(self, kind: type[Publisher], claims: Claims) -> None:
        """Turn a pending publisher into a project and its publisher."""
        try:
            publisher = find_publisher(kind, claims, self._pending)
        except InvalidPublisherError:
            return
        if kind.single_use and (kind.issuer, claims["jti"]) in self._used:
            raise MintError("invalid-reuse-token", "invalid token: already used")
        project, owner = self._pending.pop(publisher)
        if self._store.project(project) is not None:
            raise MintError("invalid-pending-publisher", "valid token, but project already exists")
        self._store.create_project(project, owner)
        self._projects.setdefault(publisher, []).append(canonicalize_name(project))

    async def _answer_audience(self, _request: Request) -> Response:
        if self._flags.disallow_oidc:
            message = "Trusted publishing functionality not enabled"
            return JSONResponse({"message": message}, status_code=HTTPStatus.FORBIDDEN)
        return JSONResponse({"audience": self._audience})

    async def _answer_mint(self, request: Request) -> Response:
        try:
            try:
                payload = TokenPayload.model_validate_json(await request.body())
            except ValidationError as error:
                raise MintError("invalid-payload", str(error)) from error
            token, expires = await run_in_threadpool(self.mint, payload.token)
        except MintError as error:
            errors = [{"code": error.code, "description": error.description}]
            body = {"message": "Token request failed", "errors": errors}
            return JSONResponse(body, status_code=HTTPStatus.UNPROCESSABLE_ENTITY)
        return JSONResponse({"success": True, "token": token, "expires": expires})

    async def _answer_burn(self, request: Request) -> Response:
        """Burn a minted token (pypi/warehouse#20197); the answer never tells whether there was one."""
        with contextlib.suppress(ValidationError):
            self._accounts.burn(TokenPayload.model_validate_json(await request.body()).token)
        return JSONResponse({"message": "Accepted", "errors": []}, status_code=HTTPStatus.ACCEPTED)

    async def _answer_discovery(self, request: Request) -> Response:
        """Answer as the draft says since January 2026 (python/peps#4791): the path is asked for as it is."""
        if choose(request.headers.get("accept"), (DISCOVERY_TYPE,)) is None:
            return _problem(HTTPStatus.NOT_ACCEPTABLE)
        if request.query_params.get("discover") != self._upload_path:
            return _problem(HTTPStatus.NOT_FOUND)
        audience, mint = _endpoints(request)
        body = {
            "audience-endpoint": audience,
            "token-mint-endpoint": mint,
            "features": ["multi-use-token"],
            "default-features": ["multi-use-token"],
        }
        return JSONResponse(body, media_type=DISCOVERY_TYPE)

    async def _answer_first_discovery(self, request: Request) -> Response:
        """Answer as the draft said at first: the path is asked for by its SHA-256, another key names the mint."""
        if choose(request.headers.get("accept"), (DISCOVERY_TYPE,)) is None:
            return Response(status_code=HTTPStatus.NOT_ACCEPTABLE)
        if request.path_params["key"] != sha256(self._upload_path.encode()).hexdigest():
            return Response(status_code=HTTPStatus.NOT_FOUND)
        audience, mint = _endpoints(request)
        return JSONResponse({"audience-endpoint": audience, "mint-token-endpoint": mint}, media_type=DISCOVERY_TYPE)


def _endpoints(request: Request) -> tuple[str, str]:
    """Give the URLs of the audience and of the mint, on the host that was asked."""
    base = f"{request.url.scheme}://{request.url.netloc}/_/oidc"
    return f"{base}/audience", f"{base}/mint-token"


def _problem(status: HTTPStatus) -> Response:
    """Answer an error as RFC 9457 has it."""
    body = {"status": int(status), "title": status.phrase}
    return JSONResponse(body, status_code=status, media_type="application/problem+json")

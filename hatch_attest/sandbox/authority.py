"""The certificate authority: Fulcio's ``POST /api/v2/signingCert`` and ``GET /api/v2/trustBundle``.

Verifies the identity token and that the caller has the private key, and issues a certificate for ten minutes in the
form of Fulcio v1.8 with an embedded SCT. Refusals have Fulcio's status, code and words.
"""

from __future__ import annotations

import base64
import datetime as dt
import time
from typing import TYPE_CHECKING, Any, cast

import jwt
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from hatch_attest.sandbox.bodies import NotJSONError, parse_object, text_at
from hatch_attest.sandbox.certificates import Principal, UnacceptableClaimsError, known_issuer, principal
from hatch_attest.sandbox.chain import CODE_SIGNING, authority_key_identifier, key_usage, new_chain
from hatch_attest.sandbox.ct import CTLog, signed_certificate_timestamps
from hatch_attest.sandbox.proofs import RefusedError, proven_key

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from starlette.requests import Request

    from hatch_attest.sandbox.keys import PublicKey

_LIFETIME = dt.timedelta(minutes=10)
# go-oidc allows a token to start five minutes ahead, and allows no time at all past its end.
_NOT_BEFORE_LEEWAY = 300

_INVALID_ARGUMENT = 3
_NOT_FOUND = 5
_UNIMPLEMENTED = 12

_BAD_TOKEN = "There was an error processing the identity token"  # noqa: S105  # a message


class Authority:
    """Issues signing certificates for identity tokens.

    Args:
        issuers: each accepted issuer's URL, with what gives its JSON Web Key Set.
        ct: the log that signs the embedded timestamps.
        audience: what the token must be for.
        clock: gives the time, in seconds since the epoch.

    Attributes:
        app: the ASGI application.
        chain: the intermediate certificate and the root.
        issued: every certificate issued, in order.

    """

    def __init__(
        self,
        issuers: Mapping[str, Callable[[], dict[str, Any]]],
        ct: CTLog,
        *,
        audience: str = "sigstore",
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._issuers = issuers
        self._ct = ct
        self._audience = audience
        self._clock = clock
        self._key, self.chain = new_chain(dt.datetime.fromtimestamp(clock(), dt.timezone.utc))
        self.issued: list[x509.Certificate] = []
        self.app = Starlette(
            routes=[
                Route("/api/v2/signingCert", self._signing_cert, methods=["POST"]),
                Route("/api/v2/trustBundle", self._trust_bundle, methods=["GET"]),
            ],
            exception_handlers={RefusedError: _refused, NotJSONError: _refused, HTTPException: _no_route},
        )
        self.app.router.redirect_slashes = False

    def trusted(self, uri: str, start: str) -> dict[str, object]:
        """Describe this authority as an entry of a Sigstore TrustedRoot, valid from ``start``."""
        certificates = [certificate.public_bytes(serialization.Encoding.DER) for certificate in self.chain]
        return {
            "subject": {"organization": "hatch-attest sandbox", "commonName": "hatch-attest sandbox"},
            "uri": uri,
            "certChain": {"certificates": [{"rawBytes": base64.b64encode(der).decode()} for der in certificates]},
            "validFor": {"start": start},
        }

    async def _signing_cert(self, request: Request) -> Response:
        body = parse_object(await request.body() or b"{}")
        scheme, _, credential = request.headers.get("authorization", "").partition(" ")
        token = text_at(body, "credentials", "oidcIdentityToken") or (credential if scheme == "Bearer" else "")
        leaf = await run_in_threadpool(self._issue_for, token, body)
        return JSONResponse({"signedCertificateEmbeddedSct": {"chain": {"certificates": _pems(leaf, *self.chain)}}})

    async def _trust_bundle(self, _request: Request) -> Response:
        return JSONResponse({"chains": [{"certificates": _pems(*self.chain)}]})

    def _issue_for(self, token: str, body: Mapping[str, Any]) -> x509.Certificate:
        claims = self._verified_claims(token)
        try:
            who = principal(claims)
        except UnacceptableClaimsError as error:
            if error.message is None:
                raise RefusedError(_BAD_TOKEN) from error
            # Fulcio reads a job's claims only when it writes the certificate, after it looked at the key.
            proven_key(body, str(claims["sub"]))
            raise RefusedError(error.message) from error
        leaf = self._issue(who, proven_key(body, who.name))
        self.issued.append(leaf)
        return leaf

    def _verified_claims(self, token: str) -> dict[str, Any]:
        """Verify signature, issuer, audience and time of an identity token.

        The issuer that the token names decides whose keys are tried, so it must be known before it is verified.
        """
        try:
            issuer = jwt.decode(token, options={"verify_signature": False}).get("iss")
            if not isinstance(issuer, str) or not known_issuer(issuer) or issuer not in self._issuers:
                raise RefusedError(_BAD_TOKEN)
            keys = jwt.PyJWKSet.from_dict(self._issuers[issuer]())
            claims: dict[str, Any] = jwt.decode(
                token,
                key=keys[jwt.get_unverified_header(token)["kid"]],
                algorithms=["RS256"],
                audience=self._audience,
                issuer=issuer,
                # PyJWT reads the machine's clock, and knows one leeway for start and end.
                options={
                    "require": ["iss", "aud", "exp"],
                    "verify_exp": False,
                    "verify_nbf": False,
                    "verify_iat": False,
                },
            )
            now = self._clock()
            in_time = now <= int(claims["exp"]) and int(claims.get("nbf", 0)) <= now + _NOT_BEFORE_LEEWAY
        except (jwt.PyJWTError, KeyError, TypeError, ValueError) as error:
            raise RefusedError(_BAD_TOKEN) from error
        if not in_time:
            raise RefusedError(_BAD_TOKEN)
        return {"sub": "", **claims}  # go-oidc asks for no subject

    def _issue(self, who: Principal, key: PublicKey) -> x509.Certificate:
        """Issue a certificate: first a poisoned one for the CT log, then the same with the log's timestamp."""
        issuer = self.chain[0]
        now = dt.datetime.fromtimestamp(int(self._clock()), dt.timezone.utc)
        builder = (
            x509.CertificateBuilder()
            .issuer_name(issuer.subject)
            .subject_name(x509.Name([]))
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now)
            .not_valid_after(now + _LIFETIME)
            .add_extension(key_usage(digital_signature=True), critical=True)
            .add_extension(CODE_SIGNING, critical=False)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
            .add_extension(authority_key_identifier(issuer), critical=False)
            # Critical, because the subject is empty (RFC 5280, section 4.2.1.6).
            .add_extension(x509.SubjectAlternativeName([who.alternative_name]), critical=True)
        )
        for extension in who.extensions:
            builder = builder.add_extension(extension, critical=False)
        precertificate = builder.add_extension(x509.PrecertPoison(), critical=True).sign(self._key, hashes.SHA384())
        sct = self._ct.add_pre_chain(precertificate, issuer)
        return builder.add_extension(signed_certificate_timestamps(sct), critical=False).sign(
            self._key, hashes.SHA384()
        )


def _pems(*certificates: x509.Certificate) -> list[str]:
    return [certificate.public_bytes(serialization.Encoding.PEM).decode() for certificate in certificates]


def _error(status: int, code: int, message: str) -> Response:
    return JSONResponse({"code": code, "message": message, "details": []}, status_code=status)


async def _refused(_request: Request, error: Exception) -> Response:
    return _error(400, _INVALID_ARGUMENT, str(error))


async def _no_route(_request: Request, error: Exception) -> Response:
    method_not_allowed = 405
    if cast("HTTPException", error).status_code == method_not_allowed:
        return _error(501, _UNIMPLEMENTED, "Method Not Allowed")
    return _error(404, _NOT_FOUND, "Not Found")

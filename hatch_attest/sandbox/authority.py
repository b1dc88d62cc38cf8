"""The certificate authority: Fulcio's ``POST /api/v2/signingCert`` and ``GET /api/v2/trustBundle``.

Verifies the identity token and that the caller has the private key, and issues a certificate for ten minutes in the
form of Fulcio v1.8 with an embedded SCT. Refusals have Fulcio's status, code and words.
"""

from __future__ import annotations

import base64
import binascii
import datetime as dt
import time
from typing import TYPE_CHECKING, Any

import jwt
from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from hatch_attest.sandbox.bodies import NotJSONError, parse_object
from hatch_attest.sandbox.certificates import Principal, UnacceptableClaimsError, known_issuer, principal
from hatch_attest.sandbox.ct import CTLog, signed_certificate_timestamps

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from starlette.requests import Request

PublicKey = ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey | rsa.RSAPublicKey

_LIFETIME = dt.timedelta(minutes=10)
# go-oidc allows a token to start five minutes ahead, and allows no time at all past its end.
_NOT_BEFORE_LEEWAY = 300

_INVALID_ARGUMENT = 3
_NOT_FOUND = 5
_UNIMPLEMENTED = 12

_BAD_TOKEN = "There was an error processing the identity token"  # noqa: S105  # a message
_BAD_SIGNATURE = "The signature supplied in the request could not be verified"
_BAD_REQUEST = "The certificate signing request could not be parsed"
_BAD_KEY = "The public key supplied in the request could not be parsed"
_WEAK_KEY = "The public key supplied in the request is insecure"

# What a key must be signed with: Fulcio's --client-signing-algorithms, which names pairs of key and hash.
_CURVE_HASHES: dict[str, type[hashes.HashAlgorithm]] = {
    "secp256r1": hashes.SHA256,
    "secp384r1": hashes.SHA384,
    "secp521r1": hashes.SHA512,
}
_RSA_SIZES = frozenset({2048, 3072, 4096})
_GO_HASH_NAMES = {"sha1": "SHA-1", "sha256": "SHA-256", "sha384": "SHA-384", "sha512": "SHA-512"}


class RefusedError(Exception):
    """The request is refused with HTTP 400; ``message`` is Fulcio's."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


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
        self._key, self.chain = _new_chain(dt.datetime.fromtimestamp(clock(), dt.timezone.utc))
        self.issued: list[x509.Certificate] = []
        self.app = Starlette(
            routes=[
                Route("/api/v2/signingCert", self._signing_cert, methods=["POST"]),
                Route("/api/v2/trustBundle", self._trust_bundle, methods=["GET"]),
            ],
            exception_handlers={RefusedError: _refused, HTTPException: _no_route},
        )

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
        try:
            body = parse_object(await request.body())
        except NotJSONError as error:
            raise RefusedError(str(error)) from error
        scheme, _, credential = request.headers.get("authorization", "").partition(" ")
        token = _member(body, "credentials", "oidcIdentityToken") or (credential if scheme == "Bearer" else "")
        leaf = await run_in_threadpool(self._issue_for, token, body)
        chain = [certificate.public_bytes(serialization.Encoding.PEM).decode() for certificate in (leaf, *self.chain)]
        return JSONResponse({"signedCertificateEmbeddedSct": {"chain": {"certificates": chain}}})

    async def _trust_bundle(self, _request: Request) -> Response:
        chain = [certificate.public_bytes(serialization.Encoding.PEM).decode() for certificate in self.chain]
        return JSONResponse({"chains": [{"certificates": chain}]})

    def _issue_for(self, token: str, body: Mapping[str, Any]) -> x509.Certificate:
        claims = self._verified_claims(token)
        try:
            who = principal(claims)
        except UnacceptableClaimsError as error:
            if error.message is None:
                raise RefusedError(_BAD_TOKEN) from error
            # Fulcio reads a job's claims only when it writes the certificate, after it looked at the key.
            _proven_key(body, str(claims["sub"]))
            raise RefusedError(error.message) from error
        leaf = self._issue(who, _proven_key(body, who.name))
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
                    "require": ["iss", "sub", "aud", "exp"],
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
        return claims

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
            .add_extension(_key_usage(digital_signature=True), critical=True)
            .add_extension(x509.ExtendedKeyUsage([x509.ExtendedKeyUsageOID.CODE_SIGNING]), critical=False)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
            .add_extension(_authority_key_identifier(issuer), critical=False)
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


def _proven_key(body: Mapping[str, Any], name: str) -> PublicKey:
    """Return the key to certify, from a signing request or with a proof of possession, which signs ``name``.

    Raises:
        RefusedError: there is none, it is weak, or the caller does not have the private key.

    """
    request = _bytes_member(body, "certificateSigningRequest")
    if request:
        return _key_of_request(request)
    content = _member(body, "publicKeyRequest", "publicKey", "content")
    key = _acceptable(_load_public_key(content))
    proof = _bytes_member(body, "publicKeyRequest", "proofOfPossession")
    try:
        _verify(key, proof, name.encode())
    except InvalidSignature as error:
        raise RefusedError(_BAD_SIGNATURE) from error
    return key


def _key_of_request(pem: bytes) -> PublicKey:
    try:
        request = x509.load_pem_x509_csr(pem)
        key = request.public_key()
        algorithm = request.signature_hash_algorithm
    except (ValueError, UnsupportedAlgorithm) as error:
        raise RefusedError(_BAD_REQUEST) from error
    acceptable = _acceptable(key)
    if not request.is_signature_valid:
        raise RefusedError(_BAD_SIGNATURE)
    _permit(acceptable, algorithm)
    return acceptable


def _load_public_key(content: str) -> object:
    try:
        return serialization.load_pem_public_key(content.encode())
    except (ValueError, UnsupportedAlgorithm) as error:
        raise RefusedError(_BAD_KEY) from error


def _acceptable(key: object) -> PublicKey:
    """Refuse a key of a kind or size that sigstore's ValidatePubKey calls weak."""
    match key:
        case rsa.RSAPublicKey() if key.key_size in _RSA_SIZES:
            return key
        case ec.EllipticCurvePublicKey() if key.curve.name in _CURVE_HASHES:
            return key
        case ed25519.Ed25519PublicKey():
            return key
    raise RefusedError(_WEAK_KEY)


def _permit(key: PublicKey, algorithm: hashes.HashAlgorithm | None) -> None:
    """Refuse a hash that Fulcio does not permit with this kind of key."""
    match key:
        case ec.EllipticCurvePublicKey():
            kind, permitted = "*ecdsa.PublicKey", _CURVE_HASHES[key.curve.name]
        case rsa.RSAPublicKey():
            kind, permitted = "*rsa.PublicKey", hashes.SHA256
        case _:
            return
    if not isinstance(algorithm, permitted):
        name = algorithm.name if algorithm is not None else "unknown"
        message = f"signing algorithm not permitted: {kind}, {_GO_HASH_NAMES.get(name, name)}"
        raise RefusedError(message)


def _verify(key: PublicKey, signature: bytes, data: bytes) -> None:
    """Verify a signature made with the hash that belongs to the key."""
    match key:
        case ec.EllipticCurvePublicKey():
            key.verify(signature, data, ec.ECDSA(_CURVE_HASHES[key.curve.name]()))
        case rsa.RSAPublicKey():
            key.verify(signature, data, padding.PKCS1v15(), hashes.SHA256())
        case _:
            key.verify(signature, data)


def _new_chain(now: dt.datetime) -> tuple[ec.EllipticCurvePrivateKey, tuple[x509.Certificate, x509.Certificate]]:
    """Make a root and an intermediate on P-384; returns the intermediate's key and both certificates.

    The root's key is not kept. Both are valid from an hour ago, as Fulcio's own command makes them.
    """
    root_key, key = ec.generate_private_key(ec.SECP384R1()), ec.generate_private_key(ec.SECP384R1())
    root_name, name = _name("hatch-attest sandbox root"), _name("hatch-attest sandbox intermediate")

    def certificate(
        subject: x509.Name, public: ec.EllipticCurvePublicKey, depth: int
    ) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .issuer_name(root_name)
            .subject_name(subject)
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(hours=1))
            .not_valid_after(now + dt.timedelta(days=3650))
            .add_extension(x509.BasicConstraints(ca=True, path_length=depth), critical=True)
            .add_extension(_key_usage(key_cert_sign=True, crl_sign=True), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(root_key.public_key()), critical=False
            )
        )

    root = certificate(root_name, root_key.public_key(), 1).sign(root_key, hashes.SHA384())
    intermediate = (
        certificate(name, key.public_key(), 0)
        .add_extension(x509.ExtendedKeyUsage([x509.ExtendedKeyUsageOID.CODE_SIGNING]), critical=False)
        .sign(root_key, hashes.SHA384())
    )
    return key, (intermediate, root)


def _name(common_name: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(x509.NameOID.ORGANIZATION_NAME, "sandbox.invalid"),
            x509.NameAttribute(x509.NameOID.COMMON_NAME, common_name),
        ]
    )


def _authority_key_identifier(issuer: x509.Certificate) -> x509.AuthorityKeyIdentifier:
    identifier = issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier)


def _key_usage(
    *, digital_signature: bool = False, key_cert_sign: bool = False, crl_sign: bool = False
) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=digital_signature,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=key_cert_sign,
        crl_sign=crl_sign,
        encipher_only=False,
        decipher_only=False,
    )


def _member(body: Mapping[str, Any], *path: str) -> str:
    """Return a string at a path of a JSON object; what is not there is empty, as in protobuf."""
    value: object = body
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value if isinstance(value, str) else ""


def _bytes_member(body: Mapping[str, Any], *path: str) -> bytes:
    text = _member(body, *path)
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error as error:
        message = f'proto: invalid value for bytes field {path[-1]}: "{text}"'
        raise RefusedError(message) from error


def _error(status: int, code: int, message: str) -> Response:
    return JSONResponse({"code": code, "message": message, "details": []}, status_code=status)


async def _refused(_request: Request, error: Exception) -> Response:
    assert isinstance(error, RefusedError)
    return _error(400, _INVALID_ARGUMENT, error.message)


async def _no_route(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    method_not_allowed = 405
    if error.status_code == method_not_allowed:
        return _error(501, _UNIMPLEMENTED, "Method Not Allowed")
    return _error(404, _NOT_FOUND, "Not Found")

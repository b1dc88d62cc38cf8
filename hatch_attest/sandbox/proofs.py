"""Which key a certificate is for: read from the request, strong enough, and proven to be in the caller's hands.

Either a signing request (PKCS #10) or a public key with a proof of possession, by Fulcio's rules and in its words.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from hatch_attest.sandbox.bodies import bytes_at, text_at
from hatch_attest.sandbox.keys import CURVE_HASHES, PublicKey, verify

if TYPE_CHECKING:
    from collections.abc import Mapping

_BAD_SIGNATURE = "The signature supplied in the request could not be verified"
_BAD_REQUEST = "The certificate signing request could not be parsed"
_BAD_KEY = "The public key supplied in the request could not be parsed"
_TWO_KEYS = (
    'error parsing "publicKeyRequest", oneof dev.sigstore.fulcio.v2.CreateSigningCertificateRequest.key is already set'
)
_WEAK_KEY = "The public key supplied in the request is insecure"

_RSA_SIZES = frozenset({2048, 3072, 4096})
_GO_HASH_NAMES = {"sha1": "SHA-1", "sha256": "SHA-256", "sha384": "SHA-384", "sha512": "SHA-512"}


class RefusedError(Exception):
    """The request is refused with HTTP 400 and these words, Fulcio's."""


def proven_key(body: Mapping[str, Any], name: str) -> PublicKey:
    """Return the key to certify, from a signing request or with a proof of possession, which signs ``name``.

    Raises:
        RefusedError: there is none, it is weak, or the caller does not have the private key.
        NotJSONError: a field is not what the request's schema says.

    """
    request = bytes_at(body, "certificateSigningRequest")
    if request and "publicKeyRequest" in body:
        raise RefusedError(_TWO_KEYS)
    if request:
        return _key_of_request(request)
    content = text_at(body, "publicKeyRequest", "publicKey", "content")
    key = _acceptable(_load_public_key(content))
    proof = bytes_at(body, "publicKeyRequest", "proofOfPossession")
    try:
        verify(key, proof, name.encode())
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
        case ec.EllipticCurvePublicKey() if key.curve.name in CURVE_HASHES:
            return key
        case ed25519.Ed25519PublicKey():
            return key
    raise RefusedError(_WEAK_KEY)


def _permit(key: PublicKey, algorithm: hashes.HashAlgorithm | None) -> None:
    """Refuse a hash that Fulcio does not permit with this kind of key."""
    match key:
        case ec.EllipticCurvePublicKey():
            kind, permitted = "*ecdsa.PublicKey", CURVE_HASHES[key.curve.name]
        case rsa.RSAPublicKey():
            kind, permitted = "*rsa.PublicKey", hashes.SHA256
        case _:
            return
    if not isinstance(algorithm, permitted):
        name = algorithm.name if algorithm is not None else "unknown"
        raise RefusedError(f"signing algorithm not permitted: {kind}, {_GO_HASH_NAMES.get(name, name)}")

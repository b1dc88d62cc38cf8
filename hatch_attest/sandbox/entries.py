"""Proposed log entries of the kinds ``dsse`` 0.0.1 and ``hashedrekord`` 0.0.1: verified, and brought to their
canonical form, as Rekor's ``pkg/types`` does; refusals have Rekor's words.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from typing import TYPE_CHECKING, Any

import rfc8785
from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed

from hatch_attest.sandbox.bodies import NotJSONError, parse_object

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_Verifier = tuple[object, bytes]  # a public key, and the canonical PEM of what it was read from

_HASHES: dict[str, type[hashes.HashAlgorithm]] = {
    "sha256": hashes.SHA256,
    "sha384": hashes.SHA384,
    "sha512": hashes.SHA512,
}
_CURVE_HASHES: dict[str, type[hashes.HashAlgorithm]] = {
    "secp256r1": hashes.SHA256,
    "secp384r1": hashes.SHA384,
    "secp521r1": hashes.SHA512,
}


class UnacceptableEntryError(Exception):
    """An entry is refused: HTTP 400, in Rekor's words."""


def canonical(proposed: Mapping[str, Any]) -> bytes:
    """Verify a proposed entry; returns the canonical body that the log keeps (RFC 8785).

    Args:
        proposed: has ``kind`` (one of ``KINDS``), ``apiVersion`` and ``spec``.

    Raises:
        UnacceptableEntryError: it does not hold.

    """
    kind, version = proposed["kind"], proposed["apiVersion"]
    if version != "0.0.1":
        message = (
            f"{kind} implementation for version '{version}' not found: unable to locate entry for version {version}"
        )
        raise UnacceptableEntryError(message)
    if not isinstance(proposed["spec"], dict):
        message = "cannot decode spec"
        raise UnacceptableEntryError(message)
    return rfc8785.dumps({"apiVersion": version, "kind": kind, "spec": KINDS[kind](proposed["spec"])})


def _dsse(spec: Mapping[str, Any]) -> dict[str, Any]:
    content = spec.get("proposedContent")
    computed = [spec.get(name) for name in ("envelopeHash", "payloadHash", "signatures")]
    if content is None:
        if not all(computed):
            message = "either proposedContent or envelopeHash, payloadHash, and signatures must be present"
            raise UnacceptableEntryError(message)
        return dict(spec)
    if any(computed):
        message = "either proposedContent or envelopeHash, payloadHash, and signatures must be present but not both"
        raise UnacceptableEntryError(message)
    envelope_text, verifiers = content.get("envelope"), content.get("verifiers")
    _validate(
        ("proposedContent.proposedContent.envelope in body is required", isinstance(envelope_text, str)),
        ("proposedContent.proposedContent.verifiers in body is required", isinstance(verifiers, list)),
        ("proposedContent.proposedContent.verifiers in body should have at least 1 items", verifiers != []),
    )
    try:
        envelope = parse_object(envelope_text)
    except NotJSONError as error:
        raise UnacceptableEntryError(str(error)) from error
    signatures = [str(signature.get("sig", "")) for signature in envelope.get("signatures") or []]
    if not signatures:
        message = "DSSE envelope must contain 1 or more signatures"
        raise UnacceptableEntryError(message)
    payload = _base64(envelope.get("payload"))
    verified = _verified_signatures(signatures, _pae(str(envelope.get("payloadType", "")), payload), verifiers)
    return {
        "envelopeHash": _sha256(envelope_text.encode()),
        "payloadHash": _sha256(payload),
        "signatures": [
            {"signature": signature, "verifier": base64.b64encode(verified[signature]).decode()}
            for signature in sorted(verified)
        ],
    }


def _verified_signatures(signatures: list[str], message: bytes, verifiers: list[str]) -> dict[str, bytes]:
    """Return each signature with the verifier that accepts it; all must be accepted."""
    verified: dict[str, bytes] = {}
    for verifier in verifiers:
        if len(verified) == len(set(signatures)):
            break
        key, pem = _load_verifier(_base64(verifier))
        accepted = [signature for signature in signatures if _holds(key, signature, message)]
        if not accepted:
            text = (
                "could not verify envelope: accepted signatures do not match threshold, Found: 0, Expected 1"
            )
            raise UnacceptableEntryError(text)
        verified |= {signature: pem for signature in accepted if signature not in verified}
    if len(verified) != len(set(signatures)):
        text = "all signatures must have a key that verifies it"
        raise UnacceptableEntryError(text)
    return verified


def _hashedrekord(spec: Mapping[str, Any]) -> dict[str, Any]:
    signature, data = spec.get("signature") or {}, spec.get("data") or {}
    digest = data.get("hash") or {}
    algorithm, value = digest.get("algorithm", "sha256"), digest.get("value")
    content, pem = signature.get("content"), (signature.get("publicKey") or {}).get("content")
    _validate(
        ("signature.content in body is required", isinstance(content, str)),
        ("signature.publicKey.content in body is required", isinstance(pem, str)),
        ("data.hash.value in body is required", isinstance(value, str)),
        ("data.hash.algorithm in body should be one of [sha256 sha384 sha512]", algorithm in _HASHES),
    )
    hash_algorithm = _HASHES[algorithm]()
    try:
        raw_digest = bytes.fromhex(value)
    except ValueError:
        raw_digest = b""
    if len(raw_digest) != hash_algorithm.digest_size:
        message = "invalid value for hash"
        raise UnacceptableEntryError(message)
    key, canonical_pem = _load_verifier(_base64(pem))
    try:
        _verify_digest(key, _base64(content), raw_digest, hash_algorithm)
    except (InvalidSignature, ValueError) as error:
        message = "verifying signature: invalid signature when validating ASN.1 encoded signature"
        raise UnacceptableEntryError(message) from error
    return {
        "data": {"hash": {"algorithm": algorithm, "value": value.lower()}},
        "signature": {
            "content": content,
            "publicKey": {"content": base64.b64encode(canonical_pem).decode()},
        },
    }


KINDS: dict[str, Callable[[Mapping[str, Any]], dict[str, Any]]] = {"dsse": _dsse, "hashedrekord": _hashedrekord}


def _validate(*rules: tuple[str, bool]) -> None:
    failed = [message for message, holds in rules if not holds]
    if failed:
        message = "\n".join(["validation failure list:", *failed])
        raise UnacceptableEntryError(message)


def _load_verifier(pem: bytes) -> _Verifier:
    """Read a certificate or a public key in PEM; its chain and times are of no interest to a log."""
    try:
        if b"-----BEGIN CERTIFICATE-----" in pem:
            certificate = x509.load_pem_x509_certificate(pem)
            return certificate.public_key(), certificate.public_bytes(serialization.Encoding.PEM)
        key = serialization.load_pem_public_key(pem)
    except (ValueError, UnsupportedAlgorithm) as error:
        message = "could not parse public key as x509: invalid public key: failure decoding PEM"
        raise UnacceptableEntryError(message) from error
    return key, key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def _holds(key: object, signature: str, message: bytes) -> bool:
    """Tell whether a key made a signature over a message."""
    try:
        raw = base64.b64decode(signature, validate=True)
        match key:
            case ec.EllipticCurvePublicKey() if key.curve.name in _CURVE_HASHES:
                key.verify(raw, message, ec.ECDSA(_CURVE_HASHES[key.curve.name]()))
            case rsa.RSAPublicKey():
                key.verify(raw, message, padding.PKCS1v15(), hashes.SHA256())
            case ed25519.Ed25519PublicKey():
                key.verify(raw, message)
            case _:
                return False
    except (InvalidSignature, ValueError):
        return False
    return True


def _verify_digest(key: object, signature: bytes, digest: bytes, algorithm: hashes.HashAlgorithm) -> None:
    """Verify a signature over what has only its digest in the entry.

    Raises:
        InvalidSignature: it does not hold, or the key is of a kind that signs no digest.

    """
    match key:
        case ec.EllipticCurvePublicKey():
            key.verify(signature, digest, ec.ECDSA(Prehashed(algorithm)))
        case rsa.RSAPublicKey():
            key.verify(signature, digest, padding.PKCS1v15(), Prehashed(algorithm))
        case _:
            raise InvalidSignature


def _pae(payload_type: str, payload: bytes) -> bytes:
    """Return DSSE's pre-authentication encoding, version 1."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def _sha256(data: bytes) -> dict[str, str]:
    return {"algorithm": "sha256", "value": hashlib.sha256(data).hexdigest()}


def _base64(value: object) -> bytes:
    try:
        return base64.b64decode(value if isinstance(value, str) else "", validate=True)
    except binascii.Error as error:
        message = f"illegal base64 data: {error}"
        raise UnacceptableEntryError(message) from error

"""Proposed entries of the kinds ``dsse`` and ``hashedrekord`` 0.0.1: verified, and brought to their canonical form.

As Rekor's ``pkg/types`` does it; refusals have Rekor's words.
"""

from __future__ import annotations

import base64
import hashlib
from typing import TYPE_CHECKING, Any

import rfc8785
from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization

from hatch_attest.sandbox.bodies import NotJSONError, list_at, object_at, parse_object, text_at
from hatch_attest.sandbox.keys import verify, verify_digest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_HASHES: dict[str, type[hashes.HashAlgorithm]] = {
    "sha256": hashes.SHA256,
    "sha384": hashes.SHA384,
    "sha512": hashes.SHA512,
}


class UnacceptableEntryError(Exception):
    """An entry is refused: HTTP 400, in Rekor's words."""


def canonical(proposed: Mapping[str, Any], *, to_insert: bool) -> bytes:
    """Verify a proposed entry; returns the canonical body that the log keeps (RFC 8785).

    Args:
        proposed: has ``kind`` (one of ``KINDS``), ``apiVersion`` and ``spec``.
        to_insert: refuse what only tells of an entry and so cannot be verified.

    Raises:
        UnacceptableEntryError: it does not hold.

    """
    kind, version = proposed["kind"], proposed["apiVersion"]
    if version != "0.0.1":
        raise UnacceptableEntryError(
            f"{kind} implementation for version '{version}' not found: unable to locate entry for version {version}"
        )
    try:
        spec = KINDS[kind](object_at(proposed, "spec"))
        if to_insert and kind == "dsse" and not object_at(proposed, "spec", "proposedContent"):
            raise UnacceptableEntryError("entry not insertable into log: missing proposed content")
        return rfc8785.dumps({"apiVersion": version, "kind": kind, "spec": spec})
    except (NotJSONError, rfc8785.CanonicalizationError) as error:
        raise UnacceptableEntryError(str(error)) from error


def _dsse(spec: Mapping[str, Any]) -> dict[str, Any]:
    content = spec.get("proposedContent")
    computed = {name: spec.get(name) for name in ("envelopeHash", "payloadHash", "signatures")}
    either = "either proposedContent or envelopeHash, payloadHash, and signatures must be present"
    if content is None:
        if not all(computed.values()):
            raise UnacceptableEntryError(either)
        return computed
    if any(computed.values()):
        raise UnacceptableEntryError(f"{either} but not both")
    text, verifiers = text_at(content, "envelope"), list_at(content, "verifiers")
    wanted = "is required" if object_at(content).get("verifiers") is None else "should have at least 1 items"
    _validate(
        ("proposedContent.proposedContent.envelope in body is required", bool(text)),
        (f"proposedContent.proposedContent.verifiers in body {wanted}", bool(verifiers)),
    )
    envelope = parse_object(text)
    signatures = [text_at(signature, "sig") for signature in list_at(envelope, "signatures")]
    if not signatures:
        raise UnacceptableEntryError("DSSE envelope must contain 1 or more signatures")
    payload, *_ = (_envelope_base64(value) for value in (envelope.get("payload"), *signatures))
    verified = _verified(signatures, _pae(text_at(envelope, "payloadType"), payload), verifiers)
    return {
        "envelopeHash": _sha256(text.encode()),
        "payloadHash": _sha256(payload),
        "signatures": [
            {"signature": signature, "verifier": base64.b64encode(verified[signature]).decode()}
            for signature in sorted(verified)
        ],
    }


def _verified(signatures: list[str], message: bytes, verifiers: list[Any]) -> dict[str, bytes]:
    """Return each signature with the verifier that accepts it, in canonical PEM; all must be accepted.

    A verifier stands for one signature, the first that it accepts.
    """
    verified: dict[str, bytes] = {}
    for verifier in verifiers:
        if verified.keys() == set(signatures):
            break
        key, pem = _load_verifier(_base64(verifier))
        accepted = next((signature for signature in signatures if _holds(key, signature, message)), None)
        if accepted is None:
            raise UnacceptableEntryError(
                "could not verify envelope: accepted signatures do not match threshold, Found: 0, Expected 1"
            )
        verified.setdefault(accepted, pem)
    if verified.keys() != set(signatures):
        raise UnacceptableEntryError("all signatures must have a key that verifies it")
    return verified


def _hashedrekord(spec: Mapping[str, Any]) -> dict[str, Any]:
    algorithm, value = text_at(spec, "data", "hash", "algorithm"), text_at(spec, "data", "hash", "value")
    content, pem = text_at(spec, "signature", "content"), text_at(spec, "signature", "publicKey", "content")
    _validate(
        ("data.hash.algorithm in body should be one of [sha256 sha384 sha512]", algorithm in _HASHES),
        ("data.hash.value in body is required", bool(value)),
        ("signature.content in body is required", bool(content)),
        ("signature.publicKey.content in body is required", bool(pem)),
    )
    hash_algorithm = _HASHES[algorithm]()
    try:
        digest = bytes.fromhex(value)
    except ValueError:
        digest = b""
    if len(digest) != hash_algorithm.digest_size:
        raise UnacceptableEntryError("invalid value for hash")
    key, canonical_pem = _load_verifier(_base64(pem))
    try:
        verify_digest(key, _base64(content), digest, hash_algorithm)
    except InvalidSignature as error:
        raise UnacceptableEntryError(
            "verifying signature: invalid signature when validating ASN.1 encoded signature"
        ) from error
    return {
        "data": {"hash": {"algorithm": algorithm, "value": value}},
        "signature": {"content": content, "publicKey": {"content": base64.b64encode(canonical_pem).decode()}},
    }


#: What brings a ``spec`` of each kind to its canonical form.
KINDS: dict[str, Callable[[Mapping[str, Any]], dict[str, Any]]] = {"dsse": _dsse, "hashedrekord": _hashedrekord}


def _validate(*rules: tuple[str, bool]) -> None:
    failed = [message for message, holds in rules if not holds]
    if failed:
        raise UnacceptableEntryError("\n".join(["validation failure list:", *failed]))


def _load_verifier(pem: bytes) -> tuple[object, bytes]:
    """Read a certificate or a public key in PEM: the key, and the canonical PEM. A log is not asked about its chain."""
    try:
        if b"-----BEGIN CERTIFICATE-----" in pem:
            certificate = x509.load_pem_x509_certificate(pem)
            return certificate.public_key(), certificate.public_bytes(serialization.Encoding.PEM)
        key = serialization.load_pem_public_key(pem)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise UnacceptableEntryError(
            "could not parse public key as x509: invalid public key: failure decoding PEM"
        ) from error
    return key, key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def _holds(key: object, signature: str, message: bytes) -> bool:
    try:
        verify(key, base64.b64decode(signature, validate=True), message)
    except (InvalidSignature, ValueError):
        return False
    return True


def _pae(payload_type: str, payload: bytes) -> bytes:
    """Return DSSE's pre-authentication encoding, version 1."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def _sha256(data: bytes) -> dict[str, str]:
    return {"algorithm": "sha256", "value": hashlib.sha256(data).hexdigest()}


def _envelope_base64(value: object) -> bytes:
    try:
        return _base64(value)
    except UnacceptableEntryError as error:
        raise UnacceptableEntryError(
            "could not verify envelope: unable to base64 decode payload (is payload in the right format?)"
        ) from error


def _base64(value: object) -> bytes:
    try:
        return base64.b64decode(value if isinstance(value, str) else "", validate=True)
    except ValueError as error:
        raise UnacceptableEntryError(f"illegal base64 data: {error}") from error

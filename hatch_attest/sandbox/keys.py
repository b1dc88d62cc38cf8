"""Keys: which of the caller's the services accept and how their signatures are verified, and the logs' own."""

from __future__ import annotations

import base64
import hashlib

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed

PublicKey = ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey | rsa.RSAPublicKey

#: Each curve, with the hash that Sigstore's services want with it.
CURVE_HASHES: dict[str, type[hashes.HashAlgorithm]] = {
    "secp256r1": hashes.SHA256,
    "secp384r1": hashes.SHA384,
    "secp521r1": hashes.SHA512,
}


def verify(key: object, signature: bytes, data: bytes) -> None:
    """Verify a signature, made with the hash that belongs to the key.

    Raises:
        InvalidSignature: it does not hold, or the key is of another kind.

    """
    match key:
        case ec.EllipticCurvePublicKey() if key.curve.name in CURVE_HASHES:
            key.verify(signature, data, ec.ECDSA(CURVE_HASHES[key.curve.name]()))
        case rsa.RSAPublicKey():
            key.verify(signature, data, padding.PKCS1v15(), hashes.SHA256())
        case ed25519.Ed25519PublicKey():
            key.verify(signature, data)
        case _:
            raise InvalidSignature


def verify_digest(key: object, signature: bytes, digest: bytes, algorithm: hashes.HashAlgorithm) -> None:
    """Verify a signature over data of which only the digest is known.

    Raises:
        InvalidSignature: it does not hold, or the key is of a kind that signs no digests.

    """
    match key:
        case ec.EllipticCurvePublicKey():
            key.verify(signature, digest, ec.ECDSA(Prehashed(algorithm)))
        case rsa.RSAPublicKey():
            key.verify(signature, digest, padding.PKCS1v15(), Prehashed(algorithm))
        case _:
            raise InvalidSignature


class LogKey:
    """The key of a transparency log (Rekor's or the CT log's): ECDSA P-256, made at the start, in memory only.

    Attributes:
        public_der: the public key, DER SubjectPublicKeyInfo.
        public_pem: the same in PEM.
        key_id: SHA-256 of ``public_der``: RFC 6962's LogID, Rekor's logID.

    """

    def __init__(self) -> None:
        self._private = ec.generate_private_key(ec.SECP256R1())
        public, spki = self._private.public_key(), serialization.PublicFormat.SubjectPublicKeyInfo
        self.public_der = public.public_bytes(serialization.Encoding.DER, spki)
        self.public_pem = public.public_bytes(serialization.Encoding.PEM, spki)
        self.key_id = hashlib.sha256(self.public_der).digest()

    def sign(self, data: bytes) -> bytes:
        """Sign ``data`` with SHA-256; returns the DER signature."""
        return self._private.sign(data, ec.ECDSA(hashes.SHA256()))

    def trusted(self, base_url: str, start: str) -> dict[str, object]:
        """Describe this log as an entry of ``tlogs`` or ``ctlogs`` of a Sigstore TrustedRoot, valid from ``start``."""
        return {
            "baseUrl": base_url,
            "hashAlgorithm": "SHA2_256",
            "publicKey": {
                "rawBytes": base64.b64encode(self.public_der).decode(),
                "keyDetails": "PKIX_ECDSA_P256_SHA_256",
                "validFor": {"start": start},
            },
            "logId": {"keyId": base64.b64encode(self.key_id).decode()},
        }

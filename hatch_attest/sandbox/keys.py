"""The signing keys of the sandbox's logs: ECDSA P-256, made at the start, in memory only."""

from __future__ import annotations

import base64
import hashlib

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec


class LogKey:
    """The key of a transparency log (Rekor's or the CT log's).

    Attributes:
        public_der: the public key, DER SubjectPublicKeyInfo.
        key_id: SHA-256 of it: RFC 6962's LogID, Rekor's logID.

    """

    def __init__(self) -> None:
        self._private = ec.generate_private_key(ec.SECP256R1())
        public = self._private.public_key()
        encodings = serialization.Encoding, serialization.PublicFormat.SubjectPublicKeyInfo
        self.public_der = public.public_bytes(encodings[0].DER, encodings[1])
        self.public_pem = public.public_bytes(encodings[0].PEM, encodings[1])
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

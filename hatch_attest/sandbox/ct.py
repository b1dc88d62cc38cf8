"""The certificate transparency log: signs a timestamp for a precertificate (RFC 6962, section 3).

It keeps no tree: nobody asks it for proofs, clients check the embedded timestamp alone.
"""

from __future__ import annotations

import hashlib
import struct
import time
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtensionOID

from hatch_attest.sandbox.keys import LogKey

if TYPE_CHECKING:
    from collections.abc import Callable

_V1 = 0
_CERTIFICATE_TIMESTAMP = 0
_PRECERT_ENTRY = 1
_NO_EXTENSIONS = b"\x00\x00"
_SHA256_WITH_ECDSA = b"\x04\x03"  # RFC 5246, section 7.4.1.4.1


class CTLog:
    """A CT log that accepts what its one authority issues.

    Args:
        clock: gives the time, in seconds since the epoch.

    """

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self.key = LogKey()
        self._clock = clock

    def add_pre_chain(self, precertificate: x509.Certificate, issuer: x509.Certificate) -> bytes:
        """Log a precertificate; returns the SCT, serialized as a SignedCertificateTimestamp structure.

        Raises:
            ValueError, TypeError, cryptography.exceptions.InvalidSignature: ``issuer`` has not issued it.
            cryptography.x509.ExtensionNotFound: it has no poison, so it is not a precertificate.

        """
        precertificate.verify_directly_issued_by(issuer)
        precertificate.extensions.get_extension_for_class(x509.PrecertPoison)
        timestamp = int(self._clock() * 1000)
        spki = issuer.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        tbs = _without_poison(precertificate)
        entry = hashlib.sha256(spki).digest() + len(tbs).to_bytes(3, "big") + tbs
        signed = struct.pack("!BBQH", _V1, _CERTIFICATE_TIMESTAMP, timestamp, _PRECERT_ENTRY) + entry + _NO_EXTENSIONS
        signature = self.key.sign(signed)
        return (
            struct.pack("!B32sQ", _V1, self.key.key_id, timestamp)
            + _NO_EXTENSIONS
            + _SHA256_WITH_ECDSA
            + len(signature).to_bytes(2, "big")
            + signature
        )


def _without_poison(precertificate: x509.Certificate) -> bytes:
    """Return the TBSCertificate of the final certificate, less the SCTs: what a log signs (RFC 6962, section 3.2).

    cryptography gives a TBSCertificate only of a certificate that it built, so one is built anew from the
    precertificate's fields. The key that signs it is thrown away; it only has to be of the authority's kind, because
    the TBSCertificate names the signature's algorithm.
    """
    builder = (
        x509.CertificateBuilder()
        .issuer_name(precertificate.issuer)
        .subject_name(precertificate.subject)
        .public_key(precertificate.public_key())
        .serial_number(precertificate.serial_number)
        .not_valid_before(precertificate.not_valid_before_utc)
        .not_valid_after(precertificate.not_valid_after_utc)
    )
    for extension in precertificate.extensions:
        if not isinstance(extension.value, x509.PrecertPoison):
            builder = builder.add_extension(extension.value, critical=extension.critical)
    return builder.sign(ec.generate_private_key(ec.SECP384R1()), hashes.SHA384()).tbs_certificate_bytes


def signed_certificate_timestamps(sct: bytes) -> x509.UnrecognizedExtension:
    """Wrap one serialized SCT as the extension that embeds it (RFC 6962, section 3.3)."""
    element = len(sct).to_bytes(2, "big") + sct
    return x509.UnrecognizedExtension(
        ExtensionOID.PRECERT_SIGNED_CERTIFICATE_TIMESTAMPS,
        der(0x04, len(element).to_bytes(2, "big") + element),
    )


def der(tag: int, content: bytes) -> bytes:
    """Encode one DER value of a primitive type."""
    short_form = 0x80
    if len(content) < short_form:
        return bytes([tag, len(content)]) + content
    length = len(content).to_bytes((len(content).bit_length() + 7) // 8, "big")
    return bytes([tag, short_form | len(length)]) + length + content

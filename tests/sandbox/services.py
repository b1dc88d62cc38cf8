"""Requests to the sandbox's authority and log, made by hand: none of the code that the services are made of."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa

if TYPE_CHECKING:
    import httpx

    from hatch_attest.sandbox import Sandbox

PrivateKey = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey
ENTRIES = "/api/v1/log/entries"
PAYLOAD_TYPE = "application/vnd.in-toto+json"


def b64(data: bytes) -> str:
    """Encode in base64."""
    return base64.b64encode(data).decode()


def new_key() -> ec.EllipticCurvePrivateKey:
    """Make the kind of key that sigstore's clients make."""
    return ec.generate_private_key(ec.SECP256R1())


def csr(key: PrivateKey, algorithm: hashes.HashAlgorithm | None = None) -> bytes:
    """Make a signing request in PEM, with an empty subject."""
    if algorithm is None and not isinstance(key, ed25519.Ed25519PrivateKey):
        algorithm = hashes.SHA256()
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    # cryptography's types want a hash for every key, its code refuses one for Ed25519.
    return builder.sign(key, algorithm).public_bytes(serialization.Encoding.PEM)  # type: ignore[arg-type]


def public_pem(key: PrivateKey) -> str:
    """Return the public key in PEM."""
    spki = serialization.PublicFormat.SubjectPublicKeyInfo
    return key.public_key().public_bytes(serialization.Encoding.PEM, spki).decode()


def sign(key: PrivateKey, data: bytes) -> bytes:
    """Sign with the hash that belongs to the key."""
    match key:
        case ec.EllipticCurvePrivateKey():
            return key.sign(data, ec.ECDSA(hashes.SHA256()))
        case rsa.RSAPrivateKey():
            return key.sign(data, padding.PKCS1v15(), hashes.SHA256())
        case _:
            return key.sign(data)


def pae(payload: bytes, payload_type: str = PAYLOAD_TYPE) -> bytes:
    """Return what a DSSE signature is made over."""
    kind = payload_type.encode()
    return b" ".join([b"DSSEv1", str(len(kind)).encode(), kind, str(len(payload)).encode(), payload])


@dataclass
class Services:
    """A client of one sandbox."""

    sandbox: Sandbox
    client: httpx.Client
    key: ec.EllipticCurvePrivateKey = field(default_factory=new_key)

    def certify(self, body: dict[str, Any] | str | None = None, *, token: str | None = None) -> httpx.Response:
        """Ask for a certificate; by default a good request, with a good token of the played identity."""
        token = self.sandbox.issuer.token("sigstore") if token is None else token
        body = {"certificateSigningRequest": b64(csr(self.key))} if body is None else body
        return self.client.post(
            f"{self.sandbox.authority_url}/api/v2/signingCert",
            content=body if isinstance(body, str) else json.dumps(body),
            headers={"Content-Type": "application/json", **({"Authorization": f"Bearer {token}"} if token else {})},
        )

    def certificate(self) -> bytes:
        """Return a certificate for the key, in PEM."""
        chain = self.certify().json()["signedCertificateEmbeddedSct"]["chain"]["certificates"]
        return str(chain[0]).encode()

    def dsse(self, payload: bytes | None = None, *, key: PrivateKey | None = None, indent: int | None = None) -> Any:
        """Make a good ``dsse`` entry, of its own payload if none is given."""
        payload = secrets.token_bytes(16) if payload is None else payload
        signature = sign(key or self.key, pae(payload))
        envelope = {"payload": b64(payload), "payloadType": PAYLOAD_TYPE, "signatures": [{"sig": b64(signature)}]}
        return self.proposed("dsse", self.content(json.dumps(envelope, indent=indent)))

    def content(self, envelope: str, *verifiers: bytes) -> dict[str, Any]:
        """Make the ``spec`` of a ``dsse`` entry."""
        pems = verifiers or (self.certificate(),)
        return {"proposedContent": {"envelope": envelope, "verifiers": [b64(pem) for pem in pems]}}

    def hashedrekord(self, data: bytes, digest: str | None = None) -> Any:
        """Make a ``hashedrekord`` entry, good unless another digest is given."""
        return self.proposed(
            "hashedrekord",
            {
                "data": {"hash": {"algorithm": "sha256", "value": digest or hashlib.sha256(data).hexdigest()}},
                "signature": {"content": b64(sign(self.key, data)), "publicKey": {"content": b64(self.certificate())}},
            },
        )

    def proposed(self, kind: str, spec: Any) -> Any:
        """Make a proposed entry."""
        return {"apiVersion": "0.0.1", "kind": kind, "spec": spec}

    def post(self, entry: Any, **kwargs: Any) -> httpx.Response:
        """Post an entry to the log; a ``str`` as it is."""
        content = entry if isinstance(entry, str) else json.dumps(entry)
        headers = {"Content-Type": "application/json"} | kwargs.pop("headers", {})
        return self.client.post(f"{self.sandbox.log_url}{ENTRIES}", content=content, headers=headers, **kwargs)

    def get(self, path: str, **query: Any) -> httpx.Response:
        """Get something of the log's."""
        return self.client.get(f"{self.sandbox.log_url}{path}", params=query or None)

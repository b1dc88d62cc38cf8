"""Requests beyond the recorded ones that a client may make, well or badly, to the authority and to the log."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import jwt
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from hatch_attest.sandbox import EmailIdentity, GitHubIdentity, GitLabIdentity, GoogleIdentity
from tests.sandbox.services import ENTRIES, Services, b64, csr, new_key, pae, public_pem, sign

if TYPE_CHECKING:
    from collections.abc import Callable

    import httpx

PARSER = "the words are those of a parser, Go's there and Python's here"
NOT_OFFERED = "the sandbox offers what clients that sign and verify attestations use"

#: What of the sandbox's answer differs, and why.
DIFFERENT: dict[str, tuple[set[str], str]] = {
    "authority: both a signing request and a key": ({"message"}, PARSER),
    "authority: a body that is a list": ({"message"}, PARSER),
    "authority: a signing request that is a number": ({"message"}, PARSER),
    "authority: a proof that is no base64": ({"message"}, PARSER),
    "authority: names in snake case": ({"status", "body"}, NOT_OFFERED),
    "authority: its configuration": ({"status", "body"}, NOT_OFFERED),
    "log: a kind that is not offered": ({"status", "message", "body"}, NOT_OFFERED),
    "log: an envelope that is a list": ({"message"}, PARSER),
    "log: a verifier that is no base64": ({"message"}, PARSER),
    "log: an answer in plain text": ({"status", "body"}, NOT_OFFERED),
}


def _token(services: Services, identity: Any = None, audience: Any = "sigstore", **claims: Any) -> httpx.Response:
    token = services.sandbox.issuer.token(audience, identity=identity, **claims)
    return services.certify(token=token)


def _unsigned(services: Services) -> httpx.Response:
    claims = jwt.decode(services.sandbox.issuer.token("sigstore"), options={"verify_signature": False})
    return services.certify(token=jwt.encode(claims, "", algorithm="none"))


def _authorized(services: Services, scheme: str) -> httpx.Response:
    return services.client.post(
        f"{services.sandbox.authority_url}/api/v2/signingCert",
        json={"certificateSigningRequest": b64(csr(services.key))},
        headers={"Authorization": f"{scheme} {services.sandbox.issuer.token('sigstore')}"},
    )


def _token_in_body(services: Services) -> httpx.Response:
    credentials = {"oidcIdentityToken": services.sandbox.issuer.token("sigstore")}
    return services.certify(
        {"credentials": credentials, "certificateSigningRequest": b64(csr(services.key))},
        token="",
    )


def _csr(services: Services, key: Any, algorithm: Any = None) -> httpx.Response:
    return services.certify({"certificateSigningRequest": b64(csr(key, algorithm))})


def _key(services: Services, proof: str | None = None, **fields: Any) -> httpx.Response:
    proof = b64(sign(services.key, GitHubIdentity().subject.encode())) if proof is None else proof
    key = {"algorithm": "ECDSA", "content": public_pem(services.key)} | fields
    return services.certify({"publicKeyRequest": {"publicKey": key, "proofOfPossession": proof}})


def _both_keys(services: Services) -> httpx.Response:
    key = {"publicKey": {"content": public_pem(services.key)}, "proofOfPossession": b64(sign(services.key, b""))}
    return services.certify({"certificateSigningRequest": b64(csr(services.key)), "publicKeyRequest": key})


def _authority(services: Services, method: str, path: str) -> httpx.Response:
    return services.client.request(method, f"{services.sandbox.authority_url}{path}")


def _entry(services: Services, *without: str, **members: Any) -> httpx.Response:
    entry = services.dsse() | members
    return services.post({name: value for name, value in entry.items() if name not in without})


def _content(services: Services, **members: Any) -> httpx.Response:
    entry = services.dsse()
    entry["spec"]["proposedContent"] |= members
    return services.post(entry)


def _envelope(services: Services, **members: Any) -> httpx.Response:
    entry = services.dsse()
    content = entry["spec"]["proposedContent"]
    content["envelope"] = json.dumps(json.loads(content["envelope"]) | members)
    return services.post(entry)


def _second_signature(services: Services, *, key: Any, message: bytes, verifier: bool) -> httpx.Response:
    entry = services.dsse(b"twice signed")
    content = entry["spec"]["proposedContent"]
    envelope = json.loads(content["envelope"])
    envelope["signatures"].append({"sig": b64(sign(key, pae(message)))})
    content["envelope"] = json.dumps(envelope)
    if verifier:
        content["verifiers"].append(b64(public_pem(key).encode()))
    return services.post(entry)


def _posted(services: Services) -> str:
    return str(services.post(services.dsse()).headers["etag"])


def _retrieve(services: Services, query: Any) -> httpx.Response:
    return services.client.post(f"{services.sandbox.log_url}{ENTRIES}/retrieve", json=query)


REQUESTS: dict[str, Callable[[Services], httpx.Response]] = {
    "authority: the token in the body": _token_in_body,
    "authority: Basic instead of Bearer": lambda s: _authorized(s, "Basic"),
    "authority: bearer in lower case": lambda s: _authorized(s, "bearer"),
    "authority: an unsigned token": _unsigned,
    "authority: no audience": lambda s: _token(s, audience=None),
    "authority: an empty audience": lambda s: _token(s, audience=[]),
    "authority: no subject": lambda s: _token(s, sub=None),
    "authority: no expiry": lambda s: _token(s, exp=None),
    "authority: an expiry in words": lambda s: _token(s, exp="soon"),
    "authority: issued in the future": lambda s: _token(s, iat=int(time.time()) + 4000),
    "authority: no repository": lambda s: _token(s, repository=None),
    "authority: no workflow reference": lambda s: _token(s, job_workflow_ref=None),
    "authority: no visibility": lambda s: _token(s, repository_visibility=None),
    "authority: a claim that is a number": lambda s: _token(s, run_id=5),
    "authority: an empty environment": lambda s: _token(s, environment=""),
    "authority: GitLab without its configuration": lambda s: _token(s, GitLabIdentity(), ci_config_ref_uri=None),
    "authority: GitLab without its project": lambda s: _token(s, GitLabIdentity(), project_id=None),
    "authority: a person without address": lambda s: _token(s, EmailIdentity(), email=None),
    "authority: an address that is none": lambda s: _token(s, EmailIdentity(), email="no address"),
    "authority: an address of unknown state": lambda s: _token(s, EmailIdentity(), email_verified=None),
    "authority: an address verified in words": lambda s: _token(s, EmailIdentity(), email_verified="true"),
    "authority: a person of no account": lambda s: _token(s, EmailIdentity(), federated_claims=None),
    "authority: Google without address": lambda s: _token(s, GoogleIdentity(), email=None),
    "authority: P-384": lambda s: _csr(s, ec.generate_private_key(ec.SECP384R1()), hashes.SHA384()),
    "authority: P-521": lambda s: _csr(s, ec.generate_private_key(ec.SECP521R1()), hashes.SHA512()),
    "authority: P-256 with SHA-384": lambda s: _csr(s, s.key, hashes.SHA384()),
    "authority: RSA with SHA-512": lambda s: _csr(s, rsa.generate_private_key(65537, 2048), hashes.SHA512()),
    "authority: a signing request that is a number": lambda s: s.certify({"certificateSigningRequest": 3}),
    "authority: both a signing request and a key": _both_keys,
    "authority: a key of no algorithm": lambda s: _key(s, algorithm=""),
    "authority: a key that is no PEM": lambda s: _key(s, content="no key"),
    "authority: a key without proof": lambda s: _key(s, proof=""),
    "authority: a proof that is no base64": lambda s: _key(s, proof="%%"),
    "authority: an empty body": lambda s: s.certify(""),
    "authority: a body that is a list": lambda s: s.certify("[]"),
    "authority: names in snake case": lambda s: s.certify({"certificate_signing_request": b64(csr(s.key))}),
    "authority: a slash too many": lambda s: _authority(s, "POST", "/api/v2/signingCert/"),
    "authority: PUT": lambda s: _authority(s, "PUT", "/api/v2/signingCert"),
    "authority: POST for the bundle": lambda s: _authority(s, "POST", "/api/v2/trustBundle"),
    "authority: its configuration": lambda s: _authority(s, "GET", "/api/v2/configuration"),
    "log: two signatures, two verifiers": lambda s: _second_signature(
        s, key=new_key(), message=b"twice signed", verifier=True
    ),
    "log: two signatures, one verifier": lambda s: _second_signature(
        s, key=s.key, message=b"twice signed", verifier=False
    ),
    "log: a second signature that is bad": lambda s: _second_signature(s, key=s.key, message=b"other", verifier=False),
    "log: a bare key as verifier": lambda s: _content(s, verifiers=[b64(public_pem(s.key).encode())]),
    "log: a verifier that is no base64": lambda s: _content(s, verifiers=["%%%"]),
    "log: no verifiers": lambda s: _content(s, verifiers=None),
    "log: an envelope that is a list": lambda s: _content(s, envelope="[]"),
    "log: another payload type": lambda s: _envelope(s, payloadType="text/plain"),
    "log: a payload that is no base64": lambda s: _envelope(s, payload="%%%"),
    "log: an empty payload": lambda s: _envelope(s, payload=""),
    "log: a signature that is no base64": lambda s: _envelope(s, signatures=[{"sig": "%%%"}]),
    "log: an empty signature": lambda s: _envelope(s, signatures=[{"sig": ""}]),
    "log: an unknown member in the envelope": lambda s: _envelope(s, unknown=1),
    "log: an unknown member in the entry": lambda s: _entry(s, unknown=1),
    "log: no version": lambda s: _entry(s, "apiVersion"),
    "log: neither version nor spec": lambda s: _entry(s, "apiVersion", "spec"),
    "log: a version that is none": lambda s: _entry(s, apiVersion="new"),
    "log: a kind that is not offered": lambda s: _entry(s, kind="rekord", spec={}),
    "log: a character set in the type": lambda s: s.post(
        s.dsse(), headers={"Content-Type": "application/json; charset=utf-8"}
    ),
    "log: an index in words": lambda s: s.get(ENTRIES, logIndex="one"),
    "log: no index": lambda s: s.get(ENTRIES),
    "log: an empty index": lambda s: s.get(ENTRIES, logIndex=""),
    "log: an entry by its hash alone": lambda s: s.get(f"{ENTRIES}/{_posted(s)[16:]}"),
    "log: an entry in upper case": lambda s: s.get(f"{ENTRIES}/{_posted(s).upper()}"),
    "log: entries by UUID": lambda s: _retrieve(s, {"entryUUIDs": [_posted(s)]}),
    "log: entries by a UUID that is none": lambda s: _retrieve(s, {"entryUUIDs": ["none"]}),
    "log: entries by index": lambda s: _retrieve(s, {"logIndexes": [0]}),
    "log: entries that are not there": lambda s: _retrieve(s, {"logIndexes": [99999]}),
    "log: too many entries": lambda s: _retrieve(s, {"logIndexes": list(range(11))}),
    "log: a proof of nothing": lambda s: s.get("/api/v1/log/proof"),
    "log: a proof backwards": lambda s: s.get("/api/v1/log/proof", firstSize=3, lastSize=2),
    "log: a proof from nothing": lambda s: s.get("/api/v1/log/proof", firstSize=0, lastSize=2),
    "log: a proof in words": lambda s: s.get("/api/v1/log/proof", firstSize="one", lastSize=2),
    "log: a proof of another tree": lambda s: s.get("/api/v1/log/proof", lastSize=2, treeID="5"),
    "log: PUT": lambda s: s.client.put(f"{s.sandbox.log_url}{ENTRIES}", json={}),
    "log: an answer in plain text": lambda s: s.client.get(
        f"{s.sandbox.log_url}/api/v1/log", headers={"Accept": "text/plain"}
    ),
}

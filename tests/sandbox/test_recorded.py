"""The answers of the real Fulcio v1.8.8 and Rekor v1.5.4 are the measure of the authority and the log.

``recorded/answers.json`` holds what they answered to 78 requests. Each request is made again to the sandbox, and the
answers are compared: status, headers, and the body, its code and message or its shape.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jwt
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from hatch_attest.sandbox import EmailIdentity, GitHubIdentity, GitLabIdentity, GoogleIdentity
from tests.sandbox.services import ENTRIES, Services, b64, csr, public_pem, sign

if TYPE_CHECKING:
    from collections.abc import Callable

    import httpx

RECORDED: dict[str, dict[str, Any]] = json.loads(
    Path(__file__).with_name("recorded").joinpath("answers.json").read_text(encoding="utf-8")
)

PARSER = "the words are those of the JSON parser, Go's there and Python's here"
NO_CT_API = "the CT log has no HTTP interface: clients check the embedded timestamp alone"
PLACEHOLDER = "the record holds a placeholder instead of the body"

#: What of the sandbox's answer differs from the recorded one, and why.
DIFFERENT: dict[str, tuple[set[str], str]] = {
    "fulcio CSR is not base64": ({"message"}, PARSER),
    "fulcio body is not JSON": ({"message"}, PARSER),
    "fulcio trustBundle": ({"body"}, PLACEHOLDER),
    "rekor envelope is not JSON": ({"message"}, PARSER),
    "rekor body is not JSON": ({"message"}, PARSER),
    "rekor publicKey": ({"body"}, "each log has a key of its own"),
    "ct get-sth": ({"status", "body"}, NO_CT_API),
    "ct get-roots": ({"status", "content-type", "body"}, NO_CT_API),
}

#: Headers of the transport, which say nothing of the service.
TRANSPORT = {"content-type", "transfer-encoding"}
UUID = re.compile(r"\b[0-9a-f]{80}\b")
CHECKPOINT = re.compile(r"^(\S+) - \d+\n\d+\n[\w+/]{43}=\n\n\N{EM DASH} \1 [\w+/]+={0,2}\n$")


def _token(services: Services, **claims: Any) -> str:
    return services.sandbox.issuer.token("sigstore", **claims)


def _github(services: Services, **claims: Any) -> httpx.Response:
    return services.certify(token=_token(services, **claims))


def _played(services: Services, identity: Any) -> httpx.Response:
    return services.certify(token=services.sandbox.issuer.token("sigstore", identity=identity))


def _forged(services: Services) -> httpx.Response:
    claims = jwt.decode(_token(services), options={"verify_signature": False})
    header = jwt.get_unverified_header(_token(services))
    return services.certify(token=jwt.encode(claims, _rsa_key(2048), algorithm="RS256", headers={"kid": header["kid"]}))


def _rsa_key(size: int) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=size)


def _spoilt_csr(services: Services) -> httpx.Response:
    """Ask with a signing request whose last byte, one of its signature's, is another."""
    request = x509.load_pem_x509_csr(csr(services.key)).public_bytes(serialization.Encoding.DER)
    spoilt = base64.encodebytes(request[:-1] + bytes([request[-1] ^ 1])).decode()
    return _csr(services, f"-----BEGIN CERTIFICATE REQUEST-----\n{spoilt}-----END CERTIFICATE REQUEST-----\n".encode())


def _csr(services: Services, content: bytes) -> httpx.Response:
    return services.certify({"certificateSigningRequest": b64(content)})


def _proof(services: Services, signed: str) -> httpx.Response:
    key = {"algorithm": "ECDSA", "content": public_pem(services.key)}
    proof = b64(sign(services.key, signed.encode()))
    return services.certify({"publicKeyRequest": {"publicKey": key, "proofOfPossession": proof}})


def _twice(services: Services, entry: Any) -> httpx.Response:
    assert services.post(entry).status_code == 201
    return services.post(entry)


def _respaced(services: Services) -> httpx.Response:
    entry = services.dsse()
    assert services.post(entry).status_code == 201
    content = entry["spec"]["proposedContent"]
    content["envelope"] = json.dumps(json.loads(content["envelope"]), indent=2)
    return services.post(entry)


def _edited_envelope(services: Services, **members: Any) -> httpx.Response:
    entry = services.dsse()
    content = entry["spec"]["proposedContent"]
    content["envelope"] = json.dumps(json.loads(content["envelope"]) | members)
    return services.post(entry)


def _edited_content(services: Services, **members: Any) -> httpx.Response:
    entry = services.dsse()
    entry["spec"]["proposedContent"] |= members
    return services.post(entry)


def _edited_entry(services: Services, *without: str, **members: Any) -> httpx.Response:
    entry = services.dsse() | members
    return services.post({name: value for name, value in entry.items() if name not in without})


def _other_certificate(services: Services) -> httpx.Response:
    return _edited_content(services, verifiers=[b64(Services(services.sandbox, services.client).certificate())])


def _spoilt_hashedrekord(services: Services) -> httpx.Response:
    entry = services.hashedrekord(b"x")
    entry["spec"]["signature"]["content"] = b64(sign(services.key, b"y"))
    return services.post(entry)


def _entry(services: Services) -> str:
    """Make an entry; returns its UUID."""
    return str(services.post(services.dsse()).headers["etag"])


def _by_index(services: Services) -> httpx.Response:
    uuid = _entry(services)
    index = services.get(f"{ENTRIES}/{uuid}").json()[uuid]["logIndex"]
    return services.get(ENTRIES, logIndex=index)


def _retrieve(services: Services, query: Any) -> httpx.Response:
    return services.client.post(f"{services.sandbox.log_url}{ENTRIES}/retrieve", json=query)


def _retrieve_known(services: Services) -> httpx.Response:
    entry = services.dsse()
    assert services.post(entry).status_code == 201
    return _retrieve(services, {"entries": [entry]})


def _three_entries(services: Services) -> Services:
    while len(services.sandbox.log.entries) < 3:
        _entry(services)
    return services


def _authority(services: Services, method: str, path: str) -> httpx.Response:
    return services.client.request(method, f"{services.sandbox.authority_url}{path}")


def _log(services: Services, method: str, path: str, **kwargs: Any) -> httpx.Response:
    return services.client.request(method, f"{services.sandbox.log_url}{path}", **kwargs)


#: How each recorded request is made, as its name describes it.
REQUESTS: dict[str, Callable[[Services], httpx.Response]] = {
    "fulcio ok github": lambda s: _played(s, GitHubIdentity()),
    "fulcio ok github-environment": lambda s: _played(s, GitHubIdentity(environment="pypi")),
    "fulcio ok gitlab": lambda s: _played(s, GitLabIdentity()),
    "fulcio ok gitlab-environment": lambda s: _played(s, GitLabIdentity(environment="pypi")),
    "fulcio ok email-google": lambda s: _played(s, GoogleIdentity(email="octocat@example.com")),
    "fulcio ok email-dex": lambda s: _played(s, EmailIdentity()),
    "fulcio wrong audience": lambda s: s.certify(token=s.sandbox.issuer.token("pypi")),
    "fulcio audience list with sigstore": lambda s: s.certify(token=s.sandbox.issuer.token(["pypi", "sigstore"])),
    "fulcio expired token": lambda s: _github(s, exp=int(time.time()) - 3600),
    "fulcio expired 4 s ago": lambda s: _github(s, exp=int(time.time()) - 4),
    "fulcio not yet valid, 60 s": lambda s: _github(s, nbf=int(time.time()) + 60),
    "fulcio not yet valid, 600 s": lambda s: _github(s, nbf=int(time.time()) + 600),
    "fulcio forged token": _forged,
    "fulcio unknown issuer": lambda s: _github(s, iss="https://issuer.example"),
    "fulcio no token": lambda s: s.certify(token=""),
    "fulcio garbage token": lambda s: s.certify(token="garbage"),  # noqa: S106  # no secret
    "fulcio claim missing": lambda s: _github(s, job_workflow_sha=None),
    "fulcio claim empty": lambda s: _github(s, job_workflow_sha=""),
    "fulcio e-mail not verified": lambda s: _played(s, EmailIdentity(verified=False)),
    "fulcio CSR signature wrong": _spoilt_csr,
    "fulcio CSR is not one": lambda s: _csr(s, b"no request"),
    "fulcio CSR is not base64": lambda s: s.certify({"certificateSigningRequest": "%%%"}),
    "fulcio CSR DER, not PEM": lambda s: _csr(s, b"\x30\x82\x01\x00"),
    "fulcio no CSR": lambda s: s.certify({}),
    "fulcio unknown field": lambda s: s.certify({"certificateSigningRequest": b64(csr(s.key)), "unknown": 1}),
    "fulcio body is not JSON": lambda s: s.certify("{not JSON"),
    "fulcio RSA 1024": lambda s: _csr(s, csr(_rsa_key(1024))),
    "fulcio RSA 2048": lambda s: _csr(s, csr(_rsa_key(2048))),
    "fulcio P-384 with SHA-256": lambda s: _csr(s, csr(ec.generate_private_key(ec.SECP384R1()), hashes.SHA256())),
    "fulcio Ed25519": lambda s: _csr(s, csr(ed25519.Ed25519PrivateKey.generate())),
    "fulcio proof of possession ok": lambda s: _proof(s, GitHubIdentity().subject),
    "fulcio proof of possession wrong": lambda s: _proof(s, "repo:octo-org/gadget:ref:refs/tags/v1"),
    "fulcio GET signingCert": lambda s: _authority(s, "GET", "/api/v2/signingCert"),
    "fulcio no such path": lambda s: _authority(s, "GET", "/api/v2/nope"),
    "fulcio trustBundle": lambda s: _authority(s, "GET", "/api/v2/trustBundle"),
    "rekor new dsse": lambda s: s.post(s.dsse()),
    "rekor same dsse again": lambda s: _twice(s, s.dsse()),
    "rekor same dsse, other spacing": _respaced,
    "rekor bad signature": lambda s: _edited_envelope(s, signatures=[{"sig": b64(sign(s.key, b"other"))}]),
    "rekor payload changed": lambda s: _edited_envelope(s, payload=b64(b"other")),
    "rekor verifier of another key": _other_certificate,
    "rekor verifier is no certificate": lambda s: _edited_content(s, verifiers=[b64(b"no certificate")]),
    "rekor verifiers empty": lambda s: _edited_content(s, verifiers=[]),
    "rekor envelope is not JSON": lambda s: _edited_content(s, envelope="{not JSON"),
    "rekor no signatures": lambda s: _edited_envelope(s, signatures=[]),
    "rekor unknown kind": lambda s: _edited_entry(s, kind="nonesuch"),
    "rekor unknown version": lambda s: _edited_entry(s, apiVersion="9.9.9"),
    "rekor no kind": lambda s: _edited_entry(s, "kind"),
    "rekor no spec": lambda s: _edited_entry(s, "spec"),
    "rekor spec empty": lambda s: _edited_entry(s, spec={}),
    "rekor empty object": lambda s: s.post({}),
    "rekor empty body": lambda s: s.post(""),
    "rekor body is not JSON": lambda s: s.post("{not JSON"),
    "rekor content type text": lambda s: s.post(s.dsse(), headers={"Content-Type": "text/plain"}),
    "rekor new hashedrekord": lambda s: s.post(s.hashedrekord(b"new")),
    "rekor same hashedrekord again": lambda s: _twice(s, s.hashedrekord(b"again")),
    "rekor hashedrekord bad signature": _spoilt_hashedrekord,
    "rekor hashedrekord other hash": lambda s: s.post(s.hashedrekord(b"x", hashlib.sha256(b"y").hexdigest())),
    "rekor hashedrekord short hash": lambda s: s.post(s.hashedrekord(b"x", "00ff")),
    "rekor GET by uuid": lambda s: s.get(f"{ENTRIES}/{_entry(s)}"),
    "rekor GET by index": _by_index,
    "rekor GET index too high": lambda s: s.get(ENTRIES, logIndex=10**9),
    "rekor GET index negative": lambda s: s.get(ENTRIES, logIndex=-1),
    "rekor GET unknown uuid": lambda s: s.get(f"{ENTRIES}/{s.sandbox.log.tree_id:016x}{'0' * 64}"),
    "rekor GET unknown tree": lambda s: s.get(f"{ENTRIES}/{1:016x}{_entry(s)[16:]}"),
    "rekor GET malformed uuid": lambda s: s.get(f"{ENTRIES}/nonsense"),
    "rekor retrieve by entry": _retrieve_known,
    "rekor retrieve unknown": lambda s: _retrieve(s, {"entries": [s.dsse()]}),
    "rekor retrieve nothing": lambda s: _retrieve(s, {}),
    "rekor log": lambda s: _three_entries(s).get("/api/v1/log"),
    "rekor publicKey": lambda s: s.get("/api/v1/log/publicKey"),
    "rekor proof": lambda s: _three_entries(s).get("/api/v1/log/proof", firstSize=1, lastSize=3),
    "rekor proof too large": lambda s: _three_entries(s).get("/api/v1/log/proof", firstSize=1, lastSize=99),
    "rekor DELETE": lambda s: _log(s, "DELETE", ENTRIES),
    "rekor no such path": lambda s: s.get("/api/v1/nope"),
    "rekor search index (off)": lambda s: _log(
        s, "POST", "/api/v1/index/retrieve", json={"hash": "sha256:" + "0" * 64}
    ),
    "ct get-sth": lambda s: _authority(s, "GET", "/ct/v1/get-sth"),
    "ct get-roots": lambda s: _authority(s, "GET", "/ct/v1/get-roots"),
}


def test_every_recorded_request_is_made_and_every_difference_has_a_case() -> None:
    """A case that the tables forget would not be compared."""
    assert REQUESTS.keys() == RECORDED.keys()
    assert DIFFERENT.keys() <= RECORDED.keys()
    assert len(RECORDED) == 78


@pytest.mark.parametrize("case", RECORDED)
def test_the_sandbox_answers_as_the_real_service_did(case: str, services: Services) -> None:
    """A client's handling of a refusal would be tested against words that no real service says."""
    recorded, response = RECORDED[case], REQUESTS[case](services)
    expected, _reason = DIFFERENT.get(case, (set(), ""))
    assert _differences(recorded, response) == expected, response.text


def _differences(recorded: dict[str, Any], response: httpx.Response) -> set[str]:
    headers = {name.lower(): value for name, value in recorded["headers"].items()}
    content_type = headers.get("content-type")
    wanted = {name: _normal(value) for name, value in headers.items() if name not in TRANSPORT}
    differences = {
        "status": response.status_code == recorded["status"],
        "content-type": response.headers.get("content-type") == content_type,
        "headers": {name: _normal(response.headers.get(name, "")) for name in wanted} == wanted,
        **_compared_bodies(recorded["body"], response),
    }
    return {name for name, agrees in differences.items() if not agrees}


def _compared_bodies(recorded: Any, response: httpx.Response) -> dict[str, bool]:
    """Compare the words of a refusal, and the shape of an answer, whose values are each service's own."""
    if response.headers.get("content-type") != "application/json":
        return {"body": response.text == recorded}
    body = response.json()
    if isinstance(recorded, dict) and "message" in recorded and "message" in body:
        return {
            "message": _normal(body["message"]) == _normal(recorded["message"]),
            "body": body | {"message": ""} == recorded | {"message": ""},
        }
    return {"body": _shape(body) == _shape(recorded)}


def _normal(text: str) -> str:
    """Replace an entry's identifier, and a checkpoint's values."""
    return CHECKPOINT.sub("CHECKPOINT", UUID.sub("UUID", text))


def _shape(value: Any, name: str = "") -> Any:
    """Replace what is each service's own: identifiers, times, hashes and signatures; an entry's body is opened."""
    match value:
        case dict():
            return {_normal(member): _shape(value[member], member) for member in value}
        case list():
            return "hashes" if name == "hashes" else [_shape(element) for element in value]
        case str() if name == "body":
            return _shape(json.loads(base64.b64decode(value)))
        case str() if name in {"kind", "apiVersion", "algorithm", "checkpoint", "signedTreeHead"}:
            return _normal(value)
        case _:
            return type(value).__name__

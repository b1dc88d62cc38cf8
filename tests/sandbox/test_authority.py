"""The authority refuses what is not the caller's, in Fulcio's words; ``test_recorded`` has the recorded refusals."""

from __future__ import annotations

import asyncio
import base64
import json
from typing import TYPE_CHECKING, Any, cast

import httpx
import jwt
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from hatch_attest.sandbox import EmailIdentity, GitHubIdentity, GitLabIdentity, GoogleIdentity
from hatch_attest.sandbox.authority import Authority
from hatch_attest.sandbox.ct import CTLog
from hatch_attest.sandbox.identities import GITLAB
from hatch_attest.sandbox.issuer import Issuer
from tests.sandbox.services import Services, b64, csr, new_key, public_pem, sign

if TYPE_CHECKING:
    from collections.abc import Callable

    from hatch_attest.sandbox.identities import Identity

BAD_TOKEN = "There was an error processing the identity token"  # noqa: S105  # a message
BAD_SIGNATURE = "The signature supplied in the request could not be verified"


def refusal(response: httpx.Response) -> str:
    """Return the words of a refusal, which has HTTP 400, code 3 and no newline at the end."""
    body = response.json()
    assert (response.status_code, body["code"], body["details"]) == (400, 3, [])
    assert not response.text.endswith("\n")
    return str(body["message"])


def test_a_token_with_one_changed_claim_is_refused(shared_services: Services) -> None:
    """Anybody could make themselves a certificate of another repository."""
    header, payload, signature = shared_services.sandbox.issuer.token("sigstore").split(".")
    claims = json.loads(base64.urlsafe_b64decode(payload + "=="))
    claims["repository"] = "octo-org/gadget"
    forged = base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=").decode()
    assert refusal(shared_services.certify(token=f"{header}.{forged}.{signature}")) == BAD_TOKEN


def test_a_token_of_one_issuer_signed_by_another_is_refused(shared_services: Services) -> None:
    """GitLab could speak for GitHub."""
    token = shared_services.sandbox.issuer.token("sigstore", identity=GitHubIdentity(), iss=GITLAB)
    assert refusal(shared_services.certify(token=token)) == BAD_TOKEN


@pytest.mark.parametrize("algorithm", ["none", "HS256"])
def test_a_token_without_the_issuer_s_signature_is_refused(algorithm: str, shared_services: Services) -> None:
    """The classic forgeries: no signature, and the public key taken for a shared secret."""
    issuer = shared_services.sandbox.issuer
    header, claims = (
        jwt.get_unverified_header(issuer.token("sigstore")),
        jwt.decode(issuer.token("sigstore"), options={"verify_signature": False}),
    )
    (public,) = cast("list[dict[str, str]]", issuer.jwks()["keys"])
    key = public["n"].encode() if algorithm == "HS256" else None
    token = jwt.encode(claims, key, algorithm=algorithm, headers={"kid": header["kid"]})  # type: ignore[arg-type]
    assert refusal(shared_services.certify(token=token)) == BAD_TOKEN


@pytest.mark.parametrize("claim", ["iss", "aud", "exp"])
def test_a_token_without_a_claim_that_every_token_has_is_refused(claim: str, shared_services: Services) -> None:
    """A token that never expires, or is for anybody, would do."""
    token = shared_services.sandbox.issuer.token("sigstore", **{claim: None})
    assert refusal(shared_services.certify(token=token)) == BAD_TOKEN


@pytest.mark.parametrize(
    "claims",
    [
        {"email": None},
        {"email": "no address"},
        {"email": "größe@example.com"},
        {"email_verified": "yes"},
        {"email_verified": None},
        {"federated_claims": None},
        {"federated_claims": {"connector_id": 1}},
    ],
    ids=str,
)
def test_a_person_without_a_verified_address_is_refused(claims: dict[str, Any], shared_services: Services) -> None:
    """A certificate would name an address that nobody checked."""
    token = shared_services.sandbox.issuer.token("sigstore", identity=EmailIdentity(), **claims)
    assert refusal(shared_services.certify(token=token)) == BAD_TOKEN


@pytest.mark.parametrize(
    ("identity", "claim", "words"),
    [
        (
            GitHubIdentity(),
            "job_workflow_ref",
            'template: :1:14: executing "" at <.job_workflow_ref>: map has no entry',
        ),
        (GitHubIdentity(), "run_attempt", 'template: :1:68: executing "" at <.run_attempt>: map has no entry'),
        (GitHubIdentity(), "sha", "value <sha> not present in either claims or defaults."),
        (GitLabIdentity(), "ref_type", 'template: :1:13: executing "" at <.ref_type>: map has no entry'),
        (
            GitLabIdentity(),
            "project_visibility",
            "value <project_visibility> not present in either claims or defaults.",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) and " " not in value else "",
)
def test_a_job_s_token_without_a_claim_that_the_certificate_needs_is_refused(
    identity: Identity, claim: str, words: str, shared_services: Services
) -> None:
    """What a new kind of token lacks would go unnoticed until the real Fulcio refuses it."""
    token = shared_services.sandbox.issuer.token("sigstore", identity=identity, **{claim: None})
    assert refusal(shared_services.certify(token=token)).startswith(words)


def test_a_bad_key_is_refused_before_a_missing_claim(shared_services: Services) -> None:
    """Fulcio reads a job's claims only when it writes the certificate; its first refusal would be another."""
    token = shared_services.sandbox.issuer.token("sigstore", identity=GitHubIdentity(), sha=None)
    words = refusal(shared_services.certify({"certificateSigningRequest": b64(b"no request")}, token=token))
    assert words == "The certificate signing request could not be parsed"


@pytest.mark.parametrize(
    ("make", "algorithm", "words"),
    [
        (lambda: ec.generate_private_key(ec.SECP256R1()), hashes.SHA256(), None),
        (lambda: ec.generate_private_key(ec.SECP384R1()), hashes.SHA384(), None),
        (lambda: ec.generate_private_key(ec.SECP521R1()), hashes.SHA512(), None),
        (lambda: rsa.generate_private_key(public_exponent=65537, key_size=3072), hashes.SHA256(), None),
        (ed25519.Ed25519PrivateKey.generate, None, None),
        (lambda: ec.generate_private_key(ec.SECP256R1()), hashes.SHA384(), "*ecdsa.PublicKey, SHA-384"),
        (
            lambda: rsa.generate_private_key(public_exponent=65537, key_size=2048),
            hashes.SHA512(),
            "*rsa.PublicKey, SHA-512",
        ),
        (lambda: ec.generate_private_key(ec.SECP224R1()), hashes.SHA256(), "insecure"),
        (lambda: rsa.generate_private_key(public_exponent=65537, key_size=2500), hashes.SHA256(), "insecure"),
    ],
    ids=["P-256", "P-384", "P-521", "RSA 3072", "Ed25519", "P-256/384", "RSA/512", "P-224", "RSA 2500"],
)
def test_a_key_is_certified_if_fulcio_permits_it_with_its_hash(
    make: Callable[[], Any], algorithm: hashes.HashAlgorithm | None, words: str | None, shared_services: Services
) -> None:
    """A signer could be changed to a key that the real Fulcio refuses."""
    key = make()
    response = shared_services.certify({"certificateSigningRequest": b64(csr(key, algorithm))})
    if words is None:
        assert response.status_code == 200
    elif words == "insecure":
        assert refusal(response) == "The public key supplied in the request is insecure"
    else:
        assert refusal(response) == f"signing algorithm not permitted: {words}"


@pytest.mark.parametrize(
    ("identity", "name"),
    [
        (GitHubIdentity(), GitHubIdentity().subject),
        (GoogleIdentity(), GoogleIdentity().email),
        (EmailIdentity(), EmailIdentity().email),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_proof_of_possession_signs_the_principal_s_name(
    identity: Identity, name: str, shared_services: Services
) -> None:
    """A proof that was made for one identity would do for another."""
    key, token = new_key(), shared_services.sandbox.issuer.token("sigstore", identity=identity)

    def prove(signed: str) -> httpx.Response:
        request = {"publicKey": {"content": public_pem(key)}, "proofOfPossession": b64(sign(key, signed.encode()))}
        return shared_services.certify({"publicKeyRequest": request}, token=token)

    assert prove(name).status_code == 200
    assert refusal(prove(f"{name}x")) == BAD_SIGNATURE


def test_a_request_with_two_keys_is_refused(shared_services: Services) -> None:
    """It would be the service's choice which key is certified."""
    body = {"certificateSigningRequest": b64(csr(new_key())), "publicKeyRequest": {}}
    assert "is already set" in refusal(shared_services.certify(body))


def test_the_token_may_stand_in_the_body(shared_services: Services) -> None:
    """Clients that use Fulcio's gRPC schema send it there."""
    token = shared_services.sandbox.issuer.token("sigstore")
    body = {"certificateSigningRequest": b64(csr(new_key())), "credentials": {"oidcIdentityToken": token}}
    assert shared_services.certify(body, token="").status_code == 200


@pytest.mark.parametrize(
    "body",
    [
        "[]",
        "1",
        '{"certificateSigningRequest": 1}',
        '{"publicKeyRequest": []}',
        '{"publicKeyRequest": {"publicKey": 1}}',
    ],
)
def test_a_misshapen_body_is_refused_not_a_failure_of_the_service(body: str, shared_services: Services) -> None:
    """A defect of a client would look like one of the service."""
    refusal(shared_services.certify(body))


def test_the_time_is_judged_by_the_authority_s_clock_without_leeway() -> None:
    """How a signer behaves when its token runs out could not be rehearsed to the second."""
    now = [1_800_000_000.0]
    issuer = Issuer("http://127.0.0.1", clock=lambda: now[0])
    authority = Authority(issuer.issuers(), CTLog(lambda: now[0]), clock=lambda: now[0])
    token = issuer.token("sigstore")

    async def ask() -> int:
        transport = httpx.ASGITransport(authority.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://authority") as client:
            body = {"certificateSigningRequest": b64(csr(new_key()))}
            response = await client.post("/api/v2/signingCert", json=body, headers={"Authorization": f"Bearer {token}"})
            return response.status_code

    now[0] += GitHubIdentity.lifetime
    assert asyncio.run(ask()) == 200
    now[0] += 1
    assert asyncio.run(ask()) == 400
    (certificate,) = authority.issued
    assert certificate.not_valid_before_utc.timestamp() == 1_800_000_000 + GitHubIdentity.lifetime


def test_a_certificate_that_the_authority_did_not_issue_gets_no_timestamp(shared_services: Services) -> None:
    """The CT log would vouch for anything."""
    sandbox = shared_services.sandbox
    foreign = Authority(sandbox.issuer.issuers(), CTLog())
    certificate = x509.load_pem_x509_certificate(shared_services.certificate())
    with pytest.raises(ValueError, match="Issuer"):
        CTLog().add_pre_chain(certificate, foreign.chain[1])
    with pytest.raises(x509.ExtensionNotFound):
        CTLog().add_pre_chain(certificate, sandbox.authority.chain[0])

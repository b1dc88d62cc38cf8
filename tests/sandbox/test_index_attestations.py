"""Attestations at upload: PyPI's decisions, by the pypi-attestations library, on real signatures of the sandbox."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from pypi_attestations import Attestation, Provenance, VerificationError
from sigstore.models import ClientTrustConfig
from sigstore.verify import Verifier

from hatch_attest.sandbox import GitHubIdentity, GitLabIdentity, GoogleIdentity
from hatch_attest.sandbox.index import Index
from tests.sandbox.index_support import (
    AUDIENCE,
    PUBLISH,
    PUBLISHER,
    SLSA,
    sdist,
    sign,
    sign_statement,
    started,
    wheel,
    whole_sandbox,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from hatch_attest.sandbox import Sandbox
    from tests.sandbox.index_support import Artifact, Site

INVALID = "Invalid attestations supplied during upload: "
NOT_VERIFIED = f"{INVALID}Could not verify the uploaded artifact using the included attestation: Verification failed: "
GOOD = wheel()


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """One sandbox for all."""
    with whole_sandbox(tmp_path_factory.mktemp("sandbox")) as (sandbox, _):
        yield sandbox


@pytest.fixture(scope="module")
def genuine(sandbox: Sandbox) -> Attestation:
    """A good attestation of the good wheel."""
    [attestation] = sign(sandbox, GOOD)
    return attestation


@pytest.fixture
def site(sandbox: Sandbox) -> Iterator[Site]:
    """An index with nothing in it but a project and its publisher."""
    with started(Index(sandbox.issuer.issuers(), sandbox.trusted_root)) as site:
        site.index.create_project("widget")
        site.index.add_publisher("widget", **PUBLISHER)
        yield site


@pytest.fixture
def token(sandbox: Sandbox, site: Site) -> str:
    """An upload token by Trusted Publishing."""
    return site.upload_token(sandbox.issuer.token(AUDIENCE))


def test_good_attestations_are_taken_and_served(site: Site, token: str, genuine: Attestation) -> None:
    """Broken: the whole point of the index."""
    assert site.upload(GOOD, token, attestations=[genuine]).status_code == 200
    response = site.get(f"/integrity/widget/1.0/{GOOD.filename}/provenance")
    provenance = Provenance.model_validate_json(response.content)
    [bundle] = provenance.attestation_bundles
    assert bundle.publisher.model_dump() == {"kind": "GitHub", **PUBLISHER, "environment": None}
    assert bundle.attestations == [genuine]


def test_a_file_without_attestations_is_taken_and_has_no_provenance(site: Site, token: str) -> None:
    """Broken: attestations would be compulsory."""
    assert site.upload(GOOD, token).status_code == 200
    response = site.get(f"/integrity/widget/1.0/{GOOD.filename}/provenance")
    assert (response.status_code, response.json()) == (
        404,
        {"message": f"No provenance available for {GOOD.filename}"},
    )


def test_one_attestation_of_each_predicate_is_taken(sandbox: Sandbox, site: Site, token: str) -> None:
    """Broken: PyPI takes a publish and a SLSA attestation together."""
    subjects = {GOOD.filename: GOOD.sha256}
    both = [sign_statement(sandbox, subjects, kind, {"any": "thing"}) for kind in (PUBLISH, SLSA)]
    assert site.upload(GOOD, token, attestations=both).status_code == 200


def test_the_subject_may_spell_the_name_in_another_valid_way(sandbox: Sandbox, site: Site, token: str) -> None:
    """Broken: the library compares parsed names, the index would compare text."""
    artifact = wheel(version="1.0", tag="py2.py3-none-any")
    attestation = sign_statement(sandbox, {"widget-1.0-py3.py2-none-any.whl": artifact.sha256})
    assert site.upload(artifact, token, attestations=[attestation]).status_code == 200


def _statement(sandbox: Sandbox, name: str, digest: str, predicate_type: str = PUBLISH) -> Attestation:
    return sign_statement(sandbox, {name: digest}, predicate_type)


def _as_json(attestation: Attestation) -> dict[str, Any]:
    dumped: dict[str, Any] = json.loads(attestation.model_dump_json())
    return dumped


def _flip(text: str, position: int = -10) -> str:
    """Change one byte of something in Base64."""
    content = bytearray(base64.b64decode(text))
    content[position] ^= 1
    return base64.b64encode(content).decode()


def _tampered(*path: str | int, change: Callable[[Any], Any] = _flip) -> Callable[[Sandbox, Attestation], list[Any]]:
    """Change one value of a good attestation."""

    def tamper(_sandbox: Sandbox, attestation: Attestation) -> list[Any]:
        dumped = _as_json(attestation)
        place: Any = dumped
        for key in path[:-1]:
            place = place[key]
        place[path[-1]] = change(place[path[-1]])
        return [dumped]

    return tamper


ENTRY = ("verification_material", "transparency_entries", 0)
CERTIFICATE = ("verification_material", "certificate")

# Each row: the attestations made from the sandbox and a good one, and the words of the refusal.
REFUSALS: dict[str, tuple[Callable[[Sandbox, Attestation], Any], str]] = {
    "not JSON": (lambda *_: "nothing", f"{INVALID}Malformed attestations: 1 validation error for list["),
    "no list": (lambda _, good: json.dumps(_as_json(good)), f"{INVALID}Malformed attestations: "),
    "empty": (lambda *_: [], f"{INVALID}Malformed attestations: an empty attestation set is not permitted"),
    "other version": (_tampered("version", change=lambda _: 2), f"{INVALID}Malformed attestations: "),
    "no log entry": (_tampered(*ENTRY[:2], change=lambda _: []), f"{INVALID}Malformed attestations: "),
    "three": (lambda _, good: [good] * 3, f"{INVALID}A maximum of 2 attestations per file are supported"),
    "one twice": (
        lambda _, good: [good] * 2,
        f"{INVALID}Multiple attestations for the same file with the same predicate type ({PUBLISH}) are not supported",
    ),
    "flipped statement": (
        _tampered("envelope", "statement"),
        f"{NOT_VERIFIED}DSSE: invalid signature",
    ),
    "flipped signature": (_tampered("envelope", "signature"), f"{NOT_VERIFIED}DSSE: invalid signature"),
    "flipped certificate": (_tampered(*CERTIFICATE), f"{NOT_VERIFIED}failed to build timestamp certificate chain: "),
    "broken certificate": (
        _tampered(*CERTIFICATE, change=lambda _: base64.b64encode(b"nothing").decode()),
        f"{INVALID}Unknown error while trying to verify included attestations: invalid X.509 certificate",
    ),
    "broken entry": (
        _tampered(*ENTRY, change=lambda _: {"log": "entry"}),
        f"{INVALID}Unknown error while trying to verify included attestations: invalid transparency log entry",
    ),
    "other time": (
        _tampered(*ENTRY, "integratedTime", change=lambda time: str(int(time) + 1)),
        f"{NOT_VERIFIED}invalid log entry: SET: invalid inclusion promise: keyring: invalid signature",
    ),
    "time after the certificate": (
        _tampered(*ENTRY, "integratedTime", change=lambda time: str(int(time) + 3600)),
        f"{NOT_VERIFIED}failed to build timestamp certificate chain: validation failed: cert is not valid at",
    ),
    "flipped entry body": (
        _tampered(*ENTRY, "canonicalizedBody"),
        f"{NOT_VERIFIED}invalid log entry: inclusion proof contains invalid root hash: ",
    ),
    "flipped promise": (
        _tampered(*ENTRY, "inclusionPromise", "signedEntryTimestamp"),
        f"{NOT_VERIFIED}invalid log entry: SET: invalid inclusion promise: keyring: invalid signature",
    ),
    "flipped root": (
        _tampered(*ENTRY, "inclusionProof", "rootHash"),
        f"{NOT_VERIFIED}invalid log entry: inclusion proof contains invalid root hash: ",
    ),
    "other index": (
        _tampered(*ENTRY, "inclusionProof", "logIndex", change=lambda index: str(int(index) + 1)),
        f"{INVALID}Unknown error while trying to verify included attestations: invalid transparency log entry",
    ),
    "other tree size": (
        _tampered(*ENTRY, "inclusionProof", "treeSize", change=lambda size: str(int(size) + 1)),
        f"{NOT_VERIFIED}invalid log entry: inclusion proof ",
    ),
    "checkpoint of another": (
        _tampered(*ENTRY, "inclusionProof", "checkpoint", "envelope", change=lambda text: text.replace("\n", "1\n", 1)),
        f"{NOT_VERIFIED}invalid log entry: checkpoint: invalid signature: keyring: invalid signature",
    ),
    "checkpoint without a signature": (
        _tampered(*ENTRY, "inclusionProof", "checkpoint", "envelope", change=lambda text: text.partition("\n\n")[0]),
        f"{NOT_VERIFIED}invalid log entry: ",
    ),
    "other file": (
        lambda sandbox, _: [_statement(sandbox, "widget-2.0-py3-none-any.whl", GOOD.sha256)],
        f"{NOT_VERIFIED}subject does not match distribution name: widget-2.0-py3-none-any.whl != {GOOD.filename}",
    ),
    "no file name": (
        lambda sandbox, _: [_statement(sandbox, "widget", GOOD.sha256)],
        f"{NOT_VERIFIED}invalid subject: unknown distribution format: widget",
    ),
    "other content": (
        lambda sandbox, _: sign(sandbox, wheel(RECORD=b"other")),
        f"{NOT_VERIFIED}subject does not match distribution digest",
    ),
    "two subjects": (
        lambda sandbox, _: [sign_statement(sandbox, {GOOD.filename: GOOD.sha256, "x-1.tar.gz": "0" * 64})],
        f"{NOT_VERIFIED}too many subjects in statement (must be exactly one)",
    ),
    "other predicate": (
        lambda sandbox, _: [_statement(sandbox, GOOD.filename, GOOD.sha256, "https://example.com/predicate/v1")],
        f"{NOT_VERIFIED}unknown attestation type: https://example.com/predicate/v1",
    ),
}


@pytest.mark.parametrize(("make", "words"), REFUSALS.values(), ids=REFUSALS.keys())
def test_a_bad_attestation_is_refused_in_the_words_of_pypi(
    sandbox: Sandbox,
    site: Site,
    token: str,
    genuine: Attestation,
    make: Callable[[Sandbox, Attestation], Any],
    words: str,
) -> None:
    """Broken: something forged would be published, or refused for another reason than on PyPI."""
    response = site.upload(GOOD, token, attestations=make(sandbox, genuine))
    assert response.status_code == 400
    assert response.reason_phrase.startswith(words.rstrip())
    assert site.index.files("widget") == ()


# Each row: who signs, and the words of the refusal. The publisher is the default GitHubIdentity.
SIGNERS: dict[str, tuple[Any, str]] = {
    "other repository": (
        GitHubIdentity(repository="octo-org/gadget"),
        "Certificate's OIDCSourceRepositoryURI does not",
    ),
    "other workflow": (GitHubIdentity(workflow="build.yml"), "Certificate's Build Config URI (<Extension(oid="),
    "GitLab": (GitLabIdentity(), "Certificate's OIDCIssuerV2 does not match (got https://gitlab.com, expected "),
    "Google": (GoogleIdentity(), "Certificate's OIDCIssuerV2 does not match (got https://accounts.google.com, "),
}


@pytest.mark.parametrize(("signer", "words"), SIGNERS.values(), ids=SIGNERS.keys())
def test_an_attestation_of_another_identity_is_refused(
    sandbox: Sandbox, site: Site, token: str, signer: Any, words: str
) -> None:
    """Broken: whoever can sign could publish attestations for others."""
    before, sandbox.issuer.identity = sandbox.issuer.identity, signer
    try:
        attestations = sign(sandbox, GOOD)
    finally:
        sandbox.issuer.identity = before
    response = site.upload(GOOD, token, attestations=attestations)
    assert response.status_code == 400
    assert response.reason_phrase.startswith(NOT_VERIFIED.rstrip())
    assert words in response.reason_phrase


def test_a_reusable_workflow_mints_and_is_then_refused(sandbox: Sandbox, site: Site) -> None:
    """Broken: the commonest trap of PyPI (warehouse#11096) could not be met before the real release."""
    caller = GitHubIdentity(
        workflow="caller.yml", job_workflow_ref="octo-org/widget/.github/workflows/release.yml@refs/tags/v1"
    )
    before, sandbox.issuer.identity = sandbox.issuer.identity, caller
    try:
        token = site.upload_token(sandbox.issuer.token(AUDIENCE))
        attestations = sign(sandbox, GOOD)
    finally:
        sandbox.issuer.identity = before
    response = site.upload(GOOD, token, attestations=attestations)
    assert response.status_code == 400
    assert "does not match expected Trusted Publisher (release.yml @ octo-org/widget)" in response.reason_phrase


PUBLISHERS: dict[str, tuple[Any, str, dict[str, str], dict[str, Any]]] = {
    "GitLab": (
        GitLabIdentity(),
        "GitLab",
        {"repository": "octo-org/widget", "workflow_filepath": ".gitlab-ci.yml", "environment": "release"},
        {"environment": "release"},
    ),
    "Google": (GoogleIdentity(), "Google", {"email": GoogleIdentity().email}, {}),
}


@pytest.mark.parametrize(("identity", "kind", "fields", "claims"), PUBLISHERS.values(), ids=PUBLISHERS.keys())
def test_the_other_supported_publishers_are_taken(
    sandbox: Sandbox, site: Site, identity: Any, kind: str, fields: dict[str, str], claims: dict[str, Any]
) -> None:
    """Broken: PyPI takes attestations of GitLab and Google as well."""
    site.index.add_publisher("widget", kind, **fields)
    before, sandbox.issuer.identity = sandbox.issuer.identity, identity
    try:
        token = site.upload_token(sandbox.issuer.token(AUDIENCE, **claims))
        attestations = sign(sandbox, GOOD)
    finally:
        sandbox.issuer.identity = before
    assert site.upload(GOOD, token, attestations=attestations).status_code == 200
    provenance = site.get(f"/integrity/widget/1.0/{GOOD.filename}/provenance").json()
    assert provenance["attestation_bundles"][0]["publisher"] == {"kind": kind, **fields}


def test_an_api_token_may_not_bring_attestations(site: Site, genuine: Attestation) -> None:
    """Broken: the bare 400 that PyPI gives for this could not be met here."""
    response = site.upload(GOOD, site.index.add_token(), attestations=[genuine])
    assert (response.status_code, response.reason_phrase) == (
        400,
        f"{INVALID}Attestations are only supported when using Trusted Publishing",
    )


def test_circleci_may_publish_but_not_bring_attestations(sandbox: Sandbox, genuine: Attestation) -> None:
    """Broken: PyPI mints for CircleCI and then refuses its attestations; a rehearsal would not show it."""
    issuer = "https://oidc.circleci.com"
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    jwk = {**jwt.algorithms.RSAAlgorithm.to_jwk(key.public_key(), as_dict=True), "kid": "circle"}
    fields = {"org_id": "org", "project_id": "project", "pipeline_definition_id": "pipeline"}

    def identity_token(project: str = "project", *, rerun: bool = False) -> str:
        claims = {
            "iss": issuer,
            "aud": AUDIENCE,
            "iat": 1,
            "exp": 9_999_999_999,
            "oidc.circleci.com/org-id": "org",
            "oidc.circleci.com/project-id": project,
            "oidc.circleci.com/pipeline-definition-id": "pipeline",
            "oidc.circleci.com/ssh-rerun": rerun,
        }
        return jwt.encode(claims, key, algorithm="RS256", headers={"kid": "circle"})

    with started(Index({issuer: lambda: {"keys": [jwk]}}, sandbox.trusted_root)) as site:
        site.index.add_publisher("widget", "CircleCI", **fields)
        token = site.upload_token(identity_token())
        response = site.upload(GOOD, token, attestations=[genuine])
        assert response.reason_phrase == f"{INVALID}Attestations are not currently supported with CircleCI publishers"
        assert site.upload(GOOD, token).status_code == 200
        assert site.mint(identity_token(rerun=True)).status_code == 422
        assert site.mint(identity_token("other")).status_code == 422


def test_attestations_are_ignored_while_pypi_has_them_disabled(site: Site, token: str, genuine: Attestation) -> None:
    """Broken: PyPI's switch for an incident could not be played."""
    site.index.flags.disable_pep740 = True
    assert site.upload(GOOD, token, attestations=[genuine]).status_code == 200
    response = site.get(f"/integrity/widget/1.0/{GOOD.filename}/provenance")
    assert (response.status_code, response.json()) == (403, {"message": "Attestations temporarily disabled"})
    assert site.index.files("widget")[0].provenance is None


def test_the_library_itself_is_not_changed(sandbox: Sandbox, site: Site, token: str) -> None:
    """Broken: in a process that runs the index, other users of the library would trust the sandbox's keys."""
    verify, code = Attestation.verify, Attestation.verify.__globals__["Verifier"]
    [attestation] = sign(sandbox, GOOD)
    assert site.upload(GOOD, token, attestations=[attestation]).status_code == 200
    assert Attestation.verify is verify
    assert Attestation.verify.__globals__["Verifier"] is code is Verifier


def test_a_library_that_verifies_in_another_way_is_an_error_at_once(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Broken: with such a library, the index would silently trust the public Sigstore instead of its own root."""
    monkeypatch.setattr(Attestation, "verify", lambda *_: (PUBLISH, None))
    with pytest.raises(RuntimeError, match="verifies in another way"):
        Index({}, sandbox.trusted_root)


def test_an_index_with_another_trusted_root_refuses(sandbox: Sandbox, tmp_path: Path, genuine: Attestation) -> None:
    """Broken: the trusted root that the index is given would not matter."""
    with (
        whole_sandbox(tmp_path) as (other, _),
        started(Index(sandbox.issuer.issuers(), other.trusted_root)) as site,
    ):
        site.index.add_publisher("widget", **PUBLISHER)
        token = site.upload_token(sandbox.issuer.token(AUDIENCE))
        response = site.upload(GOOD, token, attestations=[genuine])
        assert response.reason_phrase.startswith(NOT_VERIFIED.rstrip())


def _verify_as_a_consumer(sandbox: Sandbox, provenance: bytes, artifact: Artifact) -> None:
    """Verify a served provenance by sigstore-python's own verifier, as a consumer with the sandbox's trust would."""
    config = ClientTrustConfig.from_json((sandbox.directory / "trust_config.json").read_text(encoding="utf-8"))
    verifier = Verifier(trusted_root=config.trusted_root)
    for bundle in Provenance.model_validate_json(provenance).attestation_bundles:
        for attestation in bundle.attestations:
            _, payload = verifier.verify_dsse(attestation.to_bundle(), bundle.publisher._as_policy())
            assert json.loads(payload)["subject"] == [
                {"name": artifact.filename, "digest": {"sha256": artifact.sha256}}
            ]


def test_what_is_served_verifies_by_sigstore_alone(sandbox: Sandbox, site: Site, token: str) -> None:
    """Broken: the index would change what it was given, or accept what a consumer cannot verify."""
    artifacts = [GOOD, sdist()]
    for artifact, attestation in zip(artifacts, sign(sandbox, *artifacts), strict=True):
        assert site.upload(artifact, token, attestations=[attestation]).status_code == 200
        provenance = site.get(f"/integrity/widget/1.0/{artifact.filename}/provenance").content
        _verify_as_a_consumer(sandbox, provenance, artifact)


def test_the_refusal_carries_the_librarys_own_words(sandbox: Sandbox, site: Site, token: str) -> None:
    """Broken: the index would judge by itself rather than by the library."""
    other = wheel(RECORD=b"other")
    [attestation] = sign(sandbox, other)
    response = site.upload(GOOD, token, attestations=[attestation])
    assert response.reason_phrase.endswith(str(VerificationError("subject does not match distribution digest")))

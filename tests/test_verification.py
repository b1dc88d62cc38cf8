"""The ladder: what was signed for real is tampered with, byte by byte, and each rung says its own."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pypi_attestations import Attestation
from sigstore.dsse import DigestSet, Statement, StatementBuilder, Subject

from hatch_attest.artifacts import Artifact, read_artifact
from hatch_attest.errors import VerificationError
from hatch_attest.identity import Token
from hatch_attest.options import TrustedPublisher
from hatch_attest.sandbox import EmailIdentity, GitHubIdentity, GitLabIdentity, GoogleIdentity, Sandbox
from hatch_attest.sidecars import Predicate
from hatch_attest.signing import Signer
from hatch_attest.trust import Trust, load_trust
from hatch_attest.verification import Verifier, check_publisher

SDIST = "widget-1.0.tar.gz"
PUBLISH = Predicate.PUBLISH.uri


def sign(sandbox: Sandbox, artifact: Artifact) -> Attestation:
    """Sign as the identity that the sandbox's issuer plays now."""
    token = Token.parse(sandbox.issuer.token("sigstore"), "the sandbox")
    return Signer(trust_of(sandbox), lambda: token).sign(artifact)


def sign_statement(sandbox: Sandbox, statement: Statement) -> Attestation:
    """Sign any statement at all, as a hostile or mistaken signer would."""
    token = Token.parse(sandbox.issuer.token("sigstore"), "the sandbox")
    signer = Signer(trust_of(sandbox), lambda: token)._certified(renew=False)
    return Attestation.from_bundle(signer.sign_dsse(statement))


def trust_of(sandbox: Sandbox) -> Trust:
    return load_trust(str(sandbox.directory / "trust_config.json"), Path())


@pytest.fixture
def artifact(tmp_path: Path) -> Artifact:
    """Bytes named like an sdist: nobody here opens it."""
    path = tmp_path / SDIST
    path.write_bytes(b"the sdist")
    return read_artifact(path)


@pytest.fixture
def attestation(sandbox: Sandbox, artifact: Artifact) -> Attestation:
    return sign(sandbox, artifact)


@pytest.fixture
def verifier(sandbox: Sandbox) -> Verifier:
    return Verifier(trust_of(sandbox))


def test_what_was_signed_verifies_and_says_by_whom_and_when(
    verifier: Verifier, attestation: Attestation, artifact: Artifact
) -> None:
    """The lines that users read are made of this."""
    verified = verifier.verify(attestation, artifact)
    assert verified.attestation is attestation
    assert verified.predicate is Predicate.PUBLISH
    assert verified.signer.publisher == TrustedPublisher("GitHub", "octo-org/widget", "release.yml")
    assert verified.log_index == 0
    assert verified.signed_at.tzinfo is not None


# --- Tampering: each row changes one thing of the document as it lies on disk ---------------------------------------


def flip(encoded: str, position: int = -1) -> str:
    """Flip the last bit of one byte of something in base64."""
    raw = bytearray(base64.b64decode(encoded))
    raw[position] ^= 1
    return base64.b64encode(raw).decode()


def entry_of(document: dict[str, Any]) -> dict[str, Any]:
    entry: dict[str, Any] = document["verification_material"]["transparency_entries"][0]
    return entry


def statement_digest(document: dict[str, Any]) -> None:
    statement = json.loads(base64.b64decode(document["envelope"]["statement"]))
    statement["subject"][0]["digest"]["sha256"] = "0" * 64
    document["envelope"]["statement"] = base64.b64encode(json.dumps(statement).encode()).decode()


def statement_spacing(document: dict[str, Any]) -> None:
    statement = base64.b64decode(document["envelope"]["statement"]) + b" "
    document["envelope"]["statement"] = base64.b64encode(statement).decode()


def statement_garbage(document: dict[str, Any]) -> None:
    document["envelope"]["statement"] = base64.b64encode(b"<html>").decode()


def signature(document: dict[str, Any]) -> None:
    document["envelope"]["signature"] = flip(document["envelope"]["signature"])


def certificate_signature(document: dict[str, Any]) -> None:
    material = document["verification_material"]
    material["certificate"] = flip(material["certificate"])


def certificate_garbage(document: dict[str, Any]) -> None:
    document["verification_material"]["certificate"] = base64.b64encode(b"no certificate").decode()


def log_body(document: dict[str, Any]) -> None:
    entry = entry_of(document)
    entry["canonicalizedBody"] = flip(entry["canonicalizedBody"], 40)


def log_time(document: dict[str, Any]) -> None:
    entry = entry_of(document)
    entry["integratedTime"] = str(int(entry["integratedTime"]) + 1)


def log_time_after_expiry(document: dict[str, Any]) -> None:
    entry = entry_of(document)
    entry["integratedTime"] = str(int(entry["integratedTime"]) + 3600)


def log_time_garbage(document: dict[str, Any]) -> None:
    entry_of(document)["integratedTime"] = "9" * 30


def log_no_index(document: dict[str, Any]) -> None:
    del entry_of(document)["logIndex"]


def log_promise(document: dict[str, Any]) -> None:
    promise = entry_of(document)["inclusionPromise"]
    promise["signedEntryTimestamp"] = flip(promise["signedEntryTimestamp"])


def log_no_promise(document: dict[str, Any]) -> None:
    del entry_of(document)["inclusionPromise"]


def log_root(document: dict[str, Any]) -> None:
    proof = entry_of(document)["inclusionProof"]
    proof["rootHash"] = flip(proof["rootHash"])


def log_checkpoint(document: dict[str, Any]) -> None:
    checkpoint = entry_of(document)["inclusionProof"]["checkpoint"]
    checkpoint["envelope"] = checkpoint["envelope"].replace("\n1\n", "\n2\n", 1)


def log_no_proof(document: dict[str, Any]) -> None:
    del entry_of(document)["inclusionProof"]


@pytest.mark.parametrize(
    ("tamper", "code"),
    [
        (statement_digest, "attestation-digest"),
        (statement_spacing, "attestation-signature"),
        (statement_garbage, "attestation-statement"),
        (signature, "attestation-signature"),
        (certificate_signature, "attestation-certificate"),
        (certificate_garbage, "attestation-malformed"),
        (log_body, "attestation-log"),
        (log_time, "attestation-log"),
        (log_time_after_expiry, "attestation-time"),
        (log_time_garbage, "attestation-malformed"),
        (log_no_index, "attestation-malformed"),
        (log_promise, "attestation-log"),
        (log_no_promise, "attestation-time"),
        (log_root, "attestation-log"),
        (log_checkpoint, "attestation-log"),
        (log_no_proof, "attestation-malformed"),
    ],
)
def test_one_changed_thing_is_refused_with_its_own_message(
    verifier: Verifier,
    attestation: Attestation,
    artifact: Artifact,
    tamper: Callable[[dict[str, Any]], None],
    code: str,
) -> None:
    """Whoever reads it must learn which part does not hold."""
    document = json.loads(attestation.model_dump_json())
    tamper(document)
    with pytest.raises(VerificationError) as caught:
        verifier.verify(Attestation.model_validate(document), artifact)
    assert caught.value.code == code, str(caught.value)
    assert SDIST in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_flipped_byte_of_the_artifact_is_refused_with_both_digests(
    verifier: Verifier, attestation: Attestation, artifact: Artifact
) -> None:
    """It is what tampering between build and upload looks like."""
    artifact.path.write_bytes(b"the sdisu")
    changed = read_artifact(artifact.path)
    with pytest.raises(VerificationError) as caught:
        verifier.verify(attestation, changed)
    assert caught.value.code == "attestation-digest"
    assert artifact.digest in str(caught.value)
    assert changed.digest in str(caught.value)


# --- Statements that were really signed, and are wrong --------------------------------------------------------------


def statement(*subjects: tuple[str, str], predicate: str = PUBLISH) -> Statement:
    built = [Subject(name=name, digest=DigestSet(root={"sha256": digest})) for name, digest in subjects]
    return StatementBuilder().subjects(built).predicate_type(predicate).predicate({}).build()


DIGEST = hashlib.sha256(b"the sdist").hexdigest()


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        (statement((SDIST, DIGEST), (SDIST, DIGEST)), "attestation-subjects"),
        (statement(("gadget-1.0.tar.gz", DIGEST)), "attestation-name"),
        (statement(("widget-1.1.tar.gz", DIGEST)), "attestation-name"),
        (statement(("widget-1.0-py3-none-any.whl", DIGEST)), "attestation-name"),
        (statement(("not a distribution", DIGEST)), "attestation-name"),
        (statement((SDIST, "0" * 64)), "attestation-digest"),
        (statement((SDIST, DIGEST), predicate="https://example.com/other"), "attestation-predicate"),
    ],
)
def test_a_signed_statement_that_is_not_about_the_artifact_is_refused(
    sandbox: Sandbox, verifier: Verifier, artifact: Artifact, wrong: Statement, code: str
) -> None:
    """The signature is good; PyPI refuses it all the same, after the fact."""
    with pytest.raises(VerificationError) as caught:
        verifier.verify(sign_statement(sandbox, wrong), artifact)
    assert caught.value.code == code


def test_another_spelling_of_the_same_wheel_is_the_same_distribution(
    sandbox: Sandbox, verifier: Verifier, tmp_path: Path
) -> None:
    """PyPI compares parsed names: the order of a wheel's tags differs between tools (gh-action-pypi-publish#365)."""
    path = tmp_path / "widget-1.0-py3-none-manylinux_2_17_x86_64.manylinux2014_x86_64.whl"
    path.write_bytes(b"the sdist")
    other = "Widget-1.0-py3-none-manylinux2014_x86_64.manylinux_2_17_x86_64.whl"
    verified = verifier.verify(sign_statement(sandbox, statement((other, DIGEST))), read_artifact(path))
    assert verified.predicate is Predicate.PUBLISH


def test_slsa_provenance_is_a_known_predicate(sandbox: Sandbox, verifier: Verifier, artifact: Artifact) -> None:
    """PyPI takes one of each kind."""
    provenance = statement((SDIST, DIGEST), predicate=Predicate.SLSA.uri)
    assert verifier.verify(sign_statement(sandbox, provenance), artifact).predicate is Predicate.SLSA


def test_another_instance_is_not_believed(tmp_path: Path, attestation: Attestation, artifact: Artifact) -> None:
    """A sidecar from a rehearsal must not pass for a release."""
    with Sandbox(tmp_path / "other") as other, pytest.raises(VerificationError) as caught:
        Verifier(trust_of(other)).verify(attestation, artifact)
    assert caught.value.code == "attestation-certificate"


# --- Who signed -----------------------------------------------------------------------------------------------------

GITHUB = TrustedPublisher("GitHub", "octo-org/widget", "release.yml")


@pytest.mark.parametrize(
    ("identity", "publisher"),
    [
        (GitHubIdentity(), GITHUB),
        (GitHubIdentity(environment="pypi"), replace(GITHUB, environment="pypi")),
        (GitHubIdentity(ref="refs/heads/main"), GITHUB),
        (GitLabIdentity(), TrustedPublisher("GitLab", "octo-org/widget", ".gitlab-ci.yml")),
        (GoogleIdentity(email="robot@example.com"), TrustedPublisher("Google", email="robot@example.com")),
    ],
)
def test_the_publisher_that_signed_is_accepted_and_every_other_refused(
    sandbox: Sandbox, verifier: Verifier, artifact: Artifact, identity: Any, publisher: TrustedPublisher
) -> None:
    """By pypi_attestations' own policies, which are PyPI's."""
    sandbox.issuer.identity = identity
    verified = verifier.verify(sign(sandbox, artifact), artifact)
    check_publisher(verified, artifact, publisher)
    others = [
        TrustedPublisher("GitHub", "octo-org/other", "release.yml"),
        TrustedPublisher("GitHub", "octo-org/widget", "other.yml"),
        TrustedPublisher("GitLab", "octo-org/other", ".gitlab-ci.yml"),
        TrustedPublisher("Google", email="other@example.com"),
    ]
    for other in others:
        with pytest.raises(VerificationError) as caught:
            check_publisher(verified, artifact, other)
        assert caught.value.code == "attestation-identity"
        assert str(other) in str(caught.value)


def test_a_person_is_no_publisher_that_pypi_takes(sandbox: Sandbox, verifier: Verifier, artifact: Artifact) -> None:
    """A signature by the browser is fine for Sigstore and refused by PyPI."""
    sandbox.issuer.identity = EmailIdentity(email="octocat@example.com")
    verified = verifier.verify(sign(sandbox, artifact), artifact)
    assert verified.signer.subject == "octocat@example.com"
    assert verified.signer.publisher is None
    with pytest.raises(VerificationError, match="octocat"):
        check_publisher(verified, artifact, GITHUB)

"""The sandbox held against the real services: the same requests go to both, and the answers are compared."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from cryptography import x509

from hatch_attest.sandbox import EmailIdentity, GitHubIdentity, GitLabIdentity, GoogleIdentity, Sandbox
from tests.judges import odd_requests
from tests.sandbox import test_recorded as recorded
from tests.sandbox.services import ENTRIES, Services

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from hatch_attest.sandbox.identities import Identity
    from tests.judges.report import Report

# Of the connection, not of the service; `vary` is for browsers.
TRANSPORT = {"connection", "content-length", "date", "server", "transfer-encoding", "vary"}
# The sandbox's CT log has no HTTP interface. The trust bundle is a placeholder in the record; here it can be compared.
REQUESTS = {
    name: request
    for name, request in {**recorded.REQUESTS, **odd_requests.REQUESTS}.items()
    if not name.startswith("ct ")
}
DIFFERENT = {**recorded.DIFFERENT, **odd_requests.DIFFERENT, "fulcio trustBundle": (set(), "")}

IDENTITIES: dict[str, Identity] = {
    "GitHub": GitHubIdentity(),
    "GitHub, environment": GitHubIdentity(environment="pypi"),
    "GitHub, branch": GitHubIdentity(ref="refs/heads/main", event_name="workflow_dispatch"),
    "GitHub, private": GitHubIdentity(visibility="private", runner_environment="self-hosted"),
    "GitHub, reusable workflow": GitHubIdentity(
        job_workflow_ref="octo-org/.github/.github/workflows/publish.yml@refs/heads/main"
    ),
    "GitHub, pull request": GitHubIdentity(ref="refs/pull/7/merge", event_name="pull_request"),
    "GitLab": GitLabIdentity(),
    "GitLab, environment": GitLabIdentity(environment="pypi"),
    "GitLab, branch": GitLabIdentity(ref="refs/heads/main", visibility="internal"),
    "GitLab, nested group": GitLabIdentity(project="octo-org/tools/widget"),
    "Google": GoogleIdentity(),
    "a person": EmailIdentity(),
}


@pytest.fixture(scope="module")
def both(programs: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Any, Any]]:
    """Return a client of real services and one of a sandbox, both new: their logs are equally long."""
    from tests.judges.real_sigstore import RealSigstore

    with (
        RealSigstore(programs, tmp_path_factory.mktemp("sigstore")) as real,
        Sandbox(tmp_path_factory.mktemp("sandbox")) as sandbox,
        httpx.Client(trust_env=False, timeout=30) as client,
    ):
        real.accept(sandbox.issuer.issuers())
        stand_in: Any = real
        pair = Services(stand_in, client), Services(sandbox, client)
        for services in pair:
            for _ in range(3):  # some requests are about a log with something in it
                services.post(services.dsse())
        yield pair


@pytest.fixture(scope="module")
def compared(report: Report) -> Iterator[dict[str, list[str]]]:
    """Collect what was compared for the table."""
    compared: dict[str, list[str]] = {}
    yield compared
    different = [row for row in compared.values() if row[2]]
    title = f"the sandbox beside the real services: {len(compared)} requests, these are answered differently"
    report.table(title, ["request", "real", "differs in", "because"], different)


@pytest.mark.parametrize("case", REQUESTS)
def test_the_sandbox_answers_as_the_real_service_does(
    case: str, both: tuple[Services, Services], compared: dict[str, list[str]]
) -> None:
    """Broken if what passes in a rehearsal would fail for real, or is refused in other words."""
    real, sandbox = (REQUESTS[case](services) for services in both)
    expected, reason = DIFFERENT.get(case, (set(), ""))
    is_json = real.headers.get("content-type") == "application/json"
    answer = {
        "status": real.status_code,
        "headers": {name: _ordered(value) for name, value in real.headers.items() if name not in TRANSPORT},
        "body": json.loads(_ordered(real.text)) if is_json else real.text,
    }
    differences = recorded._differences(answer, sandbox)
    compared[case] = [case, str(real.status_code), ", ".join(sorted(differences)), reason]
    assert differences == expected, f"real: {real.headers} {real.text}\nsandbox: {sandbox.headers} {sandbox.text}"


@pytest.mark.parametrize("identity", IDENTITIES.values(), ids=IDENTITIES)
def test_certificates_hold_the_same(identity: Identity, both: tuple[Services, Services]) -> None:
    """Broken if a policy that takes the sandbox's certificate would not take Fulcio's, or the other way round."""
    token = both[1].sandbox.issuer.token("sigstore", identity=identity)
    real, sandbox = (_certificate_shape(services.certify(token=token)) for services in both)
    assert real == sandbox


def test_logs_keep_the_same_body_of_the_same_entry(both: tuple[Services, Services]) -> None:
    """Broken if the canonical form differs: verifiers compare it with the envelope."""
    entry = both[0].dsse()
    real, sandbox = (_only(services.post(entry).json()) for services in both)
    assert real["body"] == sandbox["body"]
    assert recorded._shape(real) == recorded._shape(sandbox)
    real, sandbox = (_only(services.get(ENTRIES, logIndex=0).json()) for services in both)
    assert real.keys() == sandbox.keys()


def test_logs_keep_the_same_body_of_the_same_hashedrekord(both: tuple[Services, Services]) -> None:
    """Broken if the canonical form of the entries that Sigstore's own tools make differs."""
    entry = both[0].hashedrekord(b"data")
    real, sandbox = (_only(services.post(entry).json()) for services in both)
    assert real["body"] == sandbox["body"]


def _ordered(text: str) -> str:
    """Put the methods that are allowed in order: Go's maps have none."""
    return text.replace("POST,GET", "GET,POST")


def _only(entries: dict[str, Any]) -> dict[str, Any]:
    (entry,) = entries.values()
    assert isinstance(entry, dict)
    return entry


def _certificate_shape(answer: httpx.Response) -> dict[str, Any]:
    """Describe a leaf certificate, without what is each authority's or each certificate's own."""
    chain = answer.json()["signedCertificateEmbeddedSct"]["chain"]["certificates"]
    leaf, *_ = (x509.load_pem_x509_certificate(pem.encode()) for pem in chain)
    return {
        "chain": len(chain),
        "version": leaf.version,
        "subject": leaf.subject.rfc4514_string(),
        "lifetime": leaf.not_valid_after_utc - leaf.not_valid_before_utc,
        "signature": leaf.signature_algorithm_oid,
        "serial number has at most 160 bits": leaf.serial_number.bit_length() <= 160,
        "extensions": [
            (each.oid.dotted_string, each.critical, _extension_shape(each.value)) for each in leaf.extensions
        ],
    }


def _extension_shape(value: x509.ExtensionType) -> object:
    match value:
        case x509.SubjectKeyIdentifier() | x509.AuthorityKeyIdentifier():
            return len(value.public_bytes())
        case x509.PrecertificateSignedCertificateTimestamps():
            return [(sct.version, sct.entry_type, sct.signature_algorithm, len(sct.log_id)) for sct in value]
        case _:
            return value.public_bytes()

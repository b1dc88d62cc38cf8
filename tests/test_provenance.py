"""Who a certificate or a token names, and which Trusted Publisher PyPI makes of it."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from hatch_attest.options import TrustedPublisher
from hatch_attest.provenance import SignerIdentity, identity_of_certificate, identity_of_claims, publisher_of_claims

RECORDED = Path(__file__).parent / "sandbox" / "recorded"

GITHUB: dict[str, Any] = {
    "iss": "https://token.actions.githubusercontent.com",
    "sub": "repo:octo-org/widget:ref:refs/tags/v1",
    "repository": "octo-org/widget",
    "workflow_ref": "octo-org/widget/.github/workflows/release.yml@refs/tags/v1",
    "job_workflow_ref": "octo-org/widget/.github/workflows/release.yml@refs/tags/v1",
    "ref": "refs/tags/v1",
    "repository_visibility": "public",
}
GITLAB: dict[str, Any] = {
    "iss": "https://gitlab.com",
    "project_path": "octo-org/widget",
    "ci_config_ref_uri": "gitlab.com/octo-org/widget//.gitlab-ci.yml@refs/tags/v1",
    "ref": "v1",
    "project_visibility": "private",
}
GOOGLE: dict[str, Any] = {"iss": "https://accounts.google.com", "email": "octocat@example.com", "sub": "1"}


@pytest.mark.parametrize(("leaf", "claims"), [("github", GITHUB), ("gitlab", GITLAB), ("email-google", GOOGLE)])
def test_the_claims_say_beforehand_whom_a_real_certificate_names(leaf: str, claims: dict[str, Any]) -> None:
    """Checked before a log entry is made, it must be what the log entry then says."""
    certificate = x509.load_pem_x509_certificate((RECORDED / f"{leaf}.pem").read_bytes())
    recorded, foreseen = identity_of_certificate(certificate), identity_of_claims(claims)
    assert recorded.publisher == foreseen.publisher
    assert (recorded.repository, recorded.workflow) == (foreseen.repository, foreseen.workflow)
    assert recorded.subject == foreseen.subject


@pytest.mark.parametrize(
    ("claims", "publisher"),
    [
        (GITHUB, TrustedPublisher("GitHub", "octo-org/widget", "release.yml")),
        ({**GITHUB, "environment": "pypi"}, TrustedPublisher("GitHub", "octo-org/widget", "release.yml", "pypi")),
        (
            {**GITHUB, "job_workflow_ref": "octo-org/shared/.github/workflows/publish.yml@refs/heads/main"},
            TrustedPublisher("GitHub", "octo-org/widget", "publish.yml"),
        ),
        (GITLAB, TrustedPublisher("GitLab", "octo-org/widget", ".gitlab-ci.yml")),
        (GOOGLE, TrustedPublisher("Google", email="octocat@example.com")),
        ({**GITLAB, "iss": "https://gitlab.example"}, None),
        ({"iss": "https://oidc.circleci.com/org/x", "sub": "org/x"}, None),
        ({}, None),
    ],
)
def test_the_publisher_is_derived_as_pypi_does(claims: dict[str, Any], publisher: TrustedPublisher | None) -> None:
    """PyPI looks a token up by the workflow that holds the job."""
    assert publisher_of_claims(claims) == publisher


def test_a_certificate_satisfies_its_publisher_whatever_the_environment() -> None:
    """The environment is in no certificate policy of PyPI's."""
    identity = identity_of_claims(GITHUB)
    assert identity.satisfies(TrustedPublisher("GitHub", "octo-org/widget", "release.yml", "pypi"))
    assert not identity.satisfies(TrustedPublisher("GitHub", "octo-org/widget", "other.yml"))
    assert not identity.satisfies(TrustedPublisher("GitLab", "octo-org/widget", "release.yml"))
    assert not SignerIdentity("https://issuer.example", "x").satisfies(TrustedPublisher("Google", email="x"))


@pytest.mark.parametrize(
    ("visibility", "private"), [("public", False), ("private", True), ("internal", True), ("", False)]
)
def test_internal_is_as_private_as_private(visibility: str, *, private: bool) -> None:
    """An internal repository's name is the company's own."""
    assert identity_of_claims({**GITHUB, "repository_visibility": visibility}).private is private


def test_claims_of_other_types_are_read_as_absent() -> None:
    """They come from whoever made the token."""
    identity = identity_of_claims({**GITHUB, "repository": ["x"], "workflow_ref": 3, "ref": None, "exp": time.time()})
    assert (identity.repository, identity.workflow, identity.ref) == ("", "", "")

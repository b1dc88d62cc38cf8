"""PyPI's policy before PyPI says it: for hosts and instances that no test can reach, by data alone."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import pytest

from hatch_attest.errors import AttestError, GateError
from hatch_attest.gate.policy import (
    check_instance,
    check_publisher_claims,
    check_signing_identity,
    check_trust,
    describe_claims,
    supports_attestations,
)
from hatch_attest.gate.proof import consumer_commands, release_pages
from hatch_attest.gate.signers import find_signer
from hatch_attest.index.endpoints import endpoints_of
from hatch_attest.options import TrustedPublisher
from hatch_attest.provenance import identity_of_claims
from hatch_attest.sandbox import GitHubIdentity, GitLabIdentity, GoogleIdentity
from hatch_attest.trust import Trust, load_trust

if TYPE_CHECKING:
    from pathlib import Path

    from hatch_attest.artifacts import Artifact
    from hatch_attest.sandbox import Sandbox

PYPI, TEST_PYPI = endpoints_of("https://upload.pypi.org/legacy/"), endpoints_of("https://test.pypi.org/legacy/")
CORP = endpoints_of("https://corp.example/legacy/")
GITHUB = TrustedPublisher("GitHub", "octo-org/widget", "release.yml")


def claims(identity: Any, **overrides: object) -> dict[str, object]:
    """The claims of a token, as its issuer makes them."""
    return {"iss": identity.issuer, **identity.claims(), **overrides}


@pytest.fixture
def public(sandbox: Sandbox, tmp_path: Path) -> Trust:
    """The sandbox's trust, as if its log were the public one."""
    trust = load_trust(str(sandbox.directory / "trust_config.json"), tmp_path)
    return dataclasses.replace(trust, name="production", rekor_url="https://rekor.sigstore.dev")


@pytest.mark.parametrize(
    ("identity", "publisher"),
    [
        (GitHubIdentity(), "GitHub octo-org/widget release.yml"),
        (GitHubIdentity(environment="pypi"), "GitHub octo-org/widget release.yml (environment pypi)"),
        (GitLabIdentity(), "GitLab octo-org/widget .gitlab-ci.yml"),
        (GoogleIdentity(), f"Google {GoogleIdentity().email}"),
    ],
)
def test_pypis_publisher_is_derived_from_the_token(identity: Any, publisher: str) -> None:
    """Whose attestations PyPI will take is known from the token alone."""
    found = check_publisher_claims(claims(identity), None, attached=True, for_pypi=True)

    assert str(found) == publisher
    assert supports_attestations(claims(identity))
    assert describe_claims(claims(identity)) == publisher


@pytest.mark.parametrize("issuer", ["https://oidc.circleci.com", "https://agent.buildkite.com", None])
def test_a_platform_without_attestations_is_refused_at_pypi(issuer: str | None) -> None:
    """PyPI says so after the upload of the first file only."""
    with pytest.raises(GateError) as caught:
        check_publisher_claims({"iss": issuer, "sub": "x"}, None, attached=True, for_pypi=True)

    assert caught.value.code == "publisher-unsupported"
    assert check_publisher_claims({"iss": issuer}, None, attached=False, for_pypi=True) is None


def test_another_index_may_believe_other_issuers() -> None:
    """A company's own GitLab and index: PyPI's list is not theirs."""
    own = claims(GitLabIdentity(), iss="https://gitlab.corp.example")

    assert check_publisher_claims(own, None, attached=True, for_pypi=False) is None
    with pytest.raises(GateError):
        check_publisher_claims({"iss": "https://oidc.circleci.com"}, None, attached=True, for_pypi=False)


def test_without_attestations_a_reusable_workflow_is_fine() -> None:
    """PyPI mints the token; only the attestations would not match."""
    reusable = claims(GitHubIdentity(job_workflow_ref="octo-org/widget/.github/workflows/build.yml@refs/tags/v1"))

    found = check_publisher_claims(reusable, None, attached=False, for_pypi=True)

    assert found is not None
    assert found.workflow == "build.yml"


def test_the_environments_case_does_not_matter() -> None:
    """As PyPI compares it."""
    wanted = dataclasses.replace(GITHUB, environment="PyPI")

    assert check_publisher_claims(claims(GitHubIdentity(environment="pypi")), wanted, attached=True, for_pypi=True)


@pytest.mark.parametrize("visibility", ["private", "internal"])
def test_a_private_repositorys_name_stays_out_of_the_public_log(public: Trust, visibility: str) -> None:
    """What is in the log is there for ever (W#15871)."""
    identity = identity_of_claims(claims(GitHubIdentity(visibility=visibility)))
    with pytest.raises(GateError) as caught:
        check_signing_identity(identity, GITHUB, public, allow_public_log=False)

    assert caught.value.code == "private-repository"
    assert "octo-org/widget" in str(caught.value)
    assert visibility in str(caught.value)
    check_signing_identity(identity, GITHUB, public, allow_public_log=True)


def test_pypi_believes_the_public_instance_only(sandbox: Sandbox, tmp_path: Path, public: Trust) -> None:
    """And a rehearsal's instance stays on this machine."""
    rehearsal = load_trust(str(sandbox.directory / "trust_config.json"), tmp_path)
    for endpoints in (PYPI, TEST_PYPI):
        check_instance("production", endpoints)
        for name in ("staging", "trust.json", "https://sigstore.corp.example"):
            with pytest.raises(GateError):
                check_instance(name, endpoints)
    check_instance("staging", CORP)
    check_trust(dataclasses.replace(public, fulcio_url="https://fulcio.sigstore.dev"), CORP)
    check_trust(rehearsal, endpoints_of("http://127.0.0.1:8000/legacy/"))
    with pytest.raises(GateError) as caught:
        check_trust(rehearsal, CORP)

    assert caught.value.code == "trust-loopback"


def refuse(reason: str) -> None:
    raise GateError("attestation-missing", cause=reason, names="x")


@pytest.mark.parametrize(("interactive", "code"), [(True, "interactive-pypi"), (False, "attestation-missing")])
def test_no_browser_opens_for_pypi(public: Trust, code: str, *, interactive: bool) -> None:
    """PyPI takes no person's attestations: W#17312 tells of a browser that opened for nothing."""
    with pytest.raises(AttestError) as caught:
        find_signer(public, None, {}, allow_public_log=False, interactive=interactive, for_pypi=True, refuse=refuse)

    assert caught.value.code == code


def test_an_instance_without_a_login_service_cannot_sign_interactively(public: Trust) -> None:
    """Said before anything is signed."""
    without = dataclasses.replace(public, oidc_url="")
    with pytest.raises(AttestError) as caught:
        find_signer(without, None, {}, allow_public_log=False, interactive=True, for_pypi=False, refuse=refuse)

    assert caught.value.code == "login-none"


@pytest.mark.parametrize(
    ("publisher", "endpoints", "command"),
    [
        (
            GITHUB,
            PYPI,
            "pypi-attestations verify pypi --repository https://github.com/octo-org/widget pypi:widget-1.0.tar.gz",
        ),
        (
            TrustedPublisher("GitLab", "octo-org/widget", ".gitlab-ci.yml"),
            PYPI,
            "pypi-attestations verify pypi --repository https://gitlab.com/octo-org/widget pypi:widget-1.0.tar.gz",
        ),
        (
            TrustedPublisher("Google", email="a@b.example"),
            TEST_PYPI,
            (
                "curl -fsS -o provenance.json https://test.pypi.org/integrity/widget/1.0/widget-1.0.tar.gz/provenance"
                " && pypi-attestations verify pypi --gcp-service-account a@b.example --provenance-file provenance.json"
                " widget-1.0.tar.gz"
            ),
        ),
    ],
)
def test_the_consumers_command_is_one_that_pypi_attestations_takes(
    publisher: TrustedPublisher, endpoints: Any, command: str, widget: Artifact
) -> None:
    """It is printed for people to paste."""
    assert consumer_commands(widget, publisher, endpoints) == [command]


def test_the_releases_page_is_shown_once_and_for_pypi_only(widget: Artifact) -> None:
    """Whoever released wants to look at it; other indexes have their pages elsewhere, or none."""
    assert release_pages([widget, widget], PYPI) == ["https://pypi.org/project/widget/1.0/"]
    assert release_pages([widget], CORP) == []


@pytest.fixture
def widget(tmp_path: Path) -> Artifact:
    """An artifact named like a release's."""
    from hatch_attest.artifacts import read_artifact

    path = tmp_path / "widget-1.0.tar.gz"
    path.write_bytes(b"")
    return read_artifact(path)

"""Policy: what PyPI would refuse, and what a project does not want, said before a log entry or an upload is made."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from packaging.utils import parse_wheel_filename

from hatch_attest.artifacts import printable
from hatch_attest.errors import GateError
from hatch_attest.provenance import GITHUB_ISSUER, identity_of_claims, publisher_of_claims
from hatch_attest.trust import PRODUCTION

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from hatch_attest.artifacts import Artifact
    from hatch_attest.index.endpoints import Endpoints
    from hatch_attest.options import TrustedPublisher
    from hatch_attest.provenance import SignerIdentity
    from hatch_attest.trust import Trust


# The Linux wheels without a policy that PyPI takes all the same (warehouse/forklift/legacy.py).
_LINUX_PLATFORMS = ("linux_armv6l", "linux_armv7l")
# Trusted Publishers of PyPI's, for which it takes no attestations (warehouse/oidc/models/circleci.py).
_WITHOUT_ATTESTATIONS = ("https://oidc.circleci.com",)


def check_instance(name: str, endpoints: Endpoints) -> None:
    """Check by its name alone that a Sigstore instance goes with an index, before its trust is loaded.

    Raises:
        GateError: PyPI believes the public instance only.

    """
    if endpoints.is_pypi and name != PRODUCTION:
        raise GateError("trust-not-production", host=endpoints.host, name=name)


def check_trust(trust: Trust, endpoints: Endpoints) -> None:
    """Check that a Sigstore instance goes with an index.

    Raises:
        GateError: an instance on loopback is a rehearsal's, good for an index on loopback only.

    """
    if trust.loopback and not endpoints.loopback:
        raise GateError("trust-loopback", host=endpoints.host, name=trust.name)


def check_artifacts(artifacts: Iterable[Artifact], endpoints: Endpoints) -> None:
    """Check what PyPI would refuse of an artifact by its name alone, perhaps after it has taken others of the release.

    Raises:
        GateError: a local version (PEP 440), or a wheel for a Linux of no known kind (PEP 513 and after).

    """
    if not endpoints.is_pypi:
        return
    for artifact in artifacts:
        if artifact.version.local:
            raise GateError("local-version", name=printable(artifact.name), host=endpoints.host)
        if artifact.kind == "wheel":
            platforms = {tag.platform for tag in parse_wheel_filename(artifact.name)[3]}
            if any(each.startswith("linux_") and each not in _LINUX_PLATFORMS for each in platforms):
                raise GateError("linux-wheel", name=printable(artifact.name), host=endpoints.host)


def check_publisher_claims(
    claims: Mapping[str, Any], configured: TrustedPublisher | None, *, attached: bool, for_pypi: bool
) -> TrustedPublisher | None:
    """Check the token that will be exchanged, and return the Trusted Publisher that PyPI would look up for it.

    Args:
        claims: of the token.
        configured: the publisher that the project says it releases as.
        attached: whether attestations go along.
        for_pypi: whether the index is PyPI itself; another may believe issuers that PyPI does not know.

    Returns:
        the publisher; None where it is one of none of PyPI's kinds, and its policy is not known.

    Raises:
        GateError: PyPI would refuse the token, or the upload afterwards; or it is not the configured publisher.

    """
    if claims.get("event_name") == "pull_request_target":
        raise GateError("publisher-pull-request-target")
    publisher = publisher_of_claims(claims)
    if publisher is None:
        if attached and (for_pypi or claims.get("iss") in _WITHOUT_ATTESTATIONS):
            raise GateError("publisher-unsupported", issuer=claims.get("iss") or "an unknown issuer")
        return None
    if attached and claims.get("iss") == GITHUB_ISSUER:
        _check_reusable_workflow(claims)
    if configured is not None:
        _check_configured(publisher, configured)
    return publisher


def supports_attestations(claims: Mapping[str, Any]) -> bool:
    """Say whether PyPI takes attestations from whoever this token is of (GitHub, GitLab and Google)."""
    return publisher_of_claims(claims) is not None


def check_signing_identity(
    identity: SignerIdentity, expected: TrustedPublisher | None, trust: Trust, *, allow_public_log: bool
) -> None:
    """Check whom the certificates would name, before one is asked for.

    Raises:
        GateError: not the publisher; or a private repository's name would enter a public log.

    """
    if expected is not None and not identity.satisfies(expected):
        raise GateError("signing-identity", identity=identity, publisher=expected)
    if identity.private and trust.public and not allow_public_log:
        raise GateError(
            "private-repository", repository=identity.repository, visibility=identity.visibility, log=trust.log
        )


def _check_reusable_workflow(claims: Mapping[str, Any]) -> None:
    """PyPI looks the publisher up by the workflow that holds the job; the certificate names the one that was started.

    In a reusable workflow they differ: the token would be minted, and every upload refused (warehouse#11096).
    """
    started = str(claims.get("workflow_ref") or "").partition("@")[0]
    holds = str(claims.get("job_workflow_ref") or "").partition("@")[0]
    if started and holds and started != holds:
        raise GateError("publisher-reusable-workflow", started=started, holds=holds)


def _check_configured(publisher: TrustedPublisher, configured: TrustedPublisher) -> None:
    own = (publisher.kind, publisher.repository, publisher.workflow, publisher.email)
    wanted = (configured.kind, configured.repository, configured.workflow, configured.email)
    if own != wanted:
        raise GateError("publisher-other", publisher=publisher, configured=configured)
    # PyPI compares the names of GitHub's environments whatever their case.
    environment = (publisher.environment or "").lower()
    if configured.environment and environment != configured.environment.lower():
        raise GateError(
            "publisher-environment", environment=publisher.environment or "none", wanted=configured.environment
        )


def describe_claims(claims: Mapping[str, Any]) -> str:
    """Say in a few words whose token it is; nothing of the token itself."""
    return str(publisher_of_claims(claims) or identity_of_claims(claims))

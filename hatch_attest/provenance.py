"""Provenance: who signs, as a certificate or a token says, and which Trusted Publisher PyPI makes of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hatch_attest.options import TrustedPublisher

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cryptography.x509 import Certificate
    from pypi_attestations import GitHubPublisher, GitLabPublisher, GooglePublisher

GITHUB_ISSUER = "https://token.actions.githubusercontent.com"
GITLAB_ISSUER = "https://gitlab.com"
GOOGLE_ISSUER = "https://accounts.google.com"

_WORKFLOWS = "/.github/workflows/"

# Fulcio's extensions (its docs/oid-info.md), below 1.3.6.1.4.1.57264.1.
_ARC = "1.3.6.1.4.1.57264.1"
_ISSUER, _SOURCE_REPOSITORY, _SOURCE_REF, _BUILD_CONFIG, _VISIBILITY = 8, 12, 14, 18, 22


@dataclass(frozen=True)
class SignerIdentity:
    """Who signs, as a certificate carries it.

    Attributes:
        issuer: the URL of the OIDC issuer.
        subject: the subject alternative name: the workflow's URI, or an e-mail address.
        repository: ``owner/name``; empty for a person or a service account.
        workflow: the file of the workflow that was started (GitHub: its name, GitLab: its path); empty likewise.
        ref: the git ref that it ran for; empty likewise.
        visibility: of the repository at that time: ``public``, ``private``, ``internal``, or empty where not stated.
        environment: the environment of the job, known from a token only.

    """

    issuer: str
    subject: str
    repository: str = ""
    workflow: str = ""
    ref: str = ""
    visibility: str = ""
    environment: str | None = None

    def __str__(self) -> str:
        if not self.repository:
            return f"{self.subject} (by {self.issuer})"
        return f"{self.repository}, workflow {self.workflow or '?'} at {self.ref or '?'}"

    @property
    def private(self) -> bool:
        """Whether the repository's name is not for everybody."""
        return self.visibility not in ("", "public")

    @property
    def publisher(self) -> TrustedPublisher | None:
        """The Trusted Publisher whose policy this identity satisfies; None for an issuer that PyPI does not accept."""
        if self.issuer == GITHUB_ISSUER:
            return TrustedPublisher("GitHub", self.repository, self.workflow, self.environment)
        if self.issuer == GITLAB_ISSUER:
            return TrustedPublisher("GitLab", self.repository, self.workflow, self.environment)
        if self.issuer == GOOGLE_ISSUER:
            return TrustedPublisher("Google", email=self.subject)
        return None

    def satisfies(self, publisher: TrustedPublisher) -> bool:
        """Say whether a certificate of this identity would satisfy PyPI's policy for ``publisher``.

        The environment does not count: no certificate policy of PyPI's looks at it (pypi_attestations' publishers).
        """
        own = self.publisher
        return own is not None and (own.kind, own.repository, own.workflow, own.email) == (
            publisher.kind,
            publisher.repository,
            publisher.workflow,
            publisher.email,
        )


def identity_of_claims(claims: Mapping[str, Any]) -> SignerIdentity:
    """Say what certificate Fulcio would make of a token's claims (Fulcio's config/identity/config.yaml)."""
    issuer = _text(claims, "iss")
    if issuer == GITHUB_ISSUER:
        return SignerIdentity(
            issuer=issuer,
            subject=f"https://github.com/{_text(claims, 'job_workflow_ref')}",
            repository=_text(claims, "repository"),
            workflow=_github_workflow(_text(claims, "workflow_ref")),
            ref=_text(claims, "ref"),
            visibility=_text(claims, "repository_visibility"),
            environment=_text(claims, "environment") or None,
        )
    if "project_path" in claims:
        uri = _text(claims, "ci_config_ref_uri")
        return SignerIdentity(
            issuer=issuer,
            subject=f"https://{uri}",
            repository=_text(claims, "project_path"),
            workflow=_gitlab_workflow(uri),
            ref=_text(claims, "ref"),
            visibility=_text(claims, "project_visibility"),
            environment=_text(claims, "environment") or None,
        )
    return SignerIdentity(issuer=issuer, subject=_text(claims, "email") or _text(claims, "sub"))


def publisher_of_claims(claims: Mapping[str, Any]) -> TrustedPublisher | None:
    """Return the Trusted Publisher that PyPI looks up for a token (warehouse/oidc/models); None where it knows none.

    For GitHub that is by ``job_workflow_ref``, the workflow that holds the job: in a reusable workflow another one than
    ``workflow_ref``, which the certificate carries.
    """
    identity = identity_of_claims(claims)
    publisher = identity.publisher
    if publisher is None or publisher.kind != "GitHub":
        return publisher
    job_workflow = _github_workflow(_text(claims, "job_workflow_ref"))
    return TrustedPublisher("GitHub", identity.repository, job_workflow, identity.environment)


def identity_of_certificate(certificate: Certificate) -> SignerIdentity:
    """Say who a signing certificate was made out to. Its chain is not verified here."""
    from cryptography import x509

    extensions = _fulcio_extensions(certificate)
    issuer = extensions.get(_ISSUER, "")
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    subjects = [
        *names.get_values_for_type(x509.UniformResourceIdentifier),
        *names.get_values_for_type(x509.RFC822Name),
    ]
    repository = extensions.get(_SOURCE_REPOSITORY, "")
    build_config = extensions.get(_BUILD_CONFIG, "")
    github = issuer == GITHUB_ISSUER
    return SignerIdentity(
        issuer=issuer,
        subject=subjects[0] if subjects else "",
        repository=_after_host(repository),
        workflow=_github_workflow(build_config) if github else _gitlab_workflow(build_config),
        ref=extensions.get(_SOURCE_REF, ""),
        visibility=extensions.get(_VISIBILITY, ""),
    )


def pypi_publisher(publisher: TrustedPublisher) -> GitHubPublisher | GitLabPublisher | GooglePublisher:
    """Return the publisher as pypi_attestations models it; its policy is PyPI's own."""
    from pypi_attestations import GitHubPublisher, GitLabPublisher, GooglePublisher

    if publisher.kind == "GitHub":
        return GitHubPublisher(
            repository=publisher.repository, workflow=publisher.workflow, environment=publisher.environment
        )
    if publisher.kind == "GitLab":
        return GitLabPublisher(
            repository=publisher.repository, workflow_filepath=publisher.workflow, environment=publisher.environment
        )
    return GooglePublisher(email=publisher.email)


def _fulcio_extensions(certificate: Certificate) -> dict[int, str]:
    """Return Fulcio's extensions 8 and above, which are DER UTF8Strings, by their last number."""
    from cryptography.x509 import UnrecognizedExtension
    from pyasn1.codec.der.decoder import decode
    from pyasn1.error import PyAsn1Error
    from pyasn1.type.char import UTF8String

    found: dict[int, str] = {}
    for extension in certificate.extensions:
        arc, _, last = extension.oid.dotted_string.rpartition(".")
        if arc == _ARC and int(last) >= _ISSUER and isinstance(extension.value, UnrecognizedExtension):
            try:
                found[int(last)] = str(decode(extension.value.value, UTF8String())[0])
            except (PyAsn1Error, UnicodeDecodeError):
                continue  # whoever relies on it finds it missing
    return found


def _text(claims: Mapping[str, Any], name: str) -> str:
    value = claims.get(name)
    return value if isinstance(value, str) else ""


def _github_workflow(reference: str) -> str:
    """``owner/name/.github/workflows/release.yml@ref`` (with or without a host before) gives ``release.yml``."""
    _, found, rest = reference.partition(_WORKFLOWS)
    return rest.split("@", 1)[0] if found else ""


def _gitlab_workflow(uri: str) -> str:
    """``gitlab.com/group/name//.gitlab-ci.yml@ref`` (with or without a scheme) gives ``.gitlab-ci.yml``."""
    _, found, rest = uri.removeprefix("https://").partition("//")
    return rest.split("@", 1)[0] if found else ""


def _after_host(url: str) -> str:
    return url.removeprefix("https://").partition("/")[2]

"""Trusted Publishers: how a token's claims find theirs, in the rules and the words of PyPI (warehouse/oidc/models)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import pypi_attestations

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

Claims = dict[str, Any]

_NOT_FOUND = "Publisher with matching claims was not found"
# The file name before an "@", which itself may hold "@" (warehouse/oidc/models/github.py and gitlab.py).
_GITHUB_WORKFLOW = re.compile(r"([^/]+\.(yml|yaml))(?=@)")
_GITLAB_WORKFLOW = re.compile(r"(?<=//)(.+[^/]\.(yml|yaml))(?=@)")


class InvalidPublisherError(Exception):
    """The claims are those of no publisher; the message says why, in PyPI's words."""


@dataclass(frozen=True)
class Publisher:
    """A Trusted Publisher. The subclasses say which claims are theirs."""

    kind: ClassVar[str]
    issuer: ClassVar[str]
    #: PyPI's name of the service, as its message "… trusted publishing functionality not enabled" has it.
    service: ClassVar[str]
    required_claims: ClassVar[tuple[str, ...]]
    #: Whether one identity token is exchanged only once (PyPI checks ``jti`` for these kinds).
    single_use: ClassVar[bool] = False

    @classmethod
    def candidates(cls, claims: Claims, publishers: Iterable[Publisher]) -> list[Publisher]:
        """List those that the claims may belong to, the most specific first.

        Raises:
            InvalidPublisherError: the claims cannot be read.

        """
        raise NotImplementedError

    def verify(self, claims: Claims) -> None:
        """Check every claim that PyPI checks.

        Raises:
            InvalidPublisherError: one does not fit.

        """
        raise NotImplementedError

    @property
    def attestation_identity(self) -> pypi_attestations.Publisher | None:
        """The identity that attestations must be made by; None where PyPI supports none for the kind."""
        raise NotImplementedError


@dataclass(frozen=True)
class GitHub(Publisher):
    """A workflow of a GitHub repository, optionally within an environment."""

    kind: ClassVar[str] = "GitHub"
    issuer: ClassVar[str] = "https://token.actions.githubusercontent.com"
    service: ClassVar[str] = "github"
    single_use: ClassVar[bool] = True
    required_claims: ClassVar[tuple[str, ...]] = (
        "sub",
        "repository",
        "repository_owner",
        "repository_owner_id",
        "job_workflow_ref",
        "jti",
        "event_name",
        "ref",
        "sha",
    )

    repository: str
    workflow: str
    environment: str = ""
    repository_owner_id: str | None = None

    @classmethod
    def candidates(cls, claims: Claims, publishers: Iterable[Publisher]) -> list[Publisher]:
        """Match repository, owner and workflow; one with the token's environment comes first."""
        workflow = _GITHUB_WORKFLOW.search(claims["job_workflow_ref"])
        if workflow is None:
            # Sic: PyPI's own word order.
            raise InvalidPublisherError("Could not job extract workflow filename from OIDC claims")
        found = [
            publisher
            for publisher in publishers
            if isinstance(publisher, cls)
            and publisher.repository == claims["repository"]
            and publisher.repository_owner_id in (None, claims["repository_owner_id"])
            and publisher.workflow == workflow.group(0)
        ]
        return _by_environment(found, claims.get("environment"))

    def verify(self, claims: Claims) -> None:
        """Check repository, owner, workflow with its ref, event and environment."""
        owner = self.repository.split("/", 1)[0]
        _check("sub", _subject_is(claims["sub"], f"repo:{self.repository}"))
        _check("repository", claims["repository"].lower() == self.repository.lower())
        _check("repository_owner", claims["repository_owner"] == owner)
        _check("repository_owner_id", self.repository_owner_id in (None, claims["repository_owner_id"]))
        _check_reference(
            claims,
            "job_workflow_ref",
            f"{self.repository}/.github/workflows/{self.workflow}",
            claims.get("ref"),
            claims.get("sha"),
        )
        if claims["event_name"] == "pull_request_target":
            raise InvalidPublisherError(
                "Publishing from a workflow invoked via 'pull_request_target' is not supported."
            )
        environment = claims.get("environment") or ""
        _check("environment", not self.environment or environment.lower() == self.environment.lower(), "optional")

    @property
    def attestation_identity(self) -> pypi_attestations.Publisher:
        """As PyPI spells it in the provenance object."""
        return pypi_attestations.GitHubPublisher(
            repository=self.repository, workflow=self.workflow, environment=self.environment or None
        )


@dataclass(frozen=True)
class GitLab(Publisher):
    """A pipeline of a GitLab.com project, optionally within an environment."""

    kind: ClassVar[str] = "GitLab"
    issuer: ClassVar[str] = "https://gitlab.com"
    service: ClassVar[str] = "gitlab"
    single_use: ClassVar[bool] = True
    required_claims: ClassVar[tuple[str, ...]] = ("sub", "project_path", "ci_config_ref_uri", "jti", "ref_path", "sha")

    repository: str
    workflow_filepath: str = ".gitlab-ci.yml"
    environment: str = ""

    @classmethod
    def candidates(cls, claims: Claims, publishers: Iterable[Publisher]) -> list[Publisher]:
        """Match project and pipeline file; one with the token's environment comes first."""
        workflow = _GITLAB_WORKFLOW.search(claims["ci_config_ref_uri"])
        if workflow is None:
            raise InvalidPublisherError("Could not extract workflow filename from OIDC claims")
        found = [
            publisher
            for publisher in publishers
            if isinstance(publisher, cls)
            and publisher.repository == claims["project_path"]
            and publisher.workflow_filepath == workflow.group(0)
        ]
        return _by_environment(found, claims.get("environment"))

    def verify(self, claims: Claims) -> None:
        """Check project, pipeline file with its ref, and environment."""
        _check("sub", _subject_is(claims["sub"], f"project_path:{self.repository}"))
        _check("project_path", claims["project_path"].lower() == self.repository.lower())
        if not (claims.get("ref_path") and claims.get("sha")):
            raise InvalidPublisherError("The ref_path and sha claims are empty")
        _check_reference(
            claims,
            "ci_config_ref_uri",
            f"gitlab.com/{self.repository}//{self.workflow_filepath}",
            claims["ref_path"],
            claims["sha"],
        )
        _check("environment", not self.environment or claims.get("environment") == self.environment, "optional")

    @property
    def attestation_identity(self) -> pypi_attestations.Publisher:
        """As PyPI spells it in the provenance object."""
        return pypi_attestations.GitLabPublisher(
            repository=self.repository,
            workflow_filepath=self.workflow_filepath,
            environment=self.environment or None,
        )


@dataclass(frozen=True)
class Google(Publisher):
    """A service account of Google Cloud, optionally with its unique subject."""

    kind: ClassVar[str] = "Google"
    issuer: ClassVar[str] = "https://accounts.google.com"
    service: ClassVar[str] = "google"
    required_claims: ClassVar[tuple[str, ...]] = ("email", "email_verified")

    email: str
    sub: str = ""

    @classmethod
    def candidates(cls, claims: Claims, publishers: Iterable[Publisher]) -> list[Publisher]:
        """Match the e-mail address; one with the token's subject comes first."""
        found = [p for p in publishers if isinstance(p, cls) and p.email == claims["email"]]
        specific = [p for p in found if p.sub and p.sub == claims.get("sub")]
        return [*specific, *(p for p in found if not p.sub)]

    def verify(self, claims: Claims) -> None:
        """Check the address, that it is verified, and the subject."""
        _check("email", claims["email"] == self.email)
        _check("email_verified", claims["email_verified"] is True)
        _check("sub", not self.sub or claims.get("sub") == self.sub, "optional")

    @property
    def attestation_identity(self) -> pypi_attestations.Publisher:
        """As PyPI spells it in the provenance object."""
        return pypi_attestations.GooglePublisher(email=self.email)


@dataclass(frozen=True)
class CircleCI(Publisher):
    """A pipeline of CircleCI: it may publish, but PyPI takes no attestations of it."""

    kind: ClassVar[str] = "CircleCI"
    issuer: ClassVar[str] = "https://oidc.circleci.com"
    service: ClassVar[str] = "circleci"
    _PREFIX: ClassVar[str] = "oidc.circleci.com/"
    required_claims: ClassVar[tuple[str, ...]] = (
        "oidc.circleci.com/org-id",
        "oidc.circleci.com/project-id",
        "oidc.circleci.com/pipeline-definition-id",
        "oidc.circleci.com/ssh-rerun",
    )

    org_id: str
    project_id: str
    pipeline_definition_id: str

    @classmethod
    def candidates(cls, claims: Claims, publishers: Iterable[Publisher]) -> list[Publisher]:
        """Match organization, project and pipeline definition."""
        wanted = tuple(claims[name] for name in cls.required_claims[:3])
        return [
            p for p in publishers if isinstance(p, cls) and (p.org_id, p.project_id, p.pipeline_definition_id) == wanted
        ]

    def verify(self, claims: Claims) -> None:
        """Refuse a job that was run again with SSH access to it."""
        rerun = f"{self._PREFIX}ssh-rerun"
        _check(rerun, claims[rerun] is False)

    @property
    def attestation_identity(self) -> None:
        """None: PyPI supports no attestations of CircleCI."""
        return None


KINDS: Mapping[str, type[Publisher]] = {kind.kind: kind for kind in (GitHub, GitLab, Google, CircleCI)}
BY_ISSUER: Mapping[str, type[Publisher]] = {kind.issuer: kind for kind in KINDS.values()}


def make_publisher(kind: str, **fields: str | None) -> Publisher:
    """Make a publisher of a kind (a key of ``KINDS``) from its fields; None means not given.

    Raises:
        ValueError: the kind is unknown, or a field is unknown or missing.

    """
    if kind not in KINDS:
        message = f"unknown kind of Trusted Publisher {kind!r}, known are {', '.join(KINDS)}"
        raise ValueError(message)
    given = {name: value for name, value in fields.items() if value is not None}
    # PyPI keeps GitHub's environments in lower case, GitLab's as they are.
    if kind == GitHub.kind and "environment" in given:
        given["environment"] = given["environment"].lower()
    make: Callable[..., Publisher] = KINDS[kind]
    try:
        return make(**given)
    except TypeError as error:
        message = f"a {kind} publisher: {error}"
        raise ValueError(message) from error


def find_publisher(kind: type[Publisher], claims: Claims, publishers: Iterable[Publisher]) -> Publisher:
    """Find the publisher that the claims belong to, and check them all.

    Raises:
        InvalidPublisherError: there is none.

    """
    for name in kind.required_claims:
        if claims.get(name) is None:
            raise InvalidPublisherError(f"Missing claim {name!r}")
    candidates = kind.candidates(claims, publishers)
    if not candidates:
        raise InvalidPublisherError(_NOT_FOUND)
    candidates[0].verify(claims)
    return candidates[0]


def _by_environment(found: Iterable[Any], environment: str | None) -> list[Publisher]:
    publishers = list(found)
    # Lower case for GitLab as well: that is how PyPI looks publishers up (though it then compares as written).
    specific = [p for p in publishers if environment and p.environment == environment.lower()]
    return [*specific, *(p for p in publishers if not p.environment)]


def _check(claim: str, fits: bool, kind: str = "required") -> None:  # noqa: FBT001
    if not fits:
        raise InvalidPublisherError(f"Check failed for {kind} claim {claim!r}")


def _check_reference(claims: Claims, claim: str, truth: str, *suffixes: str | None) -> None:
    """Check a claim of the form ``TRUTH@REF``, where REF is one of the token's own."""
    given = [suffix for suffix in suffixes if suffix]
    if not given:
        raise InvalidPublisherError("The ref and sha claims are empty")
    expected = {f"{truth}@{suffix}" for suffix in given}
    if claims[claim] not in expected:
        raise InvalidPublisherError(
            f"The {claim} claim does not match, expecting one of {sorted(expected)!r}, got {claims[claim]!r}"
        )


def _subject_is(subject: str, truth: str) -> bool:
    """Compare the first two parts of a subject such as ``repo:OWNER/NAME:ref:…``, whatever their case."""
    parts = subject.split(":")
    return len(parts) > 1 and all(parts[:2]) and ":".join(parts[:2]).lower() == truth.lower()

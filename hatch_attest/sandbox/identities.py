"""The identities that the sandbox can play: whose tokens its issuer gives, and what their environment looks like.

The claims are those of the real tokens: GitHub's "OpenID Connect reference", GitLab's "ID token authentication",
Google's and Dex's ID tokens. Issuers are the real ones' URLs, because Fulcio's and PyPI's rules name them; the keys
are the sandbox's, so no other party accepts the tokens.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

GITHUB = "https://token.actions.githubusercontent.com"
GITLAB = "https://gitlab.com"
GOOGLE = "https://accounts.google.com"
SIGSTORE = "https://oauth2.sigstore.dev/auth"

_SHA = "a" * 40


@dataclass(frozen=True)
class GitHubIdentity:
    """A job of a GitHub Actions workflow.

    Args:
        repository: ``OWNER/NAME``.
        workflow: the workflow's file name, in ``.github/workflows`` of the repository.
        ref: the full git reference that the run is for, such as ``refs/tags/v1``.
        environment: the deployment environment of the job; ``None``: the job names none.
        visibility: ``public``, ``private`` or ``internal``.
        event_name: the event that started the run, such as ``push`` or ``pull_request_target``.
        job_workflow_ref: ``OWNER/NAME/.github/workflows/FILE@REF`` of the reusable workflow that the job runs in;
            ``None``: the job is the workflow's own.
        workflow_name: the ``name:`` in the workflow; ``None``: the file name without its suffix.
        head_ref, base_ref: the branches of a pull request.

    """

    repository: str = "octo-org/widget"
    workflow: str = "release.yml"
    ref: str = "refs/tags/v1"
    environment: str | None = None
    visibility: str = "public"
    event_name: str = "push"
    job_workflow_ref: str | None = None
    workflow_name: str | None = None
    sha: str = _SHA
    actor: str = "octocat"
    head_ref: str = ""
    base_ref: str = ""
    repository_id: str = "6789"
    owner_id: str = "12345"
    actor_id: str = "583231"
    run_id: str = "111"
    run_number: str = "1"
    run_attempt: str = "1"
    runner_environment: str = "github-hosted"

    issuer: ClassVar[str] = GITHUB
    lifetime: ClassVar[int] = 300
    backdated: ClassVar[int | None] = 600

    @property
    def workflow_ref(self) -> str:
        """``OWNER/NAME/.github/workflows/FILE@REF`` of the workflow that was started."""
        return f"{self.repository}/.github/workflows/{self.workflow}@{self.ref}"

    @property
    def subject(self) -> str:
        """The ``sub`` claim in GitHub's default form."""
        if self.environment is not None:
            context = f"environment:{self.environment}"
        elif self.event_name == "pull_request":
            context = "pull_request"
        else:
            context = f"ref:{self.ref}"
        return f"repo:{self.repository}:{context}"

    def claims(self) -> dict[str, object]:
        """Return what a token says of this job, less what differs from token to token."""
        claims: dict[str, object] = {
            "sub": self.subject,
            "ref": self.ref,
            "sha": self.sha,
            "repository": self.repository,
            "repository_owner": self.repository.partition("/")[0],
            "repository_owner_id": self.owner_id,
            "run_id": self.run_id,
            "run_number": self.run_number,
            "run_attempt": self.run_attempt,
            "repository_visibility": self.visibility,
            "repository_id": self.repository_id,
            "actor_id": self.actor_id,
            "actor": self.actor,
            "workflow": self.workflow_name or self.workflow.rpartition(".")[0],
            "head_ref": self.head_ref,
            "base_ref": self.base_ref,
            "event_name": self.event_name,
            "ref_protected": "false",
            "ref_type": "tag" if self.ref.startswith("refs/tags/") else "branch",
            "workflow_ref": self.workflow_ref,
            "workflow_sha": self.sha,
            "job_workflow_ref": self.job_workflow_ref or self.workflow_ref,
            "job_workflow_sha": self.sha,
            "runner_environment": self.runner_environment,
        }
        if self.environment is not None:
            claims["environment"] = self.environment
        return claims

    def environment_variables(self) -> dict[str, str]:
        """Return GitHub's own variables of such a job, less those for requesting a token."""
        return {
            "CI": "true",
            "GITHUB_ACTIONS": "true",
            "GITHUB_ACTOR": self.actor,
            "GITHUB_BASE_REF": self.base_ref,
            "GITHUB_EVENT_NAME": self.event_name,
            "GITHUB_HEAD_REF": self.head_ref,
            "GITHUB_REF": self.ref,
            "GITHUB_REF_NAME": _short(self.ref),
            "GITHUB_REF_TYPE": "tag" if self.ref.startswith("refs/tags/") else "branch",
            "GITHUB_REPOSITORY": self.repository,
            "GITHUB_REPOSITORY_ID": self.repository_id,
            "GITHUB_REPOSITORY_OWNER": self.repository.partition("/")[0],
            "GITHUB_REPOSITORY_OWNER_ID": self.owner_id,
            "GITHUB_RUN_ATTEMPT": self.run_attempt,
            "GITHUB_RUN_ID": self.run_id,
            "GITHUB_RUN_NUMBER": self.run_number,
            "GITHUB_SERVER_URL": "https://github.com",
            "GITHUB_SHA": self.sha,
            "GITHUB_WORKFLOW": self.workflow_name or self.workflow.rpartition(".")[0],
            "GITHUB_WORKFLOW_REF": self.workflow_ref,
            "GITHUB_WORKFLOW_SHA": self.sha,
            "RUNNER_ENVIRONMENT": self.runner_environment,
        }


@dataclass(frozen=True)
class GitLabIdentity:
    """A job of a pipeline on gitlab.com.

    Args:
        project: the path, ``GROUP/NAME`` (groups may be nested).
        workflow: the path of the top-level pipeline definition in the project.
        ref: the full git reference, such as ``refs/tags/v1``.
        environment: the deployment environment of the job; ``None``: the job names none.
        visibility: ``public``, ``private`` or ``internal``.
        pipeline_source: what started the pipeline, such as ``push``.
        ci_config_ref_uri: the ``HOST/PATH//FILE@REF`` of the definition, if it is not this project's.

    """

    project: str = "octo-org/widget"
    workflow: str = ".gitlab-ci.yml"
    ref: str = "refs/tags/v1"
    environment: str | None = None
    visibility: str = "public"
    pipeline_source: str = "push"
    ci_config_ref_uri: str | None = None
    sha: str = _SHA
    user: str = "octocat"
    project_id: str = "6789"
    namespace_id: str = "12345"
    job_id: str = "222"
    pipeline_id: str = "111"
    runner_environment: str = "gitlab-hosted"

    issuer: ClassVar[str] = GITLAB
    lifetime: ClassVar[int] = 3600
    backdated: ClassVar[int | None] = 5

    def claims(self) -> dict[str, object]:
        """Return what a token says of this job, less what differs from token to token."""
        ref_type = "tag" if self.ref.startswith("refs/tags/") else "branch"
        claims: dict[str, object] = {
            "sub": f"project_path:{self.project}:ref_type:{ref_type}:ref:{_short(self.ref)}",
            "namespace_id": self.namespace_id,
            "namespace_path": self.project.rpartition("/")[0],
            "project_id": self.project_id,
            "project_path": self.project,
            "user_id": "583231",
            "user_login": self.user,
            "user_email": f"{self.user}@example.com",
            "user_access_level": "maintainer",
            "pipeline_id": self.pipeline_id,
            "pipeline_source": self.pipeline_source,
            "job_id": self.job_id,
            "ref": _short(self.ref),
            "ref_type": ref_type,
            "ref_path": self.ref,
            "ref_protected": "false",
            "runner_id": 1,
            "runner_environment": self.runner_environment,
            "sha": self.sha,
            "ci_config_ref_uri": self.ci_config_ref_uri or f"gitlab.com/{self.project}//{self.workflow}@{self.ref}",
            "ci_config_sha": self.sha,
            "project_visibility": self.visibility,
        }
        if self.environment is not None:
            claims |= {
                "environment": self.environment,
                "environment_protected": "false",
                "deployment_tier": "production",
                "environment_action": "start",
            }
        return claims

    def environment_variables(self) -> dict[str, str]:
        """Return GitLab's own variables of such a job, less the tokens."""
        variables = {
            "CI": "true",
            "CI_COMMIT_REF_NAME": _short(self.ref),
            "CI_COMMIT_SHA": self.sha,
            "CI_CONFIG_PATH": self.workflow,
            "CI_JOB_ID": self.job_id,
            "CI_PIPELINE_ID": self.pipeline_id,
            "CI_PIPELINE_SOURCE": self.pipeline_source,
            "CI_PROJECT_ID": self.project_id,
            "CI_PROJECT_NAMESPACE": self.project.rpartition("/")[0],
            "CI_PROJECT_PATH": self.project,
            "CI_PROJECT_VISIBILITY": self.visibility,
            "CI_SERVER_HOST": "gitlab.com",
            "CI_SERVER_URL": "https://gitlab.com",
            "GITLAB_CI": "true",
            "GITLAB_USER_LOGIN": self.user,
        }
        if self.ref.startswith("refs/tags/"):
            variables["CI_COMMIT_TAG"] = _short(self.ref)
        if self.environment is not None:
            variables["CI_ENVIRONMENT_NAME"] = self.environment
        return variables


@dataclass(frozen=True)
class GoogleIdentity:
    """A Google Cloud service account (or any other Google account), known by its e-mail address.

    Args:
        email: the account's address.
        subject: the account's numeric identifier, the ``sub`` claim.

    """

    email: str = "release@octo-widget.iam.gserviceaccount.com"
    subject: str = "1234567890"
    verified: bool = True

    issuer: ClassVar[str] = GOOGLE
    lifetime: ClassVar[int] = 3600
    backdated: ClassVar[int | None] = None

    def claims(self) -> dict[str, object]:
        """Return what a token says of this account, less what differs from token to token."""
        return {
            "sub": self.subject,
            "azp": self.subject,
            "email": self.email,
            "email_verified": self.verified,
        }

    def environment_variables(self) -> dict[str, str]:
        """Return nothing: a Google machine is known by its metadata server, which the sandbox cannot play."""
        return {}


@dataclass(frozen=True)
class EmailIdentity:
    """A person who signs in through a browser at Sigstore's public login service (Dex).

    Args:
        email: the verified address at the account that was chosen there.
        connector: the URL of the account's issuer, ``federated_claims.connector_id``.
        subject: Dex's encoding of the account, the ``sub`` claim.

    """

    email: str = "octocat@example.com"
    connector: str = "https://github.com/login/oauth"
    subject: str = "CgExEgZnaXRodWI"
    verified: bool = True

    issuer: ClassVar[str] = SIGSTORE
    lifetime: ClassVar[int] = 60
    backdated: ClassVar[int | None] = None

    def claims(self) -> dict[str, object]:
        """Return what a token says of this person, less what differs from token to token."""
        return {
            "sub": self.subject,
            "email": self.email,
            "email_verified": self.verified,
            "federated_claims": {"connector_id": self.connector, "user_id": "1"},
        }

    def environment_variables(self) -> dict[str, str]:
        """Return nothing: a developer's machine says nothing of who they are."""
        return {}


Identity = GitHubIdentity | GitLabIdentity | GoogleIdentity | EmailIdentity


def _short(ref: str) -> str:
    """Return a reference without ``refs/heads/`` or ``refs/tags/``."""
    parts = ref.split("/", 2)
    return parts[2] if parts[0] == "refs" and parts[1:2] in (["heads"], ["tags"]) else ref

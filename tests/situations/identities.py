"""Situations of identities: who publishes, who signs, and who may not."""

from __future__ import annotations

import os
import stat
import sys
from typing import TYPE_CHECKING

import pytest

from hatch_attest.sandbox import EmailIdentity, GitHubIdentity, GitLabIdentity
from tests.situations.artifacts import signed_release
from tests.situations.situations import accepted, refused

if TYPE_CHECKING:
    from pathlib import Path

    from tests.publishing import Job

TOKEN_VARIABLES = ("ACTIONS_ID_TOKEN_REQUEST_URL", "ACTIONS_ID_TOKEN_REQUEST_TOKEN")
PUBLISHER = 'publisher = {kind = "GitHub", repository = "%s", workflow = "%s"%s}'


def plays(
    job: Job, identity: GitHubIdentity | GitLabIdentity | EmailIdentity, *, without: tuple[str, ...] = ()
) -> None:
    """Let the job be another one."""
    job.sandbox.issuer.identity = identity
    job.play(job.sandbox.environment, without=without)


@refused("nobody is there to ask, and there is no identity", "credentials-missing", "no identity is at hand")
def _(job: Job) -> None:
    signed_release(job)
    job.play({"HATCH_INDEX_REPO": job.sandbox.index.upload_url, **trust(job)})


def trust(job: Job) -> dict[str, str]:
    """Where the sandbox is, without who runs there."""
    return {name: job.sandbox.environment[name] for name in ("HATCH_ATTEST_SIGSTORE", "HATCH_INDEX_CA_CERT")}


@refused("the job lacks `id-token: write`", "credentials-missing", "id-token: write")
def _(job: Job) -> None:
    signed_release(job)
    job.play(job.sandbox.environment, without=TOKEN_VARIABLES)


@refused("a pull request from a fork", "credentials-missing", "comes from a fork")
def _(job: Job) -> None:
    signed_release(job)
    plays(job, GitHubIdentity(event_name="pull_request", ref="refs/pull/7/merge"), without=TOKEN_VARIABLES)


@refused("a job started by pull_request_target", "publisher-pull-request-target")
def _(job: Job) -> None:
    job.add_release()
    plays(job, GitHubIdentity(event_name="pull_request_target"))


@refused("a job of a reusable workflow", "publisher-reusable-workflow", "build.yml", "release.yml")
def _(job: Job) -> None:
    job.add_release()
    plays(job, GitHubIdentity(job_workflow_ref="octo-org/widget/.github/workflows/build.yml@refs/tags/v1"))


@refused("a job of another organization's reusable workflow", "publisher-reusable-workflow", "octo-org/shared")
def _(job: Job) -> None:
    job.add_release()
    plays(job, GitHubIdentity(job_workflow_ref="octo-org/shared/.github/workflows/build.yml@refs/heads/main"))


@refused("another workflow than the configured publisher's", "publisher-other", "nightly.yml")
def _(job: Job) -> None:
    job.add_release()
    job.configure(hook=PUBLISHER % ("octo-org/widget", "release.yml", ""))
    plays(job, GitHubIdentity(workflow="nightly.yml"))


@refused("a fork's own release, configured for the original", "publisher-other", "mallory/widget")
def _(job: Job) -> None:
    job.add_release()
    job.configure(hook=PUBLISHER % ("octo-org/widget", "release.yml", ""))
    plays(job, GitHubIdentity(repository="mallory/widget"))


@refused("the job lacks the publisher's environment", "publisher-environment", "environment: pypi")
def _(job: Job) -> None:
    job.add_release()
    job.configure(hook=PUBLISHER % ("octo-org/widget", "release.yml", ', environment = "pypi"'))


@refused("the index does not know the publisher", "exchange-invalid-publisher", "publishing settings")
def _(job: Job) -> None:
    job.add_release()
    plays(job, GitHubIdentity(repository="octo-org/other"))


@refused("the index does not know the publisher of what is signed", "exchange-invalid-publisher", "publishing settings")
def _(job: Job) -> None:
    plays(job, GitHubIdentity(repository="octo-org/other"))
    signed_release(job)


@refused("the Sigstore identity is another job's", "signing-identity", "octo-org/widget, workflow nightly.yml")
def _(job: Job) -> None:
    job.add_release()
    token = job.sandbox.issuer.token("sigstore", identity=GitHubIdentity(workflow="nightly.yml"))
    job.play({**job.sandbox.environment, "SIGSTORE_IDENTITY_TOKEN": token})


@refused("the Sigstore identity is a person's", "signing-identity", "octocat@example.com")
def _(job: Job) -> None:
    job.add_release()
    token = job.sandbox.issuer.token("sigstore", identity=EmailIdentity(email="octocat@example.com"))
    job.play({**job.sandbox.environment, "SIGSTORE_IDENTITY_TOKEN": token})


@refused("the Sigstore token has expired", "token-expired")
def _(job: Job) -> None:
    job.add_release()
    token = job.sandbox.issuer.token("sigstore", exp=1_700_000_000)
    job.play({**job.sandbox.environment, "SIGSTORE_IDENTITY_TOKEN": token})


@refused("the Sigstore token is for another audience", "token-audience", "not sigstore")
def _(job: Job) -> None:
    job.add_release()
    job.play({**job.sandbox.environment, "SIGSTORE_IDENTITY_TOKEN": job.sandbox.issuer.token("pypi")})


@refused("signing is switched off, and a sidecar is missing", "attestation-missing", "sign-missing is false")
def _(job: Job) -> list[str]:
    job.sign(job.add_release()[0])
    return ["-o", "sign-missing=false"]


@refused("a GitLab job without a token for Sigstore", "attestation-missing", "SIGSTORE_ID_TOKEN")
def _(job: Job) -> None:
    job.add_release()
    job.sandbox.index.create_project("widget")
    job.sandbox.index.add_publisher("widget", "GitLab", repository="octo-org/widget")
    plays(job, GitLabIdentity(), without=("SIGSTORE_ID_TOKEN",))


@refused("a GitLab job without a token for the index", "credentials-missing", "HATCH_ATTEST_SANDBOX_ID_TOKEN")
def _(job: Job) -> None:
    signed_release(job)
    plays(job, GitLabIdentity(), without=("HATCH_ATTEST_SANDBOX_ID_TOKEN",))


def circleci(job: Job) -> None:
    """Be a job on CircleCI, whose own tool gives the token."""
    if sys.platform == "win32":
        pytest.skip("a script is no program there")
    token = job.sandbox.issuer.token("hatch-attest-sandbox", iss="https://oidc.circleci.com")
    directory = job.root / "bin"
    directory.mkdir()
    tool: Path = directory / "circleci"
    tool.write_text(f"#!/bin/sh\necho '{token}'\n", encoding="utf-8")  # our Python's path may hold a space
    tool.chmod(tool.stat().st_mode | stat.S_IXUSR)
    path = os.pathsep.join([str(directory), job.environ.get("PATH", "")])
    job.play(
        {
            "PATH": path,
            "CIRCLECI": "true",
            "CIRCLE_OIDC_TOKEN_V2": "set",
            "HATCH_INDEX_REPO": job.sandbox.index.upload_url,
            **trust(job),
        }
    )


@refused("a job on CircleCI, of which PyPI takes no attestations", "publisher-unsupported", "oidc.circleci.com")
def _(job: Job) -> None:
    signed_release(job)
    circleci(job)


@refused("the platform's own token service is broken", "identity-broken", "GitHub Actions")
def _(job: Job) -> None:
    job.add_release()
    job.sandbox.faults.add("issuer", "GET", "/github/idtoken", ("status", 500, "broken"), times=9)


@accepted("a GitLab job", "signed widget-1.0.tar.gz as octo-org/widget, workflow .gitlab-ci.yml", signed=2)
def _(job: Job) -> None:
    job.add_release()
    job.sandbox.index.create_project("widget")
    job.sandbox.index.add_publisher("widget", "GitLab", repository="octo-org/widget")
    job.configure(
        hook='publisher = {kind = "GitLab", repository = "octo-org/widget", workflow_filepath = ".gitlab-ci.yml"}'
    )
    plays(job, GitLabIdentity())


@accepted("built and signed without an environment, published within one", signed=0)
def _(job: Job) -> None:
    signed_release(job)
    job.configure(hook=PUBLISHER % ("octo-org/widget", "release.yml", ', environment = "pypi"'))
    plays(job, GitHubIdentity(environment="PyPI"))


@accepted("a private repository, on an instance of one's own", signed=2)
def _(job: Job) -> None:
    job.add_release()
    plays(job, GitHubIdentity(visibility="private"))

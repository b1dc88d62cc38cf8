"""The forecast: what a release would make of its project's provenance, said before it goes out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from hatch_attest.sandbox import GitHubIdentity
from tests.publishing import Job
from tests.sandbox.index_support import sdist, wheel

if TYPE_CHECKING:
    from pathlib import Path

    from hatch_attest.sandbox import Sandbox


@pytest.fixture
def job(tmp_path: Path, sandbox: Sandbox, clean_environ: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Job:
    """A job that may publish `widget`, by two workflows and by token."""
    monkeypatch.setattr("hatch_attest.gate.proof.PATIENCE", 0.2)
    sandbox.index.create_project("widget")
    for workflow in ("release.yml", "nightly.yml"):
        sandbox.index.add_publisher("widget", repository="octo-org/widget", workflow=workflow)
    return Job(tmp_path / "widget", sandbox, clean_environ)


def release(job: Job, version: str, *arguments: str) -> list[str]:
    """Publish a version; returns all that was said of provenance."""
    for path in job.dist.iterdir():
        path.unlink()
    job.add_release(version=version)
    run = job.publish(*arguments)
    assert run.code == 0, run.output
    lines: list[str] = run.report["notes"] + run.report["warnings"]
    return [line for line in lines if line.startswith("widget ")]


def by_token(job: Job) -> tuple[str, ...]:
    return ("--auth", job.sandbox.index.add_token(), "-o", "attestations=never")


def test_a_first_release_has_nothing_to_compare_with(job: Job) -> None:
    """No news is good news."""
    assert release(job, "1.0") == []


def test_the_first_release_with_attestations_is_said(job: Job) -> None:
    """From here on, leaving them out is a loss."""
    release(job, "1.0", *by_token(job))

    assert release(job, "1.1") == ["widget 1.1: the first release with attestations (widget 1.0 has none)"]


def test_the_same_publisher_is_said(job: Job) -> None:
    """What a consumer pinned stays true; another environment does not matter to that."""
    release(job, "1.0")
    job.sandbox.issuer.identity = GitHubIdentity(environment="pypi")
    job.play(job.sandbox.environment)

    assert release(job, "1.1") == [("widget 1.1: the publisher is that of widget 1.0: "
                                   "GitHub octo-org/widget release.yml (environment pypi)")]  # fmt: skip


def test_another_publisher_is_a_warning(job: Job) -> None:
    """Consumers who pinned the old one will refuse this release."""
    release(job, "1.0")
    job.sandbox.issuer.identity = GitHubIdentity(workflow="nightly.yml")
    job.play(job.sandbox.environment)

    assert release(job, "1.1") == [
        "widget 1.1: the publisher would change against widget 1.0: workflow release.yml -> nightly.yml"
    ]


def test_lost_provenance_is_a_warning(job: Job) -> None:
    """Whoever demands attestations could no longer upgrade."""
    release(job, "1.0")

    assert release(job, "1.1", *by_token(job)) == [
        "widget 1.1: provenance lost: widget 1.0 has attestations, this release would have none"
    ]


def test_partial_provenance_is_a_warning(job: Job) -> None:
    """A file that went up without attestations stays without them."""
    job.add(wheel(tag="py2-none-any"))
    assert job.publish(*by_token(job)).code == 0

    assert release(job, "1.0") == ["widget 1.0: partial provenance: 2 of 3 files would have attestations"]


def test_a_fix_of_an_old_series_is_compared_with_its_own(job: Job) -> None:
    """1.0.1 after 2.0 follows 1.0."""
    release(job, "1.0", *by_token(job))
    release(job, "2.0")

    assert release(job, "1.0.1") == ["widget 1.0.1: the first release with attestations (widget 1.0 has none)"]


def test_an_index_that_does_not_tell_who_published_is_no_failure(job: Job) -> None:
    """It is a forecast, not a proof."""
    release(job, "1.0")
    job.sandbox.faults.add("index", "GET", "/integrity/widget/1.0/", ("status", 404, "none"), times=9)

    assert release(job, "1.1") == []


def test_each_project_of_a_workspace_has_its_own_forecast(job: Job) -> None:
    """Two projects in one run are two releases."""
    job.sandbox.index.create_project("gadget")
    job.sandbox.index.add_publisher("gadget", repository="octo-org/widget", workflow="release.yml")
    release(job, "1.0", *by_token(job))
    for path in job.dist.iterdir():
        path.unlink()
    job.add(sdist(version="1.1"), sdist("gadget", "0.1"))

    run = job.publish()

    assert run.code == 0, run.output
    assert run.report["notes"] == ["widget 1.1: the first release with attestations (widget 1.0 has none)"]
    assert set(job.on_index("gadget")) == {"gadget-0.1.tar.gz"}

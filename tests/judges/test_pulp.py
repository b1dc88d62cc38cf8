"""Releases to Pulp, a package index of other people's that verifies attestations."""

from __future__ import annotations

import os
import shutil
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.judges.cases import Cases
    from tests.judges.pulp import PulpIndex
    from tests.judges.real_sigstore import RealSigstore
    from tests.judges.report import Report
    from tests.judges.workshop import Project

EXAMPLE = Path(__file__).parents[2] / "example-project"


@pytest.fixture
def environ(surroundings: dict[str, str], real: RealSigstore, pulp_index: PulpIndex) -> dict[str, str]:
    """Return the environment of a job that publishes there."""
    from tests.judges.pulp import PASSWORD, USER

    return {
        **surroundings,
        "SIGSTORE_IDENTITY_TOKEN": real.issuer.token("sigstore"),
        "HATCH_ATTEST_SIGSTORE": str(real.trust_config),
        "HATCH_INDEX_REPO": pulp_index.upload_url,
        "HATCH_INDEX_USER": USER,
        "HATCH_INDEX_AUTH": PASSWORD,
    }


def _assert_all_arrived(project: Project, pulp_index: PulpIndex, name: str, version: str) -> None:
    """Assert that Pulp lists every artifact and serves the attestations that lie beside it."""
    from tests.judges.workshop import attestations_of

    assert not pulp_index.pulp.failed_tasks()
    assert set(pulp_index.files(name)) == {path.name for path in project.artifacts()} == set(project.sidecars())
    for file, sidecar in project.sidecars().items():
        assert attestations_of(pulp_index.provenance(name, version, file)) == sidecar


def test_what_hatch_built_and_published_is_installed_from_pulp(
    tmp_path: Path, environ: dict[str, str], pulp_index: PulpIndex, report: Report
) -> None:
    """Broken if our publisher works with the sandbox's idea of an index only."""
    from tests.judges.workshop import Project

    shutil.copytree(EXAMPLE, tmp_path / "example", ignore=shutil.ignore_patterns("dist"))
    project = Project(tmp_path / "example", environ)
    built = project.hatch("build")
    assert built.code == 0, built.output
    published = project.publish()
    assert published.code == 0, published.output
    report.figures["example project, hatch publish -p attest to Pulp"] = f"{published.seconds:.1f} s"
    _assert_all_arrived(project, pulp_index, "roman-digits", "1.0.0")

    target = tmp_path / "installed"
    installed = project.run(
        *(sys.executable, "-m", "pip", "install", "--no-deps", "--target", str(target)),
        *("--index-url", pulp_index.simple_url, "roman-digits==1.0.0"),
    )
    assert installed.code == 0, installed.output
    assert (target / "roman_digits" / "__init__.py").exists()

    again = project.publish()
    assert again.code == 0, again.output
    assert "there already" in again.output


def test_our_publisher_sends_no_forgery_to_pulp(
    tmp_path: Path, environ: dict[str, str], pulp_index: PulpIndex, cases: Cases
) -> None:
    """Broken if the gate leaves it to the index to find out what was tampered with."""
    from tests.judges.workshop import Project

    for name, case in cases.cases.items():
        if name == "good":
            continue
        project = Project.of(tmp_path / name, environ, [])
        for path in (case.artifact, case.sidecar):
            shutil.copy(path, project.dist)
        published = project.publish()
        assert published.code == 1, f"{name}: {published.output}"
    assert not pulp_index.files("widget")


def test_a_release_that_was_killed_goes_on_where_it_stopped(
    tmp_path: Path, environ: dict[str, str], pulp_index: PulpIndex
) -> None:
    """Broken if a release that died half-way must be finished by hand."""
    from tests.judges.workshop import HUNDRED, Project

    project = Project.of(tmp_path / "killed", environ, HUNDRED[:10])
    assert project.attest("sign", "dist").code == 0
    with project.start(sys.executable, "-m", "hatch", "publish", "-p", "attest", "-n") as process:
        assert process.stdout is not None
        for line in process.stdout:
            if "uploading 5 of 10" in line:
                os.kill(process.pid, signal.SIGKILL)
    pulp_index.pulp.failed_tasks()
    arrived = len(pulp_index.files("widget"))
    assert 0 < arrived < 10
    resumed = project.publish()
    assert resumed.code == 0, resumed.output
    assert f"{arrived} there already" in resumed.output
    _assert_all_arrived(project, pulp_index, "widget", "1.0")


def test_a_hundred_artifacts_are_published_to_pulp(
    tmp_path: Path, environ: dict[str, str], pulp_index: PulpIndex, report: Report
) -> None:
    """Broken if a large release is lost on an index that verifies at its own pace."""
    from tests.judges.workshop import HUNDRED, Project

    project = Project.of(tmp_path / "large", environ, HUNDRED)
    assert project.attest("sign", "dist").code == 0
    published = project.publish()
    assert published.code == 0, published.output
    report.figures["100 artifacts, hatch publish -p attest to Pulp"] = f"{published.seconds:.1f} s"
    _assert_all_arrived(project, pulp_index, "widget", "1.0")

"""Pulp, a package index of other people's that verifies attestations, takes what we publish and refuses forgeries."""

from __future__ import annotations

import os
import shutil
import signal
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.judges.cases import Cases
    from tests.judges.pulp import Pulp, PulpIndex
    from tests.judges.real_sigstore import RealSigstore
    from tests.judges.report import Report
    from tests.judges.workshop import Project

EXAMPLE = Path(__file__).parents[2] / "example-project"
# Pulp does not check who signed, nor what the statement is called beyond what the library does.
ACCEPTED = {"good", "another workflow"}
CASES = (
    "good",
    "flipped artifact byte",
    "flipped statement byte",
    "foreign certificate",
    "removed inclusion proof",
    "expired certificate",
    "wrong subject name",
    "two subjects",
    "another workflow",
)


@pytest.fixture(scope="module")
def pulp(real: RealSigstore, report: Report, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pulp]:
    """Start Pulp, which trusts the real Sigstore's root."""
    from tests.judges.conftest import judge
    from tests.judges.pulp import REQUIREMENTS, Pulp, environment, template

    venv = judge(report, "Pulp", environment)
    archive = judge(report, "PostgreSQL and Pulp's tables", lambda: template(venv))
    report.versions |= dict(requirement.split("==") for requirement in REQUIREMENTS)
    with ExitStack() as stack:
        with report.timed("starting Pulp"):
            pulp = stack.enter_context(Pulp(venv, archive, real, tmp_path_factory.mktemp("pulp")))
        yield pulp


@pytest.fixture
def index(pulp: Pulp, request: pytest.FixtureRequest) -> PulpIndex:
    """Make an index of the test's own."""
    return pulp.index(f"index-{abs(hash(request.node.nodeid))}")


@pytest.fixture
def environ(surroundings: dict[str, str], real: RealSigstore, index: PulpIndex) -> dict[str, str]:
    """Return the environment of a job that publishes there."""
    from tests.judges.pulp import PASSWORD, USER

    return {
        **surroundings,
        "SIGSTORE_IDENTITY_TOKEN": real.issuer.token("sigstore"),
        "HATCH_ATTEST_SIGSTORE": str(real.trust_config),
        "HATCH_INDEX_REPO": index.upload_url,
        "HATCH_INDEX_USER": USER,
        "HATCH_INDEX_AUTH": PASSWORD,
    }


def _assert_all_arrived(project: Project, index: PulpIndex, name: str, version: str) -> None:
    """Assert that Pulp lists every artifact and serves the attestations that lie beside it."""
    from tests.judges.workshop import attestations_of

    assert not index.pulp.failed_tasks()
    assert set(index.files(name)) == {path.name for path in project.artifacts()} == set(project.sidecars())
    for file, sidecar in project.sidecars().items():
        assert attestations_of(index.provenance(name, version, file)) == sidecar


def test_what_hatch_built_and_published_is_installed_from_pulp(
    tmp_path: Path, environ: dict[str, str], index: PulpIndex, report: Report
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
    _assert_all_arrived(project, index, "roman-digits", "1.0.0")

    target = tmp_path / "installed"
    installed = project.run(
        *(sys.executable, "-m", "pip", "install", "--no-deps", "--target", str(target)),
        *("--index-url", index.simple_url, "roman-digits==1.0.0"),
    )
    assert installed.code == 0, installed.output
    assert (target / "roman_digits" / "__init__.py").exists()

    again = project.publish()
    assert again.code == 0, again.output
    assert "there already" in again.output


@pytest.fixture(scope="module")
def verdicts(report: Report) -> Iterator[dict[str, list[str]]]:
    """Collect Pulp's verdicts for the table."""
    verdicts: dict[str, list[str]] = {}
    yield verdicts
    report.table("Pulp's verdicts", ["case", "verdict", "words"], verdicts.values())


@pytest.mark.parametrize("case", CASES)
def test_pulp_takes_what_holds_and_refuses_what_was_tampered_with(
    case: str, index: PulpIndex, cases: Cases, verdicts: dict[str, list[str]]
) -> None:
    """Broken if an index that verifies would take a forgery, or not take our attestation."""
    refusal = index.upload(cases.cases[case])
    verdicts[case] = [case, "refuses" if refusal else "accepts", refusal[:160]]
    assert (not refusal) == (case in ACCEPTED), refusal
    assert bool(index.files("widget")) == (case in ACCEPTED)


def test_our_publisher_sends_no_forgery_to_pulp(
    tmp_path: Path, environ: dict[str, str], index: PulpIndex, cases: Cases
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
    assert not index.files("widget")


def test_a_release_that_was_killed_goes_on_where_it_stopped(
    tmp_path: Path, environ: dict[str, str], index: PulpIndex
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
    index.pulp.failed_tasks()
    arrived = len(index.files("widget"))
    assert 0 < arrived < 10
    resumed = project.publish()
    assert resumed.code == 0, resumed.output
    assert f"{arrived} there already" in resumed.output
    _assert_all_arrived(project, index, "widget", "1.0")


def test_a_hundred_artifacts_are_published_to_pulp(
    tmp_path: Path, environ: dict[str, str], index: PulpIndex, report: Report
) -> None:
    """Broken if a large release is lost on an index that verifies at its own pace."""
    from tests.judges.workshop import HUNDRED, Project

    project = Project.of(tmp_path / "large", environ, HUNDRED)
    assert project.attest("sign", "dist").code == 0
    published = project.publish()
    assert published.code == 0, published.output
    report.figures["100 artifacts, hatch publish -p attest to Pulp"] = f"{published.seconds:.1f} s"
    _assert_all_arrived(project, index, "widget", "1.0")

"""Every front end that builds a release gives the sidecars that the rules give, and says why where it gives none.

Each row runs with an identity at hand, with and without the two variables that a release may set: the opt-in of the
recommended layout, and the project's name for what is not `hatch build`.
"""

from __future__ import annotations

import itertools
import os
import re
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from hatch_attest.artifacts import read_artifact
from hatch_attest.permission import PROJECT_VARIABLE
from hatch_attest.sidecars import read_attestation, sidecar_path
from hatch_attest.trust import load_trust
from hatch_attest.verification import Verifier
from tests.frontends.layouts import LAYOUTS, OPT_IN, PLAIN, RECOMMENDED, Project
from tests.frontends.machine import SIGNING, python_of
from tests.frontends.tables import RELEASES

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.frontends.machine import Machine, Row
    from tests.frontends.tables import Recorder

pytestmark = pytest.mark.matrix

WHEEL = "widget-1.0-py3-none-any.whl"
SDIST = "widget-1.0.tar.gz"
TAGS = ("cp312-cp312-manylinux_2_28_x86_64", "cp312-cp312-macosx_11_0_arm64", "cp312-cp312-win_amd64")


@dataclass
class Release:
    """What a front end built.

    Attributes:
        projects: whose build was noted.
        directory: where the artifacts are.
        artifacts: their names.

    """

    projects: list[Project]
    directory: Path
    artifacts: set[str]


def hatch_build(row: Row, layout: str) -> Release:
    return _hatch(row, layout)


def hatch_build_wheel(row: Row, layout: str) -> Release:
    release = _hatch(row, layout, "-t", "wheel")
    return Release(release.projects, release.directory, {WHEEL})


def hatch_build_inside(row: Row, layout: str) -> Release:
    release = _hatch(row, layout, "out")
    return Release(release.projects, release.projects[0].root / "out", {WHEEL, SDIST})


def hatch_build_outside(row: Row, layout: str) -> Release:
    return Release(_hatch(row, layout, str(row.directory / "out")).projects, row.directory / "out", {WHEEL, SDIST})


def hatch_build_clean(row: Row, layout: str) -> Release:
    return _hatch(row, layout, "--clean", "--clean-hooks-after")


def _hatch(row: Row, layout: str, *arguments: str) -> Release:
    project = Project(row.directory / "my prøject", layout)
    row.run("hatch", "build", *arguments, cwd=project.root)
    return Release([project], project.dist, {WHEEL, SDIST})


def hatch_build_all(row: Row, layout: str) -> Release:
    root = row.directory / "workspace"
    members = [Project(root / "packages" / name, layout, name=name) for name in ("widget", "gadget")]
    table = '[tool.hatch.envs.default.workspace]\nmembers = ["packages/widget", "packages/gadget"]\n'
    (root / "pyproject.toml").write_text(table, encoding="utf-8")
    row.run("hatch", "build", "--all", cwd=root)
    names = {f"{name}-1.0{end}" for name in ("widget", "gadget") for end in ("-py3-none-any.whl", ".tar.gz")}
    return Release(members, root / "dist", names)


def hatch_custom_environment(row: Row, layout: str) -> Release:
    project = Project(
        row.directory / "my prøject", layout, extra="[tool.hatch.envs.release]\nbuilder = true\nskip-install = true\n"
    )
    row.run("hatch", "-e", "release", "build", cwd=project.root)
    return Release([project], project.dist, {WHEEL, SDIST})


def hatch_jobs(row: Row, layout: str) -> Release:
    """A job for each platform, each in a checkout of its own, and one that gathers what they built."""
    merged = row.directory / "merged"
    merged.mkdir()
    jobs = []
    for tag in (*TAGS, None):
        project = Project(row.directory / str(tag) / "widget", layout)
        target = ("-t", "wheel") if tag else ("-t", "sdist")
        row.run("hatch", "build", *target, cwd=project.root, environ={"JOB_TAG": tag} if tag else {})
        for path in project.dist.iterdir():
            shutil.move(path, merged)
        jobs.append(project)
    return Release(jobs, merged, {SDIST, *(f"widget-1.0-{tag}.whl" for tag in TAGS)})


def hatchling_build(row: Row, layout: str) -> Release:
    return _in_tree(row, layout, row.machine.signer, "-m", "hatchling", "build")


def build(row: Row, layout: str) -> Release:
    return _in_tree(row, layout, "pyproject-build")


def uv_build(row: Row, layout: str) -> Release:
    return _in_tree(row, layout, "uv", "build")


def pipx_run_build(row: Row, layout: str) -> Release:
    # With uv as its backend, which is the default beside a uv, pipx looks for a program named `build` and finds none.
    row.environ["PIPX_DEFAULT_BACKEND"] = "pip"
    return _in_tree(row, layout, "pipx", "run", "build")


def _in_tree(row: Row, layout: str, *command: str | Path) -> Release:
    project = Project(row.directory / "my prøject", layout)
    row.run(*command, cwd=project.root)
    return Release([project], project.dist, {WHEEL, SDIST})


ALL = tuple(itertools.product([False, True], repeat=2))
NEITHER_AND_BOTH = ((False, False), (True, True))  # for what differs from `hatch build` in nothing that the rules know
ANOTHER = "the rule knows the environment `hatch-build` only; any other can name the project"


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(
    ("front_end", "release", "is_hatch_build", "opted_in", "named", "reason"),
    [
        pytest.param(label, release, is_hatch_build, opted_in, named, reason, id=f"{label}-{opted_in}-{named}")
        for label, release, is_hatch_build, combinations, reason in [
            ("hatch build", hatch_build, True, ALL, ""),
            ("hatch build -t wheel", hatch_build_wheel, True, NEITHER_AND_BOTH, ""),
            ("hatch build LOCATION inside", hatch_build_inside, True, NEITHER_AND_BOTH, ""),
            ("hatch build LOCATION outside", hatch_build_outside, True, ALL, ""),
            ("hatch build --clean --clean-hooks-after", hatch_build_clean, True, NEITHER_AND_BOTH, ""),
            ("hatch build --all, a workspace", hatch_build_all, True, ALL, ""),
            ("hatch build -t wheel, four jobs, merged", hatch_jobs, True, NEITHER_AND_BOTH, ""),
            ("hatch -e release build", hatch_custom_environment, False, ALL, ANOTHER),
            ("hatchling build", hatchling_build, False, ALL, ""),
            ("python -m build", build, False, ALL, ""),
            ("uv build", uv_build, False, ALL, ""),
            ("pipx run build", pipx_run_build, False, ALL, ""),
        ]
        for opted_in, named in combinations
    ],
)
def test_a_release_has_the_sidecars_that_the_rules_give(
    row: Row,
    record: Recorder,
    front_end: str,
    layout: str,
    release: Callable[[Row, str], Release],
    reason: str,
    *,
    is_hatch_build: bool,
    opted_in: bool,
    named: bool,
) -> None:
    """A release without its attestations, or with one that nobody asked for, which is in the log for ever."""
    row.environ |= {OPT_IN: "true"} if opted_in else {}
    row.environ |= {PROJECT_VARIABLE: "Widget, gadget"} if named else {}
    released = release(row, layout)
    outcome = row.outcome(*released.projects)
    yes_no = {True: "yes", False: "no"}
    cells = {"layout": layout, "opted_in": yes_no[opted_in], "named": yes_no[named]}
    record(RELEASES, outcome, front_end=front_end, **cells, remark=reason)

    runs = is_hatch_build or layout == PLAIN or opted_in
    signs = runs and (is_hatch_build or named)
    sidecars = {f"{name}.publish.attestation" for name in released.artifacts} if signs else set()
    assert set(outcome.sidecars) == sidecars
    assert {path.name for path in released.directory.iterdir()} - {".gitignore"} == released.artifacts | sidecars
    assert outcome.hook_ran is runs
    assert bool(outcome.installed & SIGNING) is (signs or (runs and layout != PLAIN) or release is hatchling_build)
    tokens, certificates, entries = outcome.requests
    assert entries == len(sidecars)
    assert (tokens > 0, certificates > 0) == (signs, signs)
    said = set(
        re.findall(
            r"^attest: (?:signed )?(\S+) (as|is not signed: this is not `hatch build`)", outcome.output, re.MULTILINE
        )
    )
    assert said == {
        (name, "as" if signs else "is not signed: this is not `hatch build`") for name in released.artifacts if runs
    }
    verifier = Verifier(load_trust(str(row.machine.sandbox.directory / "trust_config.json"), row.directory))
    for name in sorted(released.artifacts) if signs else []:
        path = released.directory / name
        assert "octo-org/widget" in str(
            verifier.verify(read_attestation(sidecar_path(path)), read_artifact(path)).signer
        )


# --- `hatch build` where nothing is signed -------------------------------------------------------------------------

NO_IDENTITY = {"ACTIONS_ID_TOKEN_REQUEST_URL": "", "ACTIONS_ID_TOKEN_REQUEST_TOKEN": ""}
UNSIGNED = (
    "is left unsigned: no identity is set up in this GitHub Actions job: give the job `permissions: id-token: write`"
)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(
    ("arguments", "environ", "artifacts", "lines", "reason"),
    [
        pytest.param([], NO_IDENTITY, {SDIST, WHEEL}, 2, "no identity is at hand", id="no identity"),
        pytest.param(["--hooks-only"], {}, set(), 0, "no artifact is built", id="--hooks-only"),
        pytest.param(["--no-hooks"], {}, {SDIST, WHEEL}, 0, "no hook runs, the probe neither", id="--no-hooks"),
        pytest.param(
            [],
            {"HATCH_BUILD_NO_HOOKS": "true"},
            {SDIST, WHEEL},
            0,
            "no hook runs, the probe neither",
            id="HATCH_BUILD_NO_HOOKS",
        ),
    ],
)
def test_hatch_build_signs_nothing_and_says_so_where_the_hook_ran(
    row: Row,
    record: Recorder,
    layout: str,
    arguments: list[str],
    environ: dict[str, str],
    artifacts: set[str],
    lines: int,
    reason: str,
    request: pytest.FixtureRequest,
) -> None:
    """Nobody shall wonder where the sidecars are."""
    project = Project(row.directory / "my prøject", layout)
    row.run("hatch", "build", *arguments, cwd=project.root, environ=environ)
    outcome = row.outcome(project)
    label = f"hatch build, {request.node.callspec.id.removesuffix(f'-{layout}')}"
    record(RELEASES, outcome, front_end=label, layout=layout, opted_in="no", named="no", remark=reason)
    assert {path.name for path in project.dist.iterdir()} == artifacts
    assert outcome.requests == (0, 0, 0)
    assert outcome.output.count(UNSIGNED) == lines
    if layout == PLAIN and environ:
        assert not outcome.installed & SIGNING


@pytest.mark.parametrize("layout", LAYOUTS)
def test_hatch_build_takes_the_sidecars_of_what_it_replaces_with_it(row: Row, record: Recorder, layout: str) -> None:
    """A sidecar beside other bytes looks like tampering, and stops the release."""
    project = Project(row.directory / "my prøject", layout)
    row.run("hatch", "build", cwd=project.root)
    (project.root / "widget" / "__init__.py").write_text("def main() -> None: ...  # changed\n", encoding="utf-8")
    row.begin()
    row.run("hatch", "build", cwd=project.root, environ=NO_IDENTITY)
    outcome = row.outcome(project)
    label = "hatch build again, changed, no identity"
    record(
        RELEASES, outcome, front_end=label, layout=layout, opted_in="no", named="no", remark="the old ones are removed"
    )
    assert {path.name for path in project.dist.iterdir()} == {SDIST, WHEEL}
    assert outcome.requests == (0, 0, 0)
    for name in (SDIST, WHEEL):
        assert f"attest: removed {name}.publish.attestation: the artifact was built anew" in outcome.output
        assert f"attest: {name} {UNSIGNED}" in outcome.output


# --- Hatch before 1.16 ---------------------------------------------------------------------------------------------

OLD_HATCH = "hatch==1.15.1"
NO_ENVIRONMENT = "it has no environment `hatch-build`, and reads no `env-vars` of one"
NO_DEPENDENCIES = "it asks hooks for their dependencies in its own environment, where ours is not"
NOT_KNOWN = "is not signed: this is not `hatch build` in its own environment (Hatch 1.16 or newer), but in `default`"
NO_LIBRARIES = "is left unsigned: the signing libraries are absent"


@pytest.fixture(scope="session")
def old_hatch(machine: Machine) -> Path:
    """The directory of an old Hatch's command."""
    return python_of(machine.install("hatch 1.15", OLD_HATCH)).parent


@pytest.mark.parametrize(
    ("layout", "opted_in", "named", "signs", "line", "reason"),
    [
        pytest.param(RECOMMENDED, False, False, False, "", NO_ENVIRONMENT, id="recommended"),
        pytest.param(RECOMMENDED, True, True, True, "attest: signed", "", id="recommended-opted in-named"),
        pytest.param(PLAIN, False, False, False, NOT_KNOWN, NO_ENVIRONMENT, id="plain"),
        pytest.param(PLAIN, False, True, False, NO_LIBRARIES, NO_DEPENDENCIES, id="plain-named"),
    ],
)
def test_an_old_hatch_signs_where_it_is_told_all_that_it_does_not_know(
    row: Row,
    record: Recorder,
    old_hatch: Path,
    layout: str,
    line: str,
    reason: str,
    *,
    opted_in: bool,
    named: bool,
    signs: bool,
) -> None:
    """It cannot be so by itself: what an old Hatch does is said here, and its release is signed at the upload."""
    row.begin()
    row.environ |= {OPT_IN: "true"} if opted_in else {}
    row.environ |= {PROJECT_VARIABLE: "widget"} if named else {}
    row.environ["PATH"] = f"{old_hatch}{os.pathsep}{row.environ['PATH']}"
    project = Project(row.directory / "my prøject", layout)
    row.run("hatch", "build", cwd=project.root)
    outcome = row.outcome(project)
    cells = {"layout": layout, "opted_in": "yes" if opted_in else "no", "named": "yes" if named else "no"}
    record(RELEASES, outcome, front_end="hatch build of Hatch 1.15", **cells, remark=reason)
    names = {SDIST, WHEEL}
    sidecars = {f"{name}.publish.attestation" for name in names} if signs else set()
    assert {path.name for path in project.dist.iterdir()} == names | sidecars
    assert outcome.requests[2] == len(sidecars)
    assert outcome.hook_ran is bool(line)
    assert not line or outcome.output.count(line) == len(names)

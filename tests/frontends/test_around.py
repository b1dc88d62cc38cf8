"""What lies around a build: other hooks, targets and flags, stale sidecars, other builds, full and odd file systems."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from hatch_attest.artifacts import read_artifact
from hatch_attest.errors import VerificationError
from hatch_attest.sidecars import read_attestation, sidecar_path
from hatch_attest.trust import load_trust
from hatch_attest.verification import Verifier
from tests.support import SDIST, SIDECARS, WHEEL, Project

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hatch_attest.sandbox import Sandbox

SIDECAR = f"{WHEEL}.publish.attestation"
NO_IDENTITY = {"ACTIONS_ID_TOKEN_REQUEST_URL": "", "ACTIONS_ID_TOKEN_REQUEST_TOKEN": ""}

CUSTOM_HOOK = """
from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class Custom(BuildHookInterface):
    def finalize(self, version, build_data, artifact_path):
        with open(artifact_path, "ab") as stream:
            stream.write(b"something more")
"""
CUSTOM_BUILDER = """
from hatchling.builders.plugin.interface import BuilderInterface


class Custom(BuilderInterface):
    def get_version_api(self):
        return {"standard": self.build_standard}

    def build_standard(self, directory, **build_data):
        path = directory + "/widget.zip"
        with open(path, "wb") as stream:
            stream.write(b"neither a wheel nor an sdist")
        return path
"""


@pytest.fixture
def in_ci(clean_environ: dict[str, str], sandbox: Sandbox) -> dict[str, str]:
    """The environment of `hatch build` in a job of the sandbox's GitHub Actions."""
    return {**clean_environ, **sandbox.environment, "HATCH_ENV_ACTIVE": "hatch-build"}


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A project of the plain layout."""
    return Project(tmp_path / "project")


def entries(sandbox: Sandbox) -> int:
    return sandbox.count("log", "POST")


def verify(sandbox: Sandbox, artifact: Path) -> None:
    """Verify an artifact by the sidecar beside it, as the publisher's gate does.

    Raises:
        VerificationError: it does not hold.

    """
    trust = load_trust(str(sandbox.directory / "trust_config.json"), sandbox.directory)
    Verifier(trust).verify(read_attestation(sidecar_path(artifact)), read_artifact(artifact))


def change(project: Project) -> None:
    (project.root / "widget" / "__init__.py").write_text('"""Another widget."""\n', encoding="utf-8")


# --- Hooks, tables and targets -------------------------------------------------------------------------------------


def test_an_artifact_that_a_later_hook_changed_is_never_uploaded(
    tmp_path: Path, sandbox: Sandbox, in_ci: dict[str, str]
) -> None:
    """The index would hold a file that nobody signed, or refuse a half of the release."""
    hook = '[tool.hatch.build.hooks.custom]\npath = "custom.py"\n'
    project = Project(tmp_path / "project", "", hook)
    (project.root / "custom.py").write_text(CUSTOM_HOOK, encoding="utf-8")
    result = project.hatchling("-t", "wheel", environ=in_ci)
    assert "attest: the build hook custom runs after this one and could change what it signed" in result.stderr
    with pytest.raises(VerificationError) as refused:
        verify(sandbox, project.dist / WHEEL)
    assert refused.value.code == "attestation-digest"

    sandbox.index.add_publisher("widget", repository="octo-org/widget", workflow="release.yml")
    config = tmp_path / "hatch.toml"
    config.touch()
    environ = {**in_ci, "HATCH_CONFIG": str(config), "HATCH_DATA_DIR": str(tmp_path / "data")}
    del environ["HATCH_ENV_ACTIVE"]
    command = [sys.executable, "-m", "hatch", "publish", "-p", "attest", "-n"]
    published = subprocess.run(
        command, cwd=project.root, env=environ, capture_output=True, encoding="utf-8", check=False, timeout=120
    )
    assert published.returncode == 1
    assert "is not the file that was signed" in published.stdout + published.stderr
    assert not sandbox.index.files("widget")


def test_a_table_of_a_target_that_hides_keys_is_warned_of(
    tmp_path: Path, sandbox: Sandbox, in_ci: dict[str, str]
) -> None:
    """They are not merged by hatchling: what was forbidden everywhere is allowed for wheels again."""
    table = '[tool.hatch.build.targets.wheel.hooks.attest]\nsigstore = "production"\n'
    project = Project(tmp_path / "project", 'sign = "never"\nallow-public-log = false', table)
    result = project.hatchling(environ=in_ci)
    assert project.files() == {SDIST, WHEEL, SIDECAR}
    assert f"{SDIST} is not signed: sign = 'never'" in result.stderr
    assert (
        "attest: tool.hatch.build.targets.wheel.hooks.attest replaces hooks.attest, whole: allow-public-log, sign do "
        "not hold for this target" in result.stderr
    )
    assert entries(sandbox) == 1


def test_a_table_of_a_target_that_hides_nothing_is_not_worth_a_word(tmp_path: Path, in_ci: dict[str, str]) -> None:
    """A warning at each build would be read by nobody."""
    project = Project(tmp_path / "project", "", '[tool.hatch.build.targets.wheel.hooks.attest]\nsign = "auto"\n')
    assert "replaces" not in project.hatchling(environ=in_ci).stderr


@pytest.mark.parametrize("hook", ["", 'sign = "always"'], ids=["auto", "always"])
@pytest.mark.parametrize("identity", [{}, NO_IDENTITY], ids=["with an identity", "without one"])
def test_what_is_neither_wheel_nor_sdist_is_built_and_not_signed(
    tmp_path: Path, sandbox: Sandbox, in_ci: dict[str, str], hook: str, identity: dict[str, str]
) -> None:
    """An index takes attestations of nothing else; and `always` must not stop what it cannot be about."""
    project = Project(tmp_path / "project", hook)
    (project.root / "hatch_build.py").write_text(CUSTOM_BUILDER, encoding="utf-8")
    result = project.hatchling("-t", "custom", environ={**in_ci, **identity})
    assert project.files() == {"widget.zip"}
    assert "attest: widget.zip is not signed: it is neither a wheel nor an sdist" in result.stderr
    assert entries(sandbox) == 0


def test_an_editable_wheel_takes_the_sidecar_of_the_one_it_replaces_with_it(
    tmp_path: Path, sandbox: Sandbox, in_ci: dict[str, str]
) -> None:
    """The target version `editable` gives a file of the same name, which is not for release."""
    project = Project(tmp_path / "project", "", '[tool.hatch.build]\ndev-mode-dirs = ["."]\n')
    result = project.hatchling("-t", "wheel:standard,editable", environ=in_ci)
    assert project.files() == {WHEEL}
    assert f"attest: removed {SIDECAR}: the artifact was built anew" in result.stderr
    assert f"attest: {WHEEL} is not signed: an editable wheel is not for release" in result.stderr
    assert entries(sandbox) == 1


@pytest.mark.parametrize(
    ("arguments", "environ"),
    [
        (["--hooks-only"], {}),
        (["--hooks-only", "--clean"], {}),
        ([], {"HATCH_BUILD_HOOKS_ONLY": "true"}),
    ],
    ids=["--hooks-only", "--hooks-only --clean", "HATCH_BUILD_HOOKS_ONLY"],
)
def test_hooks_only_neither_signs_nor_takes_a_sidecar_away(
    project: Project, sandbox: Sandbox, in_ci: dict[str, str], arguments: list[str], environ: dict[str, str]
) -> None:
    """No artifact is built and none is removed, so no sidecar may come or go."""
    project.hatchling(environ=in_ci)
    before = sandbox.requests.copy()
    project.hatchling(*arguments, environ={**in_ci, **environ})
    assert project.files() == {WHEEL, SDIST, *SIDECARS}
    assert sandbox.requests == before


@pytest.mark.parametrize(
    ("arguments", "environ"),
    [(["--no-hooks"], {}), ([], {"HATCH_BUILD_NO_HOOKS": "true"})],
    ids=["--no-hooks", "HATCH_BUILD_NO_HOOKS"],
)
def test_a_sidecar_that_a_build_without_hooks_made_stale_is_caught_before_the_upload(
    project: Project, sandbox: Sandbox, in_ci: dict[str, str], arguments: list[str], environ: dict[str, str]
) -> None:
    """No hook runs, so ours can neither sign nor remove; verification is what is left."""
    project.hatchling("-t", "wheel", environ=in_ci)
    change(project)
    result = project.hatchling("-t", "wheel", *arguments, environ={**in_ci, **environ})
    assert "attest: " not in result.stderr
    assert entries(sandbox) == 1
    with pytest.raises(VerificationError) as refused:
        verify(sandbox, project.dist / WHEEL)
    assert refused.value.code == "attestation-digest"


# --- Other builds --------------------------------------------------------------------------------------------------


def test_an_artifact_that_is_replaced_while_it_is_signed_keeps_no_sidecar(
    project: Project, sandbox: Sandbox, in_ci: dict[str, str]
) -> None:
    """The sidecar would be about bytes that are no longer there."""
    sandbox.faults.add("log", "POST", "/api/v1/log/entries", ("delay", 2))
    results = []
    build = threading.Thread(
        target=lambda: results.append(project.hatchling("-t", "wheel", environ=in_ci, check=False))
    )
    build.start()
    try:
        while not entries(sandbox) and build.is_alive():
            build.join(0.01)
        (project.dist / WHEEL).write_bytes(b"another build's")
    finally:
        build.join()
    (result,) = results
    assert result.returncode == 1
    assert f"attest: {WHEEL} changed while it was signed" in result.stderr
    assert project.files() == {WHEEL}


def test_two_builds_at_once_into_one_directory_leave_no_sidecar_of_the_other(
    tmp_path: Path, sandbox: Sandbox, in_ci: dict[str, str]
) -> None:
    """Whichever wins, its sidecar is its own or absent."""
    output = tmp_path / "dist"
    projects = [Project(tmp_path / name / "widget") for name in ("one", "other")]
    change(projects[1])
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(output)]
    builds = [
        subprocess.Popen(
            command, cwd=project.root, env=in_ci, stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8"
        )
        for project in projects
    ]
    said = [build.communicate(timeout=120)[1] for build in builds]
    assert {path.name for path in output.iterdir()} <= {WHEEL, SIDECAR}
    for build, text in zip(builds, said, strict=True):
        assert build.returncode == 0 or "changed while it was signed" in text, text
    if all(build.returncode == 0 for build in builds) or (output / SIDECAR).exists():
        verify(sandbox, output / WHEEL)


# --- File systems --------------------------------------------------------------------------------------------------

posix = pytest.mark.skipif(os.name != "posix", reason="mounts, limits and modes of POSIX")


@contextmanager
def mounted(directory: Path, options: str) -> Iterator[None]:
    """Mount a file system in memory on ``directory``; skip where this user or machine cannot."""
    directory.mkdir()
    if sys.platform != "linux" or os.geteuid() != 0:
        pytest.skip("needs to mount: root on Linux")
    mount = ["mount", "-t", "tmpfs", "-o", options, "hatch-attest-test", str(directory)]
    result = subprocess.run(mount, capture_output=True, encoding="utf-8", check=False, timeout=30)
    if result.returncode != 0:
        pytest.skip(f"cannot mount here: {result.stderr}")
    try:
        yield
    finally:
        subprocess.run(["umount", str(directory)], check=True, timeout=30)


def assert_unsigned(result: subprocess.CompletedProcess[str], project: Project, why: str) -> None:
    """The build ended by our message, the artifact is there, and nothing of a sidecar is."""
    assert result.returncode == 1
    assert f"attest: {SIDECAR} cannot be written: {why}" in result.stderr
    assert f"attest: {WHEEL} itself is untouched; it has no sidecar" in result.stderr
    assert "Traceback" not in result.stderr
    assert project.files() == {WHEEL}
    read_artifact(project.dist / WHEEL)


@posix
def test_a_disk_that_is_full_when_the_sidecar_is_written(project: Project, in_ci: dict[str, str]) -> None:
    """Half a sidecar would be taken for tampering."""
    with mounted(project.dist, "size=8k"):  # a page for the wheel, and one of the sidecar's three
        result = project.hatchling("-t", "wheel", environ=in_ci, check=False)
        assert_unsigned(result, project, "No space left on device")


@posix
def test_a_limit_on_the_size_of_files(project: Project, in_ci: dict[str, str]) -> None:
    """As above, where nobody may mount: the wheel is below the limit, the sidecar is not."""
    limited = (
        "import resource, runpy, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096)); "
        "sys.argv = ['hatchling', 'build', '-t', 'wheel']; runpy.run_module('hatchling', run_name='__main__')"
    )
    environ = {name: value for name, value in in_ci.items() if not name.startswith("COVERAGE_")}  # it writes as well
    result = subprocess.run(
        [sys.executable, "-c", limited],
        cwd=project.root, env=environ, capture_output=True, encoding="utf-8", check=False, timeout=120,
    )  # fmt: skip
    assert_unsigned(result, project, "File too large")


@posix
def test_an_output_directory_on_a_read_only_file_system(
    project: Project, sandbox: Sandbox, in_ci: dict[str, str]
) -> None:
    """There is no artifact, as hatchling says, and so nothing to sign."""
    with mounted(project.dist, "ro"):
        result = project.hatchling("-t", "wheel", environ=in_ci, check=False)
        assert result.returncode == 1
        assert "Read-only file system" in result.stderr
        assert project.files() == set()
    assert sandbox.requests == []


def test_a_directory_in_place_of_the_sidecar_is_found_before_anything_is_signed(
    project: Project, sandbox: Sandbox, in_ci: dict[str, str]
) -> None:
    """The log's entry would be there for ever, and the sidecar not at all."""
    (project.dist / SIDECAR).mkdir(parents=True)
    result = project.hatchling("-t", "wheel", environ=in_ci, check=False)
    assert result.returncode == 1
    assert f"attest: {SIDECAR} no longer matches and cannot be removed" in result.stderr
    assert project.files() == {WHEEL, SIDECAR}
    assert sandbox.requests == []


# --- Names ---------------------------------------------------------------------------------------------------------


def test_paths_may_be_long_and_of_any_letters(tmp_path: Path, sandbox: Sandbox, in_ci: dict[str, str]) -> None:
    """People keep their projects where they like."""
    part = "Ελληνικά and spaces, 日本語 " if os.name == "nt" else "Ελληνικά and spaces, 日本語 " * 4
    root = tmp_path / part.strip() / part.strip() / part.strip()
    project = Project(root)
    (root / "widget" / "ünïcode – данные.txt").write_text("data\n", encoding="utf-8")
    result = project.hatchling(environ=in_ci)
    assert project.files() == {WHEEL, SDIST, *SIDECARS}
    assert result.stderr.count("attest: signed widget-1.0") == 2
    verify(sandbox, project.dist / WHEEL)
    verify(sandbox, project.dist / SDIST)


@posix
def test_a_name_without_room_for_the_sidecars_is_found_before_anything_is_signed(
    tmp_path: Path, sandbox: Sandbox, in_ci: dict[str, str]
) -> None:
    """A file system takes 255 bytes for a name: enough for this wheel's, not for its sidecar's."""
    name = "w" * 215
    project = Project(tmp_path / "project", name=name)
    result = project.hatchling("-t", "wheel", environ=in_ci, check=False)
    assert result.returncode == 1
    assert "cannot be written: File name too long" in result.stderr
    assert project.files() == {f"{name}-1.0-py3-none-any.whl"}
    assert sandbox.requests == []


@pytest.mark.parametrize(
    ("table", "why"),
    [
        ('[project]\nname = "-widget-"\nversion = "1.0"\n', "Required field `project.name` must only contain ASCII"),
        ('[project]\nversion = "1.0"\n', "Missing required field `project.name`"),
        ("", "Missing `project` metadata table"),
    ],
    ids=["no name that parses", "no name", "no project"],
)
def test_a_project_without_a_name_is_told_so_by_hatchling_alone(
    project: Project, sandbox: Sandbox, in_ci: dict[str, str], table: str, why: str
) -> None:
    """An error of ours on top would hide the one that matters; and nameless, it is never the project that is named."""
    text = f"{table}\n[tool.hatch.build.hooks.attest]\n"
    (project.root / "pyproject.toml").write_text(text, encoding="utf-8")
    result = project.hatchling("-t", "wheel", environ={**in_ci, "HATCH_ATTEST_PROJECT": "widget"}, check=False)
    assert result.returncode == 1
    assert why in result.stderr
    assert "attest: " not in result.stderr
    assert sandbox.requests == []


def test_a_project_without_a_name_asks_for_nothing(project: Project, in_ci: dict[str, str]) -> None:
    """A front end asks for requirements first; what is wrong with the project, hatchling says when it builds."""
    (project.root / "pyproject.toml").write_text("[tool.hatch.build.hooks.attest]\n", encoding="utf-8")
    ask = "from hatchling.build import get_requires_for_build_wheel as ask; print(ask())"
    result = subprocess.run(
        [sys.executable, "-c", ask],
        cwd=project.root, env=in_ci, capture_output=True, encoding="utf-8", check=False, timeout=60,
    )  # fmt: skip
    assert (result.returncode, result.stdout) == (0, "[]\n"), result.stderr

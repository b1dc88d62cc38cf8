"""The example project, and the workflows: what users copy must be right."""

from __future__ import annotations

import doctest
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from hatch_attest.rehearsal.copying import copy_project
from tests.support import ROOT

if TYPE_CHECKING:
    from hatch_attest.sandbox import Sandbox

_EXAMPLE = ROOT / "example-project"
_RELEASE = _EXAMPLE / ".github" / "workflows" / "release.yml"
_WORKFLOWS = [_RELEASE, *sorted((ROOT / ".github" / "workflows").glob("*.yml"))]
_ACTIONLINT = "github.com/rhysd/actionlint/cmd/actionlint@latest"


def jobs(workflow: Path) -> dict[str, Any]:
    """The jobs of a workflow."""
    found: dict[str, Any] = yaml.safe_load(workflow.read_text(encoding="utf-8"))["jobs"]
    return found


@pytest.fixture(scope="session")
def actionlint(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The program, from the PATH or built from its Go module."""
    found = shutil.which("actionlint")
    if found:
        return found
    go = shutil.which("go")
    if go is None:
        pytest.skip("actionlint is not installed, and neither is Go to build it with")
    directory = tmp_path_factory.mktemp("actionlint")
    environ = {**os.environ, "GOBIN": str(directory)}
    result = subprocess.run(
        [go, "install", _ACTIONLINT],
        cwd=directory,
        env=environ,
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    if result.returncode:
        pytest.skip(f"actionlint cannot be built here: {result.stderr.strip().splitlines()[-1]}")
    return str(directory / "actionlint")


@pytest.mark.parametrize("workflow", _WORKFLOWS, ids=lambda path: str(path.relative_to(ROOT)))
def test_zizmor_has_nothing_to_say(workflow: Path) -> None:
    """It knows what makes a workflow unsafe: permissions, unpinned actions, credentials that stay, injections."""
    zizmor = shutil.which("zizmor", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]))
    assert zizmor, "zizmor is a dependency of the tests"
    result = subprocess.run(
        [zizmor, "--offline", "--quiet", "--persona=pedantic", "--no-config", str(workflow)],
        capture_output=True, encoding="utf-8", check=False,
    )  # fmt: skip

    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.slow
@pytest.mark.parametrize("workflow", _WORKFLOWS, ids=lambda path: str(path.relative_to(ROOT)))
def test_actionlint_has_nothing_to_say(workflow: Path, actionlint: str) -> None:
    """It knows GitHub's syntax, and the shell's."""
    result = subprocess.run([actionlint, "-no-color", str(workflow)], capture_output=True, text=True, check=False)

    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize("workflow", [_RELEASE, ROOT / ".github" / "workflows" / "release.yml"], ids=["example", "own"])
def test_the_job_that_builds_cannot_upload(workflow: Path) -> None:
    """It runs the build requirements' code; PyPI binds upload tokens to the environment of the other job."""
    build, publish = jobs(workflow)["build"], jobs(workflow)["publish"]

    assert "environment" not in build
    assert publish["environment"] == "pypi"
    assert publish["needs"] == "build"
    for job in (build, publish):
        assert job["permissions"] == {"contents": "read", "id-token": "write"}


@pytest.mark.parametrize("workflow", _WORKFLOWS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_action_is_pinned_and_says_its_version(workflow: Path) -> None:
    """A tag can be moved; a bare hash tells nobody what it is."""
    uses = re.findall(r"uses: (.*)", workflow.read_text(encoding="utf-8"))

    assert uses
    for each in uses:
        assert re.fullmatch(r"actions/[a-z-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", each)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="the job runs on Linux")
def test_the_build_job_of_hatch_attest_itself_signs_with_what_it_builds(
    sandbox: Sandbox, clean_environ: dict[str, str], tmp_path: Path
) -> None:
    """Its hook is a build requirement of itself, which no index has; the steps of the workflow are run as they are."""
    checkout, runner = tmp_path / "checkout", tmp_path / "runner"
    runner.mkdir()
    copy_project(ROOT, checkout)
    environ = {
        **clean_environ,
        **sandbox.environment,
        "HATCH_DATA_DIR": str(tmp_path / "hatch"),
        "RUNNER_TEMP": str(runner),
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), clean_environ["PATH"]]),
    }
    for step in jobs(ROOT / ".github" / "workflows" / "release.yml")["build"]["steps"]:
        if "name" in step:  # the others check out, set up and hand over
            result = subprocess.run(
                ["bash", "-e", "-c", step["run"]], cwd=checkout, env={**environ, **step.get("env", {})},
                capture_output=True, encoding="utf-8", check=False,
            )  # fmt: skip
            assert result.returncode == 0, result.stdout + result.stderr

    names = [path.name for path in (checkout / "dist").iterdir()]
    assert len([name for name in names if name.endswith(".publish.attestation")]) == 2
    assert len(names) == 4


def test_its_own_tests_pass() -> None:
    """It is small, but real."""
    environ = {**os.environ, "PYTHONPATH": str(_EXAMPLE / "src"), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-m", "pytest", "--quiet", "--rootdir", str(_EXAMPLE), "-p", "no:cacheprovider", "-c"]
    result = subprocess.run(
        [*command, os.devnull, "tests"], cwd=_EXAMPLE, env=environ, capture_output=True, text=True, check=False
    )

    assert result.returncode == 0, result.stdout + result.stderr


def test_its_readme_says_what_it_does(monkeypatch: pytest.MonkeyPatch) -> None:
    """The page on the package index is the first that users see of it."""
    monkeypatch.syspath_prepend(str(_EXAMPLE / "src"))
    text = (_EXAMPLE / "README.md").read_text(encoding="utf-8").replace("```\n", "\n")
    test = doctest.DocTestParser().get_doctest(text, {}, "README.md", None, None)

    assert len(test.examples) == 3
    assert doctest.DocTestRunner().run(test).failed == 0

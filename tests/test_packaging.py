"""The package itself: what is in it, what it says of itself, and what importing it costs."""

from __future__ import annotations

import json
import subprocess
import sys
import tarfile
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest

import hatch_attest
from tests.support import ROOT

# What a build that does not sign must not pay for, and has not installed.
_HEAVY = {
    "attr", "click", "cryptography", "hatch", "httpx", "id", "jwt", "pydantic", "pypi_attestations", "requests", "rich",
    "sigstore", "starlette", "tenacity", "twine", "urllib3", "uvicorn",
}  # fmt: skip


@pytest.mark.parametrize(
    "module", ["hooks", "build_hook", "cli", "rehearsal", "permission", "options", "identity", "sidecars", "provenance"]
)
def test_importing_what_hatchling_imports_brings_no_heavy_library(module: str) -> None:
    """Whoever builds the project from source has only the light base, and should not wait for more."""
    script = f"import sys, json, hatch_attest.{module}; print(json.dumps(list(sys.modules)))"
    loaded = {name.partition(".")[0] for name in json.loads(subprocess.check_output([sys.executable, "-c", script]))}

    assert "hatch_attest" in loaded
    assert not _HEAVY & loaded


def test_the_wheel_holds_the_package_and_nothing_else(built_wheel: Path) -> None:
    """Tests or the example in site-packages would be everybody's."""
    with zipfile.ZipFile(built_wheel) as archive:
        names = archive.namelist()

    modules = {path.relative_to(ROOT).as_posix() for path in (ROOT / "hatch_attest").rglob("*.py")}
    assert modules | {"hatch_attest/py.typed"} == {name for name in names if name.startswith("hatch_attest/")}
    others = {name.partition("/")[0] for name in names} - {"hatch_attest"}
    assert others == {f"hatch_attest-{hatch_attest.__version__}.dist-info"}


def test_the_metadata_promises_what_the_contract_says(built_wheel: Path) -> None:
    """Resolvers read it: a light base, three extras, and the Pythons that are tested."""
    with zipfile.ZipFile(built_wheel) as archive:
        information = f"hatch_attest-{hatch_attest.__version__}.dist-info"
        metadata = Parser().parsestr(archive.read(f"{information}/METADATA").decode())
        entry_points = archive.read(f"{information}/entry_points.txt").decode()
        assert archive.read(f"{information}/licenses/LICENSE") == (ROOT / "LICENSE").read_bytes()

    requires = metadata.get_all("Requires-Dist", [])
    base = sorted(each.partition(">")[0] for each in requires if "extra ==" not in each)
    assert base == ["hatchling", "packaging"]
    assert sorted(metadata.get_all("Provides-Extra", [])) == ["publish", "sandbox", "sign"]
    assert metadata["Requires-Python"] == ">=3.10"
    assert metadata["License-Expression"] == "Apache-2.0"
    assert metadata["Description-Content-Type"] == "text/markdown"
    assert "[hatch]\nattest = hatch_attest.hooks" in entry_points
    assert "[console_scripts]\nhatch-attest = hatch_attest.cli:main" in entry_points


def test_the_suite_runs_the_installed_wheel(installed: Path, clean_environ: dict[str, str], tmp_path: Path) -> None:
    """An end-to-end test of the checkout would not see a file that the wheel lacks."""
    script = (
        "import hatch_attest, hatch_attest.hooks, sysconfig;"
        "print(hatch_attest.__file__); print(sysconfig.get_path('purelib'))"
    )
    # Not from the checkout, which `-c` would put before everything that is installed.
    told = subprocess.check_output([installed, "-c", script], cwd=tmp_path, env=clean_environ, encoding="utf-8")
    module, site_packages = told.splitlines()

    assert Path(site_packages) in Path(module).parents
    assert ROOT not in Path(module).parents


def test_the_sdist_builds_the_same_wheel(built_wheel: Path, tmp_path: Path) -> None:
    """Distributions build from the sdist; what it lacks they lack."""
    build = [sys.executable, "-m", "hatchling", "build", "--directory", str(tmp_path)]
    subprocess.run([*build, "--target", "sdist"], cwd=ROOT, check=True, capture_output=True)
    (sdist,) = tmp_path.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        archive.extractall(tmp_path / "unpacked", filter="data")
    (unpacked,) = (tmp_path / "unpacked").iterdir()
    subprocess.run([*build, "--target", "wheel"], cwd=unpacked, check=True, capture_output=True)

    (rebuilt,) = tmp_path.glob("*.whl")
    assert rebuilt.read_bytes() == built_wheel.read_bytes()
    assert (unpacked / "tests" / "test_packaging.py").is_file()
    assert (unpacked / "example-project" / "pyproject.toml").is_file()

"""The hook never changes an artifact: real projects from the package index, built with and without it."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import NamedTuple

import pytest

from hatch_attest.sandbox import Sandbox

pytestmark = pytest.mark.slow

# The recommended layout but for `dependencies`: the environment holds the signing libraries already. The table is there
# in both builds, since the sdist holds pyproject.toml; a variable decides whether the hook runs.
TABLE = "\n[tool.hatch.build.hooks.attest]\nenable-by-default = false\n"
ENABLE = "HATCH_BUILD_HOOK_ENABLE_ATTEST"

# Fetched in a process of its own: the sockets of tests reach no further than loopback.
FETCH = """
import json, sys, urllib.request
index, name, version, target = sys.argv[1:]
request = urllib.request.Request(f"{index}/{name}/", headers={"Accept": "application/vnd.pypi.simple.v1+json"})
with urllib.request.urlopen(request, timeout=60) as answer:
    files = json.load(answer)["files"]
url = next(each["url"] for each in files if each["filename"] == f"{name}-{version}.tar.gz")
with urllib.request.urlopen(url, timeout=60) as answer, open(target, "wb") as stream:
    stream.write(answer.read())
"""


class Shape(NamedTuple):
    """A project of the index, and why it is here."""

    name: str
    version: str
    why: str


EXAMPLE = Shape("example-project", "", "the recommended layout")
SHAPES = [
    Shape("urllib3", "2.5.0", "a build hook of its own (vcs), src layout"),
    Shape("httpx", "0.28.1", "dynamic version from a file, a metadata hook"),
    Shape("structlog", "25.4.0", "src layout, dynamic version, a metadata hook"),
    Shape("attrs", "25.3.0", "two packages in src"),
]


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory, built_wheel: Path) -> Path:
    """An environment with hatchling, these projects' plugins, and the built wheel of hatch-attest."""
    environment = tmp_path_factory.mktemp("byte identity") / "venv"
    subprocess.run([sys.executable, "-m", "venv", str(environment)], check=True, timeout=120)
    interpreter = environment / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    packages = [f"hatch-attest[sign] @ {built_wheel.as_uri()}", "hatch-vcs", "hatch-fancy-pypi-readme"]
    subprocess.run([str(interpreter), "-m", "pip", "install", "-q", *packages], check=True, timeout=600)
    where = [str(interpreter), "-c", "import hatch_attest; print(hatch_attest.__file__)"]
    shown = subprocess.run(where, check=True, capture_output=True, text=True, timeout=60, cwd=environment)
    assert "site-packages" in shown.stdout
    return interpreter


@pytest.fixture(scope="module", params=[EXAMPLE, *SHAPES], ids=lambda shape: f"{shape.name}: {shape.why}")
def project(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example project, or the unpacked sdist of a real one with the hook's table added."""
    shape: Shape = request.param
    directory = tmp_path_factory.mktemp(shape.name)
    if shape is EXAMPLE:
        return shutil.copytree(Path(__file__).parent.parent / "example-project", directory / "roman-digits-1")
    archive = directory / "sdist.tar.gz"
    index = os.environ.get("PIP_INDEX_URL", "https://pypi.org/simple").rstrip("/")
    fetch = [sys.executable, "-c", FETCH, index, shape.name, shape.version, str(archive)]
    subprocess.run(fetch, check=True, timeout=120)
    with tarfile.open(archive) as opened:
        if hasattr(tarfile, "data_filter"):  # the default from CPython 3.14 on, and warned of before
            opened.extraction_filter = tarfile.data_filter
        opened.extractall(directory)  # noqa: S202 - the index's own files, named above with their versions
    (root,) = (path for path in directory.iterdir() if path.is_dir())
    with (root / "pyproject.toml").open("a", encoding="utf-8") as stream:
        stream.write(TABLE)
    return root


def build(python: Path, root: Path, output: str, environ: dict[str, str]) -> tuple[dict[str, str], str]:
    """Build wheel and sdist; return the SHA-256 of each file, and what was said."""
    directory = root.parent / output  # inside the root it would be in the next sdist
    result = subprocess.run(
        [python, "-m", "hatchling", "build", "-d", str(directory)],
        cwd=root,
        env={**environ, "SOURCE_DATE_EPOCH": "1700000000"},
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
        timeout=300,
    )
    assert result.returncode == 0, result.stderr
    files = sorted(directory.iterdir())
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}, result.stderr


def test_wheel_and_sdist_are_the_same_bytes_with_and_without_the_hook(
    python: Path,
    project: Path,
    sandbox: Sandbox,
    clean_environ: dict[str, str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A hook that touches what it signs cannot be put into anybody's build."""
    name = project.name.rpartition("-")[0]
    environ = {**clean_environ, **sandbox.environment, "HATCH_ATTEST_PROJECT": name}
    without, _ = build(python, project, "without", environ)
    with_hook, said = build(python, project, "with", {**environ, ENABLE: "true"})
    sidecars = {each for each in with_hook if each.endswith(".publish.attestation")}
    assert sidecars == {f"{each}.publish.attestation" for each in without}
    assert said.count("attest: signed") == len(without) == 2
    with capsys.disabled():
        for artifact, digest in without.items():
            print(f"\n{artifact:42} without {digest[:16]}  with {with_hook[artifact][:16]}", end="")
    assert {each: digest for each, digest in with_hook.items() if each not in sidecars} == without

"""What tests share: a started sandbox, and an environment without traces of this machine."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from hatch_attest.sandbox import Sandbox
from tests.wheel import build_wheel, install_wheel

if TYPE_CHECKING:
    from collections.abc import Iterator

# What a test must not inherit: tools' settings, CI platforms' variables and identities.
_FOREIGN = (
    "HATCH_", "PIP_BUILD_TRACKER", "PIP_CONSTRAINT", "PIP_REQUIRE", "UV_", "TWINE_", "GITHUB_", "ACTIONS_", "RUNNER_",
    "GITLAB_", "CI", "SIGSTORE_", "PYPI_", "CIRCLE", "BUILDKITE", "GOOGLE_", "SOURCE_DATE_EPOCH", "PYTHONPATH",
)  # fmt: skip


@pytest.fixture
def clean_environ(tmp_path: Path) -> dict[str, str]:
    """The environment of a machine on which nothing of ours, of Hatch's or of a CI platform is set."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith(_FOREIGN)}
    home = tmp_path / "home"
    home.mkdir()
    return {
        **environ,
        "HOME": str(home),
        "USERPROFILE": str(home),
        "PYTHON_KEYRING_BACKEND": "keyring.backends.null.Keyring",
    }


@pytest.fixture
def sandbox(tmp_path: Path) -> Iterator[Sandbox]:
    """An embedded Sigstore, OIDC issuer and package index on loopback, with nothing recorded yet."""
    with Sandbox(tmp_path / "sandbox") as started:
        yield started


@pytest.fixture(scope="session")
def built_wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of hatch-attest, built from this checkout by a PEP 517 front end: what users install."""
    directory = tmp_path_factory.mktemp("wheel of hatch-attest")
    root = Path(__file__).parent.parent
    command = [sys.executable, "-m", "uv", "build", "--wheel", "--no-build-isolation", "-o", str(directory), str(root)]
    subprocess.run(command, check=True, capture_output=True, timeout=300)
    (wheel,) = directory.glob("*.whl")
    return wheel


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """This project's wheel, built from the checkout."""
    return build_wheel(tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="session")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of an environment with the wheel in it, in a path with a space; the command lies beside it."""
    return install_wheel(wheel, tmp_path_factory.mktemp("installed") / "an environment")

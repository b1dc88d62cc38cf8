"""What tests share: a started sandbox, and an environment without traces of this machine."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from hatch_attest.sandbox import Sandbox
from tests.support import clean_environment, install_wheel

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def clean_environ(tmp_path: Path) -> dict[str, str]:
    """The environment of a machine on which nothing of ours, of Hatch's or of a CI platform is set."""
    return clean_environment(tmp_path / "home")


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
def installed(built_wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of an environment with the wheel in it, in a path with a space; the command lies beside it."""
    return install_wheel(built_wheel, tmp_path_factory.mktemp("installed") / "an environment")

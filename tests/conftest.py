"""What tests share: a started sandbox, an environment without traces of this machine, and small real projects."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from hatch_attest.sandbox import Sandbox

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


class Project:
    """A small hatchling project in a directory, built by real processes.

    Args:
        root: where it is written.
        hook: the lines of the hook's table; None for a project without the hook.
        extra: further TOML.

    """

    def __init__(self, root: Path, hook: str | None = "", extra: str = "", name: str = "widget") -> None:
        self.root = root
        self.dist = root / "dist"
        package = root / name
        package.mkdir(parents=True)
        (package / "__init__.py").write_text('"""A widget."""\n', encoding="utf-8")
        table = "" if hook is None else f"[tool.hatch.build.hooks.attest]\n{hook}\n"
        (root / "pyproject.toml").write_text(
            f'[build-system]\nrequires = ["hatchling"]\nbuild-backend = "hatchling.build"\n\n'
            f'[project]\nname = "{name}"\nversion = "1.0"\n\n{table}\n{extra}\n',
            encoding="utf-8",
        )

    def hatchling(
        self, *arguments: str, environ: Mapping[str, str], check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        """Run `hatchling build`, by default as `hatch build` does: with HATCH_ENV_ACTIVE where `environ` sets it."""
        result = subprocess.run(  # noqa: S603 - our own interpreter
            [sys.executable, "-m", "hatchling", "build", *arguments],
            cwd=self.root, env=dict(environ), capture_output=True, text=True, encoding="utf-8", check=False, timeout=120,
        )  # fmt: skip
        if check:
            assert result.returncode == 0, result.stdout + result.stderr
        return result

    def files(self) -> set[str]:
        """The names in `dist`."""
        return {path.name for path in self.dist.iterdir()} if self.dist.exists() else set()


WHEEL = "widget-1.0-py3-none-any.whl"
SDIST = "widget-1.0.tar.gz"
SIDECARS = {f"{WHEEL}.publish.attestation", f"{SDIST}.publish.attestation"}

"""Small real projects for tests, built by real processes, and where they run: clean environments, installed wheels."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

ROOT = Path(__file__).resolve().parents[1]
WHEEL = "widget-1.0-py3-none-any.whl"
SDIST = "widget-1.0.tar.gz"
SIDECARS = {f"{WHEEL}.publish.attestation", f"{SDIST}.publish.attestation"}


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
            f'[project]\nname = "{name}"\nversion = "1.0"\nrequires-python = ">=3.10"\n\n{table}\n{extra}\n',
            encoding="utf-8",
        )

    def hatchling(
        self, *arguments: str, environ: Mapping[str, str], check: bool = True, python: str = sys.executable
    ) -> subprocess.CompletedProcess[str]:
        """Run `hatchling build`, by default as `hatch build` does: with HATCH_ENV_ACTIVE where `environ` sets it."""
        result = subprocess.run(
            [python, "-m", "hatchling", "build", *arguments],
            cwd=self.root,
            env=dict(environ),
            capture_output=True,
            text=True,
            encoding="utf-8",
            check=False,
            timeout=120,
        )
        if check:
            assert result.returncode == 0, result.stdout + result.stderr
        return result

    def files(self) -> set[str]:
        """The names in `dist`."""
        return {path.name for path in self.dist.iterdir()} if self.dist.exists() else set()


# What a test must not inherit: tools' settings, CI platforms' variables and identities.
_FOREIGN = (
    "HATCH_", "PIP_BUILD_TRACKER", "PIP_CONSTRAINT", "PIP_REQUIRE", "UV_", "TWINE_", "GITHUB_", "ACTIONS_", "RUNNER_",
    "GITLAB_", "CI", "SIGSTORE_", "PYPI_", "CIRCLE", "BUILDKITE", "GOOGLE_", "SOURCE_DATE_EPOCH", "PYTHONPATH",
)  # fmt: skip


def clean_environment(home: Path) -> dict[str, str]:
    """Return the environment of a machine on which nothing of ours, of Hatch's or of a CI platform is set.

    Args:
        home: the home directory there; made here.

    """
    home.mkdir()
    environ = {name: value for name, value in os.environ.items() if not name.startswith(_FOREIGN)}
    return {
        **environ,
        # As where this environment is activated: Hatch looks for uv there.
        "PATH": os.pathsep.join([sysconfig.get_path("scripts"), environ.get("PATH", os.defpath)]),
        "HOME": str(home),
        "USERPROFILE": str(home),
        "PYTHON_KEYRING_BACKEND": "keyring.backends.null.Keyring",
    }


def install_wheel(wheel: Path, environment: Path) -> Path:
    """Install ``wheel`` into a new virtual environment, and return its Python.

    What it depends on is read from the environment of the tests, by a line in a `.pth` file: after the wheel, so that
    the wheel is found first, and without that environment's own `.pth` files, so that an editable one is not.
    """
    _run(sys.executable, "-m", "virtualenv", "--quiet", "--no-periodic-update", str(environment))
    python = environment / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    _run(str(python), "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", str(wheel))
    site_packages = _run(str(python), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip()
    (Path(site_packages) / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")
    return python


def _run(*command: str) -> str:
    result = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, encoding="utf-8", timeout=120)
    return result.stdout

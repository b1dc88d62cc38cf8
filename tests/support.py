"""Small real projects for tests, built by real processes."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

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
        self, *arguments: str, environ: Mapping[str, str], check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        """Run `hatchling build`, by default as `hatch build` does: with HATCH_ENV_ACTIVE where `environ` sets it."""
        result = subprocess.run(
            [sys.executable, "-m", "hatchling", "build", *arguments],
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

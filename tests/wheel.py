"""The built wheel of this project, and an environment in which it is installed and the checkout is not."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def build_wheel(directory: Path) -> Path:
    """Build this checkout's wheel as a release does."""
    _run(sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(directory))
    (wheel,) = directory.glob("*.whl")
    return wheel


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

"""The built wheel of this project, and an environment in which it is installed and the checkout is not."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def build_wheel(directory: Path) -> Path:
    """Build this checkout's wheel as a release does."""
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(directory)],
        cwd=ROOT,
        check=True,
        capture_output=True,
        timeout=120,
    )
    (wheel,) = directory.glob("*.whl")
    return wheel


def install_wheel(wheel: Path, environment: Path) -> Path:
    """Install ``wheel`` into a new virtual environment, and return its Python.

    What the wheel depends on is read from the environment of the tests, by a line in a `.pth` file: behind the wheel, so
    that the wheel is found first, and without that environment's own `.pth` files, so that an editable one is not.
    """
    run = {"check": True, "capture_output": True, "timeout": 120}
    create = [sys.executable, "-m", "virtualenv", "--quiet", "--no-periodic-update", str(environment)]
    subprocess.run(create, **run)  # type: ignore[call-overload] # the same for both
    python = environment / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    install = [str(python), "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", str(wheel)]
    subprocess.run(install, **run)  # type: ignore[call-overload]
    where = [str(python), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]
    site_packages = Path(subprocess.check_output(where, text=True, encoding="utf-8").strip())
    (site_packages / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")
    return python

"""Install what the suite needs from package registries, once, into a cache folder."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import platformdirs

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

HERE = Path(__file__).parent
COSIGN = "github.com/sigstore/cosign/v3/cmd/cosign@v3.1.3"
GO = Path("/usr/local/go/bin/go")  # where Go's own archive and its documentation put it, often without a PATH entry


class Unavailable(Exception):  # noqa: N818 - names a state of the machine, not a fault
    """A judge cannot be had on this machine; the message says which tool is missing."""


def cache() -> Path:
    """Return the folder that keeps installations from run to run."""
    named = os.environ.get("HATCH_ATTEST_JUDGES_CACHE")
    return Path(named) if named else platformdirs.user_cache_path("hatch-attest") / "judges"


def tool(name: str, why: str, *places: Path) -> Path:
    """Return the path of a program that must already be on the machine."""
    found = shutil.which(name, path=os.pathsep.join([os.environ.get("PATH", ""), *(str(place) for place in places)]))
    if found is None:
        raise Unavailable(f"{name} is not installed: {why}")
    return Path(found)


def installed(name: str, recipe: str, install: Callable[[Path], None]) -> Path:
    """Return the folder that `install` filled, in this run or in an earlier one of the same recipe."""
    folder = cache() / f"{name}-{hashlib.sha256(recipe.encode()).hexdigest()[:12]}"
    complete = folder / ".complete"
    if not complete.exists():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        install(folder)
        complete.touch()
    return folder


def run(
    *command: str | Path, cwd: Path | None = None, env: Mapping[str, str] | None = None, timeout: float = 1200
) -> str:
    """Run an installation step; its output is the error message where it fails."""
    done = subprocess.run(
        [str(word) for word in command],
        cwd=cwd,
        env={**os.environ, **(env or {})},
        timeout=timeout,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        message = (
            f"{' '.join(map(str, command))} ended with {done.returncode}:\n{done.stdout[-4000:]}{done.stderr[-4000:]}"
        )
        raise RuntimeError(message)
    return done.stdout


def go_programs() -> Path:
    """Build Fulcio, Rekor, the CT log, Trillian in memory (``sigstore``) and cosign from their Go modules.

    Go's own caches (3 GB at the peak) go to a throw-away folder: only the programs stay.
    """
    module = HERE / "sigstore"
    sources = [module / name for name in ("go.mod", "go.sum", "main.go")]

    def install(folder: Path) -> None:
        go = tool("go", "Sigstore's services and cosign are built from their Go modules", GO.parent)
        with tempfile.TemporaryDirectory(dir=cache()) as scratch:
            env = {
                "GOBIN": str(folder),
                "GOCACHE": str(Path(scratch, "build")),
                "GOFLAGS": "-trimpath -buildvcs=false -modcacherw",
                "GOPATH": str(Path(scratch, "go")),
                "GOTOOLCHAIN": "local",
            }
            run(go, "install", "-ldflags=-s -w", "tool", ".", cwd=module, env=env)
            fulcio = run(go, "list", "-m", "-f", "{{.Dir}}", "github.com/sigstore/fulcio", cwd=module, env=env).strip()
            shutil.copyfile(Path(fulcio, "config", "identity", "config.yaml"), folder / "fulcio-config.yaml")
            run(go, "install", "-ldflags=-s -w", COSIGN, cwd=folder, env=env)

    return installed("go", "".join([COSIGN, *(source.read_text() for source in sources)]), install)


def node_modules() -> Path:
    """Install sigstore-js from the npm registry beside a copy of the script that calls it."""
    sources = [HERE / "sigstore-js" / name for name in ("package.json", "package-lock.json", "verify.mjs")]

    def install(folder: Path) -> None:
        npm = tool("npm", "sigstore-js comes from the npm registry")
        for source in sources:
            shutil.copy(source, folder)
        run(npm, "ci", "--no-audit", "--no-fund", "--ignore-scripts", cwd=folder)

    return installed("node", "".join(source.read_text() for source in sources), install)


def python_environment(name: str, *requirements: str) -> Path:
    """Make a virtual environment of this Python with `requirements` in it; return its folder."""

    def install(folder: Path) -> None:
        run(sys.executable, "-m", "venv", folder)
        run(folder / "bin" / "python", "-m", "pip", "install", "--quiet", *requirements)

    return installed(name, "\n".join([sys.version, *requirements]), install)

"""A job that publishes: artifacts in `dist`, and `hatch publish -p attest` in this process or in one of its own.

In this process it is Hatch's own command line with its own context, configuration and plugin manager; only the
interpreter is shared, which saves a second for each run.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from click.testing import CliRunner

from hatch_attest.commands import run_sign
from tests.sandbox.index_support import Artifact, sdist, wheel

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hatch_attest.sandbox import Sandbox

TAGS = [f"cp3{minor}-cp3{minor}-{platform}" for minor in (10, 11, 12, 13) for platform in ("win32", "win_amd64",
        "macosx_11_0_arm64", "manylinux2014_x86_64", "musllinux_1_2_x86_64")]  # fmt: skip


@dataclass(frozen=True)
class Run:
    """What came of one `hatch publish`: exit code, all output, and the machine-readable report."""

    code: int
    output: str
    report: dict[str, Any]

    @property
    def states(self) -> dict[str, str]:
        """The state of each file."""
        return {file["name"]: file["state"] for file in self.report.get("files", [])}


class SilentDisplay:
    """A display that keeps what it is told."""

    is_terminal = False

    def __init__(self) -> None:
        self.lines: list[str] = []

    def show(self, renderable: object) -> None:
        """Keep a table."""
        self.lines.append(str(renderable))

    def info(self, text: str) -> None:
        """Keep a line."""
        self.lines.append(text)

    success = warning = info


class Job:
    """A project directory with artifacts, and the environment of the job that publishes them.

    Args:
        root: the project's directory.
        sandbox: what it publishes to.
        environ: a clean environment.

    """

    def __init__(self, root: Path, sandbox: Sandbox, environ: Mapping[str, str]) -> None:
        self.root = root
        self.dist = root / "dist"
        self.dist.mkdir(parents=True)
        self.sandbox = sandbox
        self.home = Path(environ["HOME"])
        self.config = self.home / "hatch config.toml"
        self._clean = {
            **environ,
            "HATCH_CONFIG": str(self.config),
            "HATCH_DATA_DIR": str(self.home / "data"),
            "HATCH_CACHE_DIR": str(self.home / "cache"),
        }
        self.environ: dict[str, str] = {}
        self.play(sandbox.environment)
        self.configure()
        self.configure_hatch("")

    def play(self, variables: Mapping[str, str], *, without: Sequence[str] = ()) -> None:
        """Be a job that sees these variables."""
        self.environ = {name: value for name, value in {**self._clean, **variables}.items() if name not in without}

    def configure(self, publish: str = "", hook: str = "") -> None:
        """Write `pyproject.toml`."""
        self.root.joinpath("pyproject.toml").write_text(
            '[build-system]\nrequires = ["hatchling"]\nbuild-backend = "hatchling.build"\n'
            '[project]\nname = "widget"\nversion = "1.0"\n'
            f"[tool.hatch.build.hooks.attest]\nenable-by-default = false\n{hook}\n"
            f"[tool.hatch.publish.attest]\n{publish}\n",
            encoding="utf-8",
        )

    def configure_hatch(self, text: str) -> None:
        """Write Hatch's own configuration file."""
        self.config.write_text(text, encoding="utf-8")

    def add(self, *artifacts: Artifact) -> list[Path]:
        """Put artifacts into `dist`."""
        return [artifact.write(self.dist) for artifact in artifacts]

    def add_release(self, files: int = 2, version: str = "1.0") -> list[Path]:
        """Put an sdist and wheels into `dist`, so many files in all."""
        tags = ["py3-none-any"] if files == 2 else TAGS[: files - 1]
        return self.add(sdist(version=version), *(wheel(version=version, tag=tag) for tag in tags))

    def sign(self, *paths: Path) -> None:
        """Sign what has no sidecar, as `hatch-attest sign` does."""
        files = [str(path) for path in paths] or ["dist"]
        with environment(self.environ):
            run_sign(files, self.root, display=SilentDisplay(), environ=self.environ)

    def sidecar(self, path: Path, kind: str = "publish") -> Path:
        """The path of an artifact's sidecar."""
        return path.with_name(f"{path.name}.{kind}.attestation")

    def publish(self, *arguments: str, hatch: Sequence[str] = (), typed: str | None = None, json: bool = True) -> Run:
        """Run `hatch publish -p attest` in this process.

        Args:
            arguments: after `-p attest`.
            hatch: Hatch's own, before the command.
            typed: what a person types; None: nobody is there (`--no-prompt`).
            json: whether a report is asked for.

        """
        from hatch.cli import hatch as command

        line = self._line(arguments, hatch, typed, json=json)
        environ = {**dict.fromkeys(set(os.environ) - set(self.environ)), **self.environ}
        here = Path.cwd()
        os.chdir(self.root)
        try:
            result = CliRunner().invoke(command, line, env=environ, input=typed)
        finally:
            os.chdir(here)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return self._run(result.exit_code, result.output)

    def process(self, *arguments: str, hatch: Sequence[str] = (), json: bool = True) -> Run:
        """Run `hatch publish -p attest` as users do, in a process of its own, with nobody to ask."""
        result = subprocess.run(
            [sys.executable, "-m", "hatch", *self._line(arguments, hatch, None, json=json)],
            cwd=self.root,
            env=self.environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            check=False,
            timeout=120,
        )
        return self._run(result.returncode, result.stdout)

    def _line(self, arguments: Sequence[str], hatch: Sequence[str], typed: str | None, *, json: bool) -> list[str]:
        self._report.unlink(missing_ok=True)
        report = ["-o", f"json={self._report}"] if json else []
        return [*hatch, "publish", "-p", "attest", *(["-n"] if typed is None else []), *report, *arguments]

    def _run(self, code: int, output: str) -> Run:
        report = json.loads(self._report.read_text(encoding="utf-8")) if self._report.exists() else {}
        return Run(code, output, report)

    @property
    def _report(self) -> Path:
        return self.home / "report.json"

    # What the sandbox saw

    def uploads(self) -> int:
        """How many uploads were tried."""
        return self.sandbox.count("index", "POST", "/legacy/")

    def entries(self) -> int:
        """How many log entries were asked for."""
        return self.sandbox.count("log", "POST")

    def exchanges(self) -> int:
        """How many identity tokens were exchanged."""
        return self.sandbox.count("index", "POST", "/_/oidc/mint-token")

    def on_index(self, project: str = "widget") -> dict[str, str]:
        """What the index has: SHA-256 by name."""
        return {file.filename: file.sha256 for file in self.sandbox.index.files(project)}


class environment:  # noqa: N801 - it reads as what it does
    """Let this process have an environment: the `id` library and click read it from there."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = dict(environ)

    def __enter__(self) -> None:
        self._before = dict(os.environ)
        os.environ.clear()
        os.environ.update(self._environ)

    def __exit__(self, *_: object) -> None:
        os.environ.clear()
        os.environ.update(self._before)

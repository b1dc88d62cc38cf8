"""The machine on which the front ends run: their tools, caches, an index of packages, and a job of the sandbox's CI."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from packaging.utils import canonicalize_name
from uv import find_uv_bin

from hatch_attest.sandbox import Sandbox
from tests.frontends.packages import Packages

if TYPE_CHECKING:
    from collections.abc import Mapping

    from typing_extensions import Self

    from tests.frontends.layouts import Project

SOURCES = Path(__file__).parents[2]
TIMEOUT = 300  # seconds; for the slowest front end on a busy machine with cold caches

FRONT_ENDS = ("build", "hatch", "hatchling", "pip", "pipx", "tox", "uv")
# What hatch-attest signs with; nobody but a signer shall get them.
SIGNING = frozenset({"cryptography", "id", "pypi-attestations", "sigstore", "tenacity"})
OURS = SIGNING | {"hatch-attest"}

# What a front end must not inherit from the machine that runs the tests; how the machine reaches its registry stays.
_FOREIGN = (
    "HATCH_", "UV_", "TOX_", "TWINE_", "PIPX_", "PIP_BUILD_TRACKER", "PIP_CONSTRAINT", "PIP_REQUIRE", "VIRTUAL_ENV",
    "GITHUB_", "ACTIONS_", "RUNNER_", "GITLAB_", "CI", "SIGSTORE_", "PYPI_", "CIRCLE", "BUILDKITE", "GOOGLE_",
    "SOURCE_DATE_EPOCH", "PYTHONPATH", "PYTHONHOME", "PYTHONDONTWRITEBYTECODE", "COVERAGE_", "COV_", "PYTEST_", "XDG_",
)  # fmt: skip
_REGISTRY = ("UV_DEFAULT_INDEX", "UV_INDEX_URL", "UV_NATIVE_TLS", "UV_SYSTEM_CERTS")


class Machine:
    """What all rows of the matrix share; a context manager.

    Attributes:
        directory: where it keeps everything.
        packages: an index with hatch-attest, which no other has in this version.
        sandbox: the identity that is at hand, and the Sigstore that would sign.
        hatch_attest: the wheel that it has.
        light: the names of the distributions that a build with hatchling needs without any hook.

    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.packages = Packages()
        self.sandbox = Sandbox(directory / "sandbox")
        self.hatch_attest = Path()
        self.light: frozenset[str] = frozenset()
        self._numbers = 0

    def __enter__(self) -> Self:
        self.directory.mkdir(parents=True, exist_ok=True)
        self.install("tools", *(name for name in FRONT_ENDS if name != "hatchling"))
        self.light = self._installed_in(self.install("backend", "hatchling", "editables"))
        self.hatch_attest = self._build_hatch_attest()
        self.packages.add("hatch-attest", self.hatch_attest)
        self.install("signer", "hatchling", f"hatch-attest[sign] @ {self.hatch_attest.as_uri()}")
        self.packages.__enter__()
        self.sandbox.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self.sandbox.__exit__(*_)
        self.packages.__exit__(*_)
        shutil.rmtree(self.directory, ignore_errors=True)  # some hundred megabytes of caches

    @property
    def signer(self) -> Path:
        """The Python of an environment with hatchling and ``hatch-attest[sign]``, prepared as by hand."""
        return python_of(self.directory / "signer")

    @property
    def backend(self) -> Path:
        """The Python of an environment with hatchling alone."""
        return python_of(self.directory / "backend")

    def versions(self) -> dict[str, str]:
        """Return the front ends' versions."""
        tools = _distributions_of(self.directory / "tools")
        return {name: tools[name] for name in FRONT_ENDS if name in tools}

    def number(self) -> int:
        """Return a number that no other row of this session has: caches remember names and versions."""
        self._numbers += 1
        return self._numbers

    def environ(self, home: Path) -> dict[str, str]:
        """Return the environment of a job that could sign, with ``home`` for everything that tools keep."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(_FOREIGN) or name in _REGISTRY}
        temporary = home / "tmp"
        temporary.mkdir(parents=True, exist_ok=True)
        config = home / "hatch.toml"
        config.touch()
        path = os.pathsep.join([str(python_of(self.directory / "tools").parent), kept.get("PATH", os.defpath)])
        return {
            **kept,
            "PATH": path,
            "HOME": str(home),
            "USERPROFILE": str(home),
            "TMPDIR": str(temporary),
            "TEMP": str(temporary),
            "TMP": str(temporary),
            "NO_COLOR": "1",
            "COLUMNS": "400",
            "PYTHON_KEYRING_BACKEND": "keyring.backends.null.Keyring",
            "PIP_CACHE_DIR": str(self.directory / "pip-cache"),
            "PIP_EXTRA_INDEX_URL": self.packages.url,
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
            "PIPX_HOME": str(self.directory / "pipx"),
            "PIPX_BIN_DIR": str(home / "bin"),
            "UV_CACHE_DIR": str(self.directory / "uv-cache"),
            "UV_INDEX": self.packages.url,
            "UV_PYTHON_DOWNLOADS": "never",
            "UV_TOOL_DIR": str(home / "uv-tools"),
            "UV_TOOL_BIN_DIR": str(home / "bin"),
            "HATCH_DATA_DIR": str(home / "hatch"),
            "HATCH_CONFIG": str(config),
            "HATCH_PYTHON": sys.executable,
            **self.sandbox.environment,
        }

    def install(self, name: str, *requirements: str) -> Path:
        """Make a virtual environment with ``requirements``; return its directory."""
        environment = self.directory / name
        self._uv("venv", "--quiet", "--python", sys.executable, str(environment))
        self._uv("pip", "install", "--quiet", "--python", str(python_of(environment)), *requirements)
        return environment

    def _installed_in(self, environment: Path) -> frozenset[str]:
        return frozenset(_distributions_of(environment))

    def _build_hatch_attest(self) -> Path:
        """Build a wheel from this tree, under a version (PEP 440's local one) that no index can hold."""
        tree = self.directory / "hatch-attest"
        shutil.copytree(SOURCES / "hatch_attest", tree / "hatch_attest", ignore=shutil.ignore_patterns("__pycache__"))
        for name in ("pyproject.toml", "README.md", "LICENSE"):
            shutil.copy2(SOURCES / name, tree)
        init = tree / "hatch_attest" / "__init__.py"
        text, count = re.subn(r'(__version__ = "[^"+]+)"', r'\1+matrix"', init.read_text(encoding="utf-8"))
        assert count == 1, init
        init.write_text(text, encoding="utf-8")
        self._uv("build", "--quiet", "--wheel", "--out-dir", str(tree / "dist"), str(tree))
        (wheel,) = (tree / "dist").glob("*.whl")
        return wheel

    def _uv(self, *arguments: str) -> None:
        environ = {name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"}
        environ |= {"UV_CACHE_DIR": str(self.directory / "uv-cache"), "UV_PYTHON_DOWNLOADS": "never"}
        _run([find_uv_bin(), *arguments], cwd=self.directory, environ=environ)


@dataclass
class Outcome:
    """What a row did, as its evidence says.

    Attributes:
        asked: names of projects that were asked for at the machine's index.
        downloaded: names of files that came from there.
        requests: how many requests the issuer, the authority and the log received.
        built: what the probe noted at each end of a target's build: its ``target`` and ``artifact``, the ``hooks`` that
            ran, and what was ``installed``.
        kept: the normalized names of the distributions in environments that lie below the row's directory.
        sidecars: names of the attestation files that lie anywhere below the row's directory.
        output: all that the front end printed.

    """

    asked: set[str]
    downloaded: set[str]
    requests: tuple[int, int, int]
    built: list[dict[str, Any]]
    kept: set[str]
    sidecars: list[str]
    output: str

    @property
    def installed(self) -> set[str]:
        """The normalized names of all distributions that any of the builds had, and of ours that lie about."""
        names = {canonicalize_name(name) for build in self.built for name in build["installed"]}
        return names | (self.kept & OURS)

    @property
    def hook_ran(self) -> bool:
        """Whether hatchling called our hook."""
        return any("attest" in build["hooks"] for build in self.built)


@dataclass
class Row:
    """One row of the matrix: a directory, an environment, and what happens in them.

    Args:
        machine: the machine.
        directory: for this row alone.

    """

    machine: Machine
    directory: Path
    environ: dict[str, str] = field(init=False)
    number: int = field(init=False)
    _output: list[str] = field(init=False, default_factory=list)

    def __post_init__(self) -> None:
        self.environ = self.machine.environ(self.directory / "home")
        self.number = self.machine.number()
        self.begin()

    def begin(self) -> None:
        """Count from here: what came before was preparation."""
        self._asked = len(self.machine.packages.asked)
        self._requests = len(self.machine.sandbox.requests)
        self._output.clear()

    def run(
        self, *command: str | Path, cwd: Path, environ: Mapping[str, str] | None = None, check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        """Run a front end in the row's environment, changed by ``environ``; it must succeed where ``check``."""
        result = _run(
            [str(each) for each in command], cwd=cwd, environ={**self.environ, **(environ or {})}, check=check
        )
        self._output += [result.stdout, result.stderr]
        return result

    def venv(self, *requirements: str) -> Path:
        """Make a consumer's virtual environment, with pip; return its Python."""
        environment = self.directory / "venv"
        self.run("uv", "venv", "--quiet", "--seed", environment, cwd=self.directory)
        if requirements:
            self.run(
                "uv", "pip", "install", "--quiet", "--python", python_of(environment), *requirements, cwd=self.directory
            )
        return python_of(environment)

    def sdist(self, project: Project) -> Path:
        """Build the project's sdist as a maintainer would who signs nothing; it is no part of the row."""
        output = self.directory / "sdists"
        unopted = {"HATCH_BUILD_NO_HOOKS": "true"}
        python = self.machine.backend
        self.run(python, "-m", "hatchling", "build", "-t", "sdist", "-d", output, cwd=project.root, environ=unopted)
        self.begin()
        return output / f"{project.name.replace('-', '_')}-1.0.tar.gz"

    def outcome(self, *projects: Project) -> Outcome:
        """Gather the evidence."""
        seen = self.machine.sandbox.requests[self._requests :]
        issuer, authority, log = (sum(each.service == name for each in seen) for name in ("issuer", "authority", "log"))
        return Outcome(
            asked=self.machine.packages.projects(self._asked),
            downloaded=self.machine.packages.downloads(self._asked),
            requests=(issuer, authority, log),
            built=[note for project in projects for note in project.noted() if note["artifact"]],
            kept=set(_distributions_of(self.directory)),
            sidecars=sorted(path.name for path in self.directory.rglob("*.attestation")),
            output="\n".join(self._output),
        )


def python_of(environment: Path) -> Path:
    """Return the Python of a virtual environment."""
    return environment / "Scripts" / "python.exe" if os.name == "nt" else environment / "bin" / "python"


def _distributions_of(environment: Path) -> dict[str, str]:
    """Return the names and versions of what is installed in a virtual environment, from its metadata directories."""
    names = (path.name.removesuffix(".dist-info").split("-", 1) for path in environment.rglob("*.dist-info"))
    return {canonicalize_name(name): version for name, version in names}


def _run(
    command: list[str], *, cwd: Path, environ: Mapping[str, str], check: bool = True
) -> subprocess.CompletedProcess[str]:
    program = shutil.which(command[0], path=environ.get("PATH")) or command[0]
    result = subprocess.run(
        [program, *command[1:]],
        cwd=cwd,
        env=dict(environ),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        timeout=TIMEOUT,
        check=False,
    )
    assert not check or result.returncode == 0, f"{command}: {result.returncode}\n{result.stdout}\n{result.stderr}"
    return result

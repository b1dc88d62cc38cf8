"""Consumer: installs what the index serves, and asks others' software whether its provenance holds."""

from __future__ import annotations

import hashlib
import json
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urldefrag, urljoin

from packaging.utils import InvalidSdistFilename, InvalidWheelFilename, parse_sdist_filename, parse_wheel_filename

from hatch_attest.errors import RehearsalError
from hatch_attest.rehearsal import processes
from hatch_attest.rehearsal.surroundings import user_directories

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    import httpx
    from packaging.version import Version

# The Simple API in JSON (PEP 691), which names each file's provenance (PEP 740).
_SIMPLE_JSON = "application/vnd.pypi.simple.v1+json"
_TIMEOUT = 30  # seconds, on loopback
# Another index beside the one that is named could serve another file of that name.
_OTHER_INDEXES = ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS", "PIP_CONSTRAINT")


@dataclass(frozen=True)
class Served:
    """A file as the index serves it, downloaded, with its provenance object beside it."""

    artifact: Path
    provenance: Path
    digest: str


@dataclass(frozen=True)
class Installed:
    """What pip installed: the file's name and SHA-256, and how many runtime dependencies it was not given."""

    name: str
    digest: str
    dependencies: int


@dataclass(frozen=True)
class Verdict:
    """What the pypi_attestations library says of a file and its provenance."""

    holds: bool
    publisher: Mapping[str, Any] | None
    reason: str | None


class Consumer:
    """Somebody who installs the project, with nothing but the index's address and Sigstore's trusted root.

    Args:
        directory: of their own; made here.
        environ: the rehearsal's environment.
        index: the URL of the Simple API.
        show: is given each line that a program prints.

    """

    def __init__(self, directory: Path, environ: Mapping[str, str], index: str, show: Callable[[str], None]) -> None:
        directory.mkdir()
        self._directory = directory
        self._environ = environ
        self._index = index
        self._show = show

    def install(self, project: str, version: Version, *, wheels: bool) -> Installed:
        """Install one version with pip into a fresh virtual environment, and nothing else with it.

        Its dependencies are not what is rehearsed, and would come from another index.

        Args:
            project: its name.
            version: to install.
            wheels: whether there is a wheel. If not, pip builds the sdist, with build requirements from its own index.

        Raises:
            RehearsalError: it cannot be installed.

        """
        environment = self._directory / "environment"
        report = self._directory / "report.json"
        self._run(sys.executable, "-m", "virtualenv", "--quiet", "--no-periodic-update", str(environment))
        python = environment / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
        what = (f"{project}=={version}", "--index-url", self._index) if wheels else (self._sdist_url(project, version),)
        environ = {name: value for name, value in self._environ.items() if not (wheels and name in _OTHER_INDEXES)}
        command = (str(python), "-m", "pip", "install", "--quiet", "--no-deps", "--report", str(report), *what)
        self._run(*command, environ=environ)
        (entry,) = json.loads(report.read_text(encoding="utf-8"))["install"]
        information = entry["download_info"]
        return Installed(
            name=information["url"].rpartition("/")[2],
            digest=information["archive_info"]["hashes"]["sha256"],
            dependencies=sum("extra ==" not in each for each in entry["metadata"].get("requires_dist", ())),
        )

    def fetch(self, project: str, version: Version) -> list[Served]:
        """Download every file of a version and the provenance of each.

        Raises:
            RehearsalError: the index serves a file without provenance, or other bytes than it says.

        """
        downloads = self._directory / "downloads"
        downloads.mkdir()
        served = []
        for file in self._files(project, version):
            name, url = file["filename"], file.get("provenance")
            if not url:
                raise RehearsalError("rehearsal-no-provenance", name=name)
            content = self._get(file["url"]).content
            digest = hashlib.sha256(content).hexdigest()
            if digest != file["hashes"]["sha256"]:
                raise RehearsalError("rehearsal-other-bytes", name=name)
            artifact, provenance = downloads / name, downloads / f"{name}.provenance"
            artifact.write_bytes(content)
            provenance.write_bytes(self._get(url).content)
            served.append(Served(artifact, provenance, digest))
        return served

    def judge(self, served: Iterable[Served], trusted_root: Mapping[str, Any]) -> list[Verdict]:
        """Have the pypi_attestations library, in a process of its own, verify each file by its provenance.

        Raises:
            RehearsalError: the library cannot be asked.

        """
        cases, verdicts, root = (self._directory / f"{name}.json" for name in ("cases", "verdicts", "trusted_root"))
        listed = [{"artifact": str(each.artifact), "provenance": str(each.provenance)} for each in served]
        cases.write_text(json.dumps(listed), encoding="utf-8")
        root.write_text(json.dumps(trusted_root), encoding="utf-8")
        private = self._directory / "judge"
        command = (sys.executable, "-m", "hatch_attest.rehearsal.judge", *map(str, (cases, verdicts, root, private)))
        self._run(*command, environ={**self._environ, **user_directories(private)})
        return [Verdict(**each) for each in json.loads(verdicts.read_text(encoding="utf-8"))]

    def tamper(self, served: Iterable[Served]) -> list[Served]:
        """Return copies of the files, each with one bit of its middle byte turned, beside their true provenance."""
        directory = self._directory / "tampered"
        directory.mkdir()
        tampered = []
        for each in served:
            content = bytearray(each.artifact.read_bytes())
            content[len(content) // 2] ^= 1
            artifact = directory / each.artifact.name
            artifact.write_bytes(content)
            tampered.append(Served(artifact, each.provenance, hashlib.sha256(content).hexdigest()))
        return tampered

    def _run(self, *command: str, environ: Mapping[str, str] | None = None) -> None:
        printed: list[str] = []
        status = processes.run(
            command, directory=self._directory, environ=environ or self._environ, show=printed.append
        )
        if status:
            for line in printed:
                self._show(line)
            raise RehearsalError("rehearsal-command", command=_shown(command), status=status)

    def _files(self, project: str, version: Version) -> list[dict[str, Any]]:
        page = self._get(urljoin(self._index, f"{project}/"), accept=_SIMPLE_JSON)
        return [
            {**file, "url": urldefrag(urljoin(str(page.url), file["url"])).url}
            for file in page.json()["files"]
            if _version_of(file["filename"]) == version
        ]

    def _sdist_url(self, project: str, version: Version) -> str:
        urls = [file["url"] for file in self._files(project, version) if file["filename"].endswith(".tar.gz")]
        if not urls:
            raise RehearsalError("rehearsal-nothing-served", project=project, version=version)
        return f"{project} @ {urls[0]}"

    def _get(self, url: str, accept: str = "*/*") -> httpx.Response:
        import httpx

        try:
            # `trust_env`: no proxy of this machine's stands between us and loopback.
            with httpx.Client(timeout=_TIMEOUT, trust_env=False) as client:
                return client.get(url, headers={"Accept": accept}).raise_for_status()
        except httpx.HTTPError as error:
            raise RehearsalError("rehearsal-index", cause=str(error), url=url) from error


def _version_of(name: str) -> Version | None:
    try:
        return parse_wheel_filename(name)[1] if name.endswith(".whl") else parse_sdist_filename(name)[1]
    except (InvalidWheelFilename, InvalidSdistFilename):
        return None


def _shown(command: Sequence[str]) -> str:
    return " ".join(("python", *command[1:4]) if command[1] == "-m" else command)

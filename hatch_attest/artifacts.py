"""Artifacts on disk: which files are wheels and sdists, and what the name and the bytes of one say."""

from __future__ import annotations

import glob
import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from packaging.utils import InvalidSdistFilename, InvalidWheelFilename, parse_sdist_filename, parse_wheel_filename

from hatch_attest.errors import ArtifactError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from packaging.utils import NormalizedName
    from packaging.version import Version

Kind = Literal["wheel", "sdist"]

# What PyPI takes: warehouse's forklift accepts .whl and, for an sdist, .tar.gz (PEP 625).
EXTENSIONS: dict[Kind, str] = {"wheel": ".whl", "sdist": ".tar.gz"}
SIDECAR_EXTENSION = ".attestation"

_CHUNK = 1 << 20


@dataclass(frozen=True)
class Artifact:
    """A wheel or an sdist as it was when it was read.

    Attributes:
        path: where it lies.
        kind: ``wheel`` or ``sdist``.
        project: the normalized project name (PEP 503) from the file name.
        version: the version from the file name.
        digest: the SHA-256 of its bytes, as 64 hexadecimal digits.
        size: in bytes.

    """

    path: Path
    kind: Kind
    project: NormalizedName
    version: Version
    digest: str
    size: int

    @property
    def name(self) -> str:
        """The file name, which is the name of an attestation's subject."""
        return self.path.name


def kind_of(name: str) -> Kind | None:
    """Say what a file of this name would be, by its extension alone; None for anything else."""
    for kind, extension in EXTENSIONS.items():
        if name.endswith(extension):
            return kind
    return None


def parse_name(name: str) -> tuple[NormalizedName, Version]:
    """Return project and version as the file name states them (the binary distribution format, PEP 427; PEP 625).

    Raises:
        ArtifactError: the name is none of a wheel or an sdist.

    """
    try:
        if kind_of(name) == "wheel":
            return parse_wheel_filename(name)[:2]
        return parse_sdist_filename(name)
    except (InvalidWheelFilename, InvalidSdistFilename) as error:
        raise ArtifactError("artifact-name", cause=str(error), name=printable(name)) from error


def read_artifact(path: Path) -> Artifact:
    """Read name and bytes of the artifact at ``path``.

    Raises:
        ArtifactError: it is no regular file, cannot be read, or its name does not parse.

    """
    name = path.name
    kind = kind_of(name)
    project, version = parse_name(name)
    if kind is None:  # pragma: no cover - parse_name refuses every other extension but .zip
        raise ArtifactError("artifact-name", name=printable(name))
    try:
        if not path.is_file():
            code = "artifact-not-a-file" if path.exists() else "artifact-missing"
            raise ArtifactError(code, name=printable(path))
        digest, size = digest_file(path)
    except OSError as error:
        raise ArtifactError("artifact-unreadable", cause=error.strerror, name=printable(path)) from error
    return Artifact(path=path, kind=kind, project=project, version=version, digest=digest, size=size)


def digest_file(path: Path) -> tuple[str, int]:
    """Return SHA-256 (hexadecimal) and size in bytes, reading a piece at a time.

    Raises:
        OSError: as opening and reading do.

    """
    hasher = hashlib.sha256()
    size = 0
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            hasher.update(chunk)
            size += len(chunk)
    return hasher.hexdigest(), size


@dataclass(frozen=True)
class Collection:
    """What was found: the artifacts' paths, each once, sdists first, and the given files that are none."""

    artifacts: tuple[Path, ...]
    left_out: tuple[Path, ...]


def collect(arguments: Iterable[str], root: Path) -> Collection:
    """Find the artifacts that ``arguments`` name: directories (not searched below), glob patterns, single files.

    A directory gives its wheels and sdists and nothing else. A file that was named and is no artifact is left out;
    sidecars are not worth a word, since ``dist/*`` names them together with their artifacts.

    Args:
        arguments: paths and patterns, relative ones from ``root``.
        root: the project's root directory.

    Raises:
        ArtifactError: an argument matches nothing, or something named like an artifact is no regular file.

    """
    found: dict[Path, None] = {}
    left_out: dict[Path, None] = {}
    for argument in arguments:
        for path in _expand(argument, root):
            if path.is_dir() and kind_of(path.name) is None:
                found.update(dict.fromkeys(_artifacts_in(path)))
            elif kind_of(path.name) is not None:
                found[_regular(path)] = None
            elif not path.name.endswith(SIDECAR_EXTENSION):
                left_out[path] = None
    ordered = sorted(found, key=lambda path: (kind_of(path.name) != "sdist", path.name))
    return Collection(tuple(ordered), tuple(left_out))


def printable(name: str | Path) -> str:
    """Make a file name fit for output: undecodable bytes (PEP 383's surrogates) and control characters escaped."""
    text = os.fsencode(name).decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def _expand(argument: str, root: Path) -> Iterator[Path]:
    path = root / argument  # an absolute argument replaces the root
    if path.exists() or path.is_symlink():
        yield path
        return
    # Windows' shells leave patterns alone, and a quoted one arrives here anywhere.
    # `Path.glob` takes no absolute pattern.
    matches = sorted(glob.glob(str(path))) if glob.has_magic(argument) else []  # noqa: PTH207
    if not matches:
        raise ArtifactError("artifact-missing", name=printable(argument))
    yield from map(Path, matches)


def _artifacts_in(directory: Path) -> Iterator[Path]:
    try:
        entries = sorted(directory.iterdir())
    except OSError as error:
        raise ArtifactError("artifact-unreadable", cause=error.strerror, name=printable(directory)) from error
    return (_regular(path) for path in entries if kind_of(path.name) is not None)


def _regular(path: Path) -> Path:
    if not path.is_file():
        raise ArtifactError("artifact-not-a-file", name=printable(path))
    return path

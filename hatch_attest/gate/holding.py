"""Private copies of the artifacts: what is uploaded is what was verified, whatever happens to the files meanwhile."""

from __future__ import annotations

import contextlib
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from hatch_attest.artifacts import printable, read_artifact
from hatch_attest.errors import ArtifactError, GateError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from hatch_attest.artifacts import Artifact


_CHUNK = 1 << 20


class Held(NamedTuple):
    """An artifact (its ``path`` is the user's file) and our copy of its bytes, which ``digest`` is about."""

    artifact: Artifact
    copy: Path


@contextlib.contextmanager
def hold(paths: Iterable[Path]) -> Iterator[tuple[Held, ...]]:
    """Copy the artifacts into a directory that only this user can read, and remove it afterwards.

    Raises:
        ArtifactError: one cannot be read.
        GateError: two have the same name, or there is no room for the copies.

    """
    with _private_directory() as directory:
        yield tuple(_hold_one(path, directory) for path in _distinct(paths))


@contextlib.contextmanager
def _private_directory() -> Iterator[Path]:
    try:
        directory = tempfile.TemporaryDirectory(prefix="hatch-attest-", ignore_cleanup_errors=True)
    except OSError as error:
        raise GateError("no-room", cause=error.strerror) from error
    with directory as name:
        yield Path(name)


def _distinct(paths: Iterable[Path]) -> Iterator[Path]:
    seen: dict[str, Path] = {}
    for path in paths:
        other = seen.setdefault(path.name, path)
        if other is not path:
            raise GateError("same-name", name=printable(path.name), one=printable(other), other=printable(path))
        yield path


def _hold_one(path: Path, directory: Path) -> Held:
    copy = directory / path.name
    try:
        with copy.open("xb") as target:
            for chunk in _chunks(path):
                target.write(chunk)
    except OSError as error:
        raise GateError("no-room", cause=error.strerror) from error
    return Held(replace(read_artifact(copy), path=path), copy)


def _chunks(path: Path) -> Iterator[bytes]:
    try:
        with path.open("rb") as source:
            while chunk := source.read(_CHUNK):
                yield chunk
    except OSError as error:
        raise ArtifactError("artifact-unreadable", cause=error.strerror, name=printable(path)) from error

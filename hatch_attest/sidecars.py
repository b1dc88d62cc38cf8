"""Sidecars: the attestation files beside an artifact; their names, atomic writing, and careful reading."""

from __future__ import annotations

import base64
import binascii
import json
import os
import secrets
from contextlib import suppress
from enum import Enum
from typing import TYPE_CHECKING, NamedTuple

from hatch_attest.artifacts import SIDECAR_EXTENSION, printable
from hatch_attest.errors import SidecarError

if TYPE_CHECKING:
    from pathlib import Path

    from pydantic import ValidationError
    from pypi_attestations import Attestation

# An attestation is about 10 kB. PyPI's own limit is on the whole form; this one keeps a stray file out of memory.
MAX_SIDECAR_BYTES = 1 << 20


class Predicate(Enum):
    """The predicate types that PyPI takes (pypi_attestations.AttestationType), with the sidecar's name for each."""

    PUBLISH = ("publish", "https://docs.pypi.org/attestations/publish/v1")
    SLSA = ("slsa", "https://slsa.dev/provenance/v1")

    def __init__(self, label: str, uri: str) -> None:
        self.label = label
        self.uri = uri

    @property
    def suffix(self) -> str:
        """What follows the artifact's name in the sidecar's."""
        return f".{self.label}{SIDECAR_EXTENSION}"


class Subject(NamedTuple):
    """What a statement says it is about: a file name and its SHA-256 in hexadecimal digits."""

    name: str
    digest: str


def sidecar_path(artifact: Path, predicate: Predicate = Predicate.PUBLISH) -> Path:
    """Return the path of the artifact's sidecar; the sidecar may not exist."""
    return artifact.with_name(artifact.name + predicate.suffix)


def find_sidecars(artifact: Path) -> dict[Predicate, Path]:
    """Return the sidecars that lie beside ``artifact``, paired by exact name."""
    paths = {predicate: sidecar_path(artifact, predicate) for predicate in Predicate}
    return {predicate: path for predicate, path in paths.items() if os.path.lexists(path)}


def check_place(path: Path) -> None:
    """Check that the file system takes a sidecar's name, before there is a log entry that nobody can take back.

    Raises:
        SidecarError: it does not: an artifact's name may be as long as names may be, and a sidecar's is longer.

    """
    try:
        path.lstat()
    except FileNotFoundError:
        return
    except OSError as error:
        raise SidecarError("sidecar-unwritable", cause=error.strerror, name=printable(path.name)) from error


def write_sidecar(path: Path, attestation: Attestation) -> None:
    """Write the attestation as PEP 740's JSON, whole or not at all.

    Raises:
        SidecarError: the file system refused; nothing of the sidecar is left.

    """
    # A short name of its own: the artifact's may already fill what the file system allows.
    temporary = path.with_name(f".attest-{secrets.token_hex(8)}.tmp")
    try:
        with temporary.open("x", encoding="utf-8") as stream:
            stream.write(attestation.model_dump_json())
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)
    except OSError as error:
        raise SidecarError("sidecar-unwritable", cause=error.strerror, name=printable(path.name)) from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def remove_sidecar(path: Path) -> None:
    """Remove a sidecar; one that is gone already is fine.

    Raises:
        SidecarError: the file system refused.

    """
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise SidecarError("sidecar-unremovable", cause=error.strerror, name=printable(path.name)) from error


def read_bytes(path: Path) -> bytes:
    """Return the bytes of a sidecar.

    Raises:
        SidecarError: it cannot be read, is no regular file, or is larger than ``MAX_SIDECAR_BYTES``.

    """
    name = printable(path.name)
    try:
        if not path.is_file():
            raise SidecarError("sidecar-not-a-file", name=name)
        with path.open("rb") as stream:
            raw = stream.read(MAX_SIDECAR_BYTES + 1)
    except OSError as error:
        raise SidecarError("sidecar-unreadable", cause=error.strerror, name=name) from error
    if len(raw) > MAX_SIDECAR_BYTES:
        raise SidecarError("sidecar-too-large", name=name, limit=MAX_SIDECAR_BYTES)
    return raw


def read_attestation(path: Path) -> Attestation:
    """Read a sidecar as an attestation of PEP 740. It is not verified here.

    Raises:
        SidecarError: it cannot be read, is too large, is no JSON, or is not of PEP 740's shape.

    """
    from pydantic import ValidationError
    from pypi_attestations import Attestation

    raw = read_bytes(path)
    name = printable(path.name)
    try:
        json.loads(raw)
    except ValueError as error:  # includes UnicodeDecodeError
        raise SidecarError("sidecar-not-json", cause=str(error), name=name) from error
    except RecursionError as error:
        raise SidecarError("sidecar-not-json", cause="nested too deeply", name=name) from error
    try:
        return Attestation.model_validate_json(raw)
    except ValidationError as error:
        raise SidecarError("sidecar-schema", cause=_first_problem(error), name=name) from error


def claimed_subject(path: Path) -> Subject | None:
    """Return what the sidecar says it is about, without any library of signing; None where it does not say.

    It proves nothing: it is for telling a stale sidecar from a fresh one on machines that have no more than hatchling.
    """
    try:
        document = json.loads(read_bytes(path))
        statement = json.loads(base64.b64decode(document["envelope"]["statement"]))
        (subject,) = statement["subject"]
        return Subject(str(subject["name"]), str(subject["digest"]["sha256"]))
    except (SidecarError, ValueError, binascii.Error, KeyError, TypeError, RecursionError):
        return None


def _first_problem(error: ValidationError) -> str:
    """Say the first of pydantic's findings in one line, without the input (it may be a megabyte)."""
    finding = error.errors(include_url=False, include_input=False)[0]
    place = ".".join(str(part) for part in finding["loc"]) or "the document"
    return f"{place}: {finding['msg']}"

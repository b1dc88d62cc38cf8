"""What the index holds: projects, their owners and files; the bytes lie in a directory, the rest in memory."""

from __future__ import annotations

import hashlib
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from packaging.utils import canonicalize_name, canonicalize_version
from packaging.version import Version

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from pathlib import Path


@dataclass(frozen=True)
class Digests:
    """The hex digests that the index keeps of a file."""

    md5: str
    sha256: str
    blake2_256: str

    @classmethod
    def of(cls, content: bytes) -> Digests:
        """Compute all of them."""
        return cls(
            md5=hashlib.md5(content, usedforsecurity=False).hexdigest(),
            sha256=hashlib.sha256(content).hexdigest(),
            blake2_256=hashlib.blake2b(content, digest_size=32).hexdigest(),
        )


@dataclass(frozen=True)
class StoredFile:
    """A file of a release, as it was accepted.

    ``provenance`` is the PEP 740 provenance object (JSON) if the upload carried attestations, ``metadata_sha256`` the
    digest of a wheel's METADATA (PEP 658), ``uploaded_by`` the kind of identity, never a credential.
    """

    project: str
    version: str
    filename: str
    filetype: str
    size: int
    digests: Digests
    uploaded_at: datetime
    uploaded_by: str
    requires_python: str | None = None
    metadata_sha256: str | None = None
    provenance: Mapping[str, Any] | None = None

    @property
    def sha256(self) -> str:
        """The file's SHA-256 digest in hex."""
        return self.digests.sha256

    @property
    def url_path(self) -> str:
        """Where the file is served: as on PyPI, a path that its content decides."""
        digest = self.digests.blake2_256
        return f"/packages/{digest[:2]}/{digest[2:4]}/{digest[4:]}/{self.filename}"


@dataclass
class Project:
    """A project: its name as last uploaded, who may upload to it by API token, and its files in order of upload."""

    name: str
    owners: set[str]
    files: list[StoredFile] = field(default_factory=list)
    serial: int = 0

    @property
    def normalized_name(self) -> str:
        """The name as PEP 503 normalizes it."""
        return canonicalize_name(self.name)

    def release(self, version: str | Version) -> list[StoredFile]:
        """List the files of one release, whatever way its version is spelled."""
        wanted = canonicalize_version(version)
        return [file for file in self.files if canonicalize_version(file.version) == wanted]


class DuplicateFileError(Exception):
    """A file of that name, or of that content, is there already; ``identical`` tells if both are the same."""

    def __init__(self, *, identical: bool) -> None:
        super().__init__("identical" if identical else "different")
        self.identical = identical


class Store:
    """All projects. Its methods may be called from many threads; a file becomes visible whole or not at all."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._projects: dict[str, Project] = {}
        self._deleted: set[str] = set()
        self._serial = 0
        self._lock = threading.RLock()

    def project(self, name: str) -> Project | None:
        """Find a project by any spelling of its name."""
        with self._lock:
            return self._projects.get(canonicalize_name(name))

    def projects(self) -> list[Project]:
        """List all projects by normalized name."""
        with self._lock:
            return [self._projects[name] for name in sorted(self._projects)]

    @property
    def serial(self) -> int:
        """The number of the last change, as PyPI counts them."""
        return self._serial

    def create_project(self, name: str, owner: str) -> Project:
        """Register a project, or give the one that is there."""
        with self._lock:
            project = self._projects.setdefault(canonicalize_name(name), Project(name=name, owners={owner}))
            self._touch(project)
            return project

    def files(self, name: str) -> tuple[StoredFile, ...]:
        """List a project's files by version and name; empty if the project does not exist."""
        with self._lock:
            project = self._projects.get(canonicalize_name(name))
            files = () if project is None else tuple(project.files)
        return tuple(sorted(files, key=lambda file: (Version(file.version), file.filename)))

    def was_deleted(self, filename: str) -> bool:
        """Tell whether a file of that name was there once: PyPI never takes such a name again."""
        with self._lock:
            return filename in self._deleted

    def check_duplicate(self, filename: str, digests: Digests) -> None:
        """Look for a file of the same name or the same content.

        Raises:
            DuplicateFileError: there is one.

        """
        with self._lock:
            for project in self._projects.values():
                for file in project.files:
                    if file.filename == filename or file.digests.blake2_256 == digests.blake2_256:
                        raise DuplicateFileError(identical=file.filename == filename and file.digests == digests)

    def add(self, file: StoredFile, content: bytes, metadata: bytes | None, *, owners: set[str]) -> None:
        """Keep an accepted file, and register its project for these owners where it is the first.

        Raises:
            DuplicateFileError: another upload of the same name or content was faster.

        """
        with self._lock:
            self.check_duplicate(file.filename, file.digests)
            path = self.path(file)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
            if metadata is not None:
                self.metadata_path(file).write_bytes(metadata)
            new = Project(name=file.project, owners=set(owners))
            project = self._projects.setdefault(new.normalized_name, new)
            project.name = file.project
            project.files.append(file)
            self._touch(project)

    def path(self, file: StoredFile) -> Path:
        """Tell where a file's bytes lie."""
        return self.directory.joinpath(*file.url_path.strip("/").split("/"))

    def metadata_path(self, file: StoredFile) -> Path:
        """Tell where the METADATA of a wheel lies."""
        path = self.path(file)
        return path.with_name(path.name + ".metadata")

    def delete(self, filename: str) -> None:
        """Delete a file as an owner can; its name stays taken.

        Raises:
            KeyError: there is no such file.

        """
        with self._lock:
            for project in self._projects.values():
                for file in project.files:
                    if file.filename == filename:
                        project.files.remove(file)
                        self._deleted.add(filename)
                        self._touch(project)
                        return
        raise KeyError(filename)

    def find(self, url_path: str) -> StoredFile | None:
        """Find a file by the path of its URL."""
        with self._lock:
            for project in self._projects.values():
                for file in project.files:
                    if file.url_path == url_path:
                        return file
        return None

    def _touch(self, project: Project) -> None:
        self._serial += 1
        project.serial = self._serial

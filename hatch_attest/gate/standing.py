"""Standing: what the index has of this release already, and whether it has room for the rest."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hatch_attest.artifacts import printable
from hatch_attest.errors import GateError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from packaging.version import Version

    from hatch_attest.artifacts import Artifact
    from hatch_attest.index.files import IndexReader, ProjectState


_SDISTS = (".tar.gz", ".zip")


def read_standing(artifacts: Iterable[Artifact], reader: IndexReader) -> dict[str, ProjectState]:
    """Read what the index has, by project.

    Raises:
        IndexFailure: it cannot be reached, or its list cannot be read.

    """
    return {project: reader.project(project) for project in dict.fromkeys(each.project for each in artifacts)}


def check_sdists(artifacts: Iterable[Artifact], standing: Mapping[str, ProjectState]) -> None:
    """Check that no release gets a second sdist: PyPI takes one, and would refuse in the middle of the release.

    Raises:
        GateError: there are two, here or together with what the index has.

    """
    found: dict[tuple[str, Version], str] = {}
    for project, state in standing.items():
        for file in state.files.values():
            if file.name.endswith(_SDISTS) and file.version is not None:
                found[project, file.version] = file.name
    for artifact in artifacts:
        if artifact.kind == "sdist":
            other = found.setdefault((artifact.project, artifact.version), artifact.name)
            if other != artifact.name:
                raise GateError("second-sdist", name=printable(artifact.name), other=printable(other))


def is_there(artifact: Artifact, standing: Mapping[str, ProjectState]) -> bool:
    """Say whether the index has these very bytes under this name.

    Raises:
        GateError: it has other bytes under this name, or does not say which.

    """
    listed = standing[artifact.project].files.get(artifact.name)
    if listed is None:
        return False
    name = printable(artifact.name)
    if listed.sha256 is None:
        raise GateError("there-unknown", name=name)
    if listed.sha256 != artifact.digest:
        raise GateError("there-other", name=name, listed=listed.sha256, digest=artifact.digest)
    return True

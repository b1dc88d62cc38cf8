"""Forecast: what this release would make of the project's provenance on the index, said beforehand."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from hatch_attest.artifacts import parse_name
from hatch_attest.errors import IndexFailure, redact

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from packaging.version import Version

    from hatch_attest.artifacts import Artifact
    from hatch_attest.index.files import IndexedFile, IndexReader, ProjectState
    from hatch_attest.options import TrustedPublisher

# A release may have hundreds of wheels, made by one publisher: a few tell who that was.
_ASKED_FILES = 3
_OK = 200
_SHOWN_KEYS = ("repository", "workflow", "workflow_filepath", "email", "environment")


class Line(NamedTuple):
    """One line of the forecast; a warning where the project would be worse off than before."""

    text: str
    warning: bool = False


def _warning(text: str) -> Line:
    return Line(text, warning=True)


@dataclass(frozen=True)
class _Release:
    """The provenance of a release on the index: of how many files, and by which publishers."""

    version: Version
    files: int
    proven: int
    publishers: tuple[Mapping[str, Any], ...]


def forecast(
    artifacts: Sequence[Artifact],
    state: ProjectState,
    reader: IndexReader,
    publisher: TrustedPublisher | None,
    *,
    proven: int,
) -> list[Line]:
    """Compare a project's release with the one before.

    Args:
        artifacts: this release's files of one project and version.
        state: what the index has of the project.
        reader: for the provenance of the release before.
        publisher: who publishes now, where that is known.
        proven: how many of ``artifacts`` will have attestations.

    """
    version = artifacts[0].version
    label = f"{artifacts[0].project} {version}"
    lines = []
    others = _others_of_this_release(artifacts, state)
    have = proven + sum(file.provenance_url is not None for file in others)
    total = len(artifacts) + len(others)
    if 0 < have < total:
        lines.append(_warning(f"{label}: partial provenance: {have} of {total} files would have attestations"))
    previous = _previous_release(version, state, reader)
    if previous is None:
        return lines
    before = f"{artifacts[0].project} {previous.version}"
    if previous.proven and not have:
        lines.append(_warning(f"{label}: provenance lost: {before} has attestations, this release would have none"))
    elif previous.proven and publisher is not None:
        lines += _changes(label, before, previous, publisher)
    elif not previous.proven and have:
        lines.append(Line(f"{label}: the first release with attestations ({before} has none)"))
    return lines


def _others_of_this_release(artifacts: Sequence[Artifact], state: ProjectState) -> list[IndexedFile]:
    own = {artifact.name for artifact in artifacts}
    version = artifacts[0].version
    return [file for file in state.files.values() if file.version == version and file.name not in own]


def _previous_release(version: Version, state: ProjectState, reader: IndexReader) -> _Release | None:
    """Find the release before this one: the highest version below it, else (a fix of an old series) the highest."""
    by_version: dict[Version, list[IndexedFile]] = {}
    for file in state.files.values():
        if file.version is not None and file.version != version and not file.yanked:
            by_version.setdefault(file.version, []).append(file)
    if not by_version:
        return None
    chosen = max((each for each in by_version if each < version), default=max(by_version))
    files = by_version[chosen]
    proven = [file for file in files if file.provenance_url is not None]
    return _Release(chosen, len(files), len(proven), _publishers(proven[:_ASKED_FILES], chosen, reader))


def _publishers(files: Iterable[IndexedFile], version: Version, reader: IndexReader) -> tuple[Mapping[str, Any], ...]:
    """Ask who published; what the index does not tell is left out: this is a forecast, not a proof."""
    found: list[Mapping[str, Any]] = []
    for file in files:
        try:
            served = reader.provenance(parse_name(file.name)[0], str(version), file.name, file.provenance_url)
        except IndexFailure:
            continue
        if served.status == _OK:
            found += [each for each in served.publishers if each not in found]
    return tuple(found)


def _changes(label: str, before: str, previous: _Release, publisher: TrustedPublisher) -> list[Line]:
    if not previous.publishers:
        return []
    own = _plain(publisher.as_json())
    known = [_plain(each) for each in previous.publishers]
    if own in known:
        return [Line(f"{label}: the publisher is that of {before}: {publisher}")]
    old = known[0]
    changed = [key for key in ("kind", *_SHOWN_KEYS) if old.get(key) != own.get(key)]
    details = ", ".join(f"{key} {old.get(key) or 'none'} -> {own.get(key) or 'none'}" for key in changed)
    return [_warning(f"{label}: the publisher would change against {before}: {details}")]


def _plain(publisher: Mapping[str, Any]) -> dict[str, str]:
    """Return what counts of a publisher; the environment does not prove anything, and is left out."""
    keys = ("kind", *(key for key in _SHOWN_KEYS if key != "environment"))
    return {key: redact(str(publisher[key])) for key in keys if publisher.get(key)}

"""What an index has (Simple API) and serves (Integrity API)."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import unquote, urljoin, urlsplit

from hatch_attest.artifacts import parse_name
from hatch_attest.errors import ArtifactError, IndexFailure, redact

if TYPE_CHECKING:
    from collections.abc import Mapping

    from packaging.version import Version
    from pypi_attestations import Attestation

    from hatch_attest.index.endpoints import Endpoints
    from hatch_attest.index.transport import Answer, Transport

SIMPLE_ACCEPT = "application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html;q=0.2, text/html;q=0.1"
INTEGRITY_ACCEPT = "application/vnd.pypi.integrity.v1+json, application/json;q=0.9"

_OK, _NOT_FOUND, _GONE = 200, 404, 410
_UNAUTHORIZED = (401, 403)
_REDIRECTS = range(300, 400)
_SHA256 = re.compile(r"[0-9a-f]{64}")


class IndexedFile(NamedTuple):
    """A file as the index lists it. ``sha256`` is None where the index does not state it, in lower-case digits."""

    name: str
    sha256: str | None
    yanked: bool = False
    provenance_url: str | None = None

    @property
    def version(self) -> Version | None:
        """The version that its name states; None where it is neither a wheel's nor an sdist's."""
        try:
            return parse_name(self.name)[1]
        except ArtifactError:
            return None


@dataclass(frozen=True)
class ProjectState:
    """What the index has of a project.

    Attributes:
        files: by name; empty where it has none.
        known: False where the index would not tell (it wants credentials to read).

    """

    files: Mapping[str, IndexedFile] = field(default_factory=dict)
    known: bool = True

    @property
    def lists_provenance(self) -> bool:
        """Whether the index names the provenance of any file, so that it has an Integrity API (PEP 740)."""
        return any(file.provenance_url is not None for file in self.files.values())


class Served(NamedTuple):
    """What the Integrity API answered for a file: its status, and where that is 200 the bundles' contents."""

    status: int
    attestations: tuple[Attestation, ...] = ()
    publishers: tuple[Mapping[str, Any], ...] = ()
    message: str = ""


class IndexReader:
    """Reads what an index has and serves; fresh at each call."""

    def __init__(self, transport: Transport, endpoints: Endpoints) -> None:
        self._transport = transport
        self._endpoints = endpoints

    def project(self, name: str) -> ProjectState:
        """Read the list of a project's files.

        Args:
            name: normalized (PEP 503).

        Raises:
            IndexFailure: the index cannot be reached, or its list cannot be read.

        """
        refused = False
        for base in self._endpoints.simple:
            url = f"{base}{name}/"
            answer = self._transport.get(url, SIMPLE_ACCEPT)
            if answer.status == _OK:
                return _parse_list(answer, url)
            if answer.status in _UNAUTHORIZED:
                refused = True
            elif answer.status not in (_NOT_FOUND, _GONE) and answer.status not in _REDIRECTS:
                # A redirect says the same as "not found": GitLab's registry sends readers to PyPI for what it lacks.
                raise IndexFailure(
                    "index-list",
                    cause=f"it answered {answer.status} {answer.reason}".strip(),
                    host=self._endpoints.host,
                    project=name,
                )
        return ProjectState(known=not refused)

    def provenance(self, project: str, version: str, filename: str, listed: str | None = None) -> Served:
        """Ask the Integrity API for a file's provenance.

        Args:
            project: any spelling.
            version: as the file's release is named.
            filename: of the file.
            listed: where the Simple API says that it is; followed at the same origin only.

        Raises:
            IndexFailure: it cannot be reached, or its answer is no provenance.

        """
        url = self._endpoints.provenance(project, version, filename)
        if listed and _origin(listed) == _origin(self._endpoints.simple[0]):
            url = listed
        answer = self._transport.get(url, INTEGRITY_ACCEPT)
        if answer.status != _OK:
            document = answer.json()
            message = document.get("message") if isinstance(document, dict) else None
            return Served(answer.status, message=redact(str(message or answer.reason)))
        return _parse_provenance(answer, self._endpoints.host, filename)


def _parse_list(answer: Answer, url: str) -> ProjectState:
    if not answer.content_type.endswith("json"):
        return _parse_html(answer, url)
    document = answer.json()
    try:
        files = [_listed_file(entry, url) for entry in document["files"]]
    except (KeyError, TypeError, AttributeError) as error:
        place, project = urlsplit(url).netloc, url.rstrip("/").rpartition("/")[2]
        cause = "it is not the Simple API's JSON (PEP 691)"
        raise IndexFailure("index-list", cause=cause, host=place, project=project) from error
    return ProjectState({each.name: each for each in files})


def _listed_file(entry: Mapping[str, Any], url: str) -> IndexedFile:
    digest = entry["hashes"].get("sha256")
    provenance = entry.get("provenance")
    return IndexedFile(
        name=str(entry["filename"]),
        sha256=digest.lower() if isinstance(digest, str) and _SHA256.fullmatch(digest.lower()) else None,
        yanked=bool(entry.get("yanked")),
        provenance_url=urljoin(url, provenance) if isinstance(provenance, str) else None,
    )


class _Anchors(HTMLParser):
    """Collects the anchors of a Simple API page (PEP 503): attributes and text."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[dict[str, str | None], str]] = []
        self._open: dict[str, str | None] | None = None
        self._text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "a":
            self._open, self._text = dict(attrs), ""

    def handle_data(self, data: str) -> None:
        self._text += data

    def handle_endtag(self, tag: str) -> None:
        if tag == "a" and self._open is not None:
            self.found.append((self._open, self._text.strip()))
            self._open = None


def _parse_html(answer: Answer, url: str) -> ProjectState:
    """Read a page of an index that has no JSON: the digest is in the link's fragment, if anywhere."""
    parser = _Anchors()
    parser.feed(answer.body.decode("utf-8", "replace"))
    files = {}
    for attributes, text in parser.found:
        link = urlsplit(urljoin(url, attributes.get("href") or ""))
        name = text or unquote(link.path.rpartition("/")[2])
        algorithm, _, digest = link.fragment.partition("=")
        known = algorithm == "sha256" and _SHA256.fullmatch(digest.lower())
        provenance = attributes.get("data-provenance")
        files[name] = IndexedFile(
            name,
            digest.lower() if known else None,
            yanked="data-yanked" in attributes,
            provenance_url=urljoin(url, provenance) if provenance else None,
        )
    return ProjectState(files)


def _parse_provenance(answer: Answer, host: str, filename: str) -> Served:
    """Read PEP 740's provenance; publishers stay plain objects, since an index may have kinds of its own."""
    from pydantic import ValidationError
    from pypi_attestations import Attestation

    document = answer.json()
    try:
        bundles = document["attestation_bundles"]
        attestations = [Attestation.model_validate(each) for bundle in bundles for each in bundle["attestations"]]
        publishers = [dict(bundle["publisher"]) for bundle in bundles]
    except (KeyError, TypeError, ValueError, ValidationError) as error:
        raise IndexFailure("index-provenance", host=host, name=filename) from error
    return Served(_OK, tuple(attestations), tuple(publishers))


def _origin(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    return parts.scheme, parts.netloc

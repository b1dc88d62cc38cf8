"""Proof: what the index lists and serves afterwards is what was sent; asked for a bounded time."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple

from hatch_attest.errors import IndexFailure

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from pypi_attestations import Attestation

    from hatch_attest.artifacts import Artifact
    from hatch_attest.index.endpoints import Endpoints
    from hatch_attest.index.files import IndexReader, ProjectState, Served
    from hatch_attest.options import TrustedPublisher

_OK, _FORBIDDEN, _NOT_FOUND = 200, 403, 404
# PyPI's lists are cached; a file that was just uploaded is usually there within seconds (all in seconds).
PATIENCE = 30.0
_FIRST_WAIT = 0.5
_LONGEST_WAIT = 5.0


class Verdict(NamedTuple):
    """What the index serves of one file, in words for the report.

    ``problem`` says what is not as it was sent; ``unserved`` that the index serves no attestations at all.
    """

    words: str
    problem: str = ""
    unserved: bool = False


class Sent(NamedTuple):
    """A file that the index should have, and the attestations that it should serve of it."""

    artifact: Artifact
    attestations: Sequence[Attestation]


class Prover:
    """Asks the index about all files in rounds, until it serves them or ``PATIENCE`` ends.

    Args:
        reader: of the index.
        endpoints: of the index.
        standing: what the index had before.

    """

    def __init__(self, reader: IndexReader, endpoints: Endpoints, standing: Mapping[str, ProjectState]) -> None:
        self._reader = reader
        self._endpoints = endpoints
        self._lists_provenance = any(state.lists_provenance for state in standing.values())
        self._readable = all(state.known for state in standing.values())

    def prove(self, files: Sequence[Sent]) -> list[Verdict]:
        """Compare what is listed and served with what was sent; the first round is always made."""
        if not self._readable:
            return [Verdict("not checked: the index wants credentials to be read")] * len(files)
        verdicts = self._round(files)
        deadline = time.monotonic() + PATIENCE
        wait = _FIRST_WAIT
        while (left := deadline - time.monotonic()) > 0:
            open_ones = [number for number, verdict in enumerate(verdicts) if verdict.problem]
            if not open_ones:
                break
            time.sleep(min(wait, left))
            wait = min(wait * 2, _LONGEST_WAIT)
            for number, verdict in zip(open_ones, self._round([files[each] for each in open_ones]), strict=True):
                verdicts[number] = verdict
        return verdicts

    def _round(self, files: Sequence[Sent]) -> list[Verdict]:
        """Read each project's list once, then each file's provenance."""
        lists = {project: self._list(project) for project in dict.fromkeys(each.artifact.project for each in files)}
        return [self._verdict(each, lists[each.artifact.project]) for each in files]

    def _verdict(self, file: Sent, state: ProjectState | IndexFailure) -> Verdict:
        if isinstance(state, IndexFailure):
            return Verdict("not listed", f"what the index lists could not be read: {state.cause or state.what}")
        problem = _listed(file.artifact, state)
        return problem or self._served(file, state.files[file.artifact.name].provenance_url)

    def _list(self, project: str) -> ProjectState | IndexFailure:
        try:
            state = self._reader.project(project)
        except IndexFailure as error:
            return error
        self._lists_provenance = self._lists_provenance or state.lists_provenance
        return state

    def _served(self, file: Sent, url: str | None) -> Verdict:
        """Judge what is served; where, is best known to the index itself (Pulp's address ends with a slash)."""
        if not file.attestations:
            return Verdict("listed")
        artifact = file.artifact
        try:
            served = self._reader.provenance(artifact.project, str(artifact.version), artifact.name, url)
        except IndexFailure as error:
            return Verdict("no provenance", f"its provenance could not be read: {error.cause or error.what}")
        return self._judge(served, file.attestations)

    def _judge(self, served: Served, sent: Sequence[Attestation]) -> Verdict:
        if served.status == _FORBIDDEN:
            return Verdict(f"does not serve attestations now ({served.message})")
        if served.status == _NOT_FOUND and not (self._lists_provenance or self._endpoints.is_pypi):
            return Verdict("serves no attestations", unserved=True)
        if served.status != _OK:
            return Verdict("no provenance", f"the index serves no attestations of it ({served.message})")
        if not _equal(served.attestations, sent):
            return Verdict("other attestations", "the index serves other attestations than those that were sent")
        return Verdict("file and attestations as sent")


def _listed(artifact: Artifact, state: ProjectState) -> Verdict | None:
    """Say what is wrong with what is listed; None where nothing is."""
    file = state.files.get(artifact.name)
    if file is None:
        return Verdict("not listed", "the index does not list it yet")
    if file.sha256 not in (None, artifact.digest):
        return Verdict("other bytes", f"the index lists it with the SHA-256 {file.sha256}")
    return None


def _equal(served: Sequence[Attestation], sent: Sequence[Attestation]) -> bool:
    """Compare as sets: an index may order them as it likes."""
    return len(served) == len(sent) and all(each in served for each in sent)


def release_pages(artifacts: Iterable[Artifact], endpoints: Endpoints) -> list[str]:
    """Return the pages on which people see the releases, where the index is known to have such pages."""
    pages = (endpoints.release_page(each.project, str(each.version)) for each in artifacts)
    return list(dict.fromkeys(filter(None, pages)))


def consumer_commands(artifact: Artifact, publisher: TrustedPublisher, endpoints: Endpoints) -> list[str]:
    """Return what a consumer runs to verify a file with pypi-attestations' command line (public Sigstore only)."""
    google = publisher.kind == "Google"
    who = f"--gcp-service-account {publisher.email}" if google else f"--repository {_url(publisher)}"
    verify = f"pypi-attestations verify pypi {who}"
    if endpoints.kind == "pypi":
        return [f"{verify} pypi:{artifact.name}"]
    # That command line knows pypi.org alone: elsewhere the provenance is fetched by hand.
    provenance = endpoints.provenance(artifact.project, str(artifact.version), artifact.name)
    return [f"curl -fsS -o provenance.json {provenance} && {verify} --provenance-file provenance.json {artifact.name}"]


def _url(publisher: TrustedPublisher) -> str:
    host = "gitlab.com" if publisher.kind == "GitLab" else "github.com"
    return f"https://{host}/{publisher.repository}"

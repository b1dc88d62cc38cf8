"""Proof: what the index lists and serves afterwards is what was sent; asked for a bounded time."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple

from hatch_attest.errors import IndexFailure

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pypi_attestations import Attestation

    from hatch_attest.artifacts import Artifact
    from hatch_attest.index.endpoints import Endpoints
    from hatch_attest.index.files import IndexReader, ProjectState
    from hatch_attest.options import TrustedPublisher

_OK, _FORBIDDEN, _NOT_FOUND = 200, 403, 404
# PyPI's lists are cached; a file that was just uploaded is usually there within seconds (all in seconds).
PATIENCE = 30.0
_FIRST_WAIT = 0.5
_LONGEST_WAIT = 5.0


class Verdict(NamedTuple):
    """What the index serves of one file, in words for the report; ``problem`` where it is not what was sent."""

    words: str
    problem: str = ""


class Prover:
    """Asks the index about each file, for all of them together no longer than ``PATIENCE``."""

    def __init__(self, reader: IndexReader, endpoints: Endpoints, standing: dict[str, ProjectState]) -> None:
        self._reader = reader
        self._endpoints = endpoints
        self._lists_provenance = any(state.lists_provenance for state in standing.values())
        self._readable = all(state.known for state in standing.values())
        self._provenance_urls: dict[str, str | None] = {}
        self._deadline = time.monotonic() + PATIENCE

    def prove(self, artifact: Artifact, sent: Sequence[Attestation]) -> Verdict:
        """Compare what is listed and served with what was sent."""
        if not self._readable:
            return Verdict("not checked: the index wants credentials to be read")
        listed = self._patiently(lambda: self._listed(artifact))
        if listed is not None:
            return listed
        if not sent:
            return Verdict("listed")
        served = self._patiently(lambda: self._served(artifact, sent))
        return served if served is not None else Verdict("file and attestations as sent")

    def _patiently(self, check: Callable[[], Verdict | None]) -> Verdict | None:
        """Check until it passes (None), or there is no hope, or patience ends; the first check is always made."""
        wait = _FIRST_WAIT
        while True:
            verdict = check()
            left = self._deadline - time.monotonic()
            if verdict is None or not verdict.problem or left <= 0:
                return verdict
            time.sleep(min(wait, left))
            wait = min(wait * 2, _LONGEST_WAIT)

    def _listed(self, artifact: Artifact) -> Verdict | None:
        try:
            state = self._reader.project(artifact.project)
        except IndexFailure as error:
            return Verdict("not listed", f"what the index lists could not be read: {error.cause or error.what}")
        self._lists_provenance = self._lists_provenance or bool(state.lists_provenance)
        file = state.files.get(artifact.name)
        if file is None:
            return Verdict("not listed", "the index does not list it yet")
        if file.sha256 not in (None, artifact.digest):
            return Verdict("other bytes", f"the index lists it with the SHA-256 {file.sha256}")
        self._provenance_urls[artifact.name] = file.provenance_url
        return None

    def _served(self, artifact: Artifact, sent: Sequence[Attestation]) -> Verdict | None:
        try:
            listed = self._provenance_urls.get(artifact.name)
            served = self._reader.provenance(artifact.project, str(artifact.version), artifact.name, listed)
        except IndexFailure as error:
            return Verdict("no provenance", f"its provenance could not be read: {error.cause or error.what}")
        if served.status == _FORBIDDEN:
            return Verdict(f"does not serve attestations now ({served.message})")
        if served.status == _NOT_FOUND and not (self._lists_provenance or self._endpoints.is_pypi):
            return Verdict("has no Integrity API")
        if served.status != _OK:
            return Verdict("no provenance", f"the index serves no attestations of it ({served.message})")
        if not _equal(served.attestations, sent):
            return Verdict("other attestations", "the index serves other attestations than those that were sent")
        return None


def _equal(served: Sequence[Attestation], sent: Sequence[Attestation]) -> bool:
    """Compare as sets: an index may order them as it likes."""
    return len(served) == len(sent) and all(each in served for each in sent)


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

"""The proof: what an index lists and serves afterwards, with indexes that are late, lossy, or lying."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from pypi_attestations import Attestation

from hatch_attest.artifacts import Artifact, read_artifact
from hatch_attest.gate.proof import Prover, Sent
from hatch_attest.index.endpoints import endpoints_of
from hatch_attest.index.files import IndexReader
from hatch_attest.index.transport import NO_CERTIFICATES, Transport
from tests.canned import Canned, canned
from tests.sandbox.index_support import Artifact as Made
from tests.sandbox.index_support import sdist, sign, wheel

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from hatch_attest.sandbox import Sandbox

LIST = "/simple/widget/"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Canned]:
    """An index that answers what it is told, and is not waited for."""
    monkeypatch.setattr("hatch_attest.retries._FIRST_WAIT", 0.01)
    monkeypatch.setattr("hatch_attest.gate.proof.PATIENCE", 0.0)
    monkeypatch.setattr("hatch_attest.gate.proof._FIRST_WAIT", 0.01)
    with canned() as started:
        yield started


@pytest.fixture
def patience(server: Canned, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: ARG001 - after it
    """All the time that an index may need; it ends as soon as everything is proven."""
    monkeypatch.setattr("hatch_attest.gate.proof.PATIENCE", 60.0)


@pytest.fixture
def prover(server: Canned) -> Iterator[Prover]:
    """What asks it."""
    endpoints = endpoints_of(f"{server.url}/legacy/")
    with closing(Transport(server.url, NO_CERTIFICATES)) as transport:
        yield Prover(IndexReader(transport, endpoints), endpoints, {})


class Release:
    """One signed file, and what a truthful index says of it."""

    def __init__(self, made: Made, attestation: Attestation, directory: Path) -> None:
        self.artifact: Artifact = read_artifact(made.write(directory))
        self.attestation = attestation
        self.sent = Sent(self.artifact, [attestation])
        self.place = f"/integrity/widget/1.0/{self.artifact.name}/provenance"

    def listed(self, **changes: object) -> dict[str, object]:
        """The list of the Simple API."""
        entry = {"filename": self.artifact.name, "hashes": {"sha256": self.artifact.digest}, "provenance": self.place}
        return {"files": [{**entry, **changes}]}

    def provenance(self, *attestations: Attestation) -> dict[str, object]:
        """The answer of the Integrity API."""
        dumped = [each.model_dump(mode="json") for each in attestations or (self.attestation,)]
        return {"version": 1, "attestation_bundles": [{"publisher": {"kind": "GitHub"}, "attestations": dumped}]}


@pytest.fixture
def release(sandbox: Sandbox, tmp_path: Path) -> Release:
    """The sdist of a release."""
    (attestation,) = sign(sandbox, sdist())
    return Release(sdist(), attestation, tmp_path)


def test_a_truthful_index_is_proven(server: Canned, prover: Prover, release: Release) -> None:
    """One list and one provenance is all that is asked."""
    server.answer(LIST, release.listed())
    server.answer(release.place, release.provenance())

    (verdict,) = prover.prove([release.sent])

    assert (verdict.words, verdict.problem) == ("file and attestations as sent", "")
    assert len(server.asked) == 2


@pytest.mark.usefixtures("patience")
def test_a_late_index_is_waited_for(server: Canned, prover: Prover, release: Release) -> None:
    """PyPI's lists are cached; the first answers may be from before the upload."""
    server.answer(release.place, release.provenance())
    server.later(LIST, 3, release.listed())

    assert prover.prove([release.sent])[0].problem == ""


@pytest.mark.usefixtures("patience")
def test_only_what_is_still_open_is_asked_again(
    server: Canned, prover: Prover, release: Release, sandbox: Sandbox, tmp_path: Path
) -> None:
    """A release of two hundred files must not ask for all of them in each round."""
    (attestation,) = sign(sandbox, wheel())
    late = Release(wheel(), attestation, tmp_path)
    files = [*release.listed()["files"], *late.listed()["files"]]  # type: ignore[misc] # lists, both
    server.answer(LIST, {"files": files})
    server.answer(release.place, release.provenance())
    server.later(late.place, 2, late.provenance())

    assert [each.problem for each in prover.prove([release.sent, late.sent])] == ["", ""]
    assert [path for path, _ in server.asked].count(release.place) == 1


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"filename": "widget-0.9.tar.gz"}, "the index does not list it yet"),
        ({"hashes": {"sha256": "0" * 64}}, "the index lists it with the SHA-256 0000"),
    ],
)
def test_a_file_that_is_not_listed_as_sent_is_a_problem(
    server: Canned, prover: Prover, release: Release, changes: dict[str, object], words: str
) -> None:
    """An answer of 200 to the upload is not enough: some indexes decide later."""
    server.answer(LIST, release.listed(**changes))

    (verdict,) = prover.prove([release.sent])

    assert words in verdict.problem


def test_a_list_that_cannot_be_read_is_a_problem(server: Canned, prover: Prover, release: Release) -> None:
    """It is out, and nobody knows how."""
    server.answer(LIST, "", status=500)

    assert "what the index lists could not be read" in prover.prove([release.sent])[0].problem


def test_other_attestations_are_a_problem(server: Canned, prover: Prover, release: Release, sandbox: Sandbox) -> None:
    """Consumers would verify something else than what was made."""
    (other,) = sign(sandbox, sdist())
    server.answer(LIST, release.listed())
    for served in ((other,), (release.attestation, other)):
        server.answer(release.place, release.provenance(*served))

        assert "other attestations" in prover.prove([release.sent])[0].problem


def test_a_provenance_that_is_none_is_a_problem(server: Canned, prover: Prover, release: Release) -> None:
    """Nothing that cannot be read is as it was sent."""
    server.answer(LIST, release.listed())
    server.answer(release.place, "<html>")

    assert "its provenance could not be read" in prover.prove([release.sent])[0].problem


@pytest.mark.parametrize("status", [404, 406])
def test_an_index_that_links_to_a_provenance_must_serve_it(
    server: Canned, prover: Prover, release: Release, status: int
) -> None:
    """It has the API, and does not serve what it took."""
    server.answer(LIST, release.listed())
    server.answer(release.place, {"message": "none"}, status=status)

    (verdict,) = prover.prove([release.sent])

    assert verdict.problem == "the index serves no attestations of it (none)"


def test_an_index_that_links_to_none_is_said(server: Canned, prover: Prover, release: Release) -> None:
    """It has no Integrity API; that is no failure of the release."""
    server.answer(LIST, release.listed(provenance=None))

    (verdict,) = prover.prove([release.sent])

    assert (verdict.problem, verdict.unserved) == ("", True)


def test_without_attestations_the_list_is_the_proof(server: Canned, prover: Prover, release: Release) -> None:
    """`attestations = never`: the file is there, byte for byte."""
    server.answer(LIST, release.listed())

    assert prover.prove([Sent(release.artifact, [])])[0].words == "listed"

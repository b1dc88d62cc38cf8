"""The plan of a release: what was found about each file, and what is left to do."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from hatch_attest.artifacts import printable
from hatch_attest.gate.evidence import (
    Evidence,
    check_writable,
    publisher_check,
    read_evidence,
    refuse_missing,
    sign_missing,
)
from hatch_attest.gate.policy import check_instance, check_trust
from hatch_attest.gate.signers import find_signer
from hatch_attest.gate.standing import check_sdists, is_there, read_standing
from hatch_attest.index.upload import prepare
from hatch_attest.sidecars import Predicate, find_sidecars
from hatch_attest.trust import Trust, load_trust

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from twine.package import PackageFile

    from hatch_attest.display import Display
    from hatch_attest.gate.holding import Held
    from hatch_attest.gate.passage import Passage
    from hatch_attest.gate.request import Place, Request
    from hatch_attest.index.files import ProjectState
    from hatch_attest.options import TrustedPublisher
    from hatch_attest.signing import Signer
    from hatch_attest.verification import Verifier


def load_fitting_trust(request: Request, place: Place) -> Trust:
    """Load the Sigstore instance's trust, if it goes with the index.

    Raises:
        TrustError: it cannot be had.
        GateError: it does not go with the index.

    """
    check_instance(request.hook.sigstore, place.endpoints)
    trust = load_trust(request.hook.sigstore, request.root)
    check_trust(trust, place.endpoints)
    return trust


@dataclass
class Plan:
    """What was found, and what is left to do.

    Attributes:
        request: what was asked for.
        place: where it goes.
        passage: how it is let in.
        attached: whether attestations go along.
        expected: who must have signed; None where that is not checked.
        trust: the Sigstore instance; None where nothing is signed or verified.
        standing: what the index has, by project.
        evidences: every artifact, in order of upload.
        there: those that the index has already.
        missing: those that must be signed.
        packages: what twine sends of those that are uploaded, by the artifact's name.

    """

    request: Request
    place: Place
    passage: Passage
    attached: bool
    expected: TrustedPublisher | None
    trust: Trust | None = None
    standing: dict[str, ProjectState] = field(default_factory=dict)
    evidences: list[Evidence] = field(default_factory=list)
    there: list[Evidence] = field(default_factory=list)
    missing: list[Evidence] = field(default_factory=list)
    packages: dict[str, PackageFile] = field(default_factory=dict)
    _verifier: Verifier | None = None
    _new_signer: Callable[[], Signer] | None = None

    @property
    def pending(self) -> list[Evidence]:
        """What is to be uploaded."""
        return [each for each in self.evidences if each not in self.there]

    def read(self, held: Sequence[Held]) -> None:
        """Read and verify everything; find out how to sign what is missing, without signing.

        Raises:
            AttestError: something does not hold.

        """
        if self._wants_trust(held):
            self._load_trust()
        self.evidences = [self._read_one(each) for each in held]
        self.standing = read_standing((each.artifact for each in held), self.place.reader)
        check_sdists((each.artifact for each in held), self.standing)
        self.there = [each for each in self.evidences if is_there(each.artifact, self.standing)]
        self.packages = {each.artifact.name: prepare(each.artifact, each.held.copy) for each in self.pending}
        if self.attached:
            self.missing = [each for each in self.pending if each.lacks(Predicate.PUBLISH)]
        if self.missing:
            self._prepare_signing()

    def _wants_trust(self, held: Sequence[Held]) -> bool:
        """Whether anything is to be signed or verified: sidecars are verified even where they are left out."""
        if self.request.options.attestations == "never":
            return False
        return self.attached or any(find_sidecars(each.artifact.path) for each in held)

    def _load_trust(self) -> None:
        """Load the Sigstore instance's trust, once for all files."""
        from hatch_attest.verification import Verifier

        self.trust = self.trust or load_fitting_trust(self.request, self.place)
        self._verifier = Verifier(self.trust)

    def _read_one(self, held: Held) -> Evidence:
        if self._verifier is None:
            return Evidence(held)
        return read_evidence(held, self._verifier, publisher_check(self.expected))

    def _prepare_signing(self) -> None:
        if not self.request.options.sign_missing:
            refuse_missing(self.missing, "sign-missing is false")
        if self.trust is None:  # pragma: no cover - attached means that it was loaded
            raise AssertionError
        check_writable(self.missing)
        self._new_signer = find_signer(
            self.trust,
            self.expected,
            self.request.environ,
            allow_public_log=self.request.hook.allow_public_log,
            interactive=self.request.options.interactive,
            for_pypi=self.place.endpoints.is_pypi,
            refuse=partial(refuse_missing, self.missing),
        )

    def sign(self, display: Display) -> None:
        """Sign what is missing.

        Raises:
            AttestError: it was not signed, or does not hold.

        """
        if self._new_signer is None or self._verifier is None or self.trust is None:
            return
        trust = self.trust
        for host in trust.token_hosts:
            display.info(f"the identity token goes to {host}, as {self.request.hook.sigstore} says")

        def said(evidence: Evidence) -> None:
            made = evidence.signed[-1]
            name = printable(evidence.artifact.name)
            display.success(f"signed {name} as {made.signer}; log {trust.log}, index {made.log_index}")

        sign_missing(self.missing, self._new_signer(), self._verifier, publisher_check(self.expected), said)

    def will_be_proven(self, evidence: Evidence) -> bool:
        """Whether the index will have attestations of this file when the release is out."""
        if evidence in self.there:
            listed = self.standing[evidence.artifact.project].files[evidence.artifact.name]
            return listed.provenance_url is not None
        return self.attached

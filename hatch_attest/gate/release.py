"""The release: everything is proven first, then what is missing is signed, then the files go out one by one."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

from hatch_attest.artifacts import collect, printable
from hatch_attest.errors import ArtifactError, AttestError, GateError
from hatch_attest.gate.delivery import Delivery
from hatch_attest.gate.forecast import forecast
from hatch_attest.gate.holding import hold
from hatch_attest.gate.passage import ByPassword, ByTrustedPublishing, Choice, Passage
from hatch_attest.gate.plan import Plan, load_fitting_trust
from hatch_attest.gate.policy import (
    check_artifacts,
    check_instance,
    check_publisher_claims,
    describe_claims,
    supports_attestations,
)
from hatch_attest.gate.proof import Prover, Sent, consumer_commands, release_pages
from hatch_attest.gate.request import Place, Request, find_place
from hatch_attest.index.upload import Uploader, attach
from hatch_attest.report import Report, file_line
from hatch_attest.trust import PRODUCTION, is_file

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from hatch_attest.display import Display
    from hatch_attest.gate.evidence import Evidence
    from hatch_attest.gate.holding import Held
    from hatch_attest.options import TrustedPublisher
    from hatch_attest.report import FileLine
    from hatch_attest.trust import Trust

DEFAULT_DIRECTORY = "dist"


class Release:
    """One run of the publisher; its report tells, at any moment, how far it got."""

    def __init__(self, request: Request, display: Display) -> None:
        self._request = request
        self._display = display
        self._mode = request.options.attestations
        self.report = Report("publish", mode=self._mode)

    def run(self) -> Report:
        """Publish the release, or say in a dry run what would follow.

        Raises:
            AttestError: something does not hold. Before the first upload nothing has been uploaded.

        """
        try:
            self._run()
        except AttestError as error:
            self.report.fail(error)
            raise
        return self.report

    def _run(self) -> None:
        place = find_place(self._request)
        self.report.repository, self.report.upload_url = place.repository.name, place.endpoints.upload
        collection = collect(self._request.arguments or [DEFAULT_DIRECTORY], self._request.root)
        for path in collection.left_out:
            self._warn(f"{printable(path)} is neither a wheel nor an sdist, and is left out")
        if not collection.artifacts:
            raise ArtifactError("artifact-none")
        with closing(place.transport), hold(collection.artifacts) as held:
            self.report.files = [file_line(each.artifact) for each in held]
            check_artifacts((each.artifact for each in held), place.endpoints)
            plan = self._prove(held, place)
            if self._request.options.dry_run:
                self._foretell(plan)
                return
            if plan.missing:
                # An index that does not know the publisher says so at the exchange: before the log's first entry.
                plan.passage.login()
            plan.sign(self._display)
            self._note_attestations(plan)
            self._upload(plan)
            self._prove_afterwards(plan)
        self.report.outcome = "ok"

    # Before the first act that cannot be undone

    def _prove(self, held: Sequence[Held], place: Place) -> Plan:
        """Check all that can be known beforehand, first what takes no request."""
        trust = self._trust_at_hand(place) if self._mode == "always" else None
        passage = Choice(self._request, place).make()
        if not passage.trusted_publishing and not place.endpoints.is_pypi:
            place.transport.log_in(*passage.login())
        if isinstance(passage, ByPassword) and place.endpoints.is_pypi and not passage.is_api_token:
            raise GateError("password-pypi", host=place.endpoints.host)
        self.report.credentials = str(passage)
        attached = self._decide_attachment(passage, place)
        expected = self._expected(passage, place, attached=attached)
        self.report.identity = str(expected) if expected else "not checked"
        plan = Plan(self._request, place, passage, attached, expected, trust)
        plan.read(held)
        self._say_what_is_there(plan)
        self._note_attestations(plan)
        self._forecast(plan)
        return plan

    def _trust_at_hand(self, place: Place) -> Trust | None:
        """Check the Sigstore instance against the index, as far as that takes no request."""
        name = self._request.hook.sigstore
        check_instance(name, place.endpoints)
        return load_fitting_trust(self._request, place) if is_file(name) else None

    def _decide_attachment(self, passage: Passage, place: Place) -> bool:
        """Say whether attestations go along. What is left out is always said; `always` never leaves out."""
        if self._mode == "never":
            self._display.info("attestations are left out: attestations = 'never'")
            return False
        if isinstance(passage, ByTrustedPublishing):
            if self._mode == "auto" and place.endpoints.is_pypi and not supports_attestations(passage.claims):
                self._warn(f"attestations are left out: PyPI takes none by {describe_claims(passage.claims)}")
                return False
            return True
        if self._mode == "auto":
            self._warn(f"attestations are left out: the upload is by {passage}, not by Trusted Publishing")
            return False
        if place.endpoints.is_pypi:
            raise GateError("attestations-need-trusted-publishing", host=place.endpoints.host, passage=passage)
        return True

    def _expected(self, passage: Passage, place: Place, *, attached: bool) -> TrustedPublisher | None:
        """Say whose attestations the index will take: the publisher that it makes of the token, or the configured."""
        configured = self._request.hook.publisher
        if isinstance(passage, ByTrustedPublishing):
            publisher = check_publisher_claims(
                passage.claims, configured, attached=attached, for_pypi=place.endpoints.is_pypi
            )
            self._display.info(f"publishing as {describe_claims(passage.claims)} to {place.endpoints.host}")
        else:
            publisher = configured
        if publisher is None and attached:
            self._warn(
                "identity not checked: what the index expects is not known, and no `publisher` is configured; any "
                "signer of the Sigstore instance would do"
            )
        return publisher

    def _say_what_is_there(self, plan: Plan) -> None:
        host = plan.place.endpoints.host
        for project, state in plan.standing.items():
            if not state.known:
                self._warn(f"{host} does not let its list of {project} be read: nothing is compared")
        for line, evidence in self._lines(plan):
            if evidence in plan.there:
                line.state = "there already"
                self._display.info(f"{line.name} is on {host} already, byte for byte: skipped")

    def _forecast(self, plan: Plan) -> None:
        releases: dict[tuple[str, str], list[Evidence]] = {}
        for evidence in plan.evidences:
            artifact = evidence.artifact
            releases.setdefault((artifact.project, str(artifact.version)), []).append(evidence)
        for (project, _), evidences in releases.items():
            for line in forecast(
                [each.artifact for each in evidences],
                plan.standing[project],
                plan.place.reader,
                plan.expected,
                proven=sum(plan.will_be_proven(each) for each in evidences),
            ):
                if line.warning:
                    self._warn(line.text)
                else:
                    self.report.notes.append(line.text)

    def _foretell(self, plan: Plan) -> None:
        """Say what would follow."""
        for line, evidence in self._lines(plan):
            if evidence not in plan.there:
                line.state = "would sign and upload" if evidence in plan.missing else "would upload"
        self.report.notes.append("dry run: nothing was signed, exchanged or uploaded")
        self.report.outcome = "dry run"

    # The upload, and what the index serves afterwards

    def _upload(self, plan: Plan) -> None:
        place = plan.place
        uploader = Uploader(place.endpoints.upload, place.certificates, show_progress=self._display.is_terminal)
        delivery = Delivery(uploader, place.reader, plan.passage, self._display.info)
        pending = [(line, evidence) for line, evidence in self._lines(plan) if evidence not in plan.there]
        try:
            for number, (line, evidence) in enumerate(pending, 1):
                if not self._display.is_terminal:  # where there is a bar, it says so
                    self._display.info(f"uploading {number} of {len(pending)}: {line.name}")
                package = plan.packages[evidence.artifact.name]
                if plan.attached:
                    attach(package, [each.attestation for each in evidence.verified])
                delivery.deliver(evidence.artifact, package)
                line.state = "uploaded"
        except BaseException:
            self._say_how_to_go_on(len(pending))
            raise
        finally:
            uploader.close()

    def _say_how_to_go_on(self, pending: int) -> None:
        done = sum(line.state == "uploaded" for line in self.report.files)
        if done:
            self._warn(
                f"{done} of {pending} files were uploaded before this; run the same command again, and it completes "
                "the release: what is there is not uploaded twice, and what is signed is not signed again"
            )

    def _prove_afterwards(self, plan: Plan) -> None:
        prover = Prover(plan.place.reader, plan.place.endpoints, plan.standing)
        sent = [
            Sent(each.artifact, [one.attestation for one in each.verified] if plan.attached else [])
            for each in plan.evidences
        ]
        verdicts = prover.prove(sent)
        for line, verdict in zip(self.report.files, verdicts, strict=True):
            line.proof = verdict.words
        if unserved := sum(verdict.unserved for verdict in verdicts):
            self._warn(
                f"the index serves no attestations of {unserved} file{'s' * (unserved > 1)}: it has no Integrity API, "
                "or keeps none"
            )
        lines = zip(self.report.files, verdicts, strict=True)
        problems = [f"{line.name}: {verdict.problem}" for line, verdict in lines if verdict.problem]
        self.report.notes += release_pages((each.artifact for each in plan.evidences), plan.place.endpoints)
        if plan.expected is not None and plan.attached and plan.trust is not None and plan.trust.name == PRODUCTION:
            artifact = plan.evidences[0].artifact
            self.report.commands = consumer_commands(artifact, plan.expected, plan.place.endpoints)
        if problems:
            raise GateError("proof", cause="; ".join(problems), host=plan.place.endpoints.host)

    # The report

    def _lines(self, plan: Plan) -> Iterator[tuple[FileLine, Evidence]]:
        return zip(self.report.files, plan.evidences, strict=True)

    def _note_attestations(self, plan: Plan) -> None:
        if plan.trust is None:
            return
        self.report.log = plan.trust.log
        for line, evidence in self._lines(plan):
            line.attestations = evidence.lines(plan.trust)

    def _warn(self, text: str) -> None:
        self.report.warnings.append(text)
        self._display.warning(text)

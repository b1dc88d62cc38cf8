"""Evidence: the attestations of each artifact, read from its sidecars, verified, and made where they are missing."""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from hatch_attest.artifacts import printable
from hatch_attest.errors import GateError, SidecarError, VerificationError
from hatch_attest.report import AttestationLine
from hatch_attest.sidecars import Predicate, check_place, find_sidecars, read_attestation, sidecar_path, write_sidecar
from hatch_attest.verification import check_publisher

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from hatch_attest.artifacts import Artifact
    from hatch_attest.gate.holding import Held
    from hatch_attest.options import TrustedPublisher
    from hatch_attest.signing import Signer
    from hatch_attest.trust import Trust
    from hatch_attest.verification import Verified, Verifier


@dataclass(eq=False)
class Evidence:
    """What is proven about one artifact.

    Attributes:
        held: the artifact and our copy of it.
        found: verified attestations from its sidecars.
        signed: verified attestations that this run made.

    """

    held: Held
    found: list[Verified] = field(default_factory=list)
    signed: list[Verified] = field(default_factory=list)

    @property
    def artifact(self) -> Artifact:
        """The artifact."""
        return self.held.artifact

    @property
    def verified(self) -> list[Verified]:
        """All attestations that hold."""
        return [*self.found, *self.signed]

    def lacks(self, predicate: Predicate) -> bool:
        """Whether there is no attestation of this kind."""
        return all(each.predicate is not predicate for each in self.verified)

    def lines(self, trust: Trust) -> list[AttestationLine]:
        """Return what a report says of the attestations."""
        return [_line(each, trust, "found") for each in self.found] + [
            _line(each, trust, "signed") for each in self.signed
        ]


def _line(verified: Verified, trust: Trust, made: str) -> AttestationLine:
    return AttestationLine(
        predicate=verified.predicate.label,
        signer=str(verified.signer),
        log=trust.log,
        log_index=verified.log_index,
        signed_at=verified.signed_at.isoformat(),
        made="signed" if made == "signed" else "found",
    )


def read_evidence(held: Held, verifier: Verifier, check: Callable[[Verified, Artifact], None]) -> Evidence:
    """Read the sidecars of an artifact and verify each: the ladder, then ``check`` (who signed).

    Raises:
        SidecarError: one cannot be read as an attestation.
        VerificationError: one does not hold; that is what tampering between build and upload looks like.

    """
    evidence = Evidence(held)
    for predicate, path in find_sidecars(held.artifact.path).items():
        verified = verifier.verify(read_attestation(path), held.artifact)
        if verified.predicate is not predicate:
            # One of each kind at most, and by its name: else a second one of a kind could hide under the other name.
            raise VerificationError(
                "attestation-misnamed",
                name=printable(path.name),
                stated=verified.predicate.label,
                expected=predicate.label,
            )
        check(verified, held.artifact)
        evidence.found.append(verified)
    return evidence


def publisher_check(expected: TrustedPublisher | None) -> Callable[[Verified, Artifact], None]:
    """Return the check of who signed; without an expectation it checks nothing."""

    def check(verified: Verified, artifact: Artifact) -> None:
        if expected is not None:
            check_publisher(verified, artifact, expected)

    return check


def email_check(address: str) -> Callable[[Verified, Artifact], None]:
    """Return the check for a person or a service account, proven by any issuer that the instance believes."""

    def check(verified: Verified, artifact: Artifact) -> None:
        if verified.signer.repository or verified.signer.subject != address:
            raise VerificationError(
                "attestation-identity", name=printable(artifact.name), signer=verified.signer, publisher=address
            )

    return check


def sign_missing(
    evidences: Sequence[Evidence],
    signer: Signer,
    verifier: Verifier,
    check: Callable[[Verified, Artifact], None],
    said: Callable[[Evidence], None],
) -> None:
    """Make the publish attestation of each artifact that has none, verify it, and leave its sidecar for a rerun.

    Args:
        evidences: what there is; completed here.
        signer: signs.
        verifier: the new attestation climbs the same ladder as one that was found.
        check: who signed.
        said: called after each.

    Raises:
        SigningError: Sigstore did not sign.
        VerificationError: what came back does not hold.
        SidecarError: the sidecar cannot be written.

    """
    for evidence in evidences:
        if not evidence.lacks(Predicate.PUBLISH):
            continue
        attestation = signer.sign(evidence.artifact)
        verified = verifier.verify(attestation, evidence.artifact)
        check(verified, evidence.artifact)
        write_sidecar(sidecar_path(evidence.artifact.path), attestation)
        evidence.signed.append(verified)
        said(evidence)


def check_writable(evidences: Sequence[Evidence]) -> None:
    """Check that sidecars can be written, before the first signature: a log entry cannot be taken back.

    Raises:
        SidecarError: a directory cannot be written to, or does not take a sidecar's name.

    """
    for evidence in evidences:
        check_place(sidecar_path(evidence.artifact.path))
    for directory in dict.fromkeys(evidence.artifact.path.parent for evidence in evidences):
        probe = directory / f".attest-{secrets.token_hex(8)}.tmp"
        try:
            os.close(os.open(probe, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
        except OSError as error:
            raise SidecarError("sidecar-unwritable", cause=error.strerror, name=printable(directory)) from error
        finally:
            with suppress(OSError):
                probe.unlink(missing_ok=True)


def refuse_missing(evidences: Sequence[Evidence], reason: str) -> None:
    """Raise for what has no attestation and cannot get one.

    Raises:
        GateError: always.

    """
    names = [printable(each.artifact.name) for each in evidences]
    shown = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")  # noqa: PLR2004
    raise GateError("attestation-missing", cause=reason, names=shown)

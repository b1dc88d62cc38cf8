"""Verification: the ladder that an attestation must climb to hold for an artifact, each rung with its own message."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from hatch_attest.artifacts import parse_name, printable
from hatch_attest.errors import ArtifactError, VerificationError
from hatch_attest.provenance import SignerIdentity, identity_of_certificate, pypi_publisher
from hatch_attest.sidecars import Predicate

if TYPE_CHECKING:
    from cryptography.x509 import Certificate
    from pypi_attestations import Attestation

    from hatch_attest.artifacts import Artifact
    from hatch_attest.options import TrustedPublisher
    from hatch_attest.trust import Trust

# How sigstore-python words the rungs of its own ladder (sigstore/verify/verifier.py), and what we call them.
_RUNGS = (
    ("failed to build timestamp certificate chain", "attestation-certificate"),
    ("Key usage", "attestation-certificate"),
    ("Extended usage", "attestation-certificate"),
    ("failed to verify SCT", "attestation-sct"),
    ("invalid log entry", "attestation-log"),
    ("not enough sources of verified time", "attestation-time"),
    ("bundle must contain an inclusion promise", "attestation-time"),
    ("Integrated time", "attestation-time"),
    ("invalid signing cert: expired", "attestation-time"),
    ("DSSE", "attestation-signature"),
    ("log entry", "attestation-log"),
)


@dataclass(frozen=True)
class Verified:
    """What a verified attestation proves.

    Attributes:
        attestation: the very object that was verified.
        predicate: what kind it is.
        signer: whom the certificate names.
        log_index: of its entry in the transparency log.
        signed_at: when the log took it in (UTC).

    """

    attestation: Attestation
    predicate: Predicate
    signer: SignerIdentity
    log_index: int
    signed_at: datetime


class _AnySigner:
    """The policy that takes every certificate: who signed is a rung of its own, `check_publisher`."""

    def verify(self, cert: Certificate) -> None:
        """Do nothing; sigstore's own `UnsafeNoOp` does the same and warns the user of it."""


class Verifier:
    """Verifies attestations against one Sigstore instance, offline: make one for a run and use it for every file.

    ``Attestation.verify`` of pypi_attestations knows production and staging only, and refreshes the trusted root at
    each call; the ladder here is the same.
    """

    def __init__(self, trust: Trust) -> None:
        from sigstore.verify import Verifier as SigstoreVerifier

        self._verifier = SigstoreVerifier(trusted_root=trust.trusted_root)

    def verify(self, attestation: Attestation, artifact: Artifact) -> Verified:
        """Verify that ``attestation`` holds for ``artifact``, whoever signed it.

        The cheap rungs come first; all must hold: statement, one subject, its name and digest, a known predicate,
        then certificate chain and SCT, log inclusion and time, signature.

        Raises:
            VerificationError: with the code of the first rung that does not hold.

        """
        predicate = _check_statement(attestation, artifact)
        certificate = _certificate(attestation, artifact)
        log_index, signed_at = _read_entry(attestation, artifact)
        _check_time(certificate, signed_at, artifact)
        self._check_signature(attestation, artifact)
        return Verified(
            attestation=attestation,
            predicate=predicate,
            signer=identity_of_certificate(certificate),
            log_index=log_index,
            signed_at=signed_at,
        )

    def _check_signature(self, attestation: Attestation, artifact: Artifact) -> None:
        from pypi_attestations import AttestationError
        from sigstore.errors import Error

        name = printable(artifact.name)
        try:
            self._verifier.verify_dsse(attestation.to_bundle(), _AnySigner())
        except AttestationError as error:
            raise VerificationError("attestation-malformed", cause=str(error), name=name) from error
        except Error as error:
            words = str(error)
            code = next((code for start, code in _RUNGS if start in words), "attestation-refused")
            raise VerificationError(code, cause=words.splitlines()[0], name=name) from error
        except (ValueError, KeyError, TypeError) as error:
            # sigstore-python lets foreign errors through for odd material (a certificate with a strange key, ...).
            raise VerificationError("attestation-malformed", cause=str(error), name=name) from error


def check_publisher(verified: Verified, artifact: Artifact, publisher: TrustedPublisher) -> None:
    """Check that PyPI's policy for ``publisher`` takes the certificate, by pypi_attestations' own code.

    Raises:
        VerificationError: it does not.

    """
    from sigstore.errors import VerificationError as PolicyError

    certificate = _certificate(verified.attestation, artifact)
    policy: Any = pypi_publisher(publisher)._as_policy()  # noqa: SLF001 - PyPI itself has no other way either
    try:
        policy.verify(certificate)
    except PolicyError as error:
        raise VerificationError(
            "attestation-identity",
            cause=None,
            name=printable(artifact.name),
            signer=verified.signer,
            publisher=publisher,
        ) from error
    except ValueError as error:  # an extension that the policy reads is missing
        raise VerificationError(
            "attestation-identity",
            cause=str(error),
            name=printable(artifact.name),
            signer=verified.signer,
            publisher=publisher,
        ) from error


def _check_statement(attestation: Attestation, artifact: Artifact) -> Predicate:
    from pydantic import ValidationError
    from sigstore.dsse import _Statement

    name = printable(artifact.name)
    try:
        statement = _Statement.model_validate_json(attestation.envelope.statement)
    except ValidationError as error:
        cause = str(error.errors(include_url=False, include_input=False)[0]["msg"])
        raise VerificationError("attestation-statement", cause=cause, name=name) from error
    if len(statement.subjects) != 1:
        raise VerificationError("attestation-subjects", name=name, count=len(statement.subjects))
    subject = statement.subjects[0]
    stated = printable(subject.name or "")
    if not _same_distribution(subject.name or "", artifact.name):
        raise VerificationError("attestation-name", name=name, stated=stated)
    digest = subject.digest.root.get("sha256")
    if digest != artifact.digest:
        raise VerificationError("attestation-digest", name=name, stated=digest or "none", digest=artifact.digest)
    for predicate in Predicate:
        if statement.predicate_type == predicate.uri:
            return predicate
    raise VerificationError("attestation-predicate", name=name, stated=printable(statement.predicate_type))


def _same_distribution(stated: str, name: str) -> bool:
    """Compare as PyPI does (pypi_attestations' `_check_dist_filename`): the same parsed name, not the same spelling."""
    from packaging.utils import parse_wheel_filename

    if stated == name:
        return True
    try:
        if stated.endswith(".whl") and name.endswith(".whl"):
            return parse_wheel_filename(stated) == parse_wheel_filename(name)
        return not name.endswith(".whl") and not stated.endswith(".whl") and parse_name(stated) == parse_name(name)
    except (ArtifactError, ValueError):
        return False


def _read_entry(attestation: Attestation, artifact: Artifact) -> tuple[int, datetime]:
    """Return index and time of the log entry; what they say is verified with the signature."""
    entry = attestation.verification_material.transparency_entries[0]
    try:
        return int(entry["logIndex"]), datetime.fromtimestamp(int(entry["integratedTime"]), tz=timezone.utc)
    except (KeyError, TypeError, ValueError, OverflowError, OSError) as error:
        cause = f"its log entry has no usable {error}" if isinstance(error, KeyError) else str(error)
        raise VerificationError("attestation-malformed", cause=cause, name=printable(artifact.name)) from error


def _check_time(certificate: Certificate, signed_at: datetime, artifact: Artifact) -> None:
    """Check what sigstore-python would call a chain that cannot be built."""
    start, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    if not start <= signed_at <= end:
        cause = f"logged at {signed_at:%Y-%m-%d %H:%M:%S} UTC, the certificate ended at {end:%Y-%m-%d %H:%M:%S}"
        if signed_at < start:
            cause = f"logged at {signed_at:%Y-%m-%d %H:%M:%S} UTC, the certificate began at {start:%Y-%m-%d %H:%M:%S}"
        raise VerificationError("attestation-time", cause=cause, name=printable(artifact.name))


def _certificate(attestation: Attestation, artifact: Artifact) -> Certificate:
    from cryptography import x509

    try:
        certificate = x509.load_der_x509_certificate(attestation.verification_material.certificate)
        _ = certificate.extensions  # parsed lazily: a broken one fails here
    except ValueError as error:
        raise VerificationError("attestation-malformed", cause=str(error), name=printable(artifact.name)) from error
    return certificate

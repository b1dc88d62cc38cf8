"""Attestations of an upload: parsed and verified by the pypi-attestations library, as PyPI does it.

The order and the words are those of warehouse/attestations/services.py; what holds is decided by the library's own
code. That code knows Sigstore's public instances only: ``Attestation.verify`` asks ``Verifier.production()``. So the
very function is used here with one name bound anew, in a namespace of its own: ``Verifier`` gives a verifier for the
trusted root at hand. Nothing is patched: other users of the library in this process see no change.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from types import FunctionType, SimpleNamespace
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter, ValidationError
from pypi_attestations import (
    Attestation,
    AttestationBundle,
    AttestationType,
    Distribution,
    Provenance,
    VerificationError,
)
from sigstore.models import TrustedRoot
from sigstore.verify import Verifier
from sigstore.verify.policy import UnsafeNoOp

from hatch_attest.sandbox.index.refusal import bad_request

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sigstore.verify.policy import VerificationPolicy

    from hatch_attest.sandbox.index.accounts import Grant
    from hatch_attest.sandbox.index.refusal import Refusal

SUPPORTED_TYPES = frozenset({AttestationType.PYPI_PUBLISH_V1, AttestationType.SLSA_PROVENANCE_V1})


class AttestationDecision:
    """Decides on the attestations that come with an upload.

    Args:
        trusted_root: the JSON of a Sigstore TrustedRoot.

    """

    def __init__(self, trusted_root: Mapping[str, Any]) -> None:
        self._verify = _library_verify(_load_trusted_root(trusted_root))

    def provenance(self, serialized: str, grant: Grant, filename: str, sha256: str) -> dict[str, Any]:
        """Verify the attestations of a file.

        Args:
            serialized: the upload's field ``attestations``, a JSON array.
            grant: who uploads.
            filename: the name of the file, known to be valid.
            sha256: its digest in hex.

        Returns:
            the file's PEP 740 provenance object.

        Raises:
            Refusal: PyPI would not take them.

        """
        identity = _expected_identity(grant)
        attestations = _parse(serialized)
        seen = set()
        for attestation in attestations:
            predicate_type = self._verified_type(attestation, identity, Distribution(name=filename, digest=sha256))
            if predicate_type not in SUPPORTED_TYPES:  # pragma: no cover (the library knows no other types as yet)
                raise _invalid(f"Attestation with unsupported predicate type: {predicate_type}")
            if predicate_type in seen:
                raise _invalid(
                    "Multiple attestations for the same file with the same predicate type"
                    f" ({predicate_type}) are not supported"
                )
            seen.add(predicate_type)
        return _provenance(attestations, grant)

    def _verified_type(self, attestation: Attestation, identity: Any, distribution: Distribution) -> str:
        try:
            predicate_type, _ = self._verify(attestation, identity, distribution)
        except VerificationError as error:
            raise _invalid(f"Could not verify the uploaded artifact using the included attestation: {error}") from error
        except Exception as error:
            raise _invalid(f"Unknown error while trying to verify included attestations: {error}") from error
        return predicate_type


def _library_verify(trusted_root: TrustedRoot) -> Callable[..., tuple[str, dict[str, Any] | None]]:
    """Give ``Attestation.verify`` of the library with another trusted root in place of the public one."""
    original: Any = Attestation.verify
    if "Verifier" not in original.__code__.co_names:
        message = "this pypi-attestations cannot be given the sandbox's trusted root: it verifies in another way"
        raise RuntimeError(message)
    verifiers = SimpleNamespace(production=lambda *, offline: Verifier(trusted_root=trusted_root))  # noqa: ARG005
    verify = FunctionType(
        original.__code__, {**original.__globals__, "Verifier": verifiers}, closure=original.__closure__
    )
    verify.__kwdefaults__ = original.__kwdefaults__
    return verify


def _load_trusted_root(trusted_root: Mapping[str, Any]) -> TrustedRoot:
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "trusted_root.json")
        path.write_text(json.dumps(trusted_root), encoding="utf-8")
        return TrustedRoot.from_file(str(path))


def _expected_identity(grant: Grant) -> VerificationPolicy | Any:
    """Tell who must have signed; an index that takes passwords does not ask (as Pulp does not)."""
    if grant.by_password:
        return UnsafeNoOp()
    if grant.publisher is None:
        raise _invalid("Attestations are only supported when using Trusted Publishing")
    identity = grant.publisher.attestation_identity
    if identity is None:
        raise _invalid(f"Attestations are not currently supported with {grant.publisher.kind} publishers")
    return identity


def _parse(serialized: str) -> list[Attestation]:
    try:
        attestations = TypeAdapter(list[Attestation]).validate_json(serialized)
    except ValidationError as error:
        raise _invalid(f"Malformed attestations: {error}") from error
    if not attestations:
        raise _invalid("Malformed attestations: an empty attestation set is not permitted")
    if len(attestations) > len(SUPPORTED_TYPES):
        raise _invalid(f"A maximum of {len(SUPPORTED_TYPES)} attestations per file are supported")
    return attestations


def _provenance(attestations: list[Attestation], grant: Grant) -> dict[str, Any]:
    identity = None if grant.publisher is None else grant.publisher.attestation_identity
    if identity is not None:
        bundle = AttestationBundle(publisher=identity, attestations=attestations)
        return Provenance(attestation_bundles=[bundle]).model_dump(mode="json")
    # Pulp's own kind of publisher, which the library's models do not know.
    publisher = {"kind": "Pulp User", "prn": f"prn:auth.user:{grant.user}"}
    dumped = [attestation.model_dump(mode="json") for attestation in attestations]
    return {"version": 1, "attestation_bundles": [{"publisher": publisher, "attestations": dumped}]}


def _invalid(reason: str) -> Refusal:
    return bad_request(f"Invalid attestations supplied during upload: {reason}")

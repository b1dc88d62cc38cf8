"""One attestation of ours, good and tampered with, on disk in the forms that the verifiers read."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from pypi_attestations import Attestation, GitHubPublisher
from sigstore.dsse import DigestSet, StatementBuilder, Subject
from sigstore.oidc import IdentityToken
from sigstore.sign import Signer as SigstoreSigner
from sigstore.sign import SigningContext

from hatch_attest.artifacts import read_artifact
from hatch_attest.identity import Token
from hatch_attest.sandbox import GitHubIdentity
from hatch_attest.sidecars import sidecar_path, write_sidecar
from hatch_attest.signing import Signer
from hatch_attest.trust import load_trust
from tests.sandbox.index_support import wheel

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.judges.real_sigstore import RealSigstore

WHEEL = wheel()
NAME = WHEEL.filename
PREDICATE = "https://docs.pypi.org/attestations/publish/v1"
SIGNER = GitHubIdentity()
SAN = f"https://github.com/{SIGNER.workflow_ref}"
PUBLISHER = GitHubPublisher(repository=SIGNER.repository, workflow=SIGNER.workflow)
SidecarJson = dict[str, Any]


@dataclass(frozen=True)
class Case:
    """An artifact and what is said about it: as a sidecar, as a bundle of Sigstore's, as a provenance of PyPI's."""

    artifact: Path

    @property
    def sidecar(self) -> Path:
        """The attestation as PEP 740 has it."""
        return sidecar_path(self.artifact)

    @property
    def bundle(self) -> Path:
        """The attestation as Sigstore's own tools read it."""
        return self.artifact.with_name("bundle.json")

    @property
    def provenance(self) -> Path:
        """The attestation as PyPI's Integrity API serves it."""
        return self.artifact.with_name("provenance.json")


class Cases:
    """Make every case of the table below `directory`, with one log entry each where a signature is needed."""

    def __init__(self, real: RealSigstore, directory: Path) -> None:
        self._real = real
        self._directory = directory
        good = Case(self._artifact("good", WHEEL.content))
        sign(good, real.trust_config, real.issuer.token("sigstore"))
        sidecar = json.loads(good.sidecar.read_text(encoding="utf-8"))
        self.cases: dict[str, Case] = {"good": good}
        self._tampered("flipped artifact byte", sidecar, artifact=flipped(WHEEL.content))
        self._tampered("flipped statement byte", _edited(sidecar, _flip_statement))
        self._tampered("foreign certificate", _edited(sidecar, self._swap_certificate))
        self._tampered("removed inclusion proof", _edited(sidecar, lambda it: _entry(it).pop("inclusionProof")))
        self._tampered("expired certificate", _edited(sidecar, self._move_to_next_hour))
        digest = WHEEL.sha256
        self._tampered("wrong subject name", self._signed([("gadget-1.0-py3-none-any.whl", digest)]))
        self._tampered("two subjects", self._signed([(NAME, digest), ("gadget-1.0-py3-none-any.whl", digest)]))
        self._tampered("another workflow", self._signed([(NAME, digest)], GitHubIdentity(workflow="evil.yml")))

    def _tampered(self, name: str, sidecar: SidecarJson, artifact: bytes | None = None) -> None:
        case = Case(self._artifact(name, artifact or WHEEL.content))
        case.sidecar.write_text(json.dumps(sidecar), encoding="utf-8")
        write_other_forms(case)
        self.cases[name] = case

    def _artifact(self, name: str, content: bytes) -> Path:
        folder = self._directory / name
        folder.mkdir()
        path = folder / NAME
        path.write_bytes(content)
        return path

    def _signed(self, subjects: list[tuple[str, str]], identity: GitHubIdentity = SIGNER) -> SidecarJson:
        """Sign a statement that our signer would never make; signature and log entry are valid."""
        statement = (
            StatementBuilder()
            .subjects([Subject(name=name, digest=DigestSet(root={"sha256": digest})) for name, digest in subjects])
            .predicate_type(PREDICATE)
            .build()
        )
        bundle = _sigstore_signer(self._real, identity).sign_dsse(statement)
        sidecar: SidecarJson = json.loads(Attestation.from_bundle(bundle).model_dump_json())
        return sidecar

    def _swap_certificate(self, sidecar: SidecarJson) -> None:
        """Put in the certificate of the same identity for another key."""
        other = self._signed([(NAME, "0" * 64)])
        sidecar["verification_material"]["certificate"] = other["verification_material"]["certificate"]

    def _move_to_next_hour(self, sidecar: SidecarJson) -> None:
        """Let the log say, under its signature, that it saw the entry an hour later: certificates live 10 minutes."""
        entry = _entry(sidecar)
        entry["integratedTime"] = str(int(entry["integratedTime"]) + 3600)
        promise = {
            "body": entry["canonicalizedBody"],
            "integratedTime": int(entry["integratedTime"]),
            "logID": base64.b64decode(entry["logId"]["keyId"]).hex(),
            "logIndex": int(entry["logIndex"]),
        }
        canonical = json.dumps(promise, sort_keys=True, separators=(",", ":")).encode()
        signature = self._real.rekor_key.sign(canonical, ec.ECDSA(hashes.SHA256()))
        entry["inclusionPromise"] = {"signedEntryTimestamp": base64.b64encode(signature).decode()}


def sign(case: Case, trust_config: Path, token: str) -> None:
    """Sign with our signer, as the build hook does."""
    signer = Signer(load_trust(str(trust_config), trust_config.parent), lambda: Token.parse(token, "the judges"))
    write_sidecar(case.sidecar, signer.sign(read_artifact(case.artifact)))
    write_other_forms(case)


def flipped(content: bytes) -> bytes:
    """Flip a bit of a wheel: in the time of the first member, so that it is a sound archive still."""
    return content[:10] + bytes([content[10] ^ 1]) + content[11:]


def upload_form(case: Case) -> dict[str, str]:
    """Return the fields of an upload with the attestation, as twine fills them in."""
    sidecar = json.loads(case.sidecar.read_text(encoding="utf-8"))
    form = replace(WHEEL, content=case.artifact.read_bytes()).form()
    return {**form, "attestations": json.dumps([sidecar])}


def bundle_of(sidecar: SidecarJson) -> dict[str, Any]:
    """Convert a sidecar to Sigstore's bundle, as ``Attestation.to_bundle`` does for well-formed ones."""
    material, envelope = sidecar["verification_material"], sidecar["envelope"]
    return {
        "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
        "verificationMaterial": {
            "certificate": {"rawBytes": material["certificate"]},
            "tlogEntries": material["transparency_entries"],
        },
        "dsseEnvelope": {
            "payload": envelope["statement"],
            "payloadType": "application/vnd.in-toto+json",
            "signatures": [{"sig": envelope["signature"]}],
        },
    }


def provenance_of(*sidecars: SidecarJson) -> dict[str, Any]:
    """Wrap sidecars as PyPI's Integrity API does (PEP 740)."""
    publisher = json.loads(PUBLISHER.model_dump_json())
    return {"version": 1, "attestation_bundles": [{"publisher": publisher, "attestations": list(sidecars)}]}


def write_other_forms(case: Case) -> None:
    """Write the bundle and the provenance beside the sidecar."""
    sidecar = json.loads(case.sidecar.read_text(encoding="utf-8"))
    case.bundle.write_text(json.dumps(bundle_of(sidecar)), encoding="utf-8")
    case.provenance.write_text(json.dumps(provenance_of(sidecar)), encoding="utf-8")


def _sigstore_signer(real: RealSigstore, identity: GitHubIdentity) -> SigstoreSigner:
    token = IdentityToken(real.issuer.token("sigstore", identity=identity))
    return SigstoreSigner(token, SigningContext.from_trust_config(real.client_trust_config))


def _edited(sidecar: SidecarJson, edit: Callable[[SidecarJson], object]) -> SidecarJson:
    copy: SidecarJson = json.loads(json.dumps(sidecar))
    edit(copy)
    return copy


def _entry(sidecar: SidecarJson) -> dict[str, Any]:
    entry: dict[str, Any] = sidecar["verification_material"]["transparency_entries"][0]
    return entry


def _flip_statement(sidecar: SidecarJson) -> None:
    """Change the last digit of the digest: the statement stays well-formed."""
    statement = json.loads(base64.b64decode(sidecar["envelope"]["statement"]))
    digest = statement["subject"][0]["digest"]
    digest["sha256"] = digest["sha256"][:-1] + ("0" if digest["sha256"][-1] != "0" else "1")
    sidecar["envelope"]["statement"] = base64.b64encode(json.dumps(statement, separators=(",", ":")).encode()).decode()

"""Situations of artifacts and sidecars: what tampering, mix-ups and accidents between build and upload look like."""

from __future__ import annotations

import base64
import dataclasses
import json
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hatch_attest.sandbox import EmailIdentity, GitHubIdentity, Sandbox
from tests.sandbox.index_support import PUBLISH, SLSA, Artifact, sdist, sign, sign_statement, wheel
from tests.situations.situations import accepted, refused

if TYPE_CHECKING:
    from pypi_attestations import Attestation

    from tests.publishing import Job


def signed_release(job: Job, files: int = 2) -> list[Path]:
    """A release with a sidecar beside each file."""
    paths = job.add_release(files)
    job.sign()
    return paths


def change(sidecar: Path, edit: Callable[[dict[str, Any]], None]) -> None:
    document = json.loads(sidecar.read_text(encoding="utf-8"))
    edit(document)
    sidecar.write_text(json.dumps(document), encoding="utf-8")


def write(sidecar: Path, attestation: Attestation) -> None:
    sidecar.write_text(attestation.model_dump_json(), encoding="utf-8")


@refused("an artifact was changed after it was signed", "attestation-digest", "delete its sidecar and sign again")
def _(job: Job) -> None:
    _, path = signed_release(job)
    path.write_bytes(path.read_bytes() + b"\0")


@refused("one artifact of twenty was changed", "attestation-digest")
def _(job: Job) -> None:
    path = signed_release(job, 20)[13]
    path.write_bytes(path.read_bytes() + b"\0")


@refused("two sidecars were swapped", "attestation-name", "is about widget-1.0")
def _(job: Job) -> None:
    one, other = (job.sidecar(path) for path in signed_release(job))
    kept = one.read_bytes()
    one.write_bytes(other.read_bytes())
    other.write_bytes(kept)


@refused("a sidecar is empty", "sidecar-not-json", "widget-1.0.tar.gz.publish.attestation")
def _(job: Job) -> None:
    job.sidecar(signed_release(job)[0]).write_bytes(b"")


@refused("a sidecar is truncated", "sidecar-not-json")
def _(job: Job) -> None:
    sidecar = job.sidecar(signed_release(job)[0])
    sidecar.write_bytes(sidecar.read_bytes()[:500])


@refused("a sidecar is far too large", "sidecar-too-large")
def _(job: Job) -> None:
    job.sidecar(signed_release(job)[0]).write_bytes(b" " * (2 << 20))


@refused("a sidecar is a directory", "sidecar-not-a-file")
def _(job: Job) -> None:
    sidecar = job.sidecar(signed_release(job)[0])
    sidecar.unlink()
    sidecar.mkdir()


@refused("a sidecar is a Sigstore bundle, not an attestation of PEP 740", "sidecar-schema")
def _(job: Job) -> None:
    bundle = {"mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json", "verificationMaterial": {}}
    job.sidecar(signed_release(job)[0]).write_text(json.dumps(bundle), encoding="utf-8")


@refused("a statement was changed", "attestation-signature")
def _(job: Job) -> None:
    def edit(document: dict[str, Any]) -> None:
        statement = json.loads(base64.b64decode(document["envelope"]["statement"]))
        document["envelope"]["statement"] = base64.b64encode(json.dumps(statement, indent=1).encode()).decode()

    change(job.sidecar(signed_release(job)[0]), edit)


@refused("a signature was changed", "attestation-signature")
def _(job: Job) -> None:
    sidecar, other = (job.sidecar(path) for path in signed_release(job))
    foreign = json.loads(other.read_text(encoding="utf-8"))["envelope"]["signature"]
    change(sidecar, lambda document: document["envelope"].update(signature=foreign))


def shift_entry(job: Job, seconds: int) -> None:
    """Let a log entry say another time."""

    def edit(document: dict[str, Any]) -> None:
        (entry,) = document["verification_material"]["transparency_entries"]
        entry["integratedTime"] = str(int(entry["integratedTime"]) + seconds)

    change(job.sidecar(signed_release(job)[0]), edit)


@refused("a log entry's time was changed a little", "attestation-log")
def _(job: Job) -> None:
    shift_entry(job, 1)


@refused("a log entry's time is one at which the certificate was not valid", "attestation-time")
def _(job: Job) -> None:
    shift_entry(job, 3600)


@refused("a log entry's proof was changed", "attestation-log")
def _(job: Job) -> None:
    def edit(document: dict[str, Any]) -> None:
        proof = document["verification_material"]["transparency_entries"][0]["inclusionProof"]
        proof["rootHash"] = base64.b64encode(b"\0" * 32).decode()

    change(job.sidecar(signed_release(job)[0]), edit)


@refused("an attestation is of another Sigstore instance", "attestation-certificate")
def _(job: Job) -> None:
    paths = signed_release(job)
    with tempfile.TemporaryDirectory() as directory, Sandbox(Path(directory)) as other:
        (attestation,) = sign(other, dataclasses.replace(sdist(), content=paths[0].read_bytes()))
    write(job.sidecar(paths[0]), attestation)


def signed_by(job: Job, identity: GitHubIdentity | EmailIdentity) -> None:
    """Let somebody else sign the sdist."""
    paths = signed_release(job)
    job.sandbox.issuer.identity = identity
    (attestation,) = sign(job.sandbox, dataclasses.replace(sdist(), content=paths[0].read_bytes()))
    write(job.sidecar(paths[0]), attestation)
    job.sandbox.issuer.identity = GitHubIdentity()


@refused("another workflow of the repository signed", "attestation-identity", "workflow nightly.yml", "release.yml")
def _(job: Job) -> None:
    signed_by(job, GitHubIdentity(workflow="nightly.yml"))


@refused("another repository signed", "attestation-identity", "mallory/widget")
def _(job: Job) -> None:
    signed_by(job, GitHubIdentity(repository="mallory/widget"))


@refused("a person signed", "attestation-identity", "was signed by")
def _(job: Job) -> None:
    signed_by(job, EmailIdentity())


def statement(job: Job, subjects: dict[str, str], predicate_type: str = PUBLISH) -> Path:
    """Give the sdist a sidecar with any statement, properly signed and logged."""
    path = signed_release(job)[0]
    write(job.sidecar(path), sign_statement(job.sandbox, subjects, predicate_type))
    return path


@refused("an attestation is about two artifacts", "attestation-subjects")
def _(job: Job) -> None:
    statement(job, {sdist().filename: sdist().sha256, wheel().filename: wheel().sha256})


@refused("an attestation is about another project", "attestation-name")
def _(job: Job) -> None:
    statement(job, {"gadget-1.0.tar.gz": sdist().sha256})


@refused("an attestation's predicate is unknown", "attestation-predicate", "https://example.org/predicate")
def _(job: Job) -> None:
    artifact = Artifact("widget-1.0.tar.gz", signed_release(job)[0].read_bytes(), "widget", "1.0")
    attestation = sign_statement(job.sandbox, {artifact.filename: artifact.sha256}, "https://example.org/predicate")
    write(job.dist / f"{artifact.filename}.publish.attestation", attestation)


@refused("a publish attestation is named like a SLSA one", "attestation-misnamed")
def _(job: Job) -> None:
    path = signed_release(job)[0]
    shutil.copy(job.sidecar(path), job.sidecar(path, "slsa"))


@refused("there is nothing to publish", "artifact-none", "hatch build")
def _(job: Job) -> None:
    job.dist.joinpath("notes.txt").write_text("none", encoding="utf-8")


@refused("a named file is not there", "artifact-missing")
def _(job: Job) -> list[str]:
    signed_release(job)
    return ["dist/widget-2.0.tar.gz"]


@refused("a directory is named like a wheel", "artifact-not-a-file")
def _(job: Job) -> None:
    signed_release(job)
    job.dist.joinpath("widget-1.0-py2-none-any.whl").mkdir()


@refused("a wheel's name is none", "artifact-name")
def _(job: Job) -> None:
    signed_release(job)
    job.dist.joinpath("widget.whl").write_bytes(b"")


@refused("two files have one name", "same-name")
def _(job: Job) -> list[str]:
    path = signed_release(job)[0]
    other = job.root / "other"
    other.mkdir()
    shutil.copy(path, other)
    return ["dist", "other"]


@refused("a wheel is no archive", "upload-metadata", "widget-1.0-py3-none-any.whl")
def _(job: Job) -> None:
    job.add(sdist(), dataclasses.replace(wheel(), content=b"not a zip file"))


@refused("an sdist is cut off", "upload-metadata", "widget-1.0.tar.gz")
def _(job: Job) -> None:
    job.add(dataclasses.replace(sdist(), content=sdist().content[:60]), wheel())


@refused("the metadata is invalid", "upload-metadata", "version")
def _(job: Job) -> None:
    job.add(sdist(), wheel(METADATA=b"Metadata-Version: 2.1\nName: widget\nVersion: one\n"))


@refused("two sdists of one release", "second-sdist", "Widget-1.0.tar.gz")
def _(job: Job) -> None:
    path = signed_release(job)[0]
    shutil.copy(path, job.dist / "Widget-1.0.tar.gz")
    job.sign()


@accepted("what was signed in the build job is published as it is", signed=0)
def _(job: Job) -> None:
    signed_release(job)


@accepted("what has no sidecar is signed at publish time", "signed widget-1.0.tar.gz as octo-org/widget", signed=2)
def _(job: Job) -> None:
    job.add_release()


@accepted("only what is missing is signed", signed=1)
def _(job: Job) -> None:
    job.sign(job.add_release()[0])


@accepted("publish and SLSA attestations go together", signed=0)
def _(job: Job) -> None:
    path = signed_release(job)[0]
    artifact = Artifact(path.name, path.read_bytes(), "widget", "1.0")
    write(job.sidecar(path, "slsa"), sign_statement(job.sandbox, {artifact.filename: artifact.sha256}, SLSA))


@accepted("other files in `dist` are left out", "notes.txt is neither a wheel nor an sdist", signed=0)
def _(job: Job) -> list[str]:
    signed_release(job)
    job.dist.joinpath("notes.txt").write_text("none", encoding="utf-8")
    return ["dist/*"]


@accepted("the subject spells the wheel's tags in another order", signed=0)
def _(job: Job) -> None:
    artifact = wheel(tag="py2.py3-none-any")
    (path,) = job.add(artifact)
    write(job.sidecar(path), sign_statement(job.sandbox, {"widget-1.0-py3.py2-none-any.whl": artifact.sha256}))

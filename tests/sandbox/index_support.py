"""What the tests of the sandbox's index share: artifacts made in memory, uploads as twine sends them, signatures."""

from __future__ import annotations

import hashlib
import io
import json
import ssl
import tarfile
import zipfile
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx
from pypi_attestations import Attestation, Distribution
from sigstore.dsse import DigestSet, Statement, StatementBuilder, Subject
from sigstore.models import ClientTrustConfig
from sigstore.oidc import IdentityToken
from sigstore.sign import SigningContext

from hatch_attest.sandbox import Sandbox
from hatch_attest.sandbox.index.reason import ReasonProtocol
from hatch_attest.sandbox.server import Loopback

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from hatch_attest.sandbox.index import Index

AUDIENCE = "hatch-attest-sandbox"
PUBLISH = "https://docs.pypi.org/attestations/publish/v1"
SLSA = "https://slsa.dev/provenance/v1"
#: The identity that the sandbox plays at first.
PUBLISHER = {"repository": "octo-org/widget", "workflow": "release.yml"}


@dataclass(frozen=True)
class Artifact:
    """A wheel or an sdist in memory, with what an upload form says of it."""

    filename: str
    content: bytes
    name: str
    version: str

    @property
    def sha256(self) -> str:
        """The digest in hex."""
        return hashlib.sha256(self.content).hexdigest()

    @property
    def distribution(self) -> Distribution:
        """As pypi-attestations names it."""
        return Distribution(name=self.filename, digest=self.sha256)

    def write(self, directory: Path) -> Path:
        """Write it into a directory."""
        path = directory / self.filename
        path.write_bytes(self.content)
        return path

    def form(self) -> dict[str, Any]:
        """Fill the fields of an upload, as twine does."""
        is_wheel = self.filename.endswith(".whl")
        return {
            ":action": "file_upload",
            "protocol_version": "1",
            "metadata_version": "2.1",
            "name": self.name,
            "version": self.version,
            "filetype": "bdist_wheel" if is_wheel else "sdist",
            "pyversion": "py3" if is_wheel else "source",
            "sha256_digest": self.sha256,
        }


def wheel(name: str = "widget", version: str = "1.0", tag: str = "py3-none-any", **changes: bytes | None) -> Artifact:
    """Make a wheel; ``changes`` set or (None) leave out a file of its dist-info."""
    snake = name.replace("-", "_")
    info = f"{snake}-{version}.dist-info"
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\nRequires-Python: >=3.8\n"
    files: dict[str, bytes | None] = {
        "METADATA": metadata.encode(),
        "WHEEL": f"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: {tag}\n".encode(),
        "RECORD": f"{snake}/__init__.py,,\n{info}/METADATA,,\n{info}/WHEEL,,\n{info}/RECORD,,\n".encode(),
        **changes,
    }
    members = {f"{info}/{file}": content for file, content in files.items() if content is not None}
    packed = zipped({f"{snake}/__init__.py": b"", **members})
    return Artifact(f"{snake}-{version}-{tag}.whl", packed, name, version)


def sdist(name: str = "widget", version: str = "1.0", members: Mapping[str, bytes] | None = None) -> Artifact:
    """Make an sdist of these members, or a good one."""
    snake = name.replace("-", "_")
    top = f"{snake}-{version}"
    if members is None:
        metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
        members = {f"{top}/PKG-INFO": metadata.encode(), f"{top}/pyproject.toml": b""}
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for path, content in members.items():
            member = tarfile.TarInfo(path)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return Artifact(f"{top}.tar.gz", packed.getvalue(), name, version)


def zipped(members: Mapping[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    """Make a zip file in memory."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", compression) as archive:
        for path, content in members.items():
            archive.writestr(path, content)
    return packed.getvalue()


class Site:
    """A started index, as a client with the sandbox's certificate authority reaches it."""

    def __init__(self, index: Index, client: httpx.Client, url: str) -> None:
        self.index = index
        self.client = client
        self.url = url

    def upload(
        self,
        artifact: Artifact,
        token: str,
        *,
        attestations: Sequence[Any] | str | None = None,
        content_type: str = "application/octet-stream",
        user: str = "__token__",
        accept: str = "*/*",
        changes: Mapping[str, Any] | None = None,
    ) -> httpx.Response:
        """Upload as twine does; ``changes`` set or (None) leave out fields of the form."""
        form = {**artifact.form(), **(changes or {})}
        if attestations is not None:
            form["attestations"] = attestations if isinstance(attestations, str) else serialize(attestations)
        return self.client.post(
            f"{self.url}/legacy/",
            data={name: value for name, value in form.items() if value is not None},
            files={"content": (artifact.filename, artifact.content, content_type)},
            auth=(user, token),
            headers={"accept": accept},
        )

    def mint(self, identity_token: str) -> httpx.Response:
        """Ask for an upload token."""
        return self.client.post(f"{self.url}/_/oidc/mint-token", json={"token": identity_token})

    def upload_token(self, identity_token: str) -> str:
        """Get an upload token."""
        response = self.mint(identity_token)
        assert response.status_code == httpx.codes.OK, response.text
        token = response.json()["token"]
        assert isinstance(token, str)
        return token

    def get(self, path: str, accept: str | None = None) -> httpx.Response:
        """Get a page."""
        return self.client.get(f"{self.url}{path}", headers={} if accept is None else {"accept": accept})


@contextmanager
def started(index: Index) -> Iterator[Site]:
    """Serve an index alone, on http."""
    loopback = Loopback()
    listener = loopback.listen("index", protocol=ReasonProtocol)
    listener.app = index.app
    with loopback, httpx.Client(timeout=30) as client:
        yield Site(index, client, listener.url)


@contextmanager
def whole_sandbox(directory: Path) -> Iterator[tuple[Sandbox, Site]]:
    """Start a sandbox, with a client of its index on https."""
    with Sandbox(directory) as sandbox:
        context = ssl.create_default_context(cafile=str(directory / "ca.pem"))
        with httpx.Client(verify=context, timeout=30) as client:
            yield sandbox, Site(sandbox.index, client, sandbox.index.upload_url.removesuffix("/legacy/"))


def serialize(attestations: Sequence[Any]) -> str:
    """Write attestations (models or JSON objects) as the upload form carries them."""
    return json.dumps(
        [item.model_dump(mode="json") if isinstance(item, Attestation) else item for item in attestations]
    )


def sign(sandbox: Sandbox, *artifacts: Artifact) -> list[Attestation]:
    """Sign artifacts by the libraries alone, as the identity that the sandbox plays."""
    with _signer(sandbox) as signer:
        return [Attestation.sign(signer, artifact.distribution) for artifact in artifacts]


def sign_statement(
    sandbox: Sandbox, subjects: Mapping[str, str], predicate_type: str = PUBLISH, predicate: Any = None
) -> Attestation:
    """Sign any statement; ``subjects`` maps names to sha256 digests."""
    builder = StatementBuilder(
        subjects=[Subject(name=name, digest=DigestSet(root={"sha256": digest})) for name, digest in subjects.items()],
        predicate_type=predicate_type,
        predicate=predicate,
    )
    statement: Statement = builder.build()
    with _signer(sandbox) as signer:
        return Attestation.from_bundle(signer.sign_dsse(statement))


def _signer(sandbox: Sandbox) -> Any:
    config = ClientTrustConfig.from_json((sandbox.directory / "trust_config.json").read_text(encoding="utf-8"))
    token = IdentityToken(sandbox.issuer.token("sigstore"))
    return SigningContext.from_trust_config(config).signer(token)

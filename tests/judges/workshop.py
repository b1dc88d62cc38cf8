"""Projects that real Hatch builds and publishes, on the real Sigstore."""

from __future__ import annotations

import json
import ssl
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx

from hatch_attest.sandbox import AUDIENCE, GitHubIdentity, Sandbox
from tests.sandbox.index_support import Artifact, sdist, wheel

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from tests.judges.real_sigstore import RealSigstore

#: A release as large as those of compiled packages: an sdist, and wheels for five Pythons and as many platforms.
PLATFORMS = [f"manylinux_2_{libc}_x86_64" for libc in range(17, 37)]
HUNDRED = [
    sdist(),
    *[wheel(tag=f"cp3{minor}-cp3{minor}-{platform}") for minor in range(10, 15) for platform in PLATFORMS][1:],
]
PYPROJECT = """
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[project]
name = "widget"
version = "1.0"

[tool.hatch.build.hooks.attest]
enable-by-default = false
publisher = {kind = "GitHub", repository = "octo-org/widget", workflow = "release.yml"}
"""


class JudgedSandbox(Sandbox):
    """The sandbox's issuer and index, with the real Sigstore in place of its own."""

    def __init__(self, directory: Path, real: RealSigstore) -> None:
        self._real = real
        super().__init__(directory, GitHubIdentity())
        real.accept(self.issuer.issuers())

    def trust_config(self) -> dict[str, Any]:
        """Return the real one's."""
        return self._real.config

    def _trusted_root(self) -> dict[str, Any]:
        return self._real.trusted_root


@dataclass(frozen=True)
class Done:
    """What came of a program: exit code, all output, and the wall time in seconds."""

    code: int
    output: str
    seconds: float


class Project:
    """A project directory, and the environment of the job that releases it."""

    def __init__(self, root: Path, environ: Mapping[str, str]) -> None:
        self.root = root
        self.dist = root / "dist"
        self.environ = dict(environ)

    @classmethod
    def of(cls, root: Path, environ: Mapping[str, str], artifacts: Iterable[Artifact]) -> Project:
        """Make a project ``widget`` whose artifacts are built already."""
        project = cls(root, environ)
        project.dist.mkdir(parents=True)
        (root / "pyproject.toml").write_text(PYPROJECT, encoding="utf-8")
        for artifact in artifacts:
            artifact.write(project.dist)
        return project

    def artifacts(self) -> list[Path]:
        """The wheels and sdists in ``dist``."""
        return sorted(path for path in self.dist.iterdir() if path.name.endswith((".whl", ".tar.gz")))

    def sidecars(self) -> dict[str, list[Any]]:
        """The sidecars' contents, by the artifact's name."""
        return {
            path.name.removesuffix(".publish.attestation"): [json.loads(path.read_text(encoding="utf-8"))]
            for path in self.dist.glob("*.publish.attestation")
        }

    def hatch(self, *arguments: str) -> Done:
        """Run Hatch."""
        return self.run(sys.executable, "-m", "hatch", *arguments)

    def publish(self, *arguments: str) -> Done:
        """Run ``hatch publish -p attest``, with nobody to ask."""
        return self.hatch("publish", "-p", "attest", "-n", *arguments)

    def attest(self, *arguments: str) -> Done:
        """Run ``hatch-attest``."""
        return self.run(sys.executable, "-m", "hatch_attest", *arguments)

    def start(self, *command: str) -> subprocess.Popen[str]:
        """Start a program in the project."""
        return subprocess.Popen(
            command,
            cwd=self.root,
            env=self.environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
        )

    def run(self, *command: str) -> Done:
        """Run a program in the project."""
        start = time.monotonic()
        with self.start(*command) as process:
            output, _ = process.communicate(timeout=300)
        return Done(process.returncode, output, time.monotonic() - start)


def minted_token(sandbox: Sandbox) -> str:
    """Exchange an identity for an upload token: the sandbox's index takes attestations with no other, as PyPI does."""
    base = sandbox.index.upload_url.removesuffix("legacy/")
    with secure_client(sandbox) as client:
        answer = client.post(f"{base}_/oidc/mint-token", json={"token": sandbox.issuer.token(AUDIENCE)})
    return str(answer.raise_for_status().json()["token"])


def secure_client(sandbox: Sandbox) -> httpx.Client:
    """Return a client that knows the sandbox's CA."""
    context = ssl.create_default_context(cafile=sandbox.directory / "ca.pem")
    return httpx.Client(trust_env=False, verify=context, timeout=30)


def served(sandbox: Sandbox, project: str, version: str) -> dict[str, list[Any]]:
    """Fetch the attestations that the sandbox's index serves of each file, as a consumer does."""
    base = sandbox.index.simple_url.removesuffix("simple/")
    with httpx.Client(trust_env=False, base_url=base) as client:
        return {
            file.filename: attestations_of(
                client.get(f"integrity/{project}/{version}/{file.filename}/provenance").raise_for_status().json()
            )
            for file in sandbox.index.files(project)
        }


def attestations_of(provenance: Mapping[str, Any]) -> list[Any]:
    """Take the attestations out of a provenance (PEP 740)."""
    return [each for bundle in provenance["attestation_bundles"] for each in bundle["attestations"]]

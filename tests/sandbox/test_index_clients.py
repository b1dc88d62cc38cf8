"""Clients that were not made for the sandbox, unmodified and as their own processes, work with its index."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import id as oidc
import pytest
from pypi_attestations import Attestation, Provenance

from tests.sandbox.index_support import PUBLISHER, Artifact, sdist, sign, wheel, whole_sandbox

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from hatch_attest.sandbox import Sandbox
    from tests.sandbox.index_support import Site

ARTIFACTS = (wheel(), sdist())
TIMEOUT = 120


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[Sandbox, Site]]:
    """A sandbox whose index knows the played identity as the publisher of a project to come."""
    with whole_sandbox(tmp_path / "sandbox") as (sandbox, site):
        site.index.add_publisher("widget", **PUBLISHER)
        yield sandbox, site


@pytest.fixture
def sandbox(served: tuple[Sandbox, Site]) -> Sandbox:
    """The sandbox."""
    return served[0]


@pytest.fixture
def site(served: tuple[Sandbox, Site]) -> Site:
    """Its index."""
    return served[1]


@pytest.fixture
def dist(sandbox: Sandbox, tmp_path: Path) -> Path:
    """A directory with the artifacts, each with its sidecar made by the pypi-attestations library."""
    directory = tmp_path / "ein Verzeichnis"
    directory.mkdir()
    for artifact, attestation in zip(ARTIFACTS, sign(sandbox, *ARTIFACTS), strict=True):
        path = artifact.write(directory)
        sidecar = path.with_name(f"{path.name}.publish.attestation")
        sidecar.write_text(attestation.model_dump_json(), encoding="utf-8")
    return directory


@pytest.fixture
def upload_token(sandbox: Sandbox, site: Site, monkeypatch: pytest.MonkeyPatch) -> str:
    """An upload token as gh-action-pypi-publish gets it: identity by the `id` library, then the mint endpoint."""
    for name, value in sandbox.environment.items():
        monkeypatch.setenv(name, value)
    audience = site.get("/_/oidc/audience").json()["audience"]
    identity_token = oidc.detect_credential(audience)
    assert identity_token is not None
    return site.upload_token(identity_token)


def _run(*command: str, environ: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", *command],
        env=dict(environ),
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
        timeout=TIMEOUT,
    )


def _words(result: subprocess.CompletedProcess[str]) -> str:
    """What was printed, however it was wrapped."""
    return " ".join(f"{result.stdout} {result.stderr}".split())


# requests prefers these to the certificate that twine is told (psf/requests#3829).
_BUNDLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")


def _twine(
    sandbox: Sandbox, directory: Path, token: str, environ: Mapping[str, str], *options: str
) -> subprocess.CompletedProcess[str]:
    files = [str(path) for path in sorted(directory.iterdir())]
    without_bundles = {name: value for name, value in environ.items() if name not in _BUNDLES}
    return _run(
        *("twine", "upload", "--non-interactive", "--disable-progress-bar", *options),
        *("--repository-url", sandbox.index.upload_url, "--cert", str(sandbox.directory / "ca.pem"), *files),
        environ={**without_bundles, "TWINE_USERNAME": "__token__", "TWINE_PASSWORD": token, "COLUMNS": "1000"},
    )


def _provenance_is_served(site: Site, directory: Path, artifact: Artifact) -> None:
    response = site.get(f"/integrity/widget/1.0/{artifact.filename}/provenance")
    assert response.status_code == 200, response.text
    [bundle] = Provenance.model_validate_json(response.content).attestation_bundles
    sidecar = (directory / f"{artifact.filename}.publish.attestation").read_text(encoding="utf-8")
    assert bundle.attestations == [Attestation.model_validate_json(sidecar)]


def test_twine_uploads_artifacts_and_attestations(
    sandbox: Sandbox, site: Site, dist: Path, upload_token: str, clean_environ: dict[str, str]
) -> None:
    """Broken: the index would understand our own client only."""
    result = _twine(sandbox, dist, upload_token, clean_environ, "--attestations")
    assert result.returncode == 0, result.stdout + result.stderr
    for artifact in ARTIFACTS:
        _provenance_is_served(site, dist, artifact)
    assert [file.sha256 for file in site.index.files("widget")] == [artifact.sha256 for artifact in ARTIFACTS]
    again = _twine(sandbox, dist, upload_token, clean_environ, "--attestations")
    assert again.returncode == 0, again.stdout + again.stderr
    assert sandbox.count("index", "POST", "/legacy/") == 4


def test_twine_prints_the_reason_of_a_refusal(
    sandbox: Sandbox, site: Site, dist: Path, upload_token: str, clean_environ: dict[str, str]
) -> None:
    """Broken: twine prints the status line; a bare "Bad Request" would hide why."""
    token = site.index.add_token()
    result = _twine(sandbox, dist, token, clean_environ, "--attestations")
    assert result.returncode == 1
    reason = (
        "Invalid attestations supplied during upload: Attestations are only supported when using Trusted Publishing"
    )
    assert reason in _words(result)
    site.index.expire_tokens()
    result = _twine(sandbox, dist, upload_token, clean_environ, "--attestations")
    assert "Invalid API Token: token is expired" in _words(result)
    assert site.index.files("widget") == ()


def test_uv_publishes_by_trusted_publishing_on_its_own(
    sandbox: Sandbox, site: Site, dist: Path, clean_environ: dict[str, str]
) -> None:
    """Broken: a second client, with its own token exchange and its own reading of answers, would fail."""
    files = [str(path) for path in dist.iterdir()]
    environ = {
        **clean_environ,
        **sandbox.environment,
        "SSL_CERT_FILE": str(sandbox.directory / "ca.pem"),
        "UV_NO_CONFIG": "1",
        "UV_CACHE_DIR": str(dist.parent / "cache"),
    }
    publish = ("uv", "publish", "--no-progress", "--trusted-publishing", "always")
    result = _run(*publish, "--publish-url", sandbox.index.upload_url, *files, environ=environ)
    assert result.returncode == 0, result.stdout + result.stderr
    for artifact in ARTIFACTS:
        _provenance_is_served(site, dist, artifact)
    # It minted by itself, and burnt the token after use.
    assert sandbox.count("index", "POST", "/_/oidc/mint-token") == 1
    [burnt] = [request.status for request in sandbox.requests if request.path == "/_/oidc/burn-token"]
    assert burnt == 202


def test_uv_prints_the_reason_of_a_refusal(
    sandbox: Sandbox, site: Site, dist: Path, clean_environ: dict[str, str]
) -> None:
    """Broken: uv reads the JSON of PyPI's answer; without it the reason would be lost."""
    environ = {
        **clean_environ,
        "SSL_CERT_FILE": str(sandbox.directory / "ca.pem"),
        "UV_NO_CONFIG": "1",
        "UV_PUBLISH_TOKEN": site.index.add_token(projects=["gadget"]),
    }
    publish = ("uv", "publish", "--no-progress", "--trusted-publishing", "never", "--no-attestations")
    file = str(dist / ARTIFACTS[0].filename)
    result = _run(*publish, "--publish-url", sandbox.index.upload_url, file, environ=environ)
    assert result.returncode != 0
    assert "project-scoped token is not valid for project: 'widget'" in _words(result)


@pytest.fixture
def published(site: Site) -> Site:
    """The index with the artifacts in it."""
    token = site.index.add_token()
    for artifact in ARTIFACTS:
        assert site.upload(artifact, token, changes={"requires_python": ">=3.8"}).status_code == 200
    return site


def test_pip_installs_from_the_index_with_checked_hashes(
    published: Site, tmp_path: Path, clean_environ: dict[str, str]
) -> None:
    """Broken: what was uploaded could not be installed, or came back changed."""
    requirements = tmp_path / "requirements.txt"
    requirements.write_text(f"widget==1.0 --hash=sha256:{ARTIFACTS[0].sha256}\n", encoding="utf-8")
    index = published.index.simple_url
    options = ("--isolated", "--no-cache-dir", "--disable-pip-version-check", "--no-deps", "--index-url", index)
    target = tmp_path / "target"
    result = _run(
        *("pip", "install", *options, "--target", str(target), "--require-hashes", "-r", str(requirements)),
        environ=clean_environ,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert (target / "widget" / "__init__.py").exists()

    downloads = tmp_path / "downloads"
    result = _run(
        *("pip", "download", *options, "--dest", str(downloads), "--only-binary", ":all:", "Widget"),
        environ=clean_environ,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert (downloads / ARTIFACTS[0].filename).read_bytes() == ARTIFACTS[0].content


def test_uv_installs_from_the_index(published: Site, tmp_path: Path, clean_environ: dict[str, str]) -> None:
    """Broken: an installer that reads the JSON form would fail."""
    target = tmp_path / "target"
    environ = {**clean_environ, "UV_NO_CONFIG": "1", "UV_CACHE_DIR": str(tmp_path / "cache")}
    command = ("uv", "pip", "install", "--no-progress", "--target", str(target), "--no-deps", "widget")
    result = _run(*command, "--default-index", published.index.simple_url, environ=environ)
    assert result.returncode == 0, result.stdout + result.stderr
    assert (target / "widget" / "__init__.py").exists()


def test_the_pypi_attestations_command_line_reads_what_was_signed(dist: Path, clean_environ: dict[str, str]) -> None:
    """Broken: the sidecars that these tests upload would not be what the library's own tool understands."""
    sidecars = [str(path) for path in sorted(dist.glob("*.attestation"))]
    result = _run("pypi_attestations", "inspect", *sidecars, environ=clean_environ)
    assert result.returncode == 0, result.stdout + result.stderr
    for artifact in ARTIFACTS:
        assert f"{artifact.filename} (digest: {artifact.sha256})" in result.stdout + result.stderr


def test_no_upload_token_is_in_what_the_sandbox_records(
    sandbox: Sandbox, dist: Path, upload_token: str, clean_environ: dict[str, str]
) -> None:
    """Broken: the list of requests, which a rehearsal reports, would hold a credential."""
    assert _twine(sandbox, dist, upload_token, clean_environ, "--attestations").returncode == 0
    assert upload_token not in json.dumps([vars(request) for request in sandbox.requests])

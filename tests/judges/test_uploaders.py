"""Other uploaders carry our sidecars to an index that verifies them; our publisher carries another signer's."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from tests.judges.real_sigstore import RealSigstore
    from tests.judges.report import Report
    from tests.judges.workshop import JudgedSandbox, Project

# `pypi-attestations sign` knows the public instances only, and refreshes their trusted root: it gets the cached one.
SIGN_OFFLINE = """
from pypi_attestations._cli import main
from sigstore.models import ClientTrustConfig
production = ClientTrustConfig.production
ClientTrustConfig.production = lambda: production(offline=True)
main()
"""


@pytest.fixture
def project(tmp_path: Path, surroundings: dict[str, str], judged: JudgedSandbox) -> Project:
    """Make a project with a wheel and an sdist; the sandbox's index has its Trusted Publisher."""
    from tests.judges.workshop import Project
    from tests.sandbox.index_support import sdist, wheel

    judged.index.add_publisher("widget", repository="octo-org/widget", workflow="release.yml")
    return Project.of(tmp_path / "project", {**surroundings, **judged.environment}, [sdist(), wheel()])


def _assert_all_arrived(project: Project, sandbox: JudgedSandbox) -> None:
    from tests.judges.workshop import served

    assert len(project.sidecars()) == 2
    assert served(sandbox, "widget", "1.0") == project.sidecars()


def test_twine_carries_our_sidecars(project: Project, judged: JudgedSandbox, report: Report) -> None:
    """Broken if users of `twine upload --attestations` cannot use what our hook wrote."""
    from tests.judges.workshop import minted_token

    assert project.attest("sign", "dist").code == 0
    project.environ |= {"TWINE_USERNAME": "__token__", "TWINE_PASSWORD": minted_token(judged)}
    for variable in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):  # requests prefers them to --cert
        project.environ.pop(variable, None)
    done = project.run(
        *(sys.executable, "-m", "twine", "upload", "--non-interactive", "--attestations", "--disable-progress-bar"),
        *("--repository-url", judged.index.upload_url, "--cert", str(judged.directory / "ca.pem")),
        *(str(path) for path in project.dist.iterdir()),
    )
    assert done.code == 0, done.output
    _assert_all_arrived(project, judged)
    report.uploaders["twine upload --attestations"] = "carried our sidecars"


def test_uv_carries_our_sidecars(project: Project, judged: JudgedSandbox, report: Report) -> None:
    """Broken if users of `uv publish` cannot use what our hook wrote."""
    from tests.judges.workshop import minted_token

    assert project.attest("sign", "dist").code == 0
    project.environ |= {"UV_PUBLISH_TOKEN": minted_token(judged), "SSL_CERT_FILE": str(judged.directory / "ca.pem")}
    done = project.run(
        *(sys.executable, "-m", "uv", "publish", "--trusted-publishing", "never"),
        *("--publish-url", judged.index.upload_url, "dist/*"),
    )
    assert done.code == 0, done.output
    _assert_all_arrived(project, judged)
    report.uploaders["uv publish"] = "carried our sidecars"


def test_our_publisher_carries_the_sidecars_of_pypi_attestations(
    project: Project, judged: JudgedSandbox, real: RealSigstore, report: Report
) -> None:
    """Broken if whoever signs with another tool could not publish with ours."""
    from tests.judges.verifiers import as_production

    environ = dict(project.environ)
    project.environ |= as_production(real.directory)
    files = [str(path) for path in project.artifacts()]
    signed = project.run(sys.executable, "-c", SIGN_OFFLINE, "sign", *files)
    assert signed.code == 0, signed.output
    project.environ = environ
    published = project.publish()
    assert published.code == 0, published.output
    _assert_all_arrived(project, judged)
    report.uploaders["hatch publish -p attest"] = "carried the sidecars of `pypi-attestations sign`"

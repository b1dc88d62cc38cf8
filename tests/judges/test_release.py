"""Releases signed by the real Sigstore, from the build to the index; and the services' refusals, in their own words."""

from __future__ import annotations

import base64
import json
import shutil
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.judges.real_sigstore import RealSigstore
    from tests.judges.report import Report
    from tests.judges.workshop import JudgedSandbox, Project

    Alteration = Callable[[RealSigstore, bytes, dict[str, str]], bytes]

EXAMPLE = Path(__file__).parents[2] / "example-project"
EXAMPLE_NAME = "roman-digits"


@pytest.fixture
def example(tmp_path: Path, surroundings: dict[str, str], judged: JudgedSandbox) -> Project:
    """Copy the example project; the sandbox's index has its Trusted Publisher."""
    from tests.judges.workshop import Project

    judged.index.add_publisher(EXAMPLE_NAME, repository="octo-org/widget", workflow="release.yml")
    shutil.copytree(EXAMPLE, tmp_path / "example", ignore=shutil.ignore_patterns("dist"))
    return Project(tmp_path / "example", {**surroundings, **judged.environment})


def test_a_release_is_signed_by_the_build_published_and_verified_by_all(
    example: Project, judged: JudgedSandbox, real: RealSigstore, report: Report, node_modules: Path
) -> None:
    """Broken if our hook and our publisher work with our own sandbox only."""
    from tests.judges.cases import Case, write_other_forms
    from tests.judges.verifiers import VERIFIERS
    from tests.judges.workshop import served

    built = example.hatch("build")
    assert built.code == 0, built.output
    wheel, sdist = example.artifacts()
    assert set(example.sidecars()) == {wheel.name, sdist.name}

    verified = example.attest("verify", "--repository", "octo-org/widget", "--workflow", "release.yml", "dist")
    assert verified.code == 0, verified.output
    published = example.publish()
    assert published.code == 0, published.output
    report.figures["example project, hatch build (cold environment)"] = f"{built.seconds:.1f} s"
    report.figures["example project, hatch publish -p attest"] = f"{published.seconds:.1f} s"
    assert served(judged, EXAMPLE_NAME, "1.0.0") == example.sidecars()

    assert node_modules.exists()
    for artifact in (wheel, sdist):
        folder = example.root / f"judged {artifact.name}"
        folder.mkdir()
        for path in (artifact, Case(artifact).sidecar):
            shutil.copy(path, folder)
        case = Case(folder / artifact.name)
        write_other_forms(case)
        for name, verify in VERIFIERS.items():
            verdict = verify(case, real.directory)
            assert verdict.accepted, f"{name}: {verdict.words}"


def test_a_hundred_artifacts_are_signed_and_published(
    tmp_path: Path, surroundings: dict[str, str], judged: JudgedSandbox, real: RealSigstore, report: Report
) -> None:
    """Broken if a large release is lost to an expiry, a time-out or an order of magnitude."""
    from tests.judges.workshop import HUNDRED, Project, served

    judged.index.add_publisher("widget", repository="octo-org/widget", workflow="release.yml")
    project = Project.of(tmp_path / "large", {**surroundings, **judged.environment}, HUNDRED)
    entries = len(real.log.entries)
    signed = project.attest("sign", "dist")
    assert signed.code == 0, signed.output
    assert len(real.log.entries) - entries == len(project.sidecars()) == 100
    published = project.publish()
    assert published.code == 0, published.output
    report.figures["100 artifacts, hatch-attest sign"] = f"{signed.seconds:.1f} s"
    report.figures["100 artifacts, hatch publish -p attest"] = f"{published.seconds:.1f} s"
    assert served(judged, "widget", "1.0") == project.sidecars()


def _with_token(**claims: Any) -> Alteration:
    """Send another token than the client's."""

    def alter(real: RealSigstore, body: bytes, headers: dict[str, str]) -> bytes:
        headers["Authorization"] = f"Bearer {real.issuer.token(**{'audience': 'sigstore', **claims})}"
        return body

    return alter


def _with_damaged_request(_real: RealSigstore, body: bytes, _headers: dict[str, str]) -> bytes:
    """Change the last byte of the signing request, one of its signature's."""
    document = json.loads(body)
    lines = base64.b64decode(document["certificateSigningRequest"]).decode().splitlines()
    der = bytearray(base64.b64decode("".join(lines[1:-1])))
    der[-1] ^= 1
    pem = f"{lines[0]}\n{base64.encodebytes(bytes(der)).decode()}{lines[-1]}\n"
    document["certificateSigningRequest"] = base64.b64encode(pem.encode()).decode()
    return json.dumps(document).encode()


def _with_another_payload(_real: RealSigstore, body: bytes, _headers: dict[str, str]) -> bytes:
    """Change what was signed."""
    document = json.loads(body)
    content = document["spec"]["proposedContent"]
    envelope = json.loads(content["envelope"])
    envelope["payload"] = base64.b64encode(b"{}").decode()
    content["envelope"] = json.dumps(envelope)
    return json.dumps(document).encode()


def _as_it_is(_real: RealSigstore, body: bytes, _headers: dict[str, str]) -> bytes:
    return body


BAD_TOKEN = "400: There was an error processing the identity token"  # noqa: S105 - Fulcio's words
REFUSALS: dict[str, tuple[str, Alteration, str]] = {
    "Fulcio: wrong audience": ("caUrls", _with_token(audience="pypi"), BAD_TOKEN),
    "Fulcio: expired token": ("caUrls", _with_token(exp=1), BAD_TOKEN),
    "Fulcio: unknown issuer": ("caUrls", _with_token(iss="https://issuer.example"), BAD_TOKEN),
    "Fulcio: claim missing": (
        "caUrls",
        _with_token(job_workflow_sha=None),
        "400: value <job_workflow_sha> not present in either claims or defaults",
    ),
    "Fulcio: bad proof of possession": (
        "caUrls",
        _with_damaged_request,
        "400: The signature supplied in the request could not be verified",
    ),
    "Rekor: bad signature": (
        "rekorTlogUrls",
        _with_another_payload,
        "400: error processing entry: could not verify envelope: accepted signatures do not match threshold",
    ),
    "Rekor: equal entry": (
        "rekorTlogUrls",
        _as_it_is,
        "409: an equivalent entry already exists in the transparency log with UUID",
    ),
}


@pytest.fixture(scope="module")
def told(report: Report) -> Iterator[list[list[str]]]:
    """Collect what users are told, for the table."""
    told: list[list[str]] = []
    yield told
    report.table("the real services' refusals, as hatch-attest tells them", ["refusal", "message"], told)


@pytest.mark.parametrize("refusal", REFUSALS)
def test_a_refusal_is_told_in_the_service_s_own_words(
    refusal: str, tmp_path: Path, surroundings: dict[str, str], real: RealSigstore, told: list[list[str]]
) -> None:
    """Broken if sigstore-python's `FulcioClientError('')` or a traceback is all that a user sees."""
    from tests.judges.relay import relay
    from tests.judges.workshop import Project
    from tests.sandbox.index_support import wheel

    services, alter, words = REFUSALS[refusal]
    config = json.loads(json.dumps(real.config))
    (service,) = config["signingConfig"][services]
    times = 2 if refusal == "Rekor: equal entry" else 1
    with relay(service["url"], partial(alter, real), times) as service["url"]:
        (tmp_path / "trust_config.json").write_text(json.dumps(config), encoding="utf-8")
        project = Project.of(tmp_path / "refused", surroundings, [wheel()])
        project.environ |= {
            "SIGSTORE_IDENTITY_TOKEN": real.issuer.token("sigstore"),
            "HATCH_ATTEST_SIGSTORE": str(tmp_path / "trust_config.json"),
        }
        done = project.attest("sign", "dist")
    output = " ".join(done.output.split())
    told.append([refusal, output.partition("hatch-attest: ")[2] or output])
    assert done.code == 1, done.output
    assert words in output, done.output
    assert "Traceback" not in output
    assert not project.sidecars()

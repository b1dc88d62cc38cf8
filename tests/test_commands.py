"""`hatch-attest sign` and `hatch-attest verify`: the gate's parts without an upload, in any CI and by hand."""

from __future__ import annotations

import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from hatch_attest.commands import expected_signer, run_sign, run_verify
from hatch_attest.errors import AttestError, ConfigurationError
from hatch_attest.options import TrustedPublisher
from hatch_attest.sandbox import EmailIdentity, GitHubIdentity, GitLabIdentity
from tests.publishing import Job, SilentDisplay, environment
from tests.sandbox.index_support import wheel

if TYPE_CHECKING:
    from pathlib import Path

    from hatch_attest.sandbox import Sandbox

PUBLISHER = 'publisher = {kind = "GitHub", repository = "octo-org/widget", workflow = "release.yml"}'
GITHUB = TrustedPublisher("GitHub", "octo-org/widget", "release.yml")


@pytest.fixture
def job(tmp_path: Path, sandbox: Sandbox, clean_environ: dict[str, str]) -> Job:
    """A job with a project of two artifacts."""
    made = Job(tmp_path / "my prøject", sandbox, clean_environ)
    made.configure(hook=PUBLISHER)
    made.add_release()
    return made


def sign(job: Job, *files: str, interactive: bool = False) -> list[str]:
    """Sign as the job; returns what was said."""
    display = SilentDisplay()
    with environment(job.environ):
        assert run_sign(files or ["dist"], job.root, interactive=interactive, display=display, environ=job.environ)
    return display.lines


def verify(job: Job, *files: str, expected: TrustedPublisher | str | None = None) -> tuple[bool, list[str]]:
    """Verify; returns whether all held, and what was said."""
    display = SilentDisplay()
    held = run_verify(files or ["dist"], job.root, expected=expected, display=display, environ=job.environ)
    return held, display.lines


def command(job: Job, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run `hatch-attest` as users do."""
    return subprocess.run(
        [sys.executable, "-m", "hatch_attest", *arguments],
        cwd=job.root, env=job.environ, capture_output=True, encoding="utf-8", check=False, timeout=120,
    )  # fmt: skip


def test_signing_again_signs_nothing_again(job: Job) -> None:
    """A rerun must not fill the log."""
    first, second = sign(job), sign(job)

    assert job.entries() == 2
    assert [line for line in first if line.startswith("signed")] == first[1:3]
    assert second[-1] == "2 verified"


def test_a_repaired_wheel_is_signed_beside_the_others(job: Job) -> None:
    """Auditwheel and delocate make another file after the build."""
    sign(job)
    job.add(wheel(tag="cp312-cp312-manylinux2014_x86_64"))

    said = sign(job, "dist/*.whl")

    assert job.entries() == 3
    assert said[-1] in {"1 signed, 1 verified", "1 verified, 1 signed"}


def test_a_name_that_leaves_no_room_for_its_sidecar_is_refused_before_anything_is_signed(job: Job) -> None:
    """The log would have the entry, and the file system not the file."""
    (job.dist / f"{'w' * 240}-1.0.tar.gz").write_bytes(b"its name is all that is read of it")

    with pytest.raises(AttestError) as caught:
        sign(job)

    assert caught.value.code == "sidecar-unwritable"
    assert job.entries() == 0


def test_one_that_does_not_hold_stops_the_signing(job: Job) -> None:
    """It is never signed over: that would hide what happened between build and now."""
    sign(job)
    path = job.dist / "widget-1.0.tar.gz"
    path.write_bytes(b"else")
    with pytest.raises(AttestError) as caught:
        sign(job)

    assert caught.value.code == "attestation-digest"
    assert "delete its sidecar and sign again" in str(caught.value)
    job.sidecar(path).unlink()
    sign(job)
    assert job.entries() == 3


def test_another_identity_than_the_publishers_signs_nothing(job: Job) -> None:
    """Before a certificate is asked for."""
    job.sandbox.issuer.identity = GitHubIdentity(workflow="nightly.yml")
    with pytest.raises(AttestError) as caught:
        sign(job)

    assert caught.value.code == "signing-identity"
    assert job.sandbox.count("authority") == job.entries() == 0


def test_without_an_identity_nothing_is_signed(job: Job) -> None:
    """And no browser opens unasked."""
    job.play({"HATCH_ATTEST_SIGSTORE": job.sandbox.environment["HATCH_ATTEST_SIGSTORE"]})
    with pytest.raises(AttestError) as caught:
        sign(job)

    assert caught.value.code == "attestation-missing"
    assert "no identity is at hand" in str(caught.value)


def test_a_person_signs_by_the_command_through_one_login(job: Job) -> None:
    """`sign --interactive`: the browser is asked once for all files."""
    job.configure()
    job.play({"HATCH_ATTEST_SIGSTORE": job.sandbox.environment["HATCH_ATTEST_SIGSTORE"]})
    script = job.home / "browser.py"
    script.write_text("import sys, urllib.request\nurllib.request.urlopen(sys.argv[1], timeout=30).read()\n")
    job.environ["BROWSER"] = f'"{sys.executable}" "{script}" %s'
    person = job.sandbox.issuer.person.email

    signed = command(job, "sign", "--interactive", "dist")
    held = command(job, "verify", "--email", person, "dist")
    other = command(job, "verify", "--email", "somebody@else.example", "dist")

    assert signed.returncode == 0, signed.stdout + signed.stderr
    assert job.sandbox.count("issuer", "GET", "/auth/authorize") == 1
    assert (held.returncode, other.returncode) == (0, 1)
    assert f"was signed by {person} (by https://github.com/login/oauth), not by somebody@else.example" in other.stderr


def test_verification_needs_no_network_and_no_identity(job: Job) -> None:
    """It is for any CI; the trust is a file here."""
    sign(job)
    job.play({"HATCH_ATTEST_SIGSTORE": job.sandbox.environment["HATCH_ATTEST_SIGSTORE"]})
    before = len(job.sandbox.requests)

    held, said = verify(job)

    assert held
    assert said[-1] == "2 verified"
    assert len(job.sandbox.requests) == before


@pytest.mark.parametrize(
    ("expected", "held"),
    [
        (GITHUB, True),
        (TrustedPublisher("GitHub", "octo-org/widget", "nightly.yml"), False),
        (TrustedPublisher("GitLab", "octo-org/widget", ".gitlab-ci.yml"), False),
        ("octocat@example.com", False),
    ],
)
def test_who_is_expected_decides(job: Job, expected: TrustedPublisher | str, *, held: bool) -> None:
    """A valid signature by somebody else is the attack."""
    sign(job)

    assert verify(job, expected=expected)[0] is held


def test_a_gitlab_pipelines_attestation_is_verified_as_one(job: Job) -> None:
    """GitLab's identities are PyPI's as well."""
    job.configure()
    job.sandbox.issuer.identity = GitLabIdentity()
    job.play(job.sandbox.environment)
    sign(job)

    assert verify(job, expected=TrustedPublisher("GitLab", "octo-org/widget", ".gitlab-ci.yml"))[0]
    assert not verify(job, expected=GITHUB)[0]


def test_no_attestation_never_counts_as_verified(job: Job) -> None:
    """pypi-attestations prints OK for nothing; here it fails, and says of which file."""
    sign(job, "dist/widget-1.0.tar.gz")

    held, said = verify(job)

    assert not held
    assert "widget-1.0-py3-none-any.whl: without an attestation: there is no sidecar beside it" in "\n".join(said)
    assert said[-1] == "1 verified, 1 refused"


def test_every_failure_is_said_not_only_the_first(job: Job) -> None:
    """Whoever looks into it wants the whole picture."""
    sign(job)
    for path in ("widget-1.0.tar.gz", "widget-1.0-py3-none-any.whl"):
        (job.dist / path).write_bytes(b"else")

    held, said = verify(job)

    assert not held
    assert sum("is not the file that was signed" in line for line in said) == 2


def test_nobody_expected_is_a_mistake(job: Job) -> None:
    """That anybody signed is no verification."""
    job.configure()
    with pytest.raises(ConfigurationError, match="whom to expect is not known"):
        verify(job)


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ((None, None, None, None), None),
        (("octo-org/widget", "release.yml", None, None), GITHUB),
        ((None, ".gitlab-ci.yml", "g/s/p", None), TrustedPublisher("GitLab", "g/s/p", ".gitlab-ci.yml")),
        ((None, None, None, "a@b.example"), "a@b.example"),
    ],
)
def test_flags_say_whom_to_expect(
    flags: tuple[str | None, str | None, str | None, str | None], expected: TrustedPublisher | str | None
) -> None:
    """As PyPI's own publishers are spelled."""
    assert expected_signer(*flags) == expected


@pytest.mark.parametrize(
    ("flags", "problem"),
    [
        (("octo-org/widget", None, None, None), "--repository: needs --workflow"),
        ((None, None, "g/p", None), "--gitlab-project: needs --workflow"),
        ((None, "release.yml", None, None), "--workflow: needs --repository"),
        (("https://github.com/octo-org/widget", "release.yml", None, None), "must be owner/name"),
        (("octo-org/widget", ".github/workflows/release.yml", None, None), "must be the file name alone"),
        ((None, None, None, "nobody"), "--email: takes an e-mail address"),
        ((None, "release.yml", None, "a@b.example"), "--email: takes an e-mail address"),
    ],
)
def test_flags_that_do_not_fit_are_explained(
    flags: tuple[str | None, str | None, str | None, str | None], problem: str
) -> None:
    """A typo must not verify against nobody."""
    with pytest.raises(ConfigurationError, match=problem):
        expected_signer(*flags)


def test_the_commands_exit_codes_are_the_contracts(job: Job) -> None:
    """0 all held, 1 something did not, 2 bad usage or configuration."""
    unsigned = command(job, "verify", "dist")
    signed = command(job, "sign", "dist")
    verified = command(job, "verify", "dist")
    usage = command(job, "verify", "--repository", "octo-org/widget", "dist")
    missing = command(job, "verify", "nowhere")

    codes = [each.returncode for each in (unsigned, signed, verified, usage, missing)]
    assert codes == [1, 0, 0, 2, 1], [each.stderr for each in (unsigned, signed, verified, usage, missing)]
    assert "Traceback" not in unsigned.stderr + usage.stderr + missing.stderr


def test_sidecars_of_the_pypi_attestations_command_line_are_ours(job: Job) -> None:
    """What `pypi_attestations sign` leaves beside a file is published and verified like our own."""
    from tests.sandbox.index_support import Artifact
    from tests.sandbox.index_support import sign as library_sign

    for path in sorted(job.dist.iterdir()):
        artifact = Artifact(path.name, path.read_bytes(), "widget", "1.0")
        (attestation,) = library_sign(job.sandbox, artifact)
        job.sidecar(path).write_text(attestation.model_dump_json(), encoding="utf-8")

    assert verify(job)[0]
    assert sign(job)[-1] == "2 verified"


def test_a_copy_of_a_signed_release_verifies_anywhere(job: Job, tmp_path: Path) -> None:
    """A consumer has the files and no project."""
    sign(job)
    elsewhere = tmp_path / "elsewhere"
    shutil.copytree(job.dist, elsewhere / "files")
    display = SilentDisplay()

    assert run_verify(["files"], elsewhere, expected=GITHUB, display=display, environ=job.environ)


def test_an_email_identity_of_a_job_is_named(job: Job) -> None:
    """The issuer is said as well: who vouches for the address."""
    job.configure()
    token = job.sandbox.issuer.token("sigstore", identity=EmailIdentity(email="octocat@example.com"))
    job.environ["SIGSTORE_IDENTITY_TOKEN"] = token

    assert any("signed widget-1.0.tar.gz as octocat@example.com (by https://" in line for line in sign(job))


def test_the_hooks_tables_are_read_from_hatch_toml_as_well(job: Job) -> None:
    """Its `build` table replaces that of `pyproject.toml`, for hatchling and for us."""
    sign(job)
    job.root.joinpath("hatch.toml").write_text(
        f"[build.hooks.attest]\n{PUBLISHER.replace('release.yml', 'nightly.yml')}\n", encoding="utf-8"
    )

    assert not verify(job)[0]


@pytest.mark.parametrize("name", ["pyproject.toml", "hatch.toml"])
def test_a_configuration_that_is_no_toml_is_named(job: Job, name: str) -> None:
    """With the file, not a traceback."""
    job.root.joinpath(name).write_text("[", encoding="utf-8")
    with pytest.raises(ConfigurationError, match=name):
        verify(job)


def test_what_was_done_is_in_the_jobs_summary(job: Job) -> None:
    """Reviewers look there."""
    job.environ["GITHUB_STEP_SUMMARY"] = str(job.home / "summary.md")
    sign(job)
    verify(job)

    text = (job.home / "summary.md").read_text(encoding="utf-8")
    assert "### hatch-attest: sign, ok" in text
    assert "### hatch-attest: verify, ok" in text

"""`hatch publish -p attest` as users run it: Hatch's flags, variables, prompts and config, and what it shows."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from hatch_attest.sandbox.index import Index
from hatch_attest.sandbox.index.reason import ReasonProtocol
from hatch_attest.sandbox.server import Loopback
from tests.publishing import Job

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from hatch_attest.sandbox import Sandbox

PUBLISHER = 'publisher = {kind = "GitHub", repository = "octo-org/widget", workflow = "release.yml"}'


@pytest.fixture
def job(tmp_path: Path, sandbox: Sandbox, clean_environ: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Job:
    """A job that may publish `widget`."""
    monkeypatch.setattr("hatch_attest.retries._FIRST_WAIT", 0.01)
    monkeypatch.setattr("hatch_attest.gate.proof.PATIENCE", 0.2)
    sandbox.index.add_publisher("widget", repository="octo-org/widget", workflow="release.yml")
    return Job(tmp_path / "my prøject", sandbox, clean_environ)


@pytest.fixture
def pulp(sandbox: Sandbox) -> Iterator[Index]:
    """An index of Pulp's kind: passwords, attestations by anybody."""
    loopback = Loopback()
    listener = loopback.listen("index", protocol=ReasonProtocol)
    index = Index({}, sandbox.trusted_root, passwords={"me": "hunter2"}, trusted_publishing=False)
    index.upload_url = f"{listener.url}/legacy/"
    listener.app = index.app
    with loopback:
        yield index
    index.close()


# --- In processes of its own ---------------------------------------------------------------------------------------


def test_a_release_goes_out_by_the_real_command(job: Job) -> None:
    """All of it as in CI: a process, a fresh environment, no terminal."""
    job.add_release()

    run = job.process()

    assert run.code == 0, run.output
    assert run.states == {"widget-1.0.tar.gz": "uploaded", "widget-1.0-py3-none-any.whl": "uploaded"}
    assert set(job.on_index()) == set(run.states)
    assert "publishing as GitHub octo-org/widget release.yml" in run.output
    assert run.output.count("index: file and attestations as sent") == 2
    assert "\x1b" not in run.output


def test_a_refused_release_ends_by_hatchs_abort(job: Job) -> None:
    """A message and an exit code; the traceback is for `-v`."""
    path = job.add_release()[0]
    job.sign()
    path.write_bytes(b"else")

    quiet, verbose = job.process(), job.process(hatch=["-v"])

    assert (quiet.code, verbose.code) == (1, 1)
    assert quiet.output.splitlines()[-1].startswith("attest: widget-1.0.tar.gz is not the file that was signed")
    assert "Traceback" not in quiet.output
    assert "VerificationError" in verbose.output
    assert job.uploads() == 0


def test_the_publisher_is_chosen_by_hatchs_variable(job: Job) -> None:
    """`HATCH_PUBLISHER=attest`, and options by `HATCH_PUBLISHER_OPTIONS`."""
    job.add_release()
    job.environ |= {"HATCH_PUBLISHER": "attest", "HATCH_PUBLISHER_OPTIONS": "dry-run=true attestations=auto"}

    run = job.process(json=False)

    assert run.code == 0, run.output
    assert "would sign and upload" in run.output
    assert job.exchanges() == job.uploads() == job.entries() == 0


# --- Hatch's own conventions ---------------------------------------------------------------------------------------


def test_a_disabled_publisher_asks_first(job: Job) -> None:
    """`disable` is Hatch's; `--yes` confirms."""
    job.add_release()
    job.configure(publish="disable = true")

    refused, confirmed = job.publish(), job.publish("--yes")

    assert "Publisher is disabled: attest" in refused.output
    assert (refused.code, confirmed.code) == (1, 0)


def test_a_dry_run_does_nothing_that_cannot_be_undone(job: Job) -> None:
    """It checks all the same, and says what would follow."""
    job.sign(job.add_release()[0])
    entries = job.entries()

    run = job.publish("-o", "dry-run=true")

    assert run.code == 0
    assert run.states == {"widget-1.0.tar.gz": "would upload", "widget-1.0-py3-none-any.whl": "would sign and upload"}
    assert run.report["outcome"] == "dry run"
    assert (job.entries(), job.exchanges(), job.uploads()) == (entries, 0, 0)
    assert {path.name for path in job.dist.iterdir()} == {
        "widget-1.0.tar.gz", "widget-1.0.tar.gz.publish.attestation", "widget-1.0-py3-none-any.whl"
    }  # fmt: skip


def test_a_dry_run_finds_what_a_run_would(job: Job) -> None:
    """Else nobody could rely on it."""
    path = job.add_release()[0]
    job.sign()
    path.write_bytes(b"else")

    assert job.publish("-o", "dry-run=true").report["failure"]["code"] == "attestation-digest"


def test_a_person_is_asked_for_credentials(job: Job, pulp: Index) -> None:
    """Hatch asks in the same words; the answer to the second question is not shown."""
    job.add_release()
    job.configure(hook=PUBLISHER)
    job.environ["HATCH_INDEX_REPO"] = pulp.upload_url
    pulp.create_project("widget", owner="me")

    run = job.publish(typed="me\nhunter2\n")

    assert run.code == 0, run.output
    assert f"Username for '{pulp.upload_url}' [__token__]" in run.output
    assert "hunter2" not in run.output
    assert len(pulp.files("widget")) == 2
    assert all(file.provenance for file in pulp.files("widget"))


def test_a_password_index_takes_attestations_of_the_configured_publisher(job: Job, pulp: Index) -> None:
    """Pulp and the like: what is expected there is what the project says."""
    job.add_release()
    job.configure(hook=PUBLISHER)
    pulp.create_project("widget", owner="me")

    run = job.publish("-r", pulp.upload_url, "-u", "me", "-a", "hunter2")

    assert run.code == 0, run.output
    assert run.report["identity"] == "GitHub octo-org/widget release.yml"
    assert run.report["credentials"] == "the password of me (given for this run)"
    assert all(file["proof"] == "file and attestations as sent" for file in run.report["files"])


def test_without_a_configured_publisher_the_identity_is_not_checked_and_that_is_said(job: Job, pulp: Index) -> None:
    """A report that looked the same would promise what nobody checked."""
    job.add_release()
    pulp.create_project("widget", owner="me")

    run = job.publish("-r", pulp.upload_url, "-u", "me", "-a", "hunter2")

    assert run.code == 0
    assert "warning: identity not checked" in run.output
    assert run.report["identity"] == "not checked"


def test_another_signer_than_the_configured_publisher_is_refused_at_a_password_index(job: Job, pulp: Index) -> None:
    """The index itself would take it."""
    job.add_release()
    job.sign()
    job.configure(hook=PUBLISHER.replace("octo-org", "octo-corp"))

    run = job.publish("-r", pulp.upload_url, "-u", "me", "-a", "hunter2")

    assert run.report["failure"]["code"] == "attestation-identity"
    assert pulp.files("widget") == ()


def test_an_index_without_the_integrity_api_is_said_not_failed(job: Job, sandbox: Sandbox) -> None:
    """Most private indexes have none."""
    loopback = Loopback()
    listener = loopback.listen("index", protocol=ReasonProtocol)
    index = Index(sandbox.issuer.issuers(), sandbox.trusted_root, integrity_api=False)
    listener.app = index.app
    index.create_project("widget")
    index.add_publisher("widget", repository="octo-org/widget", workflow="release.yml")
    job.add_release()
    with loopback:
        run = job.publish("-r", f"{listener.url}/legacy/")
    index.close()

    assert run.code == 0, run.output
    assert run.output.count("index: serves no attestations") == 2
    assert "warning: the index serves no attestations of 2 files: it has no Integrity API, or keeps none" in run.output


def test_a_keyring_of_the_users_is_asked(job: Job, pulp: Index) -> None:
    """In a process of its own: the backend is chosen by its variable, as on a desktop."""
    job.add_release()
    job.configure(hook=PUBLISHER)
    pulp.create_project("widget", owner="me")
    backend = job.home / "backends"
    backend.mkdir()
    (backend / "desktop.py").write_text(
        "from keyring.backend import KeyringBackend\n"
        "class Keyring(KeyringBackend):\n"
        "    priority = 1\n"
        f"    def get_password(self, service, username): return 'hunter2' if service == {pulp.upload_url!r} else None\n"
        "    def set_password(self, service, username, password): pass\n",
        encoding="utf-8",
    )
    paths = os.pathsep.join([str(backend), str(Path(__file__).parent.parent)])
    job.environ |= {"PYTHON_KEYRING_BACKEND": "desktop.Keyring", "PYTHONPATH": paths}

    run = job.process("-r", pulp.upload_url, "-u", "me")

    assert run.code == 0, run.output
    assert run.report["credentials"] == "the password of me (keyring)"


def test_the_secrets_of_flags_do_not_show(job: Job, pulp: Index) -> None:
    """Not in the output, not under `-v`, not in the report."""
    job.add_release()

    run = job.publish("-r", pulp.upload_url, "-u", "me", "-a", "wrong-hunter2", hatch=["-vv"])

    assert run.report["failure"]["code"] == "upload-credentials"
    assert "hunter2" not in run.output + json.dumps(run.report)


def test_initialize_auth_is_said_to_do_nothing(job: Job) -> None:
    """A flag that is ignored in silence is worse than none."""
    job.add_release()

    assert "--initialize-auth saves nothing" in job.publish("--initialize-auth").output


# --- What it shows -------------------------------------------------------------------------------------------------


def test_a_terminal_gets_a_table(job: Job) -> None:
    """People read columns; machines read lines."""
    job.add_release()
    job.environ["COLUMNS"] = "200"

    run = job.publish(hatch=["--color"])

    assert run.code == 0
    assert "signed by" in run.output
    assert "index: file and attestations as sent" not in run.output


def test_quiet_leaves_warnings_and_failures(job: Job) -> None:
    """`-q` is for whoever reads the exit code."""
    job.add_release()
    job.dist.joinpath("notes.txt").touch()

    run = job.publish("dist/*", hatch=["-q"])

    assert run.code == 0
    assert (
        run.output.strip()
        == f"attest: warning: {job.dist / 'notes.txt'} is neither a wheel nor an sdist, and is left out"
    )


def test_a_job_summary_is_written_for_github(job: Job) -> None:
    """Reviewers of a release look there, not into the log."""
    job.add_release()
    summary = job.home / "summary.md"
    job.environ["GITHUB_STEP_SUMMARY"] = str(summary)

    job.publish()

    text = summary.read_text(encoding="utf-8")
    assert text.startswith("### hatch-attest: publish, ok\n")
    assert "| `widget-1.0.tar.gz` | uploaded | publish (signed) | `octo-org/widget, workflow release.yml at" in text


def test_the_report_of_a_failed_run_says_how_far_it_got(job: Job) -> None:
    """Whoever watches a release by machine needs it most when it fails."""
    job.add_release(3)
    job.sandbox.faults.add("index", "POST", "/legacy/", ("status", 400, "no"), after=1, times=9)

    run = job.publish()

    assert run.code == 1
    assert run.report["outcome"] == "failed"
    assert run.report["failure"]["code"] == "upload-refused"
    assert list(run.states.values()) == ["uploaded", "not uploaded", "not uploaded"]
    assert run.report["files"][0]["attestations"][0]["log_index"] == 0


def test_a_report_that_cannot_be_written_is_said(job: Job) -> None:
    """The release is out; only the report is missing."""
    job.add_release()

    run = job.publish("-o", "json=no/such/report.json", json=False)

    assert run.code == 1
    assert "The report" in run.output
    assert len(job.on_index()) == 2


@pytest.mark.skipif(sys.platform == "win32", reason="permissions are another matter there")
@pytest.mark.skipif(hasattr(os, "geteuid") and os.geteuid() == 0, reason="root may write everywhere")
def test_a_directory_without_write_permission_is_known_before_the_first_signature(job: Job) -> None:
    """A log entry whose sidecar cannot be kept is lost."""
    job.add_release()
    job.dist.chmod(0o500)

    run = job.publish()

    job.dist.chmod(0o700)
    assert run.report["failure"]["code"] == "sidecar-unwritable"
    assert job.entries() == 0


def test_without_the_extra_the_command_to_install_it_is_said(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    """`pip install hatch hatch-attest` is what many will try first."""
    job.add_release()
    monkeypatch.setattr("hatch_attest.publisher._MODULES", ("twine", "no_such_module"))

    run = job.publish()

    assert run.code == 1
    assert 'beside Hatch (no_such_module). pip install "hatch-attest[publish]"' in run.output


def test_an_unexpected_error_is_no_traceback(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody's release ends in one; whoever reports it finds it under `-v`."""

    def break_down(*_: object) -> None:
        raise RuntimeError("a defect")

    job.add_release()
    monkeypatch.setattr("hatch_attest.gate.release.collect", break_down)

    run = job.publish()

    assert run.code == 1
    assert "attest: Something unexpected happened: RuntimeError: a defect. Please report it" in run.output
    assert run.report["failure"]["code"] == "unexpected"


# --- Interactive ---------------------------------------------------------------------------------------------------


def browser(job: Job) -> None:
    """Let a browser be a program that follows the login's redirects, as one in which somebody is signed in."""
    script = job.home / "browser.py"
    script.write_text("import sys, urllib.request\nurllib.request.urlopen(sys.argv[1], timeout=30).read()\n")
    job.environ["BROWSER"] = f'"{sys.executable}" "{script}" %s'


def test_interactive_signing_asks_for_the_browser_once(job: Job, pulp: Index) -> None:
    """One login for all files, and never by itself."""
    job.add_release(3)
    job.play({"HATCH_ATTEST_SIGSTORE": job.sandbox.environment["HATCH_ATTEST_SIGSTORE"]})
    browser(job)
    pulp.create_project("widget", owner="me")
    credentials = ("-r", pulp.upload_url, "-u", "me", "-a", "hunter2")

    refused = job.process(*credentials)
    run = job.process(*credentials, "-o", "interactive=true")

    assert refused.report["failure"]["code"] == "attestation-missing"
    assert run.code == 0, run.output
    assert job.sandbox.count("issuer", "GET", "/auth/authorize") == 1
    assert {each["signer"] for file in run.report["files"] for each in file["attestations"]} == {
        f"{job.sandbox.issuer.person.email} (by https://github.com/login/oauth)"
    }


# --- Beside other uploaders ----------------------------------------------------------------------------------------


def twine(job: Job) -> list[str]:
    """The command of twine."""
    files = [str(path) for path in sorted(job.dist.iterdir())]
    return [
        *("twine", "upload", "--non-interactive", "--disable-progress-bar", "--attestations"),
        *("--repository-url", job.sandbox.index.upload_url, "--cert", job.environ["HATCH_INDEX_CA_CERT"], *files),
    ]


def uv(job: Job) -> list[str]:
    """The command of uv, which takes the sidecars among the files that it is given."""
    files = [str(path) for path in sorted(job.dist.iterdir())]
    return ["uv", "publish", "--trusted-publishing", "never", "--publish-url", job.sandbox.index.upload_url, *files]


@pytest.mark.parametrize("uploader", [twine, uv])
def test_other_uploaders_carry_our_sidecars_and_we_prove_what_they_did(
    job: Job, uploader: Callable[[Job], list[str]]
) -> None:
    """Whoever signs with us may publish with twine or uv; a later run of ours finds everything as it should be."""
    job.add_release()
    job.sign()
    token, _ = job.sandbox.index._trusted_publishing.mint(job.sandbox.issuer.token("hatch-attest-sandbox"))
    environ = {
        **job.environ,
        "TWINE_USERNAME": "__token__",
        "TWINE_PASSWORD": token,
        "UV_PUBLISH_TOKEN": token,
        "SSL_CERT_FILE": job.environ["HATCH_INDEX_CA_CERT"],
    }
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):  # requests prefers them to what twine is told
        environ.pop(name, None)

    result = subprocess.run(
        [sys.executable, "-m", *uploader(job)],
        env=environ,
        capture_output=True,
        encoding="utf-8",
        check=False,
        timeout=120,
    )
    run = job.publish()

    assert result.returncode == 0, result.stdout + result.stderr
    assert run.code == 0, run.output
    assert {(file["state"], file["proof"]) for file in run.report["files"]} == {
        ("there already", "file and attestations as sent")
    }

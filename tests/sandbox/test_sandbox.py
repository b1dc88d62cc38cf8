"""The sandbox as a whole: what it hands over, and that clients and verifiers that are not ours take it for Sigstore."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import shutil
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest
from pypi_attestations import Attestation, Distribution
from sigstore.dsse import DigestSet, Statement, StatementBuilder, Subject
from sigstore.errors import VerificationError
from sigstore.models import Bundle, ClientTrustConfig, InvalidBundle
from sigstore.oidc import IdentityToken
from sigstore.sign import SigningContext
from sigstore.verify import Verifier, policy

from hatch_attest.errors import SandboxError
from hatch_attest.sandbox import EmailIdentity, GitHubIdentity, GitLabIdentity, GoogleIdentity, Sandbox

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from hatch_attest.sandbox.identities import Identity

SUBJECT = "https://github.com/octo-org/widget/.github/workflows/release.yml@refs/tags/v1"
GITHUB = "https://token.actions.githubusercontent.com"


def trust(sandbox: Sandbox) -> ClientTrustConfig:
    text = sandbox.directory.joinpath("trust_config.json").read_text(encoding="utf-8")
    return ClientTrustConfig.from_json(text)


def statement() -> Statement:
    return StatementBuilder(
        [Subject(name="widget", digest=DigestSet({"sha256": "0" * 64}))], "https://example/p"
    ).build()


def sign(sandbox: Sandbox) -> Bundle:
    """Sign as sigstore-python does."""
    context = SigningContext.from_trust_config(trust(sandbox))
    with context.signer(IdentityToken(sandbox.issuer.token("sigstore"))) as signer:
        return signer.sign_dsse(statement())


def verify(sandbox: Sandbox, bundle: Bundle, expected: policy.VerificationPolicy | None = None) -> None:
    """Verify as sigstore-python does."""
    expected = expected or policy.Identity(identity=SUBJECT, issuer=GITHUB)
    Verifier(trusted_root=trust(sandbox).trusted_root).verify_dsse(bundle, expected)


@pytest.mark.parametrize(
    ("identity", "expected"),
    [
        (GitHubIdentity(), policy.Identity(identity=SUBJECT, issuer=GITHUB)),
        (GitHubIdentity(), policy.GitHubWorkflowRepository("octo-org/widget")),
        (GitHubIdentity(), policy.OIDCSourceRepositoryURI("https://github.com/octo-org/widget")),
        (GitHubIdentity(), policy.OIDCBuildConfigURI(SUBJECT)),
        (GitLabIdentity(), policy.OIDCIssuerV2("https://gitlab.com")),
        (GitLabIdentity(), policy.OIDCSourceRepositoryRef("refs/tags/v1")),
        (
            GoogleIdentity(email="a@b.example"),
            policy.Identity(identity="a@b.example", issuer="https://accounts.google.com"),
        ),
        (
            EmailIdentity(),
            policy.Identity(identity="octocat@example.com", issuer="https://github.com/login/oauth"),
        ),
    ],
)
def test_sigstore_s_own_client_signs_and_its_verifier_accepts(
    identity: Identity, expected: policy.VerificationPolicy, sandbox: Sandbox
) -> None:
    """A rehearsal would prove nothing: the sandbox and hatch-attest could agree on what nobody else accepts."""
    sandbox.issuer.identity = identity
    verify(sandbox, sign(sandbox), expected)
    assert [(it.service, it.status) for it in sandbox.requests] == [("authority", 200), ("log", 201)]


def test_another_identity_is_not_accepted(sandbox: Sandbox) -> None:
    """The policies of these tests would hold for anybody."""
    sandbox.issuer.identity = GitHubIdentity(repository="octo-org/gadget")
    bundle = sign(sandbox)
    for expected in (
        policy.Identity(identity=SUBJECT, issuer=GITHUB),
        policy.GitHubWorkflowRepository("octo-org/widget"),
    ):
        with pytest.raises(VerificationError):
            verify(sandbox, bundle, expected)


def test_another_sandbox_s_trust_does_not_accept(sandbox: Sandbox, tmp_path: Path) -> None:
    """What one rehearsal made would pass for another's."""
    bundle = sign(sandbox)
    with Sandbox(tmp_path / "other") as other, pytest.raises(VerificationError):
        verify(other, bundle)


def _entry(bundle: dict[str, Any]) -> dict[str, Any]:
    entry: dict[str, Any] = bundle["verificationMaterial"]["tlogEntries"][0]
    return entry


def _flip(text: str) -> str:
    """Change one bit in the middle of base64."""
    raw = bytearray(base64.b64decode(text))
    raw[len(raw) // 2] ^= 1
    return base64.b64encode(raw).decode()


def _flip_member(container: dict[str, Any], name: str) -> None:
    container[name] = _flip(container[name])


TAMPERED: dict[str, Callable[[dict[str, Any]], object]] = {
    "payload": lambda it: _flip_member(it["dsseEnvelope"], "payload"),
    "payload type": lambda it: it["dsseEnvelope"].update(payloadType="application/x"),
    "signature": lambda it: _flip_member(it["dsseEnvelope"]["signatures"][0], "sig"),
    "certificate": lambda it: _flip_member(it["verificationMaterial"]["certificate"], "rawBytes"),
    "log entry": lambda it: _flip_member(_entry(it), "canonicalizedBody"),
    "signed entry timestamp": lambda it: _flip_member(_entry(it)["inclusionPromise"], "signedEntryTimestamp"),
    "integrated time": lambda it: _entry(it).update(integratedTime=str(int(_entry(it)["integratedTime"]) + 1)),
    "an hour later": lambda it: _entry(it).update(integratedTime=str(int(_entry(it)["integratedTime"]) + 3600)),
    "root hash": lambda it: _flip_member(_entry(it)["inclusionProof"], "rootHash"),
    "proof's hashes": lambda it: _entry(it)["inclusionProof"].update(hashes=[base64.b64encode(b"?" * 32).decode()]),
    "no proof": lambda it: _entry(it).pop("inclusionProof"),
    "log's key": lambda it: _flip_member(_entry(it)["logId"], "keyId"),
    "checkpoint": lambda it: _entry(it)["inclusionProof"]["checkpoint"].update(
        envelope=_entry(it)["inclusionProof"]["checkpoint"]["envelope"].replace("\n2\n", "\n3\n")
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def signed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Sandbox, str]]:
    """A sandbox whose log has two entries, and the bundle of the second."""
    with Sandbox(tmp_path_factory.mktemp("signed")) as sandbox:
        sign(sandbox)
        yield sandbox, sign(sandbox).to_json()


@pytest.mark.parametrize("what", TAMPERED)
def test_whatever_is_tampered_with_is_refused(what: str, signed: tuple[Sandbox, str]) -> None:
    """A part of the chain of proofs would be decoration: nothing real behind it."""
    sandbox, good = signed
    verify(sandbox, Bundle.from_json(good))
    tampered = json.loads(good)
    TAMPERED[what](tampered)
    with pytest.raises((VerificationError, InvalidBundle, ValueError)):
        verify(sandbox, Bundle.from_json(json.dumps(tampered)))


def test_a_certificate_of_another_authority_is_refused(signed: tuple[Sandbox, str], tmp_path: Path) -> None:
    """The trusted root would not decide who is an authority."""
    sandbox, good = signed
    with Sandbox(tmp_path / "other") as other:
        foreign = json.loads(sign(other).to_json())
    tampered = json.loads(good)
    tampered["verificationMaterial"]["certificate"] = foreign["verificationMaterial"]["certificate"]
    with pytest.raises(VerificationError, match="chain"):
        verify(sandbox, Bundle.from_json(json.dumps(tampered)))


def test_the_log_refuses_what_sigstore_s_client_sends_twice(sandbox: Sandbox) -> None:
    """How a client meets its own lost answer could not be rehearsed."""
    context = SigningContext.from_trust_config(trust(sandbox))
    sandbox.faults.add("log", "POST", "/api/v1/log/entries", "lose")
    token = IdentityToken(sandbox.issuer.token("sigstore"))
    with context.signer(token) as signer, pytest.raises(OSError, match=r"[Cc]onnection|[Rr]emote"):
        signer.sign_dsse(statement())
    assert len(sandbox.log.entries) == 1
    assert [(it.status, it.answered) for it in sandbox.requests] == [(200, True), (201, False)]


def run(sandbox: Sandbox, *command: str, cwd: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a Python module's command line in the environment of the played job."""
    environ = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("CI", "GITHUB_", "GITLAB", "ACTIONS_", "SIGSTORE_")) and "proxy" not in name.lower()
    }
    environ |= {**sandbox.environment, "PYTHONUTF8": "1", **variables}
    return subprocess.run(
        [sys.executable, "-m", *command], cwd=cwd, env=environ, capture_output=True, text=True, check=False, timeout=60
    )


def test_sigstore_s_command_line_signs_as_the_job_and_verifies(sandbox: Sandbox, tmp_path: Path) -> None:
    """The unmodified tool, with nothing but the trust configuration and the environment of the job."""
    config = str(sandbox.directory / "trust_config.json")
    file = tmp_path / "wídget 1.txt"
    file.write_text("content", encoding="utf-8")
    signed = run(sandbox, "sigstore", "--trust-config", config, "sign", str(file), cwd=tmp_path)
    assert signed.returncode == 0, signed.stderr
    check = ("sigstore", "--trust-config", config, "verify", "github", "--repository", "octo-org/widget", str(file))
    verified = run(sandbox, *check, "--ref", "refs/tags/v1", cwd=tmp_path)
    assert verified.returncode == 0, verified.stderr
    assert run(sandbox, *check, "--ref", "refs/tags/v2", cwd=tmp_path).returncode == 1
    file.write_text("other content", encoding="utf-8")
    assert run(sandbox, *check, "--ref", "refs/tags/v1", cwd=tmp_path).returncode == 1


@pytest.mark.skipif(sys.platform != "linux", reason="only there is sigstore's cache moved by a variable")
def test_pypi_attestations_command_line_verifies_what_its_library_signed(sandbox: Sandbox, tmp_path: Path) -> None:
    """The unmodified tool that checks PEP 740, with our trusted root as the cached one of production."""
    wheel = tmp_path / "widget-1.0-py3-none-any.whl"
    wheel.write_bytes(b"content")
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    context = SigningContext.from_trust_config(trust(sandbox))
    with context.signer(IdentityToken(sandbox.issuer.token("sigstore"))) as signer:
        attestation = Attestation.sign(signer, Distribution(name=wheel.name, digest=digest))
    sidecar = wheel.with_name(f"{wheel.name}.publish.attestation")
    sidecar.write_text(attestation.model_dump_json(), encoding="utf-8")
    cache = tmp_path / "cache/sigstore-python/tuf/https%3A%2F%2Ftuf-repo-cdn.sigstore.dev"
    cache.mkdir(parents=True)
    cache.joinpath("trusted_root.json").write_text(json.dumps(sandbox.trusted_root), encoding="utf-8")

    def check(identity: str) -> subprocess.CompletedProcess[str]:
        command = ("pypi_attestations", "verify", "attestation", "--offline", "--identity", identity, str(wheel))
        return run(sandbox, *command, cwd=tmp_path, XDG_CACHE_HOME=str(tmp_path / "cache"))

    good = check(SUBJECT)
    assert good.returncode == 0, good.stderr
    assert f"OK: {sidecar}" in good.stderr
    assert check(SUBJECT.replace("v1", "v2")).returncode == 1
    wheel.write_bytes(b"other content")
    assert check(SUBJECT).returncode == 1


def test_the_directory_holds_what_the_contract_says(sandbox: Sandbox) -> None:
    """Who starts the sandbox in another process has the directory only."""
    assert {path.name for path in sandbox.directory.iterdir()} == {
        "ca.pem",
        "environment.json",
        "environment.sh",
        "trust_config.json",
    }
    environment = json.loads(sandbox.directory.joinpath("environment.json").read_text(encoding="utf-8"))
    assert environment == sandbox.environment
    assert environment["HATCH_ATTEST_SIGSTORE"] == str(sandbox.directory / "trust_config.json")
    assert environment["HATCH_INDEX_CA_CERT"] == str(sandbox.directory / "ca.pem")
    assert environment["HATCH_INDEX_REPO"].startswith("https://127.0.0.1:")
    config = trust(sandbox)
    assert config.signing_config.get_tsas() == []
    assert [type(log).__name__ for log in config.signing_config.get_tlogs()] == ["RekorClient"]
    assert config.signing_config.get_oidc_url() == sandbox.issuer.login_url


@pytest.mark.skipif(os.name == "nt", reason="Windows has other permissions")
def test_the_environment_with_its_tokens_is_for_the_owner_alone(sandbox: Sandbox) -> None:
    """Another user of the machine could sign as the job."""
    for name in ("environment.json", "environment.sh"):
        assert sandbox.directory.joinpath(name).stat().st_mode & 0o077 == 0


@pytest.mark.skipif(shutil.which("sh") is None, reason="there is no shell")
def test_the_environment_can_be_read_by_a_shell(tmp_path: Path) -> None:
    """Quotes and spaces in a path or a name would break the script, or run it."""
    identity = GitHubIdentity(workflow_name='it\'s $(exit 1) `a` "b"')
    with Sandbox(tmp_path / "with a space, ünd 'quotes'", identity) as sandbox:
        script = sandbox.directory / "environment.sh"
        program = "import json, os; print(json.dumps(dict(os.environ)))"
        output = subprocess.run(
            ["sh", "-euc", '. "$1"; exec "$2" -c "$3"', "sh", str(script), sys.executable, program],
            capture_output=True, check=True, timeout=60,
        ).stdout  # fmt: skip
        assert json.loads(output).items() >= sandbox.environment.items()


@pytest.mark.parametrize(
    ("identity", "there", "not_there"),
    [
        (GitHubIdentity(), {"GITHUB_ACTIONS", "ACTIONS_ID_TOKEN_REQUEST_URL", "GITHUB_WORKFLOW_REF"}, {"GITLAB_CI"}),
        (GitLabIdentity(environment="pypi"), {"GITLAB_CI", "SIGSTORE_ID_TOKEN", "CI_ENVIRONMENT_NAME"}, {"GITHUB_SHA"}),
        (GitLabIdentity(ref="refs/heads/main"), {"GITLAB_CI"}, {"CI_COMMIT_TAG", "CI_ENVIRONMENT_NAME"}),
        (GoogleIdentity(), {"SIGSTORE_IDENTITY_TOKEN"}, {"CI", "GITHUB_ACTIONS"}),
        (EmailIdentity(), set(), {"CI", "SIGSTORE_IDENTITY_TOKEN"}),
    ],
    ids=lambda it: type(it).__name__,
)
def test_the_environment_is_that_of_whoever_is_played(
    identity: Identity, there: set[str], not_there: set[str], sandbox: Sandbox
) -> None:
    """A job would find the identity of another platform."""
    sandbox.issuer.identity = identity
    written = json.loads(sandbox.directory.joinpath("environment.json").read_text(encoding="utf-8"))
    for environment in (written, sandbox.environment):
        assert there <= environment.keys()
        assert not not_there & environment.keys()
        assert "HATCH_ATTEST_SIGSTORE" in environment


def test_requests_are_counted_by_service_method_and_path(sandbox: Sandbox) -> None:
    """A test that promises "nothing was logged" would count something else."""
    sign(sandbox)
    assert sandbox.count("authority") == sandbox.count("log", "POST", "/api/v1/log/entries") == 1
    assert sandbox.count("log", "GET") == sandbox.count("log", "POST", "/api/v2") == sandbox.count("index") == 0


def test_a_sandbox_that_cannot_write_says_so_and_leaves_nothing_running(tmp_path: Path) -> None:
    """The user would see a traceback, and a thread would stay."""
    before = threading.enumerate()
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(SandboxError, match=r"sandbox cannot start in .*file"), Sandbox(file):
        pass
    assert set(threading.enumerate()) <= set(before)


def test_a_sandbox_whose_file_cannot_be_replaced_leaves_no_half_of_it(tmp_path: Path) -> None:
    """A reader would find half a configuration."""
    directory = tmp_path / "sandbox"
    directory.joinpath("environment.json").mkdir(parents=True)
    with pytest.raises(SandboxError), Sandbox(directory):
        pass
    assert {path.name for path in directory.iterdir()} == {"ca.pem", "environment.json", "trust_config.json"}


def test_a_defect_is_not_taken_for_a_bad_directory(tmp_path: Path) -> None:
    """The user would be sent to mend a directory that is good."""
    nobody: Any = "nobody"
    with pytest.raises(AttributeError), Sandbox(tmp_path, nobody):
        pass


def test_the_identity_may_be_set_before_the_start(tmp_path: Path) -> None:
    """Nothing could be prepared: the environment is written when the sandbox starts."""
    sandbox = Sandbox(tmp_path / "sandbox")
    sandbox.issuer.identity = GitLabIdentity()
    assert not sandbox.directory.exists()
    with sandbox:
        assert "GITLAB_CI" in sandbox.directory.joinpath("environment.json").read_text(encoding="utf-8")


def test_two_sandboxes_run_side_by_side(sandbox: Sandbox, tmp_path: Path) -> None:
    """Two rehearsals on one machine would meet."""
    with Sandbox(tmp_path / "other") as other:
        for one in (sandbox, other):
            verify(one, sign(one))
            assert one.count("log") == 1

"""Signing against the sandbox's services, with everything going wrong on the way that goes wrong in the world."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from hatch_attest import signing
from hatch_attest.artifacts import Artifact, read_artifact
from hatch_attest.errors import IdentityError, SigningError
from hatch_attest.identity import Token
from hatch_attest.sandbox import Sandbox
from hatch_attest.signing import Signer
from hatch_attest.trust import load_trust
from hatch_attest.verification import Verifier

CERTIFICATE = ("authority", "POST", "/api/v2/signingCert")
ENTRY = ("log", "POST", "/api/v1/log/entries")


@pytest.fixture
def artifact(tmp_path: Path) -> Artifact:
    path = tmp_path / "widget-1.0.tar.gz"
    path.write_bytes(b"the sdist")
    return read_artifact(path)


def new_token(sandbox: Sandbox) -> Token:
    return Token.parse(sandbox.issuer.token("sigstore"), "the sandbox")


@pytest.fixture
def signer(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Signer:
    """A signer that does not wait long: what is tested is that it tries again, not for how long."""
    monkeypatch.setattr(signing, "BACKOFF", 0.01)
    trust = load_trust(str(sandbox.directory / "trust_config.json"), Path())
    return Signer(trust, lambda: new_token(sandbox))


def test_many_artifacts_take_one_certificate_and_one_entry_each(
    sandbox: Sandbox, signer: Signer, artifact: Artifact
) -> None:
    """A hundred wheels must not ask for a hundred certificates."""
    for _ in range(5):
        signer.sign(artifact)
    assert (sandbox.count("authority"), sandbox.count("log")) == (1, 5)


def test_nothing_but_the_authority_and_rekor_v1_is_asked(sandbox: Sandbox, signer: Signer, artifact: Artifact) -> None:
    """PEP 740 has no place for a timestamp authority's answer."""
    signer.sign(artifact)
    assert [(each.service, each.method, each.path) for each in sandbox.requests] == [CERTIFICATE, ENTRY]


def test_an_expired_certificate_is_renewed_with_a_new_token(
    sandbox: Sandbox, signer: Signer, artifact: Artifact, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A certificate lives ten minutes; a release of many wheels may take longer (gh-action-pypi-publish#415)."""
    signer.sign(artifact)
    assert signer._signer is not None
    cached = vars(signer._signer)
    name = next(name for name in cached if name.endswith("__cached_signing_certificate"))

    class Expired:
        not_valid_after_utc = cached[name].not_valid_before_utc

    monkeypatch.setitem(cached, name, Expired())
    attestation = signer.sign(artifact)
    assert sandbox.count("authority") == 2
    assert Verifier(signer._trust).verify(attestation, artifact).log_index == 1


@pytest.mark.parametrize(
    ("service", "action"),
    [
        (CERTIFICATE, ("status", 503, b"busy")),
        (CERTIFICATE, ("status", 429, b"slow down")),
        (CERTIFICATE, "drop"),
        (CERTIFICATE, "lose"),
        (ENTRY, ("status", 502, b"<html>bad gateway</html>")),
        (ENTRY, ("status", 500, b'{"code":500,"message":"x"}')),
        (ENTRY, "drop"),
        (ENTRY, "lose"),
    ],
)
def test_a_fault_in_passing_is_survived(
    sandbox: Sandbox,
    signer: Signer,
    artifact: Artifact,
    service: tuple[str, str, str],
    action: str | tuple[object, ...],
) -> None:
    """Among them the lost answer, after which the repeated entry meets itself: 409 elsewhere ends the release."""
    sandbox.faults.add(*service, action)
    attestation = signer.sign(artifact)
    Verifier(signer._trust).verify(attestation, artifact)


@pytest.mark.parametrize(
    ("service", "action", "code", "words"),
    [
        (CERTIFICATE, ("status", 400, b'{"code":3,"message":"There was an error"}'), "fulcio-refused", "There was"),
        (CERTIFICATE, ("status", 400, b"<html>"), "fulcio-refused", "400"),
        (CERTIFICATE, ("status", 400, b"[]"), "fulcio-refused", "400"),
        (CERTIFICATE, ("status", 200, b"<html>"), "sigstore-no-json", "JSON"),
        (CERTIFICATE, ("status", 200, b"{}"), "fulcio-refused", "missing certificate chain"),
        (CERTIFICATE, ("status", 503, b"busy"), "fulcio-refused", "503"),
        (CERTIFICATE, ("status", 302, b""), "sigstore-no-json", "JSON"),
        (CERTIFICATE, "drop", "sigstore-unreachable", "127.0.0.1"),
        (ENTRY, ("status", 400, b'{"code":400,"message":"bad entry"}'), "rekor-refused", "400: bad entry"),
        (ENTRY, ("status", 400, b"<html>"), "rekor-refused", "400"),
        (ENTRY, ("status", 201, b"<html>"), "sigstore-no-json", "JSON"),
        (ENTRY, ("status", 201, b"{}"), "signing-refused", ""),
        (ENTRY, ("status", 201, b'{"x": {}}'), "signing-refused", ""),
        (ENTRY, "drop", "sigstore-unreachable", "127.0.0.1"),
    ],
)
def test_a_lasting_fault_ends_with_the_services_own_words(
    sandbox: Sandbox,
    signer: Signer,
    artifact: Artifact,
    service: tuple[str, str, str],
    action: str | tuple[object, ...],
    code: str,
    words: str,
) -> None:
    """Bounded, in one line, without a traceback of somebody's library."""
    sandbox.faults.add(*service, action, times=50)
    with pytest.raises(SigningError) as caught:
        signer.sign(artifact)
    assert caught.value.code == code, str(caught.value)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
    assert sandbox.count(service[0]) <= 15


def test_a_service_that_does_not_answer_is_given_up(
    sandbox: Sandbox, signer: Signer, artifact: Artifact, monkeypatch: pytest.MonkeyPatch
) -> None:
    """sigstore-python has no time-outs: a build would hang until the job is killed."""
    monkeypatch.setattr(signing, "READ_TIMEOUT", 0.05)
    monkeypatch.setattr(signing, "RETRIES", 1)
    sandbox.faults.add(*CERTIFICATE, ("delay", 0.5), times=9)
    with pytest.raises(SigningError) as caught:
        signer.sign(artifact)
    assert caught.value.code == "sigstore-unreachable"
    assert "timed out" in str(caught.value)


def test_a_token_that_fulcio_refuses_is_fulcios_refusal(sandbox: Sandbox, artifact: Artifact) -> None:
    """For its reason sigstore-python gives an empty string."""
    forged = sandbox.issuer.token("sigstore")[:-8] + "AAAAAAAA"
    trust = load_trust(str(sandbox.directory / "trust_config.json"), Path())
    with pytest.raises(SigningError) as caught:
        Signer(trust, lambda: Token.parse(forged, "a forger")).sign(artifact)
    assert "400: There was an error processing the identity token" in str(caught.value)
    assert sandbox.count("log") == 0
    assert forged not in str(caught.value)


def test_a_token_for_another_audience_is_never_sent(sandbox: Sandbox, artifact: Artifact) -> None:
    """A token for PyPI could be exchanged by whoever receives it."""
    trust = load_trust(str(sandbox.directory / "trust_config.json"), Path())
    signer = Signer(trust, lambda: Token.parse(sandbox.issuer.token("pypi"), "a test"))
    with pytest.raises((SigningError, IdentityError)):
        signer.sign(artifact)
    assert sandbox.count("authority") == 0


def test_a_password_from_netrc_does_not_replace_the_token(
    sandbox: Sandbox, signer: Signer, artifact: Artifact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Requests prefers a host's password in .netrc to the Authorization header that sigstore sets."""
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login me password secret\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    signer.sign(artifact)
    assert sandbox.count("log") == 1


def test_one_signer_for_many_threads_signs_each_file(sandbox: Sandbox, signer: Signer, artifact: Artifact) -> None:
    """`create_entry` may be called from many threads; so may this, once there is a certificate."""
    signer.sign(artifact)
    failures: list[BaseException] = []

    def work() -> None:
        try:
            signer.sign(artifact)
        except BaseException as error:  # noqa: BLE001 - whatever it is, the test must see it
            failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert (sandbox.count("authority"), sandbox.count("log")) == (1, 9)

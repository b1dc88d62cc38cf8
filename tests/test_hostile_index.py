"""An index that is after the job's tokens: none of them gets further than the rules let it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.canned import Canned, canned
from tests.publishing import Job

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from hatch_attest.sandbox import Sandbox

DISCOVERY, AUDIENCE, MINT, UPLOAD = "/.well-known/pytp", "/audience", "/mint", "/legacy/"


@pytest.fixture
def hostile(monkeypatch: pytest.MonkeyPatch) -> Iterator[Canned]:
    """An index that offers Trusted Publishing, so far as it should."""
    monkeypatch.setattr("hatch_attest.retries._FIRST_WAIT", 0.01)
    monkeypatch.setattr("hatch_attest.gate.proof.PATIENCE", 0.0)
    with canned() as server:
        offer(server)
        server.answer(AUDIENCE, {"audience": "corp"})
        server.answer(MINT, {"token": "corp-upload-token"})
        server.answer(UPLOAD, "")
        yield server


@pytest.fixture
def thief() -> Iterator[Canned]:
    """Another party's server, which must never be asked anything."""
    with canned() as server:
        yield server
        assert server.asked == []


@pytest.fixture
def job(tmp_path: Path, sandbox: Sandbox, clean_environ: dict[str, str], hostile: Canned) -> Job:
    """A signed release, about to go there."""
    made = Job(tmp_path / "widget", sandbox, clean_environ)
    made.add_release()
    made.sign()
    made.environ["HATCH_INDEX_REPO"] = f"{hostile.url}{UPLOAD}"
    return made


def offer(server: Canned, **endpoints: str) -> None:
    """Answer discovery."""
    mine = {"audience-endpoint": server.url + AUDIENCE, "token-mint-endpoint": server.url + MINT}
    server.answer(DISCOVERY, {**mine, **endpoints})


def paths(server: Canned) -> list[str]:
    return [path for path, _ in server.asked]


def test_an_honest_one_gets_one_token_of_each_kind(job: Job, hostile: Canned, thief: Canned) -> None:
    """The other tests change one thing about this; here the release goes out."""
    run = job.publish()

    assert paths(hostile).count(MINT) == 1
    assert paths(hostile).count(UPLOAD) == 2
    assert run.report["failure"]["code"] == "proof"  # it lists nothing
    del thief


@pytest.mark.parametrize("audience", ["sigstore", "pypi", "testpypi", "PYPI", "sts.amazonaws.com"])
def test_a_foreign_audience_is_never_asked_for(job: Job, hostile: Canned, audience: str) -> None:
    """Such a token would sign, publish or log in elsewhere as this job; the platform is not even asked for it."""
    hostile.answer(AUDIENCE, {"audience": audience})
    before = job.sandbox.count("issuer")

    run = job.publish()

    assert run.report["failure"]["code"] == "exchange-foreign-audience"
    assert job.sandbox.count("issuer") == before
    assert MINT not in paths(hostile)


@pytest.mark.parametrize(
    ("step", "code"), [(AUDIENCE, "exchange-no-audience"), (MINT, "exchange-refused"), (UPLOAD, "upload-redirected")]
)
def test_no_step_follows_a_redirect(job: Job, hostile: Canned, thief: Canned, step: str, code: str) -> None:
    """A 307 carries the body and the token along; requests follows it unless it is told not to."""
    hostile.redirect(step, thief.url)

    run = job.publish()

    assert run.report["failure"]["code"] == code


def test_discovery_is_not_followed_elsewhere(job: Job, hostile: Canned, thief: Canned) -> None:
    """A login page, or worse; it means that nothing is offered here."""
    hostile.redirect(DISCOVERY, thief.url + DISCOVERY)

    run = job.publish()

    assert run.report["failure"]["code"] == "credentials-missing"
    assert "does not offer Trusted Publishing" in run.output


@pytest.mark.parametrize("endpoint", ["audience-endpoint", "token-mint-endpoint"])
@pytest.mark.parametrize(
    "url",
    ["https://evil.example/mint", "http://127.0.0.1.evil.example/", "https://127.0.0.1@evil.example/", "//x", "7"],
)
def test_discovery_cannot_name_another_host(job: Job, hostile: Canned, endpoint: str, url: str) -> None:
    """Draft PEP 807: at the upload URL's host, or not at all."""
    offer(hostile, **{endpoint: url})
    before = job.sandbox.count("issuer")

    run = job.publish()

    assert run.report["failure"]["code"] == "exchange-discovery"
    assert job.sandbox.count("issuer") == before


def test_the_list_of_files_cannot_send_a_password_elsewhere(job: Job, hostile: Canned, thief: Canned) -> None:
    """Credentials to read are for the origin of the upload URL alone."""
    hostile.redirect("/simple/widget/", thief.url)

    run = job.publish("-u", "me", "-a", "hunter2")

    assert paths(hostile).count(UPLOAD) == 2
    assert run.report["failure"]["code"] == "proof"


def test_a_huge_answer_ends(job: Job, hostile: Canned, monkeypatch: pytest.MonkeyPatch) -> None:
    """An index must not be able to fill the memory of a release job."""
    monkeypatch.setattr("hatch_attest.index.transport._MAX_ANSWER", 1 << 20)
    hostile.answer("/simple/widget/", b" " * (2 << 20))

    run = job.publish()

    assert run.report["failure"]["code"] == "index-unreachable"
    assert "has no end" in run.output


def test_what_it_says_cannot_play_tricks_with_the_terminal(job: Job, hostile: Canned) -> None:
    """Escape sequences in an answer could hide what went before."""
    hostile.answer(UPLOAD, {"message": "\x1b[2J\x1b[1;1Hall is well\r\n::add-mask::x"}, status=400)

    run = job.publish()

    assert run.report["failure"]["code"] == "upload-refused"
    assert "\x1b" not in run.output
    assert "all is well" in run.output


def test_a_token_that_it_quotes_is_not_repeated(job: Job, hostile: Canned) -> None:
    """CI's log is public."""
    hostile.answer(UPLOAD, {"message": "bad token eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ4In0.c2ln of you"}, status=400)

    run = job.publish(hatch=["-v"])

    assert "eyJhbGci" not in run.output
    assert "bad token *** of you" in run.output

"""Where the identity comes from, which is asked first, and that a token never shows itself."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import Any

import jwt
import pytest

from hatch_attest.errors import IdentityError
from hatch_attest.identity import (
    PLATFORMS,
    Token,
    check_token,
    identity_token,
    is_at_hand,
    request_token,
    set_up_platform,
    why_not_at_hand,
)
from hatch_attest.sandbox import GitLabIdentity, Sandbox

GITHUB = {
    "GITHUB_ACTIONS": "true",
    "ACTIONS_ID_TOKEN_REQUEST_URL": "http://127.0.0.1:9/?x=1",
    "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "request-secret",
}
GITLAB = {"GITLAB_CI": "true", "SIGSTORE_ID_TOKEN": "t"}


@pytest.fixture(autouse=True)
def no_platform(monkeypatch: pytest.MonkeyPatch) -> None:
    """These tests may run on a platform themselves."""
    for platform in PLATFORMS:
        for name in (platform.marker, *platform.variables):
            monkeypatch.delenv(name, raising=False)


def token(**claims: Any) -> str:
    whole = {"iss": "https://issuer.example", "sub": "s", "aud": "sigstore", "exp": int(time.time()) + 60, **claims}
    return jwt.encode(whole, "k" * 32, algorithm="HS256")


@pytest.mark.parametrize(
    ("environ", "platform"),
    [
        (GITHUB, "GitHub Actions"),
        ({**GITLAB, **GITHUB}, "GitHub Actions"),
        (GITLAB, "GitLab CI"),
        ({**GITLAB, "GOOGLE_SERVICE_ACCOUNT_NAME": "a@b"}, "GitLab CI"),
        ({"GOOGLE_SERVICE_ACCOUNT_NAME": "a@b"}, "Google Cloud"),
        ({"CIRCLECI": "true", "CIRCLE_OIDC_TOKEN_V2": "t"}, "CircleCI"),
        ({"BUILDKITE": "true", "BUILDKITE_AGENT_ACCESS_TOKEN": "t"}, "Buildkite"),
        ({"GITHUB_ACTIONS": "true"}, None),
        ({"GITLAB_CI": "true"}, None),
        ({}, None),
    ],
)
def test_a_platform_is_asked_only_where_its_own_variables_are_set(
    environ: dict[str, str], platform: str | None
) -> None:
    """A GitLab runner on a Google machine would sign as the machine's account."""
    found = set_up_platform(environ)
    assert (found.name if found else None) == platform
    assert is_at_hand(environ) is (platform is not None)


@pytest.mark.parametrize(
    ("environ", "advice"),
    [
        ({"GITHUB_ACTIONS": "true"}, "id-token: write"),
        ({"GITLAB_CI": "true"}, "SIGSTORE_ID_TOKEN: aud: sigstore"),
        ({}, "no identity is at hand on this machine"),
    ],
)
def test_where_it_is_not_set_up_the_line_to_add_is_said(environ: dict[str, str], advice: str) -> None:
    """The missing permission is the most common mistake of all."""
    assert advice in why_not_at_hand(environ)


def test_the_variable_of_sigstore_comes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever sets it means it; GitHub, which is set up as well, is not asked (nothing listens there)."""
    environ = {**GITHUB, "SIGSTORE_IDENTITY_TOKEN": token(sub="mine")}
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    found = identity_token(environ)
    assert found is not None
    assert (found.source, found.claims["sub"]) == ("SIGSTORE_IDENTITY_TOKEN", "mine")


def test_no_identity_is_none_and_not_an_error() -> None:
    """Most machines have none."""
    assert identity_token({}) is None


@pytest.mark.parametrize("raw", ["", "x", "a.b", "a.b.c", "a.!!!.c", token() + ".more", "bm8.bm8.bm8", "x.W10.y"])
def test_what_is_no_token_is_refused_without_being_shown(raw: str) -> None:
    """An error that quotes it would publish it in the build's log."""
    with pytest.raises(IdentityError) as caught:
        Token.parse(raw, "SIGSTORE_IDENTITY_TOKEN")
    assert caught.value.code == "token-malformed"
    assert caught.value.__cause__ is None
    assert len(raw) < 4 or raw not in str(caught.value)


@pytest.mark.parametrize(
    ("claims", "code"),
    [
        ({"aud": "pypi"}, "token-audience"),
        ({"aud": ["pypi", "other"]}, "token-audience"),
        ({"aud": None}, "token-audience"),
        ({"exp": int(time.time()) - 5}, "token-expired"),
        ({"exp": None}, "token-malformed"),
        ({"exp": "soon"}, "token-malformed"),
        ({"exp": True}, "token-malformed"),
    ],
)
def test_a_token_that_cannot_serve_is_refused_before_it_is_sent(claims: dict[str, Any], code: str) -> None:
    """Fulcio would answer with one message for all of these."""
    with pytest.raises(IdentityError) as caught:
        check_token(Token.parse(_unsigned(claims), "a test"), "sigstore")
    assert caught.value.code == code


def test_a_list_of_audiences_that_holds_ours_is_fine() -> None:
    """Fulcio takes it too."""
    parsed = Token.parse(token(aud=["other", "sigstore"]), "a test")
    assert check_token(parsed, "sigstore") is parsed


def test_a_token_does_not_show_itself() -> None:
    """repr, str and format end up in logs."""
    raw = token()
    parsed = Token.parse(raw, "a test")
    for shown in (repr(parsed), str(parsed), f"{parsed}", repr(vars(parsed).keys())):
        assert raw not in shown
        assert raw.split(".")[1] not in shown
    assert parsed.reveal() == raw


def test_a_platform_that_cannot_be_reached_is_an_error_with_advice(monkeypatch: pytest.MonkeyPatch) -> None:
    """Set up and failing is not "not here": signing must not silently be skipped."""
    for name, value in GITHUB.items():
        monkeypatch.setenv(name, value)
    platform = set_up_platform(GITHUB)
    assert platform is not None
    with pytest.raises(IdentityError) as caught:
        request_token(platform, "sigstore")
    assert caught.value.code == "identity-broken"
    assert "id-token: write" in str(caught.value)
    assert "request-secret" not in str(caught.value)


def _unsigned(claims: dict[str, Any]) -> str:
    """PyJWT checks the types of claims; a hostile issuer does not."""
    import base64
    import json

    whole = {"iss": "i", "sub": "s", "aud": "sigstore", "exp": int(time.time()) + 60, **claims}
    payload = base64.urlsafe_b64encode(json.dumps(whole).encode()).decode().rstrip("=")
    return f"eyJhbGciOiJub25lIn0.{payload}.c2ln"


# --- The platforms, as the `id` library asks them --------------------------------------------------------------------


def test_github_gives_a_token_for_the_audience_that_is_asked_for(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a request to the URL with the bearer token, both of which only a job with the permission has."""
    play(sandbox, monkeypatch)
    found = identity_token(os.environ)
    assert found is not None
    assert (found.source, found.claims["aud"]) == ("GitHub Actions", "sigstore")
    assert found.claims["repository"] == "octo-org/widget"


def test_gitlab_gives_the_token_that_the_job_was_given(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """One for each audience, in a variable named after it."""
    sandbox.issuer.identity = GitLabIdentity()
    play(sandbox, monkeypatch)
    found = identity_token(os.environ)
    assert found is not None
    assert (found.source, found.claims["project_path"]) == ("GitLab CI", "octo-org/widget")


@pytest.mark.skipif(sys.platform == "win32", reason="the agents are played by shell scripts")
@pytest.mark.parametrize(
    ("environ", "agent", "arguments", "name"),
    [
        (
            {"BUILDKITE": "true", "BUILDKITE_AGENT_ACCESS_TOKEN": "secret"},
            "buildkite-agent",
            "oidc request-token --audience sigstore",
            "Buildkite",
        ),
        (
            {"CIRCLECI": "true", "CIRCLE_OIDC_TOKEN_V2": "secret"},
            "circleci",
            'run oidc get --claims {"aud": "sigstore"} --root-issuer',
            "CircleCI",
        ),
    ],
)
def test_an_agent_is_asked_for_the_token(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, environ: dict[str, str], agent: str, arguments: str, name: str
) -> None:
    """Buildkite and CircleCI have a program for it; what it says when it fails is passed on."""
    for variable, value in environ.items():
        monkeypatch.setenv(variable, value)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}/usr/bin{os.pathsep}/bin")
    program = tmp_path / agent
    program.write_text(f"#!/bin/sh\n[ \"$*\" = '{arguments}' ] && echo {token()}\n", encoding="utf-8")
    program.chmod(0o755)
    found = identity_token(os.environ)
    assert found is not None
    assert found.source == name
    program.write_text("#!/bin/sh\necho no way; echo no way >&2; exit 1\n", encoding="utf-8")
    with pytest.raises(IdentityError, match="no way") as caught:
        identity_token(os.environ)
    assert caught.value.code == "identity-broken"


def test_a_platform_that_refuses_is_not_asked_again(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """A wrong bearer token does not become right."""
    play(sandbox, monkeypatch)
    monkeypatch.setenv("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "wrong")
    with pytest.raises(IdentityError) as caught:
        identity_token(os.environ)
    assert caught.value.code == "identity-broken"
    assert sandbox.count("issuer") == 1


def test_a_platform_that_is_busy_is_asked_again(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """GitHub's token service answers 503 at times."""
    play(sandbox, monkeypatch)
    sandbox.faults.add("issuer", "GET", "/", ("status", 503, b"busy"))
    assert identity_token(os.environ) is not None
    assert sandbox.count("issuer") == 2


def play(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """Be the job that the sandbox plays."""
    for name, value in sandbox.environment.items():
        monkeypatch.setenv(name, value)

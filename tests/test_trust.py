"""Trust: which instance, and what may never be sent where."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from hatch_attest.errors import TrustError
from hatch_attest.trust import is_loopback, load_trust

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from hatch_attest.sandbox import Sandbox


@pytest.fixture
def config(sandbox: Sandbox) -> dict[str, Any]:
    """The sandbox's trust configuration, as JSON."""
    document: dict[str, Any] = json.loads((sandbox.directory / "trust_config.json").read_text(encoding="utf-8"))
    return document


def write(tmp_path: Path, config: dict[str, Any]) -> Path:
    path = tmp_path / "my trust.json"
    path.write_text(json.dumps(config), encoding="utf-8")
    return path


def test_a_path_starts_at_the_root_of_the_project(tmp_path: Path, config: dict[str, Any]) -> None:
    """Hatchling's working directory is nobody's promise."""
    write(tmp_path, config)
    trust = load_trust("my trust.json", tmp_path)
    assert trust.loopback
    assert not trust.public
    assert trust.log == trust.rekor_url.removeprefix("http://")
    assert trust.token_hosts == (trust.fulcio_url.removeprefix("http://"),)


def services(config: dict[str, Any]) -> dict[str, Any]:
    signing: dict[str, Any] = config.get("signingConfig") or config["signing_config"]
    return signing


def remote_http(config: dict[str, Any]) -> None:
    services(config)["caUrls"][0]["url"] = "http://fulcio.example"


def rekor_v2_only(config: dict[str, Any]) -> None:
    services(config)["rekorTlogUrls"][0]["majorApiVersion"] = 2


def no_authority(config: dict[str, Any]) -> None:
    services(config)["caUrls"] = []


def other_media_type(config: dict[str, Any]) -> None:
    services(config)["mediaType"] = "text/plain"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (remote_http, "trust-plain-http"),
        (rekor_v2_only, "trust-config-malformed"),
        (no_authority, "trust-config-malformed"),
        (other_media_type, "trust-config-malformed"),
        (dict.clear, "trust-config-malformed"),
    ],
)
def test_a_configuration_that_cannot_serve_is_refused(
    tmp_path: Path, config: dict[str, Any], change: Callable[[dict[str, Any]], None], code: str
) -> None:
    """Before any token is asked for."""
    change(config)
    path = write(tmp_path, config)
    with pytest.raises(TrustError) as caught:
        load_trust(str(path), tmp_path)
    assert caught.value.code == code
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (None, "trust-config-unreadable"),
        (b"<html>", "trust-config-malformed"),
        (b"\xff\xfe", "trust-config-malformed"),
        (b"", "trust-config-malformed"),
        (b" " * ((10 << 20) + 1), "trust-config-malformed"),
    ],
)
def test_a_file_that_is_no_configuration_is_refused_by_name(tmp_path: Path, content: bytes | None, code: str) -> None:
    """Not by a traceback of pydantic's."""
    if content is not None:
        (tmp_path / "trust.json").write_bytes(content)
    with pytest.raises(TrustError) as caught:
        load_trust("trust.json", tmp_path)
    assert caught.value.code == code
    assert "trust.json" in str(caught.value)


@pytest.mark.parametrize(
    ("url", "loopback"),
    [
        ("http://127.0.0.1:1/x", True),
        ("http://127.9.9.9", True),
        ("http://[::1]:1", True),
        ("http://localhost", True),
        ("http://a.localhost", True),
        ("https://localhost.example", False),
        ("https://127.0.0.1.example", False),
        ("https://10.0.0.1", False),
        ("https://pypi.org", False),
        ("", False),
    ],
)
def test_loopback_is_told_from_what_looks_like_it(url: str, *, loopback: bool) -> None:
    """Plain http and a rehearsal's trust are for this machine alone."""
    assert is_loopback(url) is loopback


@pytest.fixture
def empty_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home directory in which no instance was ever trusted."""
    for name in ("HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.setenv(name, str(tmp_path))
    return tmp_path


def test_an_instance_that_was_never_trusted_here_is_named_with_what_to_run(empty_home: Path) -> None:
    """Its root of trust cannot come from the instance itself."""
    with pytest.raises(TrustError) as caught:
        load_trust("http://127.0.0.1:9", empty_home)
    assert caught.value.code == "trust-unknown"
    assert "sigstore --instance http://127.0.0.1:9 trust-instance ROOT" in str(caught.value)


def test_production_that_cannot_be_reached_is_tried_again_and_then_said(empty_home: Path) -> None:
    """Tests reach no further than loopback: to them the public instance is down."""
    with pytest.raises(TrustError) as caught:
        load_trust("production", empty_home)
    assert caught.value.code == "trust-unreachable"
    assert "\n" not in str(caught.value)

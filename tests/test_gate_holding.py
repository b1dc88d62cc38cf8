"""Private copies: what is verified is what goes out, and nothing is left behind."""

from __future__ import annotations

import stat
import sys
import tempfile
from pathlib import Path

import pytest

from hatch_attest.errors import ArtifactError, AttestError
from hatch_attest.gate.holding import hold
from hatch_attest.identity import interactive_token
from hatch_attest.index.upload import prepare
from tests.sandbox.index_support import sdist, wheel


@pytest.fixture
def artifact(tmp_path: Path) -> Path:
    """An sdist on disk."""
    return sdist().write(tmp_path)


def test_a_copy_stays_as_it_was(artifact: Path) -> None:
    """A file that changes after it was verified must not be what is uploaded."""
    with hold([artifact]) as (held,):
        artifact.write_bytes(b"else")

        assert held.copy.read_bytes() == sdist().content
        assert held.artifact.digest == sdist().sha256
        assert held.artifact.path == artifact
        assert prepare(held.artifact, held.copy).sha2_digest == sdist().sha256
    assert not held.copy.exists()


@pytest.mark.skipif(sys.platform == "win32", reason="permissions are another matter there")
def test_nobody_else_reads_the_copies(artifact: Path) -> None:
    """A release may be secret until it is out."""
    with hold([artifact]) as (held,):
        assert stat.S_IMODE(held.copy.parent.stat().st_mode) == 0o700


def test_a_file_that_vanished_is_named(tmp_path: Path) -> None:
    """Between looking and reading, somebody may have cleaned up."""
    with pytest.raises(ArtifactError) as caught, hold([tmp_path / "widget-1.0.tar.gz"]):
        pass

    assert caught.value.code == "artifact-unreadable"


def test_a_full_disk_is_told_from_an_unreadable_file(artifact: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The remedy is another one; here no directory can be made, since its parent is a file."""
    monkeypatch.setattr(tempfile, "tempdir", str(artifact))
    with pytest.raises(AttestError) as caught, hold([artifact]):
        pass

    assert caught.value.code == "no-room"
    assert "TMPDIR" in str(caught.value)


def test_a_copy_that_changed_is_not_prepared(artifact: Path) -> None:
    """The last comparison before the upload: twine's own digest."""
    other = b"Metadata-Version: 2.1\nName: widget\nVersion: 1.0\nSummary: another one\n"
    with hold([artifact]) as (held,):
        members = {"widget-1.0/PKG-INFO": other, "widget-1.0/pyproject.toml": b""}
        held.copy.write_bytes(sdist(members=members).content)
        with pytest.raises(AttestError) as caught:
            prepare(held.artifact, held.copy)

    assert caught.value.code == "upload-changed"


@pytest.mark.parametrize(
    ("metadata", "words"),
    [
        (None, "METADATA"),
        (b"Metadata-Version: 2.1\nName: widget\n", "'version' is a required field"),
        (b"Metadata-Version: 2.1\nName: widget\nVersion: 1.0\nNo-Such-Field: x\n", "no-such-field"),
        (b"Metadata-Version: none\nName: widget\nVersion: 1.0\n", "Invalid version"),
    ],
)
def test_metadata_that_no_index_takes_is_known_before(metadata: bytes | None, words: str, tmp_path: Path) -> None:
    """In twine's words, before a log entry is made for it."""
    with hold([wheel(METADATA=metadata).write(tmp_path)]) as (held,), pytest.raises(AttestError) as caught:
        prepare(held.artifact, held.copy)

    assert caught.value.code == "upload-metadata"
    assert words in str(caught.value)


def test_a_login_service_that_is_not_there_is_named() -> None:
    """Nobody logged in; the URL says where."""
    with pytest.raises(AttestError) as caught:
        interactive_token("http://127.0.0.1:9/auth")

    assert caught.value.code == "login-failed"
    assert "http://127.0.0.1:9/auth" in str(caught.value)

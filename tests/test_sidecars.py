"""Sidecars: written whole or not at all, read with care, paired by exact name."""

from __future__ import annotations

import base64
import json
import os
import stat
import sys
from typing import TYPE_CHECKING, Any

import pytest
from pypi_attestations import Attestation

from hatch_attest.errors import SidecarError
from hatch_attest.sidecars import (
    MAX_SIDECAR_BYTES,
    Predicate,
    Subject,
    check_place,
    claimed_subject,
    find_sidecars,
    read_attestation,
    remove_sidecar,
    sidecar_path,
    write_sidecar,
)

if TYPE_CHECKING:
    from pathlib import Path

NAME = "widget-1.0.tar.gz"


def document(**changes: Any) -> dict[str, Any]:
    """Something of an attestation's shape; nothing in it holds."""
    statement = {"subject": [{"name": NAME, "digest": {"sha256": "ab" * 32}}]}
    whole = {
        "version": 1,
        "verification_material": {
            "certificate": base64.b64encode(b"c").decode(),
            "transparency_entries": [{"logIndex": "1"}],
        },
        "envelope": {
            "statement": base64.b64encode(json.dumps(statement).encode()).decode(),
            "signature": base64.b64encode(b"s").decode(),
        },
    }
    return {**whole, **changes}


@pytest.fixture
def attestation() -> Attestation:
    return Attestation.model_validate(document())


def test_what_is_written_is_read_back(tmp_path: Path, attestation: Attestation) -> None:
    """The publisher knows no more than the files."""
    path = sidecar_path(tmp_path / NAME)
    assert path.name == f"{NAME}.publish.attestation"
    write_sidecar(path, attestation)
    assert read_attestation(path) == attestation
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has other permissions")
def test_a_sidecar_is_as_readable_as_any_file_of_the_build(tmp_path: Path, attestation: Attestation) -> None:
    """A temporary file's 0600 would break a CI that uploads as another user."""
    umask = os.umask(0o022)
    try:
        write_sidecar(tmp_path / "x", attestation)
    finally:
        os.umask(umask)
    assert stat.S_IMODE((tmp_path / "x").stat().st_mode) == 0o644


def test_a_sidecar_that_cannot_be_written_leaves_nothing(tmp_path: Path, attestation: Attestation) -> None:
    """A directory stands where it should go."""
    path = tmp_path / f"{NAME}.publish.attestation"
    path.mkdir()
    with pytest.raises(SidecarError) as caught:
        write_sidecar(path, attestation)
    assert caught.value.code == "sidecar-unwritable"
    assert "untouched" in str(caught.value)
    assert list(tmp_path.iterdir()) == [path]


def test_a_name_that_is_too_long_for_the_file_system_is_a_clear_error(tmp_path: Path, attestation: Attestation) -> None:
    """The artifact's own name may fill all of it."""
    with pytest.raises(SidecarError) as caught:
        write_sidecar(tmp_path / ("w" * 300), attestation)
    assert caught.value.code == "sidecar-unwritable"
    assert list(tmp_path.iterdir()) == []


def test_a_name_that_is_too_long_is_found_before_anything_is_signed(tmp_path: Path) -> None:
    """The log's entry would be there for ever, and the sidecar not at all."""
    check_place(tmp_path / "w")
    with pytest.raises(SidecarError) as caught:
        check_place(tmp_path / ("w" * 300))
    assert caught.value.code == "sidecar-unwritable"


def test_sidecars_are_paired_by_exact_name(tmp_path: Path) -> None:
    """Twine pairs by prefix: widget-1.0.tar.gz would take what belongs to widget-1.0.tar.gz.publish.attestation.old."""
    artifact = tmp_path / NAME
    for name in (NAME, f"{NAME}.publish.attestation", f"{NAME}.other.attestation", f"x{NAME}.publish.attestation"):
        (tmp_path / name).write_text("")
    assert find_sidecars(artifact) == {Predicate.PUBLISH: tmp_path / f"{NAME}.publish.attestation"}


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (b"", "sidecar-not-json"),
        (b"<html>", "sidecar-not-json"),
        (json.dumps(document()).encode()[:-20], "sidecar-not-json"),
        (b"\xff\xfe", "sidecar-not-json"),
        (b"[" * 200_000, "sidecar-not-json"),
        (b"[]", "sidecar-schema"),
        (b"{}", "sidecar-schema"),
        (json.dumps(document(version=2)).encode(), "sidecar-schema"),
        (json.dumps(document(envelope={})).encode(), "sidecar-schema"),
        (json.dumps(document(envelope={"statement": 5, "signature": "x"})).encode(), "sidecar-schema"),
        (b" " * (MAX_SIDECAR_BYTES + 1), "sidecar-too-large"),
    ],
)
def test_what_is_no_attestation_is_refused_by_name(tmp_path: Path, raw: bytes, code: str) -> None:
    """Each kind has its own message, and none repeats the file."""
    path = tmp_path / f"{NAME}.publish.attestation"
    path.write_bytes(raw)
    with pytest.raises(SidecarError) as caught:
        read_attestation(path)
    assert caught.value.code == code
    assert path.name in str(caught.value)
    assert len(str(caught.value)) < 400


def test_a_huge_sidecar_is_not_read_into_memory(tmp_path: Path) -> None:
    """Somebody's gigabyte must not end the build by the memory killer."""
    path = tmp_path / f"{NAME}.publish.attestation"
    with path.open("wb") as stream:
        stream.truncate(1 << 40 if sys.platform == "linux" else 1 << 30)
    with pytest.raises(SidecarError) as caught:
        read_attestation(path)
    assert caught.value.code == "sidecar-too-large"


def test_a_directory_in_place_of_a_sidecar_is_refused(tmp_path: Path) -> None:
    """Reading it would be a traceback."""
    path = tmp_path / f"{NAME}.publish.attestation"
    path.mkdir()
    with pytest.raises(SidecarError) as caught:
        read_attestation(path)
    assert caught.value.code == "sidecar-not-a-file"
    with pytest.raises(SidecarError, match="by hand"):
        remove_sidecar(path)


@pytest.mark.parametrize("raw", [b"", b"{}", b"[]", b'{"envelope": {"statement": "bm8="}}', b"\xff", b"[" * 200_000])
def test_a_sidecar_that_claims_nothing_is_no_error_for_the_hook(tmp_path: Path, raw: bytes) -> None:
    """It is then as stale as one about other bytes."""
    (tmp_path / "x").write_bytes(raw)
    assert claimed_subject(tmp_path / "x") is None


def test_a_sidecar_says_whom_it_is_about_without_a_signing_library(tmp_path: Path) -> None:
    """Machines that do not sign have none."""
    (tmp_path / "x").write_text(json.dumps(document()))
    assert claimed_subject(tmp_path / "x") == Subject(NAME, "ab" * 32)

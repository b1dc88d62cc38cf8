"""Which files are artifacts, and what is said of those that only look like it."""

from __future__ import annotations

import hashlib
import os
import sys
from pathlib import Path

import pytest

from hatch_attest.artifacts import collect, parse_name, printable, read_artifact
from hatch_attest.errors import ArtifactError

WHEEL = "widget-1.0-py3-none-any.whl"
SDIST = "widget-1.0.tar.gz"


@pytest.fixture
def dist(tmp_path: Path) -> Path:
    """A directory with a wheel, an sdist, a sidecar and something else."""
    directory = tmp_path / "dist"
    directory.mkdir()
    for name in (WHEEL, SDIST, f"{WHEEL}.publish.attestation", "notes.txt"):
        (directory / name).write_bytes(name.encode())
    return directory


def test_an_artifact_is_read_with_name_digest_and_size(dist: Path) -> None:
    """A wrong digest would sign something else."""
    artifact = read_artifact(dist / WHEEL)
    assert (artifact.kind, artifact.project, str(artifact.version)) == ("wheel", "widget", "1.0")
    assert artifact.digest == hashlib.sha256(WHEEL.encode()).hexdigest()
    assert artifact.size == len(WHEEL)


def test_a_directory_gives_its_artifacts_and_nothing_else(dist: Path) -> None:
    """A note or a sidecar taken for an artifact would be uploaded."""
    found = collect(["dist"], dist.parent)
    assert [path.name for path in found.artifacts] == [SDIST, WHEEL]
    assert found.left_out == ()


def test_a_glob_and_a_file_name_the_same_artifact_once(dist: Path) -> None:
    """A file collected twice would be uploaded twice."""
    found = collect(["dist/*.whl", str(dist / WHEEL), "dist"], dist.parent)
    assert [path.name for path in found.artifacts] == [SDIST, WHEEL]


def test_dist_star_as_a_shell_expands_it_leaves_out_only_what_is_no_sidecar(dist: Path) -> None:
    """Sidecars break `dist/*` in other tools (twine#1172)."""
    found = collect([str(path) for path in dist.iterdir()], dist.parent)
    assert [path.name for path in found.artifacts] == [SDIST, WHEEL]
    assert [path.name for path in found.left_out] == ["notes.txt"]


def test_an_argument_that_matches_nothing_is_an_error(dist: Path) -> None:
    """A mistyped path would publish half a release without a word."""
    with pytest.raises(ArtifactError, match="nowhere") as caught:
        collect(["nowhere/*.whl"], dist.parent)
    assert caught.value.code == "artifact-missing"


def test_a_directory_named_like_a_wheel_is_an_error(dist: Path) -> None:
    """Uploaders die on it with a traceback (gh-action-pypi-publish#256)."""
    (dist / "other-1.0-py3-none-any.whl").mkdir()
    with pytest.raises(ArtifactError) as caught:
        collect(["dist"], dist.parent)
    assert caught.value.code == "artifact-not-a-file"


@pytest.mark.parametrize("name", ["widget.whl", "widget-1.0-none.whl", "1.0.tar.gz", "widget-x.y.tar.gz", "widget.zip"])
def test_a_name_that_does_not_parse_is_refused_with_the_reason(name: str) -> None:
    """PyPI refuses such a name after the log entry is made."""
    with pytest.raises(ArtifactError) as caught:
        parse_name(name)
    assert caught.value.code == "artifact-name"
    assert name in str(caught.value)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such names")
def test_a_name_of_undecodable_bytes_is_shown_escaped(tmp_path: Path) -> None:
    """A surrogate in a message ends the program where it is printed."""
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/w\xff\x1b-1.0.tar.gz"))
    shown = printable(path.name)
    assert shown.isprintable()
    assert shown.encode("utf-8")


def test_a_path_with_spaces_and_other_letters_is_read(tmp_path: Path) -> None:
    """Home directories are named like people."""
    directory = tmp_path / "Žofie Müller – 日本"
    directory.mkdir()
    (directory / SDIST).write_bytes(b"x")
    assert collect([str(directory)], tmp_path).artifacts == (directory / SDIST,)
    assert read_artifact(directory / SDIST).size == 1

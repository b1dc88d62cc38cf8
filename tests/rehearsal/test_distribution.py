"""The wheel of the running hatch-attest: it installs like one that a build backend made."""

from __future__ import annotations

import csv
import hashlib
import subprocess
import sys
import zipfile
from base64 import urlsafe_b64encode
from importlib.metadata import distribution
from pathlib import Path

import pytest

import hatch_attest
from hatch_attest.rehearsal.distribution import make_wheel


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, in a directory with a space in its name."""
    directory = tmp_path_factory.mktemp("a wheel", numbered=True)
    return make_wheel(directory)


def test_every_module_is_in_it_as_it_runs(wheel: Path) -> None:
    """A build in a rehearsal would otherwise run other code than the user has."""
    (root,) = map(Path, hatch_attest.__path__)
    with zipfile.ZipFile(wheel) as archive:
        for path in root.rglob("*.py"):
            assert archive.read(path.relative_to(root.parent).as_posix()) == path.read_bytes()


def test_its_record_lists_every_file_with_its_digest(wheel: Path) -> None:
    """Installers refuse, or warn of, a wheel whose RECORD does not hold (PEP 427)."""
    with zipfile.ZipFile(wheel) as archive:
        (record,) = [name for name in archive.namelist() if name.endswith("/RECORD")]
        rows = {name: digest for name, digest, _ in csv.reader(archive.read(record).decode().splitlines())}
        assert set(rows) == set(archive.namelist())
        for name in set(rows) - {record}:
            expected = urlsafe_b64encode(hashlib.sha256(archive.read(name)).digest()).rstrip(b"=").decode()
            assert rows[name] == f"sha256={expected}"


def test_pip_installs_it_with_its_metadata_and_entry_points(wheel: Path, tmp_path: Path) -> None:
    """Hatch finds the hook by its entry point, and resolvers the extras by the metadata."""
    subprocess.run(
        [sys.executable, "-m", "virtualenv", "--quiet", "--no-periodic-update", str(tmp_path / "environment")],
        check=True,
        env=None,
    )
    python = tmp_path / "environment" / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    subprocess.run([python, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", wheel], check=True)
    script = (
        "from importlib.metadata import distribution as d; x = d('hatch-attest');"
        "print(x.version, sorted(e.name for e in x.entry_points), sorted(x.metadata.get_all('Provides-Extra')))"
    )
    told = subprocess.run([python, "-c", script], check=True, capture_output=True, encoding="utf-8")
    version = distribution("hatch-attest").version
    assert told.stdout.strip() == f"{version} ['attest', 'hatch-attest'] ['publish', 'sandbox', 'sign']"


def test_the_same_code_makes_the_same_wheel(wheel: Path, tmp_path: Path) -> None:
    """Times of files would make another file each time, and caches would not know it again."""
    assert make_wheel(tmp_path).read_bytes() == wheel.read_bytes()

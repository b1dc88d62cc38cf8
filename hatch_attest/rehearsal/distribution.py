"""Distribution: this very hatch-attest as a wheel, for the build environments of a rehearsal."""

from __future__ import annotations

import base64
import hashlib
import zipfile
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import TYPE_CHECKING

import hatch_attest
from hatch_attest.errors import RehearsalError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from importlib.metadata import Distribution

_NAME = "hatch-attest"
_EARLIEST = (1980, 1, 1, 0, 0, 0)  # the zip format's first moment: the wheel depends on its content alone


def make_wheel(directory: Path) -> Path:
    """Put the hatch-attest that is running into a wheel, whether it was installed or runs from its checkout.

    The code comes from the package that was imported, the metadata from the distribution that is installed.

    Raises:
        RehearsalError: it is not installed at all.

    """
    try:
        installed = distribution(_NAME)
    except PackageNotFoundError as error:
        raise RehearsalError("rehearsal-not-installed") from error
    stem = f"{_NAME.replace('-', '_')}-{installed.version}"
    information = f"{stem}.dist-info"
    record = []
    path = directory / f"{stem}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as wheel:
        for name, content in (*_package(), *_information(installed, information)):
            _write(wheel, name, content)
            digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
            record.append(f"{name},sha256={digest},{len(content)}")
        name = f"{information}/RECORD"
        _write(wheel, name, "\n".join([*record, f"{name},,", ""]).encode())
    return path


def _package() -> Iterator[tuple[str, bytes]]:
    (root,) = (Path(path) for path in hatch_attest.__path__)
    for path in sorted(root.rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            yield path.relative_to(root.parent).as_posix(), path.read_bytes()


def _information(installed: Distribution, directory: str) -> Iterator[tuple[str, bytes]]:
    # WHEEL is written anew: an editable installation's may say otherwise.
    yield (
        f"{directory}/WHEEL",
        b"Wheel-Version: 1.0\nGenerator: hatch-attest\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    )
    for name in ("METADATA", "entry_points.txt"):
        text = installed.read_text(name)
        if text is not None:
            yield f"{directory}/{name}", text.encode()


def _write(wheel: zipfile.ZipFile, name: str, content: bytes) -> None:
    wheel.writestr(zipfile.ZipInfo(name, _EARLIEST), content, zipfile.ZIP_DEFLATED)

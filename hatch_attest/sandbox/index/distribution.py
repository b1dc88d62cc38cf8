"""Checks that an uploaded file is what its name and metadata say: a wheel or an sdist of that project and version.

The rules and words are those of warehouse/forklift/legacy.py. Not checked: the record framing of zip files
(warehouse/utils/zipfiles.py), and the names that PyPI prohibits.
"""

from __future__ import annotations

import io
import os.path
import re
import tarfile
import zipfile
import zlib
from typing import TYPE_CHECKING

from packaging.utils import (
    InvalidSdistFilename,
    InvalidWheelFilename,
    canonicalize_name,
    parse_sdist_filename,
    parse_wheel_filename,
)
from packaging.version import InvalidVersion, Version

from hatch_attest.sandbox.index.metadata import EXTENSIONS
from hatch_attest.sandbox.index.refusal import bad_request

if TYPE_CHECKING:
    from collections.abc import Iterable

    from packaging.metadata import Metadata

MIB = 1024 * 1024
_RATIO_FROM_SIZE = 64 * MIB
_RATIO_LIMIT = 50
_EXTENSION = re.compile(r".+?(?P<extension>\.(tar\.gz|zip|whl))$", re.IGNORECASE)
_CONTROL_CHARACTERS = frozenset(map(chr, (*range(32), 127)))

_PLATFORMS = frozenset(
    [
        *("any", "win32", "win_arm64", "win_amd64", "win_ia64", "linux_armv6l", "linux_armv7l"),
        *("manylinux1_x86_64", "manylinux1_i686", "manylinux2010_x86_64", "manylinux2010_i686"),
        *(f"manylinux2014_{cpu}" for cpu in ("x86_64", "i686", "aarch64", "armv7l", "ppc64", "ppc64le", "s390x")),
    ]
)
_LINUX_ARCHITECTURES = "x86_64|i686|aarch64|armv7l|ppc64le|s390x|riscv64"
_MACOS_ARCHITECTURES = "ppc|ppc64|i386|x86_64|arm64|intel|fat|fat3|fat64|universal|universal2"
_PLATFORM_FAMILIES = tuple(
    re.compile(pattern)
    for pattern in (
        rf"macosx_10_\d+_({_MACOS_ARCHITECTURES})",
        rf"macosx_(11|12|13|14|15|26)_0_({_MACOS_ARCHITECTURES})",
        rf"musllinux_\d+_\d+_({_LINUX_ARCHITECTURES})",
        rf"manylinux_\d+_\d+_({_LINUX_ARCHITECTURES}|ppc64)",
        r"ios_\d+_\d+_(arm64|x86_64)_(iphoneos|iphonesimulator)",
        r"android_\d+_(armeabi_v7a|arm64_v8a|x86|x86_64)",
    )
)


def check_filename(filename: str, filetype: str) -> None:
    """Check that a file name holds nothing odd and has the ending of its type.

    Raises:
        Refusal: PyPI would not take it.

    """
    if _CONTROL_CHARACTERS.intersection(filename):
        raise bad_request(
            "Cannot upload a file with non-printable characters (ordinals 0-31) or the DEL character (ordinal 127)"
            " in the name."
        )
    if "/" in filename or "\\" in filename:
        raise bad_request("Cannot upload a file with '/' or '\\' in the name.")
    match = _EXTENSION.match(filename)
    if match is None:
        raise bad_request(
            "Invalid file extension: Use .tar.gz, .whl or .zip extension. See https://www.python.org/dev/peps/pep-0527"
            " and https://peps.python.org/pep-0715/ for more information"
        )
    extension = match.group("extension")
    if extension not in EXTENSIONS[filetype]:
        raise bad_request(
            f"Invalid file extension: Extension {extension} is invalid for filetype {filetype}."
            " See https://www.python.org/dev/peps/pep-0527 for more information."
        )


def check_archive(filename: str, content: bytes) -> None:
    """Check that the content is an archive of the kind that the name says, with the file that every one has.

    Raises:
        Refusal: it is not.

    """
    problem = _zip_problem(filename, content) if filename.endswith((".zip", ".whl")) else _tar_problem(content)
    if problem is not None:
        raise bad_request(f"Invalid distribution file. {problem}")


def check_sdist(filename: str, content: bytes, project: str, metadata: Metadata) -> None:
    """Check an sdist's name against project and version, and its licence files.

    Raises:
        Refusal: they do not match.

    """
    normalized = canonicalize_name(project)
    underscored = normalized.replace("-", "_")
    try:
        name: str = parse_sdist_filename(filename)[0]
    except (InvalidSdistFilename, InvalidVersion) as error:
        raise bad_request(f"Invalid source distribution filename: {filename}") from error
    if canonicalize_name(_name_before_post_release(filename, name, metadata)) != normalized:
        raise bad_request(f"Start filename for {project!r} with {underscored!r}.")
    expected = f"{underscored}-{metadata.version}.tar.gz"
    if filename != expected:
        raise bad_request(f"Filename {filename!r} is invalid, should be {expected!r}.")
    with tarfile.open(fileobj=io.BytesIO(content), mode="r:gz") as archive:
        members = archive.getnames()
    _check_license_files(filename, members, _top_directory(members), metadata)


def check_wheel(filename: str, content: bytes, project: str, metadata: Metadata) -> bytes:
    """Check a wheel's name against project and version, its platform tags and its licence files.

    Returns:
        the content of its METADATA.

    Raises:
        Refusal: something does not match, or RECORD or METADATA is missing.

    """
    try:
        name, version, _, tags = parse_wheel_filename(filename)
    except (InvalidWheelFilename, InvalidVersion) as error:
        raise bad_request(str(error)) from error
    for tag in sorted(tags, key=str):
        if not _is_platform(tag.platform):
            raise bad_request(f"Binary wheel '{filename}' has an unsupported platform tag '{tag.platform}'.")
    canonical = canonicalize_name(metadata.name)
    if canonical != name:
        raise bad_request(f"Start filename for {project!r} with {canonical.replace('-', '_')!r}.")
    written_name, written_version, _rest = filename.split("-", 2)
    normalized = canonicalize_name(project).replace("-", "_")
    if written_name != normalized:
        raise bad_request(
            f"Filename {filename!r} should contain the normalized project name {normalized!r}, not {written_name!r}."
        )
    if metadata.version != version:
        raise bad_request(f"Version in filename should be {str(metadata.version)!r} not {str(version)!r}.")
    info = f"{written_name}-{written_version}.dist-info"
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = archive.namelist()
        _check_license_files(filename, members, f"{info}/licenses/", metadata)
        for required in ("RECORD", "METADATA"):
            if f"{info}/{required}" not in members:
                raise bad_request(
                    f"Wheel '{filename}' does not contain the required {required} file: {info}/{required}"
                )
        return archive.read(f"{info}/METADATA")


def _zip_problem(filename: str, content: bytes) -> str | None:
    if not zipfile.is_zipfile(io.BytesIO(content)):
        return "File is not a zipfile"
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            return _zip_content_problem(filename, archive, len(content))
    except zipfile.BadZipFile:
        # Sic: PyPI gives no reason here.
        return "None"


def _zip_content_problem(filename: str, archive: zipfile.ZipFile, size: int) -> str | None:
    members = archive.infolist()
    unpacked = sum(member.file_size for member in members)
    if unpacked > _RATIO_FROM_SIZE and unpacked / size > _RATIO_LIMIT:
        return f"File exceeds compression ratio of {_RATIO_LIMIT}"
    if any(member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) for member in members):
        return "File does not use a supported compression type"
    if filename.endswith(".zip"):
        return _sdist_problem(archive.namelist())
    parts = filename.split("-", 2)
    if len(parts) < 3:  # noqa: PLR2004 (name, version, tags)
        return "Unable to parse name and version from wheel filename"
    target = f"{parts[0]}-{parts[1]}.dist-info/WHEEL"
    try:
        archive.read(target)
    except KeyError:
        return f"WHEEL not found at {target}"
    return None


def _tar_problem(content: bytes) -> str | None:
    try:
        if not tarfile.is_tarfile(io.BytesIO(content)):
            return "File is not a tarfile"
        with tarfile.open(fileobj=io.BytesIO(content), mode="r:gz") as archive:
            return _sdist_problem(archive.getnames())
    except (tarfile.ReadError, EOFError, zlib.error):
        return "None"


def _sdist_problem(members: list[str]) -> str | None:
    top = _top_directory(members)
    if top in ("./", "/"):
        return "Incorrect number of top-level directories in sdist"
    target = f"{top}PKG-INFO"
    return None if target in members else f"PKG-INFO not found at {target}"


def _top_directory(members: list[str]) -> str:
    """Find the directory that all members lie in, with a slash at its end, the way that PyPI does it."""
    return os.path.commonprefix(members).rstrip("/") + "/"  # noqa: RUF071 (by characters: as PyPI)


def _name_before_post_release(filename: str, name: str, metadata: Metadata) -> str:
    """Read the name again where the version may be a post-release with a hyphen (``name-1.0-1.tar.gz``)."""
    hyphens_of_such = 2
    if (
        not metadata.version.is_postrelease
        or name == canonicalize_name(metadata.name)
        or filename.count("-") < hyphens_of_such
    ):
        return name
    shorter = filename.rpartition("-")[0].rpartition("-")[0]
    try:
        Version(filename[len(shorter) + 1 : -len(".tar.gz")])
    except InvalidVersion:
        return name
    return shorter


def _check_license_files(filename: str, members: Iterable[str], directory: str, metadata: Metadata) -> None:
    """Check that every License-File of the metadata is in the archive (PEP 639)."""
    present = set(members)
    for license_file in metadata.license_files or []:
        target = f"{directory}{license_file}"
        if target not in present:
            raise bad_request(f"License-File {license_file} does not exist in distribution file {filename} at {target}")


def _is_platform(tag: str) -> bool:
    return tag in _PLATFORMS or any(family.fullmatch(tag) for family in _PLATFORM_FAMILIES)

"""Permission: may this build sign at all? Whoever merely installs a project from source never does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from packaging.utils import canonicalize_name

from hatch_attest.identity import is_at_hand

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

PROJECT_VARIABLE = "HATCH_ATTEST_PROJECT"

# The Cache Directory Tagging Specification (https://bford.info/cachedir/); uv and many others tag their caches so.
_CACHE_TAG = "CACHEDIR.TAG"
_CACHE_SIGNATURE = b"Signature: 8a477f597d28d172789f06886806bc55"


class Permission(NamedTuple):
    """Why a build may or may not sign, whether it may, and whether that is not worth a line of output."""

    reason: str
    granted: bool = False
    quiet: bool = False


@dataclass(frozen=True)
class Build:
    """What is known of a build before it has made anything.

    Attributes:
        root: the directory that is built, which may be an unpacked sdist.
        project: the project's name, in any spelling; empty where it has none that can be read.
        version: the target's version, as hatchling calls it: ``standard`` or ``editable``.
        environ: the environment.
        by_pep517: whether hatchling was called through its PEP 517 interface. pip, uv, build and tox call it so, and
            so do the installers of the build requirements that `hatch build` needs on its way; `hatch build` itself
            calls hatchling's command line.
        directory: where the output goes; None where that is not known yet.

    """

    root: Path
    project: str
    version: str
    environ: Mapping[str, str]
    by_pep517: bool
    directory: Path | None = None


def may_sign(build: Build) -> Permission:
    """Decide whether a build may sign.

    Yes in two cases: ``HATCH_ATTEST_PROJECT`` names the project; or it is ``hatch build`` itself, and the root is no
    unpacked sdist. Never for an editable version, under pip, or into a cache.
    """
    if refusal := _never(build):
        return refusal
    if _is_named(build):
        return Permission(f"{PROJECT_VARIABLE} names {build.project}", granted=True)
    return _not_hatch_build(build) or Permission("it is `hatch build`", granted=True)


def may_need_signing_libraries(build: Build) -> bool:
    """Say whether to ask for the signing libraries, before the build has them and its output's directory.

    They are asked for where the build may sign and has an identity to sign with: a maintainer's own `hatch build` on a
    laptop stays as light as everybody else's.
    """
    return may_sign(build).granted and is_at_hand(build.environ)


def _never(build: Build) -> Permission | None:
    if build.environ.get("PIP_BUILD_TRACKER"):
        return Permission("pip builds it", quiet=True)
    if build.version == "editable":
        return Permission("an editable wheel is not for release")
    if build.directory is not None and (cache := _cache_around(build.directory)):
        # uv's installs are like its builds but for this. A release's HATCH_ATTEST_PROJECT may reach them: a workflow
        # sets it for all its steps, and its tests run `uv sync`.
        return Permission(f"it goes into the cache {cache}")
    return None


def _is_named(build: Build) -> bool:
    named = build.environ.get(PROJECT_VARIABLE, "")
    names = {canonicalize_name(name.strip()) for name in named.split(",") if name.strip()}
    return bool(build.project) and canonicalize_name(build.project) in names


def _not_hatch_build(build: Build) -> Permission | None:
    active = build.environ.get("HATCH_ENV_ACTIVE", "")
    if active != "hatch-build" or build.by_pep517:
        # Before 1.16, `hatch build` ran in no environment of its own name, and cannot be told from `hatch run`.
        but = (
            f" in its own environment (Hatch 1.16 or newer), but in `{active}`"
            if active and not build.by_pep517
            else ""
        )
        remedy = f"set {PROJECT_VARIABLE}={build.project} if it builds a release"
        return Permission(f"this is not `hatch build`{but}; {remedy}")
    if (build.root / "PKG-INFO").exists():
        return Permission("it is built from an unpacked sdist")
    return None


def _cache_around(directory: Path) -> Path | None:
    """Return the cache that ``directory`` lies in, where it lies in one that is tagged as such."""
    place = directory.resolve()
    return next((each for each in (place, *place.parents) if _is_tagged(each / _CACHE_TAG)), None)


def _is_tagged(tag: Path) -> bool:
    try:
        with tag.open("rb") as stream:
            return stream.read(len(_CACHE_SIGNATURE)) == _CACHE_SIGNATURE
    except OSError:
        return False

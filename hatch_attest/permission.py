"""Permission: may this build sign at all? Whoever merely installs a project from source never does."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from packaging.utils import canonicalize_name

from hatch_attest.identity import is_at_hand

PROJECT_VARIABLE = "HATCH_ATTEST_PROJECT"


class Permission(NamedTuple):
    """Whether a build may sign, why, and whether the answer is worth a line of output."""

    granted: bool
    reason: str
    quiet: bool = False


@dataclass(frozen=True)
class Build:
    """What is known of a build before it has made anything.

    Attributes:
        root: the directory that is built, which may be an unpacked sdist.
        project: the project's name, in any spelling; empty where it has none that can be read.
        version: the target's version, as hatchling calls it: ``standard`` or ``editable``.
        environ: the environment.

    """

    root: Path
    project: str
    version: str
    environ: Mapping[str, str]


def may_sign(build: Build, directory: Path) -> Permission:
    """Decide for a build whose output goes to ``directory``.

    Yes in two cases: ``HATCH_ATTEST_PROJECT`` names the project; or it is ``hatch build`` itself, the root is no
    unpacked sdist, and the output stays inside the root. Never for an editable version, and never under pip.
    """
    if refusal := _never(build):
        return refusal
    if _is_named(build):
        return Permission(True, f"{PROJECT_VARIABLE} names {build.project}")
    if refusal := _not_hatch_build(build):
        return refusal
    if not _is_inside(directory, build.root):
        # A build requirement that Hatch builds on the way inherits Hatch's environment; its output lies in a cache.
        return Permission(
            False, f"the output goes outside the project; set {PROJECT_VARIABLE}={build.project} to sign it there"
        )
    return Permission(True, "it is `hatch build`")


def may_need_signing_libraries(build: Build) -> bool:
    """Say whether to ask for the signing libraries, at a time when the output directory is not known yet.

    They are asked for where the build may sign and has an identity to sign with: a maintainer's own `hatch build` on a
    laptop stays as light as everybody else's.
    """
    if _never(build) is not None:
        return False
    return (_is_named(build) or _not_hatch_build(build) is None) and is_at_hand(build.environ)


def _never(build: Build) -> Permission | None:
    if build.environ.get("PIP_BUILD_TRACKER"):
        return Permission(False, "pip builds it", quiet=True)
    if build.version == "editable":
        return Permission(False, "an editable wheel is not for release")
    return None


def _is_named(build: Build) -> bool:
    named = build.environ.get(PROJECT_VARIABLE, "")
    names = {canonicalize_name(name.strip()) for name in named.split(",") if name.strip()}
    return bool(build.project) and canonicalize_name(build.project) in names


def _not_hatch_build(build: Build) -> Permission | None:
    if build.environ.get("HATCH_ENV_ACTIVE") != "hatch-build":
        return Permission(
            False, f"this is not `hatch build`; set {PROJECT_VARIABLE}={build.project} if it builds a release"
        )
    if (build.root / "PKG-INFO").exists():
        return Permission(False, "it is built from an unpacked sdist")
    return None


def _is_inside(directory: Path, root: Path) -> bool:
    try:
        return os.path.commonpath([os.path.realpath(directory), os.path.realpath(root)]) == os.path.realpath(root)
    except ValueError:  # another drive on Windows
        return False

"""May a build sign at all: the rules of "When a build signs", and what each refusal says."""

from __future__ import annotations

from pathlib import Path

import pytest

from hatch_attest.permission import Build, may_need_signing_libraries, may_sign

HATCH = {"HATCH_ENV_ACTIVE": "hatch-build"}
NAMED = {"HATCH_ATTEST_PROJECT": "Some.Other, my_widget"}
IDENTITY = {"SIGSTORE_IDENTITY_TOKEN": "x"}


@pytest.mark.parametrize(
    ("environ", "version", "output", "sdist", "granted", "reason"),
    [
        (HATCH, "standard", "dist", False, True, "hatch build"),
        (NAMED, "standard", "dist", False, True, "names My.Widget"),
        (NAMED, "standard", "../elsewhere", True, True, "names My.Widget"),
        ({}, "standard", "dist", False, False, "not `hatch build`"),
        ({"HATCH_ENV_ACTIVE": "default"}, "standard", "dist", False, False, "not `hatch build`"),
        (HATCH, "standard", "../elsewhere", False, False, "outside the project"),
        (HATCH, "standard", "dist", True, False, "unpacked sdist"),
        (HATCH, "editable", "dist", False, False, "editable"),
        (NAMED, "editable", "dist", False, False, "editable"),
        ({**NAMED, "PIP_BUILD_TRACKER": "/t"}, "standard", "dist", False, False, "pip"),
        ({**HATCH, "PIP_BUILD_TRACKER": "/t"}, "standard", "dist", False, False, "pip"),
        ({"HATCH_ATTEST_PROJECT": "another"}, "standard", "dist", False, False, "not `hatch build`"),
    ],
)
def test_a_build_signs_only_in_the_two_cases(  # noqa: PLR0913 - the columns of the table
    tmp_path: Path, environ: dict[str, str], version: str, output: str, *, sdist: bool, granted: bool, reason: str
) -> None:
    """A wrong yes signs on the machine of somebody who never heard of us."""
    root = tmp_path / "project"
    root.mkdir()
    if sdist:
        (root / "PKG-INFO").write_text("")
    permission = may_sign(Build(root, "My.Widget", version, environ), root / output)
    assert permission.granted is granted
    assert reason in permission.reason
    assert permission.quiet is ("PIP_BUILD_TRACKER" in environ)


@pytest.mark.parametrize(
    ("environ", "asked"),
    [
        ({**HATCH, **IDENTITY}, True),
        ({**NAMED, **IDENTITY}, True),
        (HATCH, False),
        (IDENTITY, False),
        ({**NAMED, **IDENTITY, "PIP_BUILD_TRACKER": "/t"}, False),
    ],
)
def test_signing_libraries_are_asked_for_only_where_they_will_serve(
    tmp_path: Path, environ: dict[str, str], *, asked: bool
) -> None:
    """Consumers of the plain layout would install sigstore for nothing."""
    assert may_need_signing_libraries(Build(tmp_path, "my-widget", "standard", environ)) is asked


def test_a_project_without_a_name_is_never_the_named_one(tmp_path: Path) -> None:
    """An empty name would match an empty entry of the list."""
    build = Build(tmp_path, "", "standard", {"HATCH_ATTEST_PROJECT": ","})
    assert may_sign(build, tmp_path).granted is False


def test_a_link_out_of_the_project_is_outside(tmp_path: Path) -> None:
    """The output's real place counts."""
    root = tmp_path / "project"
    root.mkdir()
    (tmp_path / "cache").mkdir()
    try:
        (root / "dist").symlink_to(tmp_path / "cache", target_is_directory=True)
    except OSError:
        pytest.skip("this user may not make links")
    assert may_sign(Build(root, "widget", "standard", HATCH), root / "dist").granted is False

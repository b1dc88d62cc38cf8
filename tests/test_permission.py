"""May a build sign at all: the rules of "When a build signs", and what each refusal says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from hatch_attest.permission import Build, may_need_signing_libraries, may_sign

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

HATCH = {"HATCH_ENV_ACTIVE": "hatch-build"}
NAMED = {"HATCH_ATTEST_PROJECT": "Some.Other, my_widget"}
PIP = {"PIP_BUILD_TRACKER": "/t"}
IDENTITY = {"SIGSTORE_IDENTITY_TOKEN": "x"}
CACHE_TAG = "Signature: 8a477f597d28d172789f06886806bc55\n# A cache.\n"


def nothing(_: Path) -> dict[str, Any]:
    return {}


def unpacked(root: Path) -> dict[str, Any]:
    (root / "PKG-INFO").write_text("", encoding="utf-8")
    return {}


def cached(root: Path) -> dict[str, Any]:
    (root.parent / "CACHEDIR.TAG").write_text(CACHE_TAG, encoding="utf-8")
    return {"directory": root.parent / "builds" / "a"}


def untagged(root: Path) -> dict[str, Any]:
    (root.parent / "CACHEDIR.TAG").write_text("a file of this name is no tag yet", encoding="utf-8")
    return {}


def outside(root: Path) -> dict[str, Any]:
    return {"directory": root.parent / "elsewhere"}


def pep517(_: Path) -> dict[str, Any]:
    return {"by_pep517": True}


def editable(_: Path) -> dict[str, Any]:
    return {"version": "editable"}


@pytest.mark.parametrize(
    ("environ", "change", "granted", "reason"),
    [
        pytest.param(HATCH, nothing, True, "hatch build", id="hatch build"),
        pytest.param(HATCH, outside, True, "hatch build", id="hatch build, output outside"),
        pytest.param(HATCH, untagged, True, "hatch build", id="hatch build, a file named like a cache's tag"),
        pytest.param(HATCH, pep517, False, "not `hatch build`", id="a build requirement of hatch build"),
        pytest.param(HATCH, unpacked, False, "unpacked sdist", id="hatch build of an unpacked sdist"),
        pytest.param(HATCH, cached, False, "into the cache", id="hatch build into a cache"),
        pytest.param(HATCH, editable, False, "editable", id="hatch build, editable"),
        pytest.param({**HATCH, **PIP}, pep517, False, "pip", id="a build requirement of hatch build, by pip"),
        pytest.param(NAMED, pep517, True, "names My.Widget", id="named"),
        pytest.param(NAMED, nothing, True, "names My.Widget", id="named, by hatchling's command line"),
        pytest.param(NAMED, unpacked, True, "names My.Widget", id="named, an unpacked sdist"),
        pytest.param(NAMED, outside, True, "names My.Widget", id="named, output outside"),
        pytest.param(NAMED, cached, False, "into the cache", id="named, into a cache"),
        pytest.param(NAMED, editable, False, "editable", id="named, editable"),
        pytest.param({**NAMED, **PIP}, pep517, False, "pip", id="named, by pip"),
        pytest.param({"HATCH_ATTEST_PROJECT": "another"}, pep517, False, "not `hatch build`", id="another is named"),
        pytest.param({"HATCH_ENV_ACTIVE": "default"}, pep517, False, "not `hatch build`; set", id="hatch run"),
        pytest.param(
            {"HATCH_ENV_ACTIVE": "default"},
            nothing,
            False,
            "(Hatch 1.16 or newer), but in `default`",
            id="an old hatch build",
        ),
        pytest.param({}, pep517, False, "not `hatch build`", id="nothing"),
    ],
)
def test_a_build_signs_only_in_the_two_cases(
    tmp_path: Path, environ: dict[str, str], change: Callable[[Path], dict[str, Any]], *, granted: bool, reason: str
) -> None:
    """A wrong yes signs on the machine of somebody who never heard of us."""
    root = tmp_path / "project"
    root.mkdir()
    fields = {"version": "standard", "by_pep517": False, "directory": root / "dist", **change(root)}
    permission = may_sign(Build(root, "My.Widget", environ=environ, **fields))
    assert permission.granted is granted
    assert reason in permission.reason
    assert permission.quiet is ("PIP_BUILD_TRACKER" in environ)


@pytest.mark.parametrize(
    ("environ", "by_pep517", "asked"),
    [
        pytest.param({**HATCH, **IDENTITY}, False, True, id="hatch build"),
        pytest.param({**HATCH, **IDENTITY}, True, False, id="a build requirement of hatch build"),
        pytest.param({**NAMED, **IDENTITY}, True, True, id="named"),
        pytest.param(HATCH, False, False, id="hatch build without an identity"),
        pytest.param(IDENTITY, True, False, id="neither"),
        pytest.param({**NAMED, **IDENTITY, **PIP}, True, False, id="named, by pip"),
    ],
)
def test_signing_libraries_are_asked_for_only_where_they_will_serve(
    tmp_path: Path, environ: dict[str, str], *, by_pep517: bool, asked: bool
) -> None:
    """Consumers of the plain layout would install sigstore for nothing."""
    assert may_need_signing_libraries(Build(tmp_path, "my-widget", "standard", environ, by_pep517=by_pep517)) is asked


def test_a_project_without_a_name_is_never_the_named_one(tmp_path: Path) -> None:
    """An empty name would match an empty entry of the list."""
    assert may_sign(Build(tmp_path, "", "standard", {"HATCH_ATTEST_PROJECT": ","}, by_pep517=True)).granted is False


def test_a_link_into_a_cache_leads_into_it(tmp_path: Path) -> None:
    """The output's real place counts."""
    root = tmp_path / "project"
    root.mkdir()
    cache = tmp_path / "cache"
    cache.mkdir()
    (cache / "CACHEDIR.TAG").write_text(CACHE_TAG, encoding="utf-8")
    try:
        (root / "dist").symlink_to(cache, target_is_directory=True)
    except OSError:
        pytest.skip("this user may not make links")
    build = Build(root, "widget", "standard", HATCH, by_pep517=False, directory=root / "dist")
    assert may_sign(build).granted is False

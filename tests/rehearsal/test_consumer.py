"""The consumer of a rehearsal: what it refuses, whoever is to blame."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from packaging.version import Version

from hatch_attest.errors import RehearsalError
from hatch_attest.rehearsal.consumer import Consumer, Served
from hatch_attest.rehearsal.surroundings import make_surroundings, user_directories
from tests.sandbox.index_support import PUBLISHER, Artifact, Site, sdist, sign, wheel, whole_sandbox

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from hatch_attest.sandbox import Sandbox

_VERSION = Version("1.0")


class Scene:
    """A sandbox whose index has a project of a Trusted Publisher's, and a consumer of it."""

    def __init__(self, sandbox: Sandbox, site: Site, consumer: Consumer, printed: list[str]) -> None:
        self.sandbox = sandbox
        self.site = site
        self.consumer = consumer
        self.printed = printed
        sandbox.index.add_publisher("widget", **PUBLISHER)

    def publish(self, *artifacts: Artifact, signed: bool = True) -> None:
        """Upload artifacts by Trusted Publishing, signed or not."""
        token = self.site.upload_token(self.sandbox.issuer.token("hatch-attest-sandbox"))
        for artifact in artifacts:
            attestations = sign(self.sandbox, artifact) if signed else None
            assert self.site.upload(artifact, token, attestations=attestations).status_code == 200


@pytest.fixture
def scene(tmp_path: Path, clean_environ: dict[str, str]) -> Iterator[Scene]:
    """A started scene."""
    environ = make_surroundings(clean_environ, tmp_path / "surroundings", tmp_path / "x.whl")
    printed: list[str] = []
    with whole_sandbox(tmp_path / "sandbox") as (sandbox, site):
        consumer = Consumer(tmp_path / "consumer", environ, sandbox.index.simple_url, printed.append)
        yield Scene(sandbox, site, consumer, printed)


def refusal(call: Callable[..., object], *arguments: Any, **more: Any) -> RehearsalError:
    """What ``call`` raises."""
    with pytest.raises(RehearsalError) as caught:
        call(*arguments, **more)
    return caught.value


def test_every_file_is_fetched_with_its_provenance_and_verified(scene: Scene) -> None:
    """The good case, without which the refusals would prove nothing."""
    artifacts = (wheel(), sdist())
    scene.publish(*artifacts)

    served = scene.consumer.fetch("widget", _VERSION)
    verdicts = scene.consumer.judge(served, scene.sandbox.trusted_root)

    assert sorted(each.digest for each in served) == sorted(each.sha256 for each in artifacts)
    assert [(each.holds, each.reason) for each in verdicts] == [(True, None)] * 2
    assert verdicts[0].publisher == {"kind": "GitHub", **PUBLISHER}


def test_another_version_is_none_of_its_business(scene: Scene) -> None:
    """An index keeps the releases before."""
    scene.publish(wheel(), wheel(version="2.0"))

    assert [each.artifact.name for each in scene.consumer.fetch("widget", _VERSION)] == [wheel().filename]


def test_a_file_without_provenance_is_refused(scene: Scene) -> None:
    """A release that lost its attestations on the way is what the rehearsal is for."""
    scene.publish(wheel(), signed=False)

    assert refusal(scene.consumer.fetch, "widget", _VERSION).code == "rehearsal-no-provenance"


def test_other_bytes_than_the_index_lists_are_refused(scene: Scene) -> None:
    """Somebody between the index and the consumer changed them."""
    scene.publish(wheel())
    scene.sandbox.faults.add("index", "GET", "/packages/", ("status", 200, "other bytes"))

    assert refusal(scene.consumer.fetch, "widget", _VERSION).code == "rehearsal-other-bytes"


def test_an_index_that_fails_is_told_as_such(scene: Scene) -> None:
    """Not as a traceback of the HTTP client's."""
    scene.publish(wheel())
    scene.sandbox.faults.add("index", "GET", "/simple/", ("status", 500, "broken"))

    assert refusal(scene.consumer.fetch, "widget", _VERSION).code == "rehearsal-index"


def test_a_project_that_is_not_there_cannot_be_installed_and_pip_is_heard(scene: Scene) -> None:
    """What pip prints says why."""
    error = refusal(scene.consumer.install, "widget", _VERSION, wheels=True)

    assert error.code == "rehearsal-command"
    assert "python -m pip install" in str(error)
    assert any("No matching distribution" in line for line in scene.printed)


def test_what_is_installed_is_named_with_its_digest_and_what_it_would_need(scene: Scene) -> None:
    """It is compared with what was built; its requirements are not installed, and that is said."""
    metadata = (
        b"Metadata-Version: 2.1\nName: widget\nVersion: 1.0\n"
        b"Requires-Dist: rich\nRequires-Dist: no-such-thing; extra == 'more'\n"
    )
    needy = wheel(METADATA=metadata)
    scene.publish(needy)

    installed = scene.consumer.install("widget", _VERSION, wheels=True)

    assert (installed.name, installed.digest, installed.dependencies) == (needy.filename, needy.sha256, 1)


def test_an_sdist_alone_is_built_and_installed(scene: Scene) -> None:
    """Its build requirements come from the package index, which the sandbox's does not have."""
    project = b"[build-system]\nrequires = ['hatchling']\nbuild-backend = 'hatchling.build'\n"
    project += b"[project]\nname = 'widget'\nversion = '1.0'\n"
    source = sdist(
        members={
            "widget-1.0/PKG-INFO": b"Metadata-Version: 2.1\nName: widget\nVersion: 1.0\n",
            "widget-1.0/pyproject.toml": project,
            "widget-1.0/widget/__init__.py": b"",
        }
    )
    scene.publish(source)

    installed = scene.consumer.install("widget", _VERSION, wheels=False)

    assert (installed.name, installed.digest) == (source.filename, source.sha256)


def test_an_sdist_that_the_index_lacks_is_missed(scene: Scene) -> None:
    """It was uploaded, and is not served."""
    scene.publish(wheel())

    error = refusal(scene.consumer.install, "widget", _VERSION, wheels=False)
    assert error.code == "rehearsal-nothing-served"


def test_one_turned_bit_is_refused_by_the_library(scene: Scene) -> None:
    """If it were not, the verification before would prove nothing."""
    scene.publish(wheel())
    served = scene.consumer.fetch("widget", _VERSION)

    tampered = scene.consumer.tamper(served)
    (verdict,) = scene.consumer.judge(tampered, scene.sandbox.trusted_root)

    before, after = served[0].artifact.read_bytes(), tampered[0].artifact.read_bytes()
    assert sum((one ^ other).bit_count() for one, other in zip(before, after, strict=True)) == 1
    assert not verdict.holds
    assert verdict.reason is not None
    assert "digest" in verdict.reason


@pytest.mark.parametrize(
    ("provenance", "reason"),
    [
        ('{"version": 1, "attestation_bundles": []}', "no attestation"),
        ('{"version": 2, "attestation_bundles": []}', "validation error"),
        ("no JSON", "validation error"),
    ],
    ids=["nothing", "another version", "no JSON"],
)
def test_provenance_that_proves_nothing_does_not_hold(
    provenance: str, reason: str, scene: Scene, tmp_path: Path
) -> None:
    """The library's own command line prints OK for no attestation at all."""
    (tmp_path / "provenance").write_text(provenance, encoding="utf-8")
    served = Served(wheel().write(tmp_path), tmp_path / "provenance", wheel().sha256)

    (verdict,) = scene.consumer.judge([served], scene.sandbox.trusted_root)

    assert not verdict.holds
    assert reason in str(verdict.reason)


def test_another_trusted_root_is_not_believed(scene: Scene, tmp_path: Path) -> None:
    """Only the sandbox's own signatures hold in its rehearsal."""
    scene.publish(wheel())
    served = scene.consumer.fetch("widget", _VERSION)
    with whole_sandbox(tmp_path / "another") as (another, _):
        (verdict,) = scene.consumer.judge(served, another.trusted_root)

    assert not verdict.holds


def test_the_judge_never_touches_a_cache_that_is_not_its_own(tmp_path: Path, clean_environ: dict[str, str]) -> None:
    """The sandbox's root in the user's cache of sigstore would make them believe its signatures."""
    files = [tmp_path / name for name in ("cases", "verdicts", "root")]
    for file in files:
        file.write_text("[]", encoding="utf-8")
    user, own = tmp_path / "the user's", tmp_path / "its own"
    result = subprocess.run(
        [sys.executable, "-m", "hatch_attest.rehearsal.judge", *files, own],
        env={**clean_environ, **user_directories(user)}, capture_output=True, encoding="utf-8", check=False,
    )  # fmt: skip

    assert result.returncode != 0
    assert "not the rehearsal's" in result.stderr
    assert not user.exists()

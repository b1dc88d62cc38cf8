"""The build hook in real hatchling builds against the sandbox: what is signed, what is not, and what is said."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from hatch_attest.sandbox import GitHubIdentity, Sandbox
from tests.support import SDIST, SIDECARS, WHEEL, Project

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

HATCH_BUILD = {"HATCH_ENV_ACTIVE": "hatch-build"}


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A project of the plain layout, in a path with a space and other letters."""
    return Project(tmp_path / "my prøject")


@pytest.fixture
def in_ci(clean_environ: dict[str, str], sandbox: Sandbox) -> dict[str, str]:
    """The environment of `hatch build` in a job of the sandbox's GitHub Actions."""
    return {**clean_environ, **sandbox.environment, **HATCH_BUILD}


def sigstore_requests(sandbox: Sandbox) -> int:
    return sandbox.count("issuer") + sandbox.count("authority") + sandbox.count("log")


# --- When a build signs, row by row --------------------------------------------------------------------------------

NO_IDENTITY = {"ACTIONS_ID_TOKEN_REQUEST_URL": "", "ACTIONS_ID_TOKEN_REQUEST_TOKEN": ""}
PRIVATE = {"repository": "octo-org/widget", "visibility": "private"}
PUBLISHER = 'publisher = {kind = "GitHub", repository = "%s", workflow = "release.yml"}'


def signs(_: Project) -> None:
    """No preparation."""


def as_unpacked_sdist(project: Project) -> None:
    metadata = "Metadata-Version: 2.4\nName: widget\nVersion: 1.0\nRequires-Python: >=3.10\n"
    (project.root / "PKG-INFO").write_text(metadata, encoding="utf-8")


@pytest.mark.parametrize(
    ("hook", "environ", "arguments", "prepare", "signed", "said"),
    [
        pytest.param("", {}, [], signs, True, "signed widget", id="hatch build: signs"),
        pytest.param(
            "", {"HATCH_ENV_ACTIVE": "", "HATCH_ATTEST_PROJECT": "Widget"}, [], signs, True, "signed", id="named: signs"
        ),
        pytest.param(
            "",
            {"HATCH_ENV_ACTIVE": "", "HATCH_ATTEST_PROJECT": "other, widget"},
            ["-d", "../out"],
            as_unpacked_sdist,
            True,
            "signed",
            id="named: signs wherever and from whatever it is built",
        ),
        pytest.param(
            "", {"HATCH_ENV_ACTIVE": ""}, [], signs, False, "is not signed: this is not `hatch build`", id="not hatch"
        ),
        pytest.param("", {}, [], as_unpacked_sdist, False, "is not signed: it is built from an unpacked", id="sdist"),
        pytest.param("", {}, ["-d", "../out"], signs, True, "signed widget", id="output outside: signs"),
        pytest.param("", {"PIP_BUILD_TRACKER": "/tmp/x"}, [], signs, False, "", id="pip: not a word"),
        pytest.param('sign = "never"', {}, [], signs, False, "is not signed: sign = 'never'", id="never"),
        pytest.param('sign = "always"', {}, [], signs, True, "signed widget", id="always: signs"),
    ],
)
def test_may_it_sign(
    tmp_path: Path,
    sandbox: Sandbox,
    in_ci: dict[str, str],
    hook: str,
    environ: dict[str, str],
    arguments: list[str],
    prepare: Callable[[Project], None],
    *,
    signed: bool,
    said: str,
) -> None:
    """A wrong yes signs on somebody else's machine; a wrong no loses a release's provenance."""
    project = Project(tmp_path / "project", hook)
    prepare(project)
    result = project.hatchling("-t", "wheel", *arguments, environ={**in_ci, **environ})
    output = tmp_path / "out" if arguments else project.dist
    assert (output / f"{WHEEL}.publish.attestation").exists() is signed
    assert (sigstore_requests(sandbox) > 0) is signed
    assert said in result.stderr
    assert bool(said) is ("attest:" in result.stderr)


@pytest.mark.parametrize(
    ("hook", "environ", "identity", "why"),
    [
        pytest.param("", NO_IDENTITY, {}, "no identity is set up in this GitHub Actions job", id="no identity"),
        pytest.param(
            PUBLISHER % "octo-org/another",
            {},
            {},
            "the identity at hand is octo-org/widget, workflow release.yml at refs/tags/v1, and the publisher of this "
            "project is GitHub octo-org/another release.yml",
            id="not the publisher",
        ),
        pytest.param(
            'sigstore = "production"',
            {"HATCH_ATTEST_SIGSTORE": ""},
            {"visibility": "private"},
            "octo-org/widget is private, and its name would enter the public log of production",
            id="private repository, public log",
        ),
        pytest.param(
            'sigstore = "staging"',
            {"HATCH_ATTEST_SIGSTORE": ""},
            {"visibility": "internal"},
            "octo-org/widget is internal, and its name would enter the public log of staging",
            id="internal repository, public log",
        ),
    ],
)
def test_it_may_sign_and_cannot(
    tmp_path: Path,
    sandbox: Sandbox,
    in_ci: dict[str, str],
    hook: str,
    environ: dict[str, str],
    identity: dict[str, str],
    why: str,
) -> None:
    """`auto` leaves it unsigned with one warning; `always` is an error. Neither makes a log entry."""
    if identity:
        sandbox.issuer.identity = GitHubIdentity(**identity)
    auto = Project(tmp_path / "auto", hook)
    result = auto.hatchling("-t", "wheel", environ={**in_ci, **environ})
    assert auto.files() == {WHEEL}
    (warning,) = [line for line in result.stderr.splitlines() if "left unsigned" in line]
    assert why in warning
    always = Project(tmp_path / "always", f'{hook}\nsign = "always"')
    result = always.hatchling("-t", "wheel", environ={**in_ci, **environ}, check=False)
    assert result.returncode == 1
    assert why in result.stderr
    assert "Traceback" not in result.stderr
    assert always.files() <= {WHEEL}
    assert sandbox.count("authority") == sandbox.count("log") == 0


@pytest.fixture(scope="module")
def light_python(tmp_path_factory: pytest.TempPathFactory, built_wheel: Path) -> str:
    """An environment with hatch-attest as whoever forgets the extra `sign` gets it."""
    environment = tmp_path_factory.mktemp("light") / "venv"
    python = str(environment / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python"))
    uv = [sys.executable, "-m", "uv"]
    subprocess.run([*uv, "venv", "-q", "-p", sys.executable, str(environment)], check=True, timeout=120)
    subprocess.run([*uv, "pip", "install", "-q", "-p", python, str(built_wheel)], check=True, timeout=300)
    return python


@pytest.mark.slow
def test_without_the_signing_libraries_it_says_what_to_install(
    tmp_path: Path, sandbox: Sandbox, in_ci: dict[str, str], light_python: str
) -> None:
    """A per-target table that drops `dependencies` ends here: unsigned with a warning, or an error under `always`."""
    project = Project(tmp_path / "project")
    result = project.hatchling("-t", "wheel", environ=in_ci, python=light_python)
    assert "left unsigned: the signing libraries are absent" in result.stderr
    assert "put dependencies = ['hatch-attest[sign]'] into tool.hatch.build.hooks.attest" in result.stderr
    assert project.files() == {WHEEL}
    always = {**in_ci, "HATCH_ATTEST_SIGN": "always"}
    result = project.hatchling("-t", "wheel", environ=always, python=light_python, check=False)
    assert result.returncode == 1
    assert "the signing libraries are absent" in result.stderr
    assert sigstore_requests(sandbox) == 0


def test_always_without_an_identity_ends_before_anything_is_built(
    tmp_path: Path, sandbox: Sandbox, in_ci: dict[str, str]
) -> None:
    """A build of an hour that then cannot be signed is an hour lost."""
    project = Project(tmp_path / "project", 'sign = "always"')
    project.hatchling(environ={**in_ci, **NO_IDENTITY}, check=False)
    assert project.files() == set()
    assert sigstore_requests(sandbox) == 0


def test_an_identity_that_fails_fails_the_build_under_auto_as_well(
    project: Project, sandbox: Sandbox, in_ci: dict[str, str]
) -> None:
    """An outage must not make an unsigned release."""
    sandbox.faults.add("authority", "POST", "/api/v2/signingCert", ("status", 400, b'{"code":3,"message":"no way"}'))
    result = project.hatchling("-t", "wheel", environ=in_ci, check=False)
    assert result.returncode == 1
    assert "refused the identity: 400: no way." in result.stderr
    assert f"{WHEEL} itself is untouched; it has no sidecar" in result.stderr
    assert "Traceback" not in result.stderr
    assert project.files() == {WHEEL}


def test_the_traceback_is_shown_with_verbose_only(project: Project, sandbox: Sandbox, in_ci: dict[str, str]) -> None:
    """Whoever reports a defect needs it."""
    sandbox.faults.add("authority", "POST", "/api/v2/signingCert", ("status", 400, b"{}"))
    result = project.hatchling("-t", "wheel", environ={**in_ci, "HATCH_VERBOSE": "1"}, check=False)
    assert "Traceback" in result.stderr


# --- What is made ---------------------------------------------------------------------------------------------------


def test_both_artifacts_are_signed_with_one_line_each(project: Project, in_ci: dict[str, str]) -> None:
    """The line is the only proof that a user sees: what, as whom, in which log and where."""
    result = project.hatchling(environ=in_ci)
    assert project.files() == {WHEEL, SDIST, *SIDECARS}
    lines = [line for line in result.stderr.splitlines() if line.startswith("attest: signed")]
    pattern = (
        r"attest: signed %s as octo-org/widget, workflow release\.yml at refs/tags/v1, identity from GitHub Actions; "
        r"log 127\.0\.0\.1:\d+, index %d \(a rehearsal: the instance is on this machine\)"
    )
    assert [bool(re.fullmatch(pattern % (re.escape(name), i), line)) for i, (name, line) in
            enumerate(zip([SDIST, WHEEL], lines, strict=True))] == [True, True]  # fmt: skip
    assert [line for line in result.stderr.splitlines() if "identity token goes to 127.0.0.1" in line]


def test_nothing_secret_is_written_or_said(project: Project, sandbox: Sandbox, in_ci: dict[str, str]) -> None:
    """A token in a public build log can be used by everybody until it expires."""
    token = sandbox.issuer.token("sigstore")
    environ = {**in_ci, "SIGSTORE_IDENTITY_TOKEN": token, "HATCH_VERBOSE": "3"}
    result = project.hatchling(environ=environ)
    written = b"".join(path.read_bytes() for path in project.dist.iterdir())
    for secret in (token, token.split(".")[2], in_ci["ACTIONS_ID_TOKEN_REQUEST_TOKEN"]):
        assert secret not in result.stdout + result.stderr
        assert secret.encode() not in written
    assert "identity from SIGSTORE_IDENTITY_TOKEN" in result.stderr


def test_the_hook_never_changes_an_artifact(tmp_path: Path, in_ci: dict[str, str]) -> None:
    """With and without it, wheel and sdist are byte-identical but for the table in the sdist's pyproject.toml."""
    environ = {**in_ci, "SOURCE_DATE_EPOCH": "1700000000"}
    project = Project(tmp_path / "project")
    project.hatchling(environ=environ)
    with_hook = {name: (project.dist / name).read_bytes() for name in (WHEEL, SDIST)}
    project.hatchling("--no-hooks", "-d", "plain", environ=environ)
    assert {name: (project.root / "plain" / name).read_bytes() for name in (WHEEL, SDIST)} == with_hook


def test_overrides_from_the_environment_are_named(project: Project, in_ci: dict[str, str]) -> None:
    """Otherwise a build that does not sign is a riddle."""
    result = project.hatchling("-t", "wheel", environ={**in_ci, "HATCH_ATTEST_SIGN": "never"})
    assert "attest: sign = 'never' by HATCH_ATTEST_SIGN" in result.stderr
    assert project.files() == {WHEEL}


def test_all_problems_of_the_configuration_end_the_build_at_once(tmp_path: Path, in_ci: dict[str, str]) -> None:
    """With the path of the table that is really read."""
    project = Project(
        tmp_path / "project",
        'sign = "allways"\npredicates = ["slsa"]',
        '[tool.hatch.build.targets.wheel.hooks.attest]\nsgin = "auto"\n',
    )
    result = project.hatchling("-t", "wheel", environ=in_ci, check=False)
    assert result.returncode == 1
    assert "tool.hatch.build.targets.wheel.hooks.attest.sgin: unknown key (did you mean 'sign'?)" in result.stderr
    assert project.files() == set()
    result = project.hatchling("-t", "sdist", environ=in_ci, check=False)
    assert "2 problems" in result.stderr
    assert "tool.hatch.build.hooks.attest.sign: must be one of" in result.stderr
    assert "Traceback" not in result.stderr


def test_a_broken_table_does_not_matter_where_nothing_may_sign(tmp_path: Path, clean_environ: dict[str, str]) -> None:
    """Whoever installs somebody's sdist cannot mend its configuration."""
    project = Project(tmp_path / "project", 'sign = "allways"')
    project.hatchling(environ=clean_environ)
    assert project.files() == {WHEEL, SDIST}


# --- Sidecars over several builds -----------------------------------------------------------------------------------


def test_a_rebuild_that_does_not_sign_removes_the_stale_sidecar(project: Project, in_ci: dict[str, str]) -> None:
    """A sidecar about other bytes looks like tampering at the upload."""
    project.hatchling(environ=in_ci)
    (project.root / "widget" / "new.py").write_text("x = 1\n", encoding="utf-8")
    result = project.hatchling("-t", "wheel", environ={**in_ci, **NO_IDENTITY})
    assert project.files() == {WHEEL, SDIST, f"{SDIST}.publish.attestation"}
    assert f"removed {WHEEL}.publish.attestation" in result.stderr


def test_a_rebuild_of_the_same_bytes_keeps_the_sidecar(project: Project, in_ci: dict[str, str]) -> None:
    """It still proves what it proved; only the missing is signed."""
    environ = {**in_ci, "SOURCE_DATE_EPOCH": "1700000000"}
    project.hatchling(environ=environ)
    before = (project.dist / f"{WHEEL}.publish.attestation").read_bytes()
    project.hatchling("-t", "wheel", environ={**environ, **NO_IDENTITY})
    assert (project.dist / f"{WHEEL}.publish.attestation").read_bytes() == before


def test_clean_before_a_build_spares_the_sidecar_of_the_other_target(project: Project, in_ci: dict[str, str]) -> None:
    """`hatch build -c` cleans for the wheel when the sdist is signed already."""
    project.hatchling(environ=in_ci)
    project.hatchling("--clean", environ=in_ci)
    assert project.files() == {WHEEL, SDIST, *SIDECARS}
    project.hatchling("--clean-only", "-t", "wheel", environ=in_ci)
    assert project.files() == {SDIST, f"{SDIST}.publish.attestation"}
    project.hatchling("--clean-only", environ=in_ci)
    assert project.files() == set()


def test_clean_hooks_after_keeps_what_was_just_signed(project: Project, in_ci: dict[str, str]) -> None:
    """It calls clean() right behind finalize()."""
    project.hatchling("--clean-hooks-after", environ=in_ci)
    assert project.files() == {WHEEL, SDIST, *SIDECARS}


def test_a_signature_that_fails_leaves_no_sidecar_of_any_kind(
    project: Project, sandbox: Sandbox, in_ci: dict[str, str]
) -> None:
    """Half a sidecar would be taken for tampering."""
    sandbox.faults.add("log", "POST", "/api/v1/log/entries", ("status", 400, b'{"code":400,"message":"no"}'))
    result = project.hatchling("-t", "wheel", environ=in_ci, check=False)
    assert result.returncode == 1
    assert "refused the entry for widget-1.0-py3-none-any.whl: 400: no." in result.stderr
    assert {path.name for path in project.dist.iterdir()} == {WHEEL}


def test_a_passing_fault_of_the_log_is_retried(project: Project, sandbox: Sandbox, in_ci: dict[str, str]) -> None:
    """A 502 of Rekor is a traceback elsewhere (gh-action-pypi-publish#364)."""
    sandbox.faults.add("log", "POST", "/api/v1/log/entries", ("status", 502, b"<html>bad gateway</html>"))
    sandbox.faults.add("authority", "POST", "/api/v2/signingCert", "drop")
    project.hatchling("-t", "wheel", environ=in_ci)
    assert project.files() == {WHEEL, f"{WHEEL}.publish.attestation"}


def test_an_answer_of_html_is_a_clear_error(project: Project, sandbox: Sandbox, in_ci: dict[str, str]) -> None:
    """A captive portal answers 200 to everything."""
    sandbox.faults.add("log", "POST", "/api/v1/log/entries", ("status", 200, b"<html>log in</html>"), times=9)
    result = project.hatchling("-t", "wheel", environ=in_ci, check=False)
    assert result.returncode == 1
    assert "something else than JSON" in result.stderr
    assert "Traceback" not in result.stderr


def test_a_hook_behind_ours_is_warned_of(tmp_path: Path, in_ci: dict[str, str]) -> None:
    """It could change the artifact after it was signed."""
    project = Project(tmp_path / "project", "", '[tool.hatch.build.hooks.custom]\npath = "custom.py"\n')
    (project.root / "custom.py").write_text(
        "from hatchling.builders.hooks.plugin.interface import BuildHookInterface\n"
        "class Custom(BuildHookInterface):\n    pass\n",
        encoding="utf-8",
    )
    result = project.hatchling("-t", "wheel", environ=in_ci)
    assert "the build hook custom run after this one" in result.stderr or "custom runs after" in result.stderr


def test_a_sidecar_is_an_attestation_of_pep_740(project: Project, in_ci: dict[str, str]) -> None:
    """Other uploaders read it: twine, uv, PyPI's own action."""
    project.hatchling("-t", "wheel", environ=in_ci)
    document = json.loads((project.dist / f"{WHEEL}.publish.attestation").read_text(encoding="utf-8"))
    assert document["version"] == 1
    assert set(document) == {"version", "verification_material", "envelope"}
    (entry,) = document["verification_material"]["transparency_entries"]
    assert entry["kindVersion"] == {"kind": "dsse", "version": "0.0.1"}

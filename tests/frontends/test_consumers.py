"""Whoever installs or builds somebody else's project never signs, and installs nothing for it.

Each row runs a real front end with an identity at hand, so that a wrong decision would sign.
"""

from __future__ import annotations

import tarfile
from typing import TYPE_CHECKING

import pytest

from tests.frontends.layouts import LAYOUTS, OPT_IN, PLAIN, RECOMMENDED, WITHOUT, Project
from tests.frontends.machine import SIGNING
from tests.frontends.tables import CONSUMERS

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.frontends.machine import Outcome, Row
    from tests.frontends.tables import Recorder

    Consumer = Callable[[Row, Project], None]

pytestmark = pytest.mark.matrix

# tox's virtual environments have them from the start.
SEED = frozenset({"pip", "setuptools"})
IMPORT = ("python", "-c", "import widget")


# --- pip -----------------------------------------------------------------------------------------------------------


def pip_install(row: Row, project: Project) -> None:
    row.run(row.venv(), "-m", "pip", "install", ".", cwd=project.root)


def pip_install_editable(row: Row, project: Project) -> None:
    row.run(row.venv(), "-m", "pip", "install", "-e", ".", cwd=project.root)


def pip_install_sdist(row: Row, project: Project) -> None:
    sdist = row.sdist(project)
    row.run(row.venv(), "-m", "pip", "install", sdist, cwd=row.directory)


def pip_install_git(row: Row, project: Project) -> None:
    row.run(row.venv(), "-m", "pip", "install", project.commit(), cwd=row.directory)


def pip_wheel(row: Row, project: Project) -> None:
    row.run(row.venv(), "-m", "pip", "wheel", ".", cwd=project.root)


# --- uv ------------------------------------------------------------------------------------------------------------


def uv_pip_install(row: Row, project: Project) -> None:
    row.run("uv", "pip", "install", "--python", row.venv(), ".", cwd=project.root)


def uv_pip_install_uncached(row: Row, project: Project) -> None:
    python = row.venv()
    row.run("uv", "pip", "install", "--python", python, ".", cwd=project.root, environ={"UV_NO_CACHE": "1"})


def uv_pip_install_editable(row: Row, project: Project) -> None:
    row.run("uv", "pip", "install", "--python", row.venv(), "-e", ".", cwd=project.root)


def uv_pip_install_sdist(row: Row, project: Project) -> None:
    sdist = row.sdist(project)
    row.run("uv", "pip", "install", "--python", row.venv(), sdist, cwd=row.directory)


def uv_pip_install_git(row: Row, project: Project) -> None:
    row.run("uv", "pip", "install", "--python", row.venv(), project.commit(), cwd=row.directory)


def uv_sync(row: Row, project: Project) -> None:
    row.run("uv", "sync", cwd=project.root)


def uv_sync_no_editable(row: Row, project: Project) -> None:
    row.run("uv", "sync", "--no-editable", cwd=project.root)


def uv_run(row: Row, project: Project) -> None:
    row.run("uv", "run", *IMPORT, cwd=project.root)


def uv_tool_install(row: Row, project: Project) -> None:
    row.run("uv", "tool", "install", ".", cwd=project.root)


# --- others --------------------------------------------------------------------------------------------------------


def pipx_install(row: Row, project: Project) -> None:
    row.run("pipx", "install", ".", cwd=project.root, environ={"PIPX_HOME": str(row.directory / "pipx")})


def tox(row: Row, project: Project) -> None:
    _tox(row, project, "sdist")


def tox_wheel(row: Row, project: Project) -> None:
    _tox(row, project, "wheel")


def tox_editable(row: Row, project: Project) -> None:
    _tox(row, project, "editable")


def _tox(row: Row, project: Project, package: str) -> None:
    """Let tox pass the environment, which it filters by default, so that the identity is at hand."""
    command = '[["python", "-c", "import widget"]]'
    (project.root / "tox.toml").write_text(
        f'env_list = ["check"]\n[env_run_base]\npackage = "{package}"\ncommands = {command}\n[env_base]\n'
        '[env_pkg_base]\npass_env = ["*"]\n',
        encoding="utf-8",
    )
    row.run("tox", "run", cwd=project.root)


def hatch_run(row: Row, project: Project) -> None:
    row.run("hatch", "run", *IMPORT, cwd=project.root)


def hatch_test(row: Row, project: Project) -> None:
    (project.root / "tests").mkdir()
    (project.root / "tests" / "test_widget.py").write_text("def test_it():\n    import widget\n", encoding="utf-8")
    row.run("hatch", "test", cwd=project.root)


def build_unpacked_sdist(row: Row, project: Project) -> None:
    row.run("pyproject-build", cwd=_unpacked(row, project))


def uv_build_unpacked_sdist(row: Row, project: Project) -> None:
    row.run("uv", "build", cwd=_unpacked(row, project))


def hatch_build_unpacked_sdist(row: Row, project: Project) -> None:
    row.run("hatch", "build", cwd=_unpacked(row, project))


def _unpacked(row: Row, project: Project) -> Path:
    with tarfile.open(row.sdist(project)) as archive:
        archive.extractall(row.directory / "unpacked", filter="data")
    return row.directory / "unpacked" / "widget-1.0"


def build_requirement_of_a_signer(row: Row, project: Project) -> None:
    """Another project that signs its own release: its opt-in reaches the hooks of its build requirements."""
    requires = f'["hatchling", "{project.name} @ {project.commit()}"]'
    outer = Project(row.directory / "outer", RECOMMENDED, name="outer", requires=requires)
    # Its environment, and so its requirement, is made; the other project itself is not built, and signs nothing here.
    # That environment has what signs, rightly, and is kept apart from what this row looks at.
    environ = {"HATCH_DATA_DIR": str(row.machine.directory / f"hatch-{row.number}")}
    row.run("hatch", "build", "--hooks-only", cwd=outer.root, environ=environ)


def hatch_run_dynamic(row: Row, project: Project) -> None:
    """With dynamic dependencies, Hatch prepares the build's environment to learn them."""
    pyproject = project.root / "pyproject.toml"
    text = pyproject.read_text(encoding="utf-8").replace("dependencies = []", 'dynamic = ["dependencies"]')
    pyproject.write_text(f"{text}\n[tool.hatch.metadata.hooks.custom]\n", encoding="utf-8")
    row.run("hatch", "run", *IMPORT, cwd=project.root)


# --- The project as another project's build requirement ------------------------------------------------------------


def outer_by_pip(row: Row, outer: Project) -> None:
    row.run(row.venv(), "-m", "pip", "install", ".", cwd=outer.root)


def outer_by_uv(row: Row, outer: Project) -> None:
    row.run("uv", "pip", "install", "--python", row.venv(), ".", cwd=outer.root)


def outer_by_hatch(row: Row, outer: Project) -> None:
    row.run("hatch", "build", cwd=outer.root)


def required_as_sdist(row: Row, project: Project) -> str:
    row.machine.packages.add(project.name, row.sdist(project))
    return project.name


def required_by_git(_: Row, project: Project) -> str:
    return f"{project.name} @ {project.commit()}"


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(
    ("front_end", "consume"),
    [
        pytest.param(label, consume, id=label)
        for label, consume in {
            "pip install .": pip_install,
            "pip install -e .": pip_install_editable,
            "pip install SDIST": pip_install_sdist,
            "pip install git+file://": pip_install_git,
            "pip wheel .": pip_wheel,
            "uv pip install .": uv_pip_install,
            "uv pip install . (no cache)": uv_pip_install_uncached,
            "uv pip install -e .": uv_pip_install_editable,
            "uv pip install SDIST": uv_pip_install_sdist,
            "uv pip install git+file://": uv_pip_install_git,
            "uv sync": uv_sync,
            "uv sync --no-editable": uv_sync_no_editable,
            "uv run": uv_run,
            "uv tool install .": uv_tool_install,
            "pipx install .": pipx_install,
            "tox": tox,
            "tox (package = wheel)": tox_wheel,
            "tox (package = editable)": tox_editable,
            "hatch run": hatch_run,
            "hatch test": hatch_test,
            "python -m build, an unpacked sdist": build_unpacked_sdist,
            "uv build, an unpacked sdist": uv_build_unpacked_sdist,
        }.items()
    ],
)
def test_a_consumer_signs_nothing_and_installs_nothing_for_it(
    row: Row, record: Recorder, front_end: str, consume: Consumer, layout: str
) -> None:
    """People who never chose the hook would sign with their identity, or install thirty packages for nothing."""
    project = Project(row.directory / "my prøject", layout)
    consume(row, project)
    outcome = row.outcome(project)
    record(CONSUMERS, outcome, front_end=front_end, layout=layout)
    assert_untouched(outcome, row, layout)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("require", [required_as_sdist, required_by_git], ids=["sdist", "git"])
@pytest.mark.parametrize("consume", [outer_by_pip, outer_by_uv, outer_by_hatch], ids=["pip", "uv", "hatch build"])
def test_a_build_requirement_signs_nothing_and_installs_nothing_for_it(
    row: Row,
    record: Recorder,
    consume: Consumer,
    require: Callable[[Row, Project], str],
    layout: str,
    request: pytest.FixtureRequest,
) -> None:
    """Someone's release would sign its build tools as well, in its own name."""
    inner = Project(row.directory / "inner", layout, name=f"gadget-{row.number}")
    outer = Project(row.directory / "outer", WITHOUT, requires=f'["hatchling", "{require(row, inner)}"]')
    consume(row, outer)
    outcome = row.outcome(inner)
    installer, source, _ = request.node.callspec.id.split("-")
    record(CONSUMERS, outcome, front_end=f"{installer}, as a build requirement by {source}", layout=layout)
    assert_untouched(outcome, row, layout)


def assert_untouched(outcome: Outcome, row: Row, layout: str) -> None:
    assert outcome.built, "the probe saw no build: the row shows nothing"
    assert outcome.requests == (0, 0, 0)
    assert outcome.sidecars == []
    assert not outcome.installed & SIGNING
    assert not outcome.asked & SIGNING
    assert "hatchling" in outcome.asked, "the index saw no question: the row shows nothing"
    if layout == RECOMMENDED:
        assert "hatch-attest" not in outcome.asked
        assert outcome.installed <= row.machine.light | SEED
        assert not outcome.hook_ran
    else:
        assert "hatch-attest" in outcome.asked
        assert outcome.installed <= row.machine.light | SEED | {"hatch-attest"}
        assert outcome.hook_ran


# --- Rows that cannot be so, each with its reason ------------------------------------------------------------------


NAMED = {"HATCH_ATTEST_PROJECT": "widget"}
OPTED_IN = {OPT_IN: "true"}


IN_TIME = "the hook is asked for its dependencies before it can know where the output goes"
OPTS_IN = "the opt-in enables the hook, and with it what its `dependencies` name"
INHERITED = "the opt-in of the project that requires it reaches it, too"
DYNAMIC = "Hatch prepares the environment of `hatch build`, opt-in and identity included, to learn the dependencies"


@pytest.mark.parametrize(
    ("front_end", "layout", "consume", "environ", "signing", "reason"),
    [
        pytest.param(label, layout, consume, environ, signing, reason, id=f"{label}-{layout}")
        for label, layout, consume, environ, signing, reason in [
            ("pip install ., named", PLAIN, pip_install, NAMED, False, ""),
            ("pip wheel ., named", PLAIN, pip_wheel, NAMED, False, ""),
            ("uv pip install ., named", PLAIN, uv_pip_install, NAMED, True, IN_TIME),
            ("uv pip install . (no cache), named", PLAIN, uv_pip_install_uncached, NAMED, True, IN_TIME),
            ("uv sync, named", PLAIN, uv_sync, NAMED, True, IN_TIME),
            ("uv sync --no-editable, named", PLAIN, uv_sync_no_editable, NAMED, True, IN_TIME),
            ("uv run, named", PLAIN, uv_run, NAMED, True, IN_TIME),
            ("tox, named", PLAIN, tox, NAMED, True, IN_TIME),
            ("tox (package = wheel), named", PLAIN, tox_wheel, NAMED, True, IN_TIME),
            ("pip install ., opted in", RECOMMENDED, pip_install, OPTED_IN, True, OPTS_IN),
            ("uv pip install ., opted in", RECOMMENDED, uv_pip_install, OPTED_IN, True, OPTS_IN),
            ("hatch build, an unpacked sdist", RECOMMENDED, hatch_build_unpacked_sdist, {}, True, OPTS_IN),
            ("hatch build, an unpacked sdist", PLAIN, hatch_build_unpacked_sdist, {}, False, ""),
            ("a signing project's build requirement", RECOMMENDED, build_requirement_of_a_signer, {}, True, INHERITED),
            ("a signing project's build requirement", PLAIN, build_requirement_of_a_signer, {}, False, ""),
            ("hatch run, dynamic dependencies", RECOMMENDED, hatch_run_dynamic, {}, True, DYNAMIC),
            ("hatch run, dynamic dependencies", PLAIN, hatch_run_dynamic, {}, True, DYNAMIC),
        ]
    ],
)
def test_who_opts_in_without_a_release_installs_and_signs_nothing(
    row: Row,
    record: Recorder,
    front_end: str,
    layout: str,
    consume: Consumer,
    environ: dict[str, str],
    reason: str,
    *,
    signing: bool,
) -> None:
    """A release's workflow sets its variables for all its steps, and some of them merely install the project."""
    project = Project(row.directory / "my prøject", layout)
    row.environ |= environ
    consume(row, project)
    outcome = row.outcome(project)
    record(CONSUMERS, outcome, front_end=front_end, layout=layout, remark=reason)
    assert outcome.built, "the probe saw no build: the row shows nothing"
    assert "hatch-attest" in outcome.installed
    assert bool(outcome.installed & SIGNING) is signing
    assert outcome.requests == (0, 0, 0)
    assert outcome.sidecars == []


@pytest.mark.parametrize("consume", [pip_install, uv_pip_install], ids=["pip install .", "uv pip install ."])
def test_a_table_of_a_target_that_drops_the_opt_in_fails_consumers(
    row: Row, record: Recorder, consume: Consumer, request: pytest.FixtureRequest
) -> None:
    """It cannot be so, and it is not ours to change: the README warns of it, and this is what it says there."""
    table = '[tool.hatch.build.targets.wheel.hooks.attest]\nsign = "auto"\n'
    project = Project(row.directory / "my prøject", RECOMMENDED, extra=table)
    with pytest.raises(AssertionError, match="Unknown build hook: attest"):
        consume(row, project)
    outcome = row.outcome(project)
    label = f"{request.node.callspec.id}, a target's own table"
    reason = (
        "fails, `Unknown build hook`: hatchling puts the target's table in place of the one with `enable-by-default`"
    )
    record(CONSUMERS, outcome, front_end=label, layout=RECOMMENDED, remark=reason)
    assert outcome.requests == (0, 0, 0)
    assert "hatch-attest" not in outcome.asked

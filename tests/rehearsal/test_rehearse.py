"""A whole rehearsal: what it shows, what it proves, and what it leaves behind."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import ROOT, Project

_EXAMPLE = ROOT / "example-project"
# The checkout's code, whose coverage is measured; two tests run the wheel's.
_HERE = Path(sys.executable)
_STEPS = ("copy", "sandbox", "build", "publish", "install", "verify", "tamper")


@pytest.fixture
def environ(clean_environ: dict[str, str], tmp_path: Path) -> dict[str, str]:
    """An environment whose temporary files can be counted, and with what a rehearsal must not take up."""
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    home = Path(clean_environ["HOME"])
    (home / ".pypirc").write_text("[pypi]\nusername = __token__\npassword = not-for-a-rehearsal\n", encoding="utf-8")
    return {
        **clean_environ,
        "TMPDIR": str(temporary),
        "TEMP": str(temporary),
        "TMP": str(temporary),
        "HATCH_ENV_ACTIVE": "hatch-test",
        "HATCH_INDEX_AUTH": "not-for-a-rehearsal",
        "TWINE_REPOSITORY_URL": "https://nowhere.invalid",
        "GITHUB_ACTIONS": "true",
        "SIGSTORE_IDENTITY_TOKEN": "not-for-a-rehearsal",
    }


def rehearse(python: Path, project: Path, environ: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Run `hatch-attest rehearse PROJECT` by a Python, away from the checkout."""
    return subprocess.run(
        [python, "-m", "hatch_attest", "rehearse", str(project)],
        cwd=environ["HOME"],
        env=environ,
        capture_output=True,
        encoding="utf-8",
        check=False,
        timeout=600,
    )


def table(output: str) -> dict[str, str]:
    """The word that the report at the end has for each step."""
    rows = {}
    for line in output.splitlines():
        for word in ("held", "FAILED", "not reached"):
            name = line.removeprefix(word).strip().partition(" ")[0]
            if line.startswith(word) and name in _STEPS:
                rows[name] = word
    return rows


def snapshot(directory: Path) -> dict[str, bytes]:
    """Every file below ``directory``, with its bytes."""
    return {str(path.relative_to(directory)): path.read_bytes() for path in directory.rglob("*") if path.is_file()}


def test_the_example_is_released_on_the_sandbox_and_nothing_is_left(
    installed: Path, environ: dict[str, str], tmp_path: Path
) -> None:
    """The promise of the README's first line: every step holds, the project is as it was, no file stays anywhere."""
    project = shutil.copytree(_EXAMPLE, tmp_path / "an example", ignore=shutil.ignore_patterns("dist"))
    before, home = snapshot(project), snapshot(Path(environ["HOME"]))

    result = rehearse(installed, project, environ)

    assert result.returncode == 0, result.stdout + result.stderr
    assert table(result.stdout) == dict.fromkeys(_STEPS, "held")
    assert "2 artifacts, 2 signed" in result.stdout
    assert "2 files verified" in result.stdout
    assert "2 files refused" in result.stdout
    assert "not-for-a-rehearsal" not in result.stdout + result.stderr
    assert result.stderr == ""
    assert snapshot(project) == before
    assert snapshot(Path(environ["HOME"])) == home
    assert list(Path(environ["TMPDIR"]).iterdir()) == []


def test_the_configured_publisher_is_played(environ: dict[str, str], tmp_path: Path) -> None:
    """A rehearsal as somebody else would not see that the configuration and the Trusted Publisher disagree."""
    hook = (
        'enable-by-default = true\npublisher = {kind = "GitLab", repository = "group/sub/widget",'
        ' workflow_filepath = ".gitlab-ci.yml", environment = "release"}\ndependencies = ["hatch-attest[sign]"]'
    )
    project = Project(tmp_path / "project", hook)

    result = rehearse(_HERE, project.root, environ)

    assert result.returncode == 0, result.stdout + result.stderr
    assert "as GitLab group/sub/widget .gitlab-ci.yml (environment release)" in result.stdout


def test_what_is_not_signed_by_the_build_is_signed_when_it_is_published(
    environ: dict[str, str], tmp_path: Path
) -> None:
    """A project without the hook can be rehearsed: its publish job signs."""
    project = Project(tmp_path / "project", None)

    result = rehearse(_HERE, project.root, environ)

    assert result.returncode == 0, result.stdout + result.stderr
    assert "2 artifacts, 0 signed" in result.stdout


def test_a_build_that_fails_is_shown_and_ends_the_rehearsal(environ: dict[str, str], tmp_path: Path) -> None:
    """The exit status tells the truth, and the reason stands in what Hatch printed."""
    project = Project(tmp_path / "project", None, extra='[tool.hatch.build.hooks.custom]\npath = "hook.py"')
    (project.root / "hook.py").write_text("raise RuntimeError('this build cannot be')\n", encoding="utf-8")

    result = rehearse(_HERE, project.root, environ)

    assert result.returncode == 1
    assert table(result.stdout)["build"] == "FAILED"
    assert table(result.stdout)["publish"] == "not reached"
    assert "this build cannot be" in result.stdout
    assert "Nothing was published anywhere" in result.stdout
    assert list(Path(environ["TMPDIR"]).iterdir()) == []


@pytest.mark.slow
def test_a_version_of_no_tag_is_rehearsed_as_a_release(environ: dict[str, str], tmp_path: Path) -> None:
    """Uncommitted changes give a project of hatch-vcs a local version, which is not what would be released."""
    project = Project(tmp_path / "project", 'dependencies = ["hatch-attest[sign]"]')
    text = (project.root / "pyproject.toml").read_text(encoding="utf-8")
    text = text.replace('["hatchling"]', '["hatchling", "hatch-vcs"]').replace(
        'version = "1.0"', 'dynamic = ["version"]'
    )
    text += '[tool.hatch.version]\nsource = "vcs"\n'
    (project.root / "pyproject.toml").write_text(text, encoding="utf-8")
    author = ("-c", "user.name=A", "-c", "user.email=a@example.com", "-c", "commit.gpgsign=false")
    for arguments in (("init", "--quiet"), ("add", "."), ("commit", "--quiet", "--message=first"), ("tag", "v1.0")):
        subprocess.run(["git", *author, *arguments], cwd=project.root, check=True)
    (project.root / "widget" / "__init__.py").write_text("changed = True\n", encoding="utf-8")

    result = rehearse(_HERE, project.root, environ)

    assert result.returncode == 0, result.stdout + result.stderr
    assert "again, as 1.1.dev0" in result.stdout
    assert "widget-1.1.dev0-py3-none-any.whl, byte for byte what was built" in result.stdout


def test_a_local_version_that_is_meant_is_refused(environ: dict[str, str], tmp_path: Path) -> None:
    """No index takes it, whatever is tagged."""
    project = Project(tmp_path / "project", None)
    text = (project.root / "pyproject.toml").read_text(encoding="utf-8")
    (project.root / "pyproject.toml").write_text(text.replace('"1.0"', '"1.0+local"'), encoding="utf-8")

    result = rehearse(_HERE, project.root, environ)

    assert result.returncode == 1
    assert table(result.stdout)["build"] == "FAILED"
    assert "1.0+local has a local part" in result.stdout


_HATCHLING = "[build-system]\nbuild-backend = 'hatchling.build'\n"
_HOOK = f"{_HATCHLING}[project]\nname = 'x'\n[tool.hatch.build.hooks.attest]\n"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, "holds no pyproject.toml"),
        ("[project]\nname = 'x'\n", "not by hatchling.build"),
        ("[build-system]\nbuild-backend = 'setuptools.build_meta'\n[project]\nname = 'x'\n", "setuptools.build_meta"),
        (_HATCHLING, "names no project"),
        ("[build-system\n", "pyproject.toml"),
        (f"{_HOOK}publisher = {{kind = 'Google', email = 'a@b.example'}}\n", "cannot play Google"),
        (f"{_HOOK}sing = 'auto'\n", "did you mean 'sign'?"),
    ],
    ids=["no project", "no backend", "another backend", "no name", "no TOML", "Google", "a misspelt key"],
)
def test_what_cannot_be_rehearsed_is_told_in_time(
    text: str | None, words: str, environ: dict[str, str], tmp_path: Path
) -> None:
    """Status 2: nothing was started, and the message says what to mend."""
    project = tmp_path / "project"
    project.mkdir()
    if text is not None:
        (project / "pyproject.toml").write_text(text, encoding="utf-8")

    result = rehearse(_HERE, project, environ)

    assert result.returncode == 2
    assert words in result.stderr
    assert "Traceback" not in result.stderr
    assert list(Path(environ["TMPDIR"]).iterdir()) == []


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_rehearsal_leaves_nothing(
    number: signal.Signals, installed: Path, environ: dict[str, str], tmp_path: Path
) -> None:
    """Ctrl-C in the middle of a build: the build ends too, and the temporary directory goes."""
    project = Project(tmp_path / "project", None, extra='[tool.hatch.build.hooks.custom]\npath = "hook.py"')
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(120)
        hook = f"import socket\nsocket.create_connection({server.getsockname()}).recv(1)\n"
        (project.root / "hook.py").write_text(hook, encoding="utf-8")
        with subprocess.Popen(
            [installed.with_name("hatch-attest"), "rehearse", str(project.root)],
            env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf-8", start_new_session=True,
        ) as process:  # fmt: skip
            building, _ = server.accept()
            process.send_signal(number)
            output, _ = process.communicate(timeout=60)
    with building:
        building.settimeout(60)
        assert building.recv(1) == b""  # it sends nothing: the build is dead
    assert process.returncode == 128 + number, output
    assert "Traceback" not in output
    assert "ended before it was done" in output
    assert list(Path(environ["TMPDIR"]).iterdir()) == []

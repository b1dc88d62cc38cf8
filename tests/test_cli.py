"""The command line: exit statuses, messages, and the sandbox around a command. Each test is a process of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

import hatch_attest
from hatch_attest import cli
from hatch_attest.sandbox import Sandbox
from tests.support import SDIST, SIDECARS, WHEEL, Project, clean_environment

if TYPE_CHECKING:
    from collections.abc import Iterator

_POSIX = pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals and shells")


def command(*arguments: str, cwd: Path, environ: dict[str, str], **more: Any) -> subprocess.CompletedProcess[str]:
    """Run `hatch-attest` as the console script does."""
    return subprocess.run(
        [sys.executable, "-m", "hatch_attest", *arguments],
        cwd=cwd,
        env=environ,
        capture_output=True,
        encoding="utf-8",
        check=False,
        timeout=120,
        **more,
    )


def build(root: Path, environ: dict[str, str]) -> Project:
    """A built, unsigned project that releases as octo-org/widget."""
    publisher = 'publisher = {kind = "GitHub", repository = "octo-org/widget", workflow = "release.yml"}'
    project = Project(root, f'{publisher}\ndependencies = ["hatch-attest[sign]"]')
    project.hatchling(environ={**environ, "HATCH_BUILD_NO_HOOKS": "true"})
    return project


@pytest.fixture
def project(tmp_path: Path, clean_environ: dict[str, str]) -> Project:
    """A built, unsigned project that releases as octo-org/widget."""
    return build(tmp_path / "a project", clean_environ)


class Signed(NamedTuple):
    """A project whose artifacts `hatch-attest sign` has signed, and the environment in which it did."""

    project: Project
    environ: dict[str, str]
    sign: subprocess.CompletedProcess[str]


@pytest.fixture(scope="module")
def signed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Signed]:
    """One signed project for the tests that only look at it."""
    directory = tmp_path_factory.mktemp("signed")
    with Sandbox(directory / "sandbox") as sandbox:
        environ = {**clean_environment(directory / "home"), **sandbox.environment}
        project = build(directory / "a project", environ)
        yield Signed(project, environ, command("sign", "dist", cwd=project.root, environ=environ))


def test_the_version_is_told(tmp_path: Path, clean_environ: dict[str, str]) -> None:
    """The first thing that a report of a problem needs."""
    result = command("--version", cwd=tmp_path, environ=clean_environ)

    assert result.stdout == f"hatch-attest {hatch_attest.__version__}\n"


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("publish",),
        ("sign",),
        ("verify", "--repository", "a/b", "--email", "c@d.example", "dist"),
        ("sign", "--nope"),
    ],
)
def test_bad_usage_ends_with_2(arguments: tuple[str, ...], tmp_path: Path, clean_environ: dict[str, str]) -> None:
    """Scripts tell bad usage from what did not hold by it."""
    result = command(*arguments, cwd=tmp_path, environ=clean_environ)

    assert result.returncode == cli.USAGE
    assert "usage: hatch-attest" in result.stderr


@pytest.mark.parametrize("subcommand", ["sign", "verify", "sandbox", "rehearse"])
def test_each_subcommand_explains_itself(subcommand: str, tmp_path: Path, clean_environ: dict[str, str]) -> None:
    """The help is all that many users read."""
    result = command(subcommand, "--help", cwd=tmp_path, environ=clean_environ)

    assert result.returncode == cli.HELD
    assert "usage: hatch-attest" in result.stdout


@pytest.mark.parametrize(("subcommand", "extra"), [("sign", "publish"), ("verify", "publish"), ("rehearse", "sandbox")])
def test_a_missing_extra_is_named_with_the_line_that_installs_it(
    subcommand: str, extra: str, tmp_path: Path, clean_environ: dict[str, str]
) -> None:
    """The base installs the command without what it needs: no traceback, but what to type."""
    # An interpreter with the base and nothing else, as far as importing goes.
    script = (
        "import importlib.util, sys; find = importlib.util.find_spec;"
        "importlib.util.find_spec = lambda name: None if name in ('twine', 'uvicorn') else find(name);"
        "from hatch_attest.cli import main; sys.exit(main())"
    )
    result = subprocess.run(
        [sys.executable, "-c", script, subcommand, "dist"],
        cwd=tmp_path, env=clean_environ, capture_output=True, encoding="utf-8", check=False,
    )  # fmt: skip

    assert result.returncode == cli.USAGE
    assert f'pip install "hatch-attest[{extra}]"' in result.stderr
    assert "Traceback" not in result.stderr


def test_sign_and_verify_hold(signed: Signed) -> None:
    """The manual way: wheels repaired after the build are signed in one step, and anybody can check them."""
    verified = command("verify", "dist", cwd=signed.project.root, environ=signed.environ)

    assert signed.sign.returncode == cli.HELD, signed.sign.stderr
    assert signed.project.files() == {WHEEL, SDIST, *SIDECARS}
    assert verified.returncode == cli.HELD, verified.stderr
    assert WHEEL in verified.stdout


@pytest.mark.parametrize(
    ("who", "status"),
    [
        (("--repository", "octo-org/widget", "--workflow", "release.yml"), cli.HELD),
        (("--repository", "octo-org/other", "--workflow", "release.yml"), cli.FAILED),
        (("--gitlab-project", "octo-org/widget", "--workflow", ".gitlab-ci.yml"), cli.FAILED),
        (("--email", "somebody@example.com"), cli.FAILED),
        (("--repository", "octo-org/widget"), cli.USAGE),
        (("--workflow", "release.yml"), cli.USAGE),
    ],
)
def test_verify_expects_whom_the_command_line_names(who: tuple[str, ...], status: int, signed: Signed) -> None:
    """An attestation by somebody else is worth nothing."""
    result = command("verify", *who, "dist", cwd=signed.project.root, environ=signed.environ)

    assert result.returncode == status, result.stderr


def test_verify_of_what_nobody_signed_fails(project: Project, sandbox: Sandbox, clean_environ: dict[str, str]) -> None:
    """Zero attestations never count as verified."""
    result = command("verify", "dist", cwd=project.root, environ={**clean_environ, **sandbox.environment})

    assert result.returncode == cli.FAILED
    assert WHEEL in result.stderr


def test_a_failure_is_one_message_and_the_traceback_comes_with_v(
    project: Project, sandbox: Sandbox, clean_environ: dict[str, str]
) -> None:
    """Users never see a traceback; whoever reports a problem can get one."""
    environ = {**clean_environ, "HATCH_ATTEST_SIGSTORE": sandbox.environment["HATCH_ATTEST_SIGSTORE"]}

    plain = command("sign", "dist", cwd=project.root, environ=environ)
    verbose = command("sign", "-v", "dist", cwd=project.root, environ=environ)

    assert plain.returncode == verbose.returncode == cli.FAILED
    assert plain.stderr.startswith("hatch-attest: ")
    assert "Traceback" not in plain.stderr
    assert "Traceback" in verbose.stderr


def test_a_wrong_configuration_ends_with_2(project: Project, clean_environ: dict[str, str]) -> None:
    """It is for the maintainer to mend, not for whoever runs it again."""
    (project.root / "pyproject.toml").write_text('[tool.hatch.build.hooks.attest]\nsing = "auto"\n', encoding="utf-8")

    result = command("sign", "dist", cwd=project.root, environ=clean_environ)

    assert result.returncode == cli.USAGE
    assert "did you mean 'sign'?" in result.stderr


def test_the_sandbox_runs_a_command_in_its_environment_and_ends_with_its_status(
    project: Project, clean_environ: dict[str, str]
) -> None:
    """As `env` does; what the command asks of the sandbox's index is answered."""
    script = (
        "import os, sys; print(os.environ['GITHUB_REPOSITORY']); print(os.environ.get('PYPI_ID_TOKEN'));"
        "print(os.path.exists(os.environ['HATCH_INDEX_CA_CERT'])); sys.exit(7)"
    )
    environ = {**clean_environ, "PYPI_ID_TOKEN": "a real one, which must not get there"}

    result = command("sandbox", "--", sys.executable, "-c", script, cwd=project.root, environ=environ)

    assert result.stdout.splitlines() == ["octo-org/widget", "None", "True"]
    assert result.returncode == 7


def test_a_whole_release_can_be_made_in_the_sandbox(project: Project, clean_environ: dict[str, str]) -> None:
    """Both halves by hand, in a shell that the sandbox started: the publisher is that of the project."""
    script = "import subprocess, sys; sys.exit(any(subprocess.call(c.split()) for c in sys.argv[1:]))"
    commands = ("hatch build", "hatch publish -p attest -n")
    environ = {**clean_environ, "HATCH_DATA_DIR": str(project.root.parent / "hatch")}

    result = command("sandbox", "--", sys.executable, "-c", script, *commands, cwd=project.root, environ=environ)

    assert result.returncode == cli.HELD, result.stdout + result.stderr
    assert "2 uploaded" in result.stdout + result.stderr


def test_a_command_of_the_sandbox_that_is_not_there_is_named(tmp_path: Path, clean_environ: dict[str, str]) -> None:
    """A misspelt command is not a traceback."""
    result = command("sandbox", "--", "no-such-program", cwd=tmp_path, environ=clean_environ)

    assert result.returncode == cli.FAILED
    assert "no-such-program" in result.stderr
    assert "Traceback" not in result.stderr


@_POSIX
def test_the_sandbox_serves_until_it_is_interrupted_and_leaves_nothing(
    tmp_path: Path, clean_environ: dict[str, str]
) -> None:
    """Ctrl-C is how it is meant to end: status 0, and its temporary directory is gone."""
    environ = {**clean_environ, "TMPDIR": str(tmp_path / "temporary")}
    (tmp_path / "temporary").mkdir()
    with subprocess.Popen(
        [sys.executable, "-m", "hatch_attest", "sandbox"],
        cwd=tmp_path, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8",
    ) as process:  # fmt: skip
        assert process.stdout is not None
        lines = []
        for line in process.stdout:
            lines.append(line)
            if "Ctrl-C" in line:
                break
        (url,) = [word for line in lines for word in line.split() if word.startswith("http")]
        with urllib.request.urlopen(url, timeout=30) as answer:  # noqa: S310 - loopback
            assert answer.status == 200
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == cli.HELD
        assert process.stderr is not None
        assert process.stderr.read() == ""
    assert list((tmp_path / "temporary").iterdir()) == []


@_POSIX
def test_the_environment_file_of_the_sandbox_can_be_sourced(tmp_path: Path, clean_environ: dict[str, str]) -> None:
    """It is how another terminal gets it; the directory has a space and a quote in its name."""
    directory = tmp_path / "it's a sandbox"
    script = f'. "{directory}/environment.sh" && echo "$HATCH_ATTEST_SIGSTORE"'

    result = command(
        "sandbox", "--directory", str(directory), "--", "sh", "-c", script, cwd=tmp_path, environ=clean_environ
    )

    assert result.stdout.strip() == str(directory / "trust_config.json")


@_POSIX
def test_a_termination_is_told_by_the_status(project: Project, clean_environ: dict[str, str]) -> None:
    """A CI platform that cancels a job sends SIGTERM; nothing may be left behind then either."""
    environ = {**clean_environ, "TMPDIR": str(project.root.parent / "temporary")}
    Path(environ["TMPDIR"]).mkdir()
    script = "import os, signal; os.kill(os.getppid(), signal.SIGTERM); signal.pause()"

    result = command("sandbox", "--", sys.executable, "-c", script, cwd=project.root, environ=environ)

    assert result.returncode == 128 + signal.SIGTERM
    assert os.listdir(environ["TMPDIR"]) == []  # noqa: PTH208 - a name is enough

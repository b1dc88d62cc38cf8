"""README: every snippet in it is run or checked, and its tables say what the code says."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
import yaml
from sigstore.models import Bundle

from hatch_attest import cli
from hatch_attest.errors import CATALOGUE
from hatch_attest.options import HookOptions, parse_hook_options
from hatch_attest.publish_options import PublishOptions, parse_publish_options
from tests.sandbox.index_support import sdist, sign
from tests.support import ROOT, clean_environment

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

if TYPE_CHECKING:
    from pathlib import Path

    from hatch_attest.sandbox import Sandbox

TEXT = (ROOT / "README.md").read_text(encoding="utf-8")
_HOOK = "tool.hatch.build.hooks.attest"


class Block(NamedTuple):
    """A fenced block: its language and its text."""

    language: str
    text: str


BLOCKS = [Block(*found) for found in re.findall(r"^```(\w*)\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)]
COMMANDS = [
    line.removeprefix("$ ") for block in BLOCKS if block.language == "console" for line in block.text.splitlines()
]
FIRST_LINES = [block.text.strip() for block in BLOCKS if block.language == "sh"]


def of(language: str) -> list[str]:
    """The texts of the blocks in a language."""
    return [block.text for block in BLOCKS if block.language == language]


def rows(heading: str, number: int = 0) -> list[list[str]]:
    """The cells of a table's rows, by the heading above it and its number there."""
    section = TEXT.split(f"\n{heading}\n", 1)[1].split("\n#", 1)[0]
    tables = re.findall(r"(?:^\|.*\n)+", section, re.MULTILINE)
    lines = tables[number].splitlines()[2:]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]


def table_of(document: dict[str, Any], path: str) -> dict[str, Any] | None:
    """The table at a TOML path."""
    for key in path.split("."):
        document = document.get(key, {})
    return document or None


def test_no_block_is_in_a_language_that_nothing_checks() -> None:
    """A snippet that no test reads is wrong some day."""
    assert {block.language for block in BLOCKS} == {"toml", "sh", "bat", "console", "yaml", "python"}


def test_the_layout_is_that_of_the_example_word_for_word() -> None:
    """Users copy it; the rehearsal of the example shows that it works."""
    assert (ROOT / "example-project" / "pyproject.toml").read_text(encoding="utf-8").startswith(of("toml")[0])


@pytest.mark.parametrize("text", of("toml"))
def test_every_table_is_read_by_our_own_parsers(text: str) -> None:
    """An example that is an error would be the first thing that users meet."""
    document = tomllib.loads(text)
    hook, publisher = table_of(document, _HOOK), table_of(document, "tool.hatch.publish.attest")

    assert hook or publisher
    if hook:
        parse_hook_options(hook, _HOOK, {})
    if publisher:
        parse_publish_options({}, {}, publisher, {})


def test_the_workflow_is_that_of_the_example() -> None:
    """It is linted there."""
    assert of("yaml")[0] == (ROOT / "example-project" / ".github" / "workflows" / "release.yml").read_text(
        encoding="utf-8"
    )


def test_the_pipeline_gives_each_job_the_one_identity_that_it_needs() -> None:
    """What builds must not be able to upload."""
    pipeline = yaml.safe_load(of("yaml")[1])
    tokens = {
        job: {name: token["aud"] for name, token in pipeline[job]["id_tokens"].items()} for job in pipeline["stages"]
    }

    assert tokens == {"build": {"SIGSTORE_ID_TOKEN": "sigstore"}, "publish": {"PYPI_ID_TOKEN": "pypi"}}
    assert "environment" not in pipeline["build"]
    assert pipeline["build"]["script"][-1] == "hatch build"
    assert pipeline["publish"]["script"][-1] == "hatch publish -p attest --no-prompt"


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_is_one(command: str) -> None:
    """Options change; examples of them must change with them."""
    words = shlex.split(command)
    if words[0] == "hatch-attest":
        cli._parse(words[1:])
    elif words[:4] == ["hatch", "publish", "-p", "attest"]:
        options = dict(word.split("=", 1) for flag, word in pairwise(words) if flag == "-o")
        parse_publish_options({}, options, {}, {})
    elif words[0] == "pypi-attestations":
        program = [
            sys.executable,
            "-c",
            "import sys; from pypi_attestations._cli import _parser; _parser().parse_args()",
        ]
        subprocess.run([*program, *words[1:]], check=True)
    else:
        assert words[:2] == ["pip", "install"]
        assert re.fullmatch(r"hatch-attest\[(sign|publish|sandbox)\]", words[2])


def test_the_bundle_is_one_that_sigstore_reads(
    sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever verifies by Sigstore's own tools starts with it."""
    (script,) = of("python")
    (name,) = re.findall(r'"(dist/.*)"', script)
    (tmp_path / "dist").mkdir()
    (attestation,) = sign(sandbox, sdist())
    (tmp_path / name).write_text(attestation.model_dump_json(), encoding="utf-8")
    monkeypatch.chdir(tmp_path)

    exec(script)  # noqa: S102 - README's own

    bundle = Bundle.from_json((tmp_path / "bundle.json").read_bytes())
    assert bundle.signing_certificate == attestation.to_bundle().signing_certificate


def test_the_tables_of_options_have_every_key_and_its_default() -> None:
    """An option that is not here does not exist for users."""
    hook = {key.strip("`"): default.strip("`") for key, _, default, _ in rows("## The build hook")}
    publisher = {key.strip("`"): default.strip("`") for key, _, default in rows("## The publisher")}

    assert hook == _defaults(HookOptions(), without={"overrides"})
    assert publisher == _defaults(PublishOptions(), without={"given", "decided"})


def _defaults(options: object, without: set[str]) -> dict[str, str]:
    shown = {None: "none", True: "true", False: "false", ("publish",): '["publish"]'}
    return {
        name.replace("_", "-"): shown.get(value, value) for name, value in vars(options).items() if name not in without
    }


def test_the_troubles_are_those_of_the_catalogue() -> None:
    """Users search for the message that they see."""

    class Capitals(dict[str, str]):
        def __missing__(self, key: str) -> str:
            return key.upper()

    known = {
        (failure.what.format_map(Capitals()), failure.remedy.format_map(Capitals())) for failure in CATALOGUE.values()
    }
    table = {tuple(row) for row in rows("## Troubleshooting")}

    assert len(table) > 20
    assert table <= known


def test_every_file_that_it_names_is_there() -> None:
    """A link into nothing is worse than none."""
    links = [link for link in re.findall(r"\]\(([^)]+)\)", TEXT) if "://" not in link]
    paths = re.findall(r"`((?:tests|\.github|hatch_attest)/[\w./-]+)`", TEXT)

    assert links
    for path in (*links, *paths):
        assert (ROOT / path).exists() or (ROOT / "example-project" / path).exists(), path


def test_the_first_screen_is_one() -> None:
    """What it is, how to adopt it, and what happens then, before anything else."""
    first = TEXT.split("\n## ", 1)[0]

    assert len(first.splitlines()) <= 45
    assert of("toml")[0] in first


def test_the_commands_for_windows_are_the_same_two() -> None:
    """Nobody runs them here; they must not drift apart."""
    (windows,) = of("bat")
    same = windows.replace("py -m venv", "python3 -m venv").replace(".venv\\Scripts\\", ".venv/bin/")

    assert same.splitlines() == FIRST_LINES


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh clone with the changes that are not committed yet, in a path with a space."""
    root = tmp_path_factory.mktemp("a fresh") / "a clone"
    git = ["git", "-c", "advice.detachedHead=false"]
    subprocess.run([*git, "clone", "--quiet", str(ROOT), str(root)], check=True)
    changes = subprocess.check_output([*git, "diff", "--binary", "HEAD"], cwd=ROOT)
    if changes:
        subprocess.run([*git, "apply", "-"], cwd=root, input=changes, check=True)
    return root


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="README has other lines for Windows")
@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="only a clone can be cloned")
@pytest.mark.parametrize("line", FIRST_LINES, ids=["rehearse", "test"])
def test_the_two_commands_work_from_a_fresh_clone_twice_in_a_row(line: str, clone: Path, tmp_path: Path) -> None:
    """The first thing that anybody tries."""
    environ = {**clean_environment(tmp_path / "home"), "HATCH_DATA_DIR": str(tmp_path / "hatch data")}
    environ["PATH"] = os.environ["PATH"]
    for name in [each for each in environ if each.startswith("COVERAGE_")]:
        del environ[name]  # the clone is another project, whose lines are not ours
    # The tests that these tests start are the packaging's: that `hatch test` works is to be shown, not all of it again.
    command = f"{line} tests/test_packaging.py" if line.endswith("hatch test") else line
    for _ in range(2):
        result = subprocess.run(
            ["sh", "-c", command],
            cwd=clone,
            env=environ,
            capture_output=True,
            encoding="utf-8",
            check=False,
            timeout=900,
        )
        assert result.returncode == 0, result.stdout[-5000:] + result.stderr[-5000:]
        assert "All of it held." in result.stdout or " passed" in result.stdout

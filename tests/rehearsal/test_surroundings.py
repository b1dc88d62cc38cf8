"""The environment of a rehearsal: what must not get in, and what must."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from hatch_attest.rehearsal.surroundings import make_surroundings, scrub, without_identities

_SECRET = "a-secret-of-the-user"  # noqa: S105 - none


@pytest.fixture
def environ() -> dict[str, str]:
    """This process's environment without what it has of the variables in question."""
    return scrub(os.environ)


# Settings of tools, CI platforms' variables, identities and credentials.
_FOREIGN = (
    "ACTIONS_ID_TOKEN_REQUEST_TOKEN", "BUILDKITE_AGENT_ACCESS_TOKEN", "CI", "CIRCLE_OIDC_TOKEN_V2", "CI_JOB_TOKEN",
    "GITHUB_TOKEN", "GITLAB_CI", "GIT_DIR", "GOOGLE_SERVICE_ACCOUNT_NAME", "HATCH_ENV_ACTIVE", "HATCH_INDEX_AUTH",
    "HATCH_ATTEST_PROJECT", "PIP_REQUIRE_VIRTUALENV", "PIP_BUILD_TRACKER", "PYPI_ID_TOKEN", "PYTHONPATH",
    "RUNNER_ENVIRONMENT", "SIGSTORE_IDENTITY_TOKEN", "TWINE_PASSWORD", "UV_PUBLISH_TOKEN", "VIRTUAL_ENV",
)  # fmt: skip
_WAY = {
    "HTTPS_PROXY": "http://proxy.example:3128",
    "PIP_CERT": "/ca.pem",
    "PIP_INDEX_URL": "https://i.example",
    "SOURCE_DATE_EPOCH": "1",
    "SSL_CERT_FILE": "/ca.pem",
    "UV_DEFAULT_INDEX": "https://i.example",
}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The surroundings made of an environment with all of that in it."""
    directory = tmp_path_factory.mktemp("surroundings")
    environ = {**scrub(os.environ), **dict.fromkeys(_FOREIGN, _SECRET), **_WAY}
    return make_surroundings(environ, directory, directory / "x.whl")


@pytest.mark.parametrize("variable", _FOREIGN)
def test_nothing_of_tools_and_platforms_gets_in(variable: str, made: dict[str, str]) -> None:
    """A rehearsal must find the same on every machine, and hand no identity or password to what it runs."""
    assert made.get(variable) != _SECRET


@pytest.mark.parametrize("variable", _WAY)
def test_the_way_to_the_package_index_stays(variable: str, made: dict[str, str]) -> None:
    """Build requirements come from where the user's others come from."""
    assert made[variable] == _WAY[variable]


def test_the_index_of_pips_configuration_file_stays_and_the_rest_does_not(
    environ: dict[str, str], tmp_path: Path
) -> None:
    """The file is in the home directory, which is another one in a rehearsal."""
    configuration = tmp_path / "pip.conf"
    configuration.write_text(
        "[global]\nindex-url = https://i.example/simple\nrequire-virtualenv = true\n"
        "[install]\nextra-index-url =\n    https://a.example\n    https://b.example\n",
        encoding="utf-8",
    )

    made = make_surroundings({**environ, "PIP_CONFIG_FILE": str(configuration)}, tmp_path, tmp_path / "x.whl")

    assert made["PIP_INDEX_URL"] == "https://i.example/simple"
    assert made["PIP_EXTRA_INDEX_URL"] == "https://a.example https://b.example"
    assert made["PIP_CONFIG_FILE"] == os.devnull
    assert "PIP_REQUIRE_VIRTUALENV" not in made


def test_the_index_of_uvs_configuration_file_stays_and_the_rest_does_not(
    environ: dict[str, str], tmp_path: Path
) -> None:
    """Hatch installs build requirements by uv, which does not read pip's files."""
    (tmp_path / "user" / "uv").mkdir(parents=True)
    (tmp_path / "user" / "uv" / "uv.toml").write_text(
        'native-tls = true\nno-cache = true\nallow-insecure-host = ["i.example"]\n'
        '[[index]]\nname = "own"\nurl = "https://i.example/simple"\ndefault = true\n'
        '[[index]]\nurl = "https://a.example"\n[pip]\nfind-links = ["/wheels", "/more"]\n',
        encoding="utf-8",
    )
    user = {name: str(tmp_path / "user") for name in ("XDG_CONFIG_HOME", "APPDATA")}

    made = make_surroundings(
        {**environ, **user, "UV_INDEX_OWN_PASSWORD": "p"}, tmp_path / "rehearsal", tmp_path / "x.whl"
    )

    assert {name: value for name, value in made.items() if name.startswith("UV_")} == {
        "UV_BUILD_CONSTRAINT": made["PIP_CONSTRAINT"],
        "UV_CACHE_DIR": str(tmp_path / "rehearsal" / "cache" / "uv"),
        "UV_CONSTRAINT": made["PIP_CONSTRAINT"],
        "UV_DEFAULT_INDEX": "own=https://i.example/simple",
        "UV_FIND_LINKS": "/wheels /more",
        "UV_INDEX": "https://a.example",
        "UV_INDEX_OWN_PASSWORD": "p",
        "UV_INSECURE_HOST": "i.example",
        "UV_NATIVE_TLS": "True",
        "UV_PYTHON_DOWNLOADS": "never",
    }


@pytest.mark.parametrize("text", ["", "no TOML ["], ids=["empty", "broken"])
def test_a_uv_configuration_that_says_nothing_changes_nothing(
    text: str, environ: dict[str, str], tmp_path: Path
) -> None:
    """It is uv's to complain of."""
    (tmp_path / "uv.toml").write_text(text, encoding="utf-8")

    made = make_surroundings(
        {**environ, "UV_CONFIG_FILE": str(tmp_path / "uv.toml")}, tmp_path / "r", tmp_path / "x.whl"
    )

    assert "UV_DEFAULT_INDEX" not in made
    assert "UV_CONFIG_FILE" not in made


def test_loopback_never_goes_through_a_proxy(environ: dict[str, str], tmp_path: Path) -> None:
    """A company's proxy would answer for the sandbox."""
    made = make_surroundings({**environ, "NO_PROXY": "intranet.example"}, tmp_path, tmp_path / "x.whl")

    assert made["NO_PROXY"] == "intranet.example,127.0.0.1,localhost"


def test_home_and_every_directory_of_the_user_are_private(environ: dict[str, str], tmp_path: Path) -> None:
    """`.pypirc`, keyrings, configuration and caches are the user's; platformdirs says where tools look for them."""
    made = make_surroundings(environ, tmp_path, tmp_path / "x.whl")
    script = (
        "import os, pathlib, tempfile, platformdirs as p;"
        "print(pathlib.Path.home(), tempfile.gettempdir(), p.user_cache_dir('x'), p.user_config_dir('x'),"
        "p.user_data_dir('x'), p.user_state_dir('x'), sep='\\n')"
    )
    told = subprocess.run([sys.executable, "-c", script], env=made, check=True, capture_output=True, encoding="utf-8")

    for line in told.stdout.splitlines():
        assert tmp_path in Path(line).parents


def test_a_constraint_reaches_pip_and_uv_through_a_path_with_a_space(environ: dict[str, str], tmp_path: Path) -> None:
    """Both divide these variables by white space, and would read the first half of a path."""
    directory = tmp_path / "a b"
    made = make_surroundings(environ, directory, directory / "hatch_attest-1.whl")

    assert " " not in made["UV_CONSTRAINT"]
    assert made["PIP_CONSTRAINT"] == made["UV_CONSTRAINT"]
    assert "a%20b" in (directory / "constraints.txt").read_text(encoding="utf-8")


def test_a_toolchain_in_the_real_home_is_still_found(
    environ: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A project with a build hook in Rust needs the user's toolchain, which is found by the home directory."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    (tmp_path / ".rustup").mkdir()
    environ.pop("RUSTUP_HOME", None)

    made = make_surroundings(environ, tmp_path / "rehearsal", tmp_path / "x.whl")

    assert made["RUSTUP_HOME"] == str(tmp_path / ".rustup")


def test_a_command_in_the_sandbox_keeps_its_tools_settings_and_loses_identities() -> None:
    """A real identity token, or a real upload token, must not go to the sandbox's services."""
    kept = {"HATCH_DATA_DIR": "d", "PIP_INDEX_URL": "i", "PATH": "p"}
    lost = {
        "SIGSTORE_IDENTITY_TOKEN": _SECRET,
        "HATCH_INDEX_AUTH": _SECRET,
        "TWINE_PASSWORD": _SECRET,
        "GITLAB_CI": "1",
    }

    assert without_identities({**kept, **lost}) == kept

"""Surroundings: the environment of a rehearsal, in which nothing of this machine decides but the way to the index."""

from __future__ import annotations

import ast
import os
import re
import shutil
import site
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from hatch_attest.rehearsal.copying import REPOSITORY_VARIABLES

if TYPE_CHECKING:
    from collections.abc import Mapping

# Variables that begin so are taken out: the settings of tools, credentials of theirs among them, ...
_TOOLS = (
    "HATCH_", "HATCHLING_", "KEYRING_", "PIP_", "TWINE_", "UV_", "VIRTUALENV_", "WIN_PD_OVERRIDE_", "XDG_",
)  # fmt: skip
# ... and what CI platforms tell their jobs, identities among them.
_PLATFORMS = (
    "ACTIONS_", "APPVEYOR", "AZURE_", "BITBUCKET_", "BUILDKITE", "CIRCLE", "CI_", "CLOUDSDK_", "GITHUB_", "GITLAB_",
    "GOOGLE_", "INPUT_", "JENKINS_", "PYPI_", "RUNNER_", "SIGSTORE_", "SYSTEM_", "TEAMCITY_", "TRAVIS", "TUF_",
)  # fmt: skip
# Where credentials for an upload may be, apart from those.
_CREDENTIALS = ("HATCH_INDEX_", "HATCH_PUBLISH", "TWINE_")
_NAMES = (
    "CI", "CONDA_PREFIX", "NETRC", "PYTHONHOME", "PYTHONPATH", "PYTHONSTARTUP",
    "PYTHON_KEYRING_BACKEND", "VIRTUAL_ENV", "__PYVENV_LAUNCHER__", *REPOSITORY_VARIABLES,
)  # fmt: skip
# How pip and uv reach the package index: kept, and nothing else of theirs.
_PIP_OPTIONS = (
    "index-url", "extra-index-url", "find-links", "trusted-host", "cert", "client-cert", "proxy", "timeout",
    "default-timeout",
)  # fmt: skip
_UV_VARIABLES = {
    "default-index": "UV_DEFAULT_INDEX",
    "index": "UV_INDEX",
    "index-url": "UV_INDEX_URL",
    "extra-index-url": "UV_EXTRA_INDEX_URL",
    "find-links": "UV_FIND_LINKS",
    "allow-insecure-host": "UV_INSECURE_HOST",
    "native-tls": "UV_NATIVE_TLS",
    "system-certs": "UV_SYSTEM_CERTS",
    "http-timeout": "UV_HTTP_TIMEOUT",
}
_UV_INDEX_CREDENTIALS = ("UV_INDEX_", ("_USERNAME", "_PASSWORD"))
# Tools that look for themselves in the home directory, which is another one in a rehearsal.
_HOMES = {
    "ASDF_DATA_DIR": ".asdf",
    "CARGO_HOME": ".cargo",
    "PYENV_ROOT": ".pyenv",
    "RBENV_ROOT": ".rbenv",
    "RUSTUP_HOME": ".rustup",
    "SDKMAN_DIR": ".sdkman",
    "VOLTA_HOME": ".volta",
}
_LOOPBACK = "127.0.0.1,localhost"


def scrub(environ: Mapping[str, str]) -> dict[str, str]:
    """Return ``environ`` without what tools, CI platforms and Python read in it."""
    return {
        name: value
        for name, value in environ.items()
        if not name.upper().startswith((*_TOOLS, *_PLATFORMS)) and name.upper() not in _NAMES
    }


def without_identities(environ: Mapping[str, str]) -> dict[str, str]:
    """Return ``environ`` without identities and upload credentials, which are not the sandbox's to receive."""
    return {name: value for name, value in environ.items() if not name.upper().startswith((*_PLATFORMS, *_CREDENTIALS))}


def make_surroundings(environ: Mapping[str, str], directory: Path, wheel: Path) -> dict[str, str]:
    """Return the environment in which the rehearsal runs Hatch, pip and Python.

    Args:
        environ: this process's environment.
        directory: where home, caches and Hatch's directories are made.
        wheel: the hatch-attest that builds get, in place of the package index's.

    """
    for name in ("home", "tmp", "hatch/data", "hatch/cache", "cache", "data", "config", "state"):
        (directory / name).mkdir(parents=True)
    (directory / "hatch" / "config.toml").touch()
    return {
        **scrub(environ),
        **_homes_of_tools(environ),
        **_way_to_the_index(environ),
        # `python -m hatch` may live in the user's own site-packages.
        "PYTHONUSERBASE": site.getuserbase(),
        "PYTHON_KEYRING_BACKEND": "keyring.backends.null.Keyring",
        "PYTHONUTF8": "1",
        "TMPDIR": str(directory / "tmp"),
        "TEMP": str(directory / "tmp"),
        "TMP": str(directory / "tmp"),
        **user_directories(directory),
        **constrain(directory, wheel),
        "HATCH_DATA_DIR": str(directory / "hatch" / "data"),
        "HATCH_CACHE_DIR": str(directory / "hatch" / "cache"),
        "HATCH_CONFIG": str(directory / "hatch" / "config.toml"),
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "PIP_NO_INPUT": "1",
        "PIP_CACHE_DIR": str(directory / "cache" / "pip"),
        "UV_CACHE_DIR": str(directory / "cache" / "uv"),
        "UV_PYTHON_DOWNLOADS": "never",
    }


def constrain(directory: Path, wheel: Path) -> dict[str, str]:
    """Return what makes pip and uv take ``wheel`` wherever hatch-attest is asked for; the extras stay as asked."""
    constraint = directory / "constraints.txt"
    constraint.write_text(f"hatch-attest @ {wheel.as_uri()}\n", encoding="utf-8")
    # A URL: pip and uv take a list here, divided by white space, which a path may hold.
    names = ("PIP_CONSTRAINT", "PIP_BUILD_CONSTRAINT", "UV_CONSTRAINT", "UV_BUILD_CONSTRAINT")
    return dict.fromkeys(names, constraint.as_uri())


def user_directories(directory: Path) -> dict[str, str]:
    """Point home and what platformdirs tells (Hatch, virtualenv, sigstore) below ``directory``, on every platform."""
    home, cache, config, data, state = (str(directory / n) for n in ("home", "cache", "config", "data", "state"))
    return {
        "HOME": home,
        "USERPROFILE": home,
        "XDG_CACHE_HOME": cache,
        "XDG_CONFIG_HOME": config,
        "XDG_DATA_HOME": data,
        "XDG_STATE_HOME": state,
        "LOCALAPPDATA": data,
        "APPDATA": config,
        "WIN_PD_OVERRIDE_LOCAL_APPDATA": data,
        "WIN_PD_OVERRIDE_APPDATA": config,
    }


def _homes_of_tools(environ: Mapping[str, str]) -> dict[str, str]:
    home = Path.home()
    return {
        variable: str(home / name)
        for variable, name in _HOMES.items()
        if variable not in environ and (home / name).is_dir()
    }


def _way_to_the_index(environ: Mapping[str, str]) -> dict[str, str]:
    """Return what leads to the package index: indexes, certificates, proxies, and the password of a private index.

    Proxies and certificate bundles stay in the environment as they are; loopback never goes through a proxy.
    """
    begin, ends = _UV_INDEX_CREDENTIALS
    kept = {
        **_uv_configuration(environ),
        **{name: environ[name] for name in _UV_VARIABLES.values() if environ.get(name)},
        **{name: value for name, value in environ.items() if name.startswith(begin) and name.endswith(ends)},
        **{_pip_variable(option): value for option, value in _pip_configuration(environ).items()},
    }
    netrc = environ.get("NETRC") or str(Path.home() / ("_netrc" if sys.platform == "win32" else ".netrc"))
    if Path(netrc).is_file():
        kept["NETRC"] = netrc
    for name in ("NO_PROXY", "no_proxy"):
        kept[name] = ",".join(filter(None, (environ.get(name), _LOOPBACK)))
    return kept


def _pip_configuration(environ: Mapping[str, str]) -> dict[str, str]:
    """Return those of pip's options that are in question, from its variables and from its files, which pip reads."""
    listed = dict(re.findall(r"^([\w:-]+\.[\w-]+)=('.*'|\".*\")$", _pip_config_list(environ), re.MULTILINE))
    found = {}
    for option in _PIP_OPTIONS:
        variable = environ.get(_pip_variable(option))  # decides, also where no pip is beside us to tell
        values = [listed.get(f"{section}.{option}") for section in ("install", "global")]
        value = variable or next((str(ast.literal_eval(each)) for each in values if each), None)
        if value:
            found[option] = " ".join(value.split())
    return found


def _pip_variable(option: str) -> str:
    return f"PIP_{option.upper().replace('-', '_')}"


def _pip_config_list(environ: Mapping[str, str]) -> str:
    """Return what `pip config list` prints: an environment that uv made has no pip, but there may be another."""
    pip = [sys.executable, "-m", "pip"] if find_spec("pip") else [shutil.which("pip")]
    if pip == [None]:
        return ""
    result = subprocess.run(  # noqa: S603 - pip
        [*filter(None, pip), "config", "list"],
        env=dict(environ),
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        stdin=subprocess.DEVNULL,
        check=False,
        timeout=60,
    )
    return result.stdout


def _uv_configuration(environ: Mapping[str, str]) -> dict[str, str]:
    """Return as variables what the user's `uv.toml` says of the way to the index; a broken file says nothing."""
    from hatchling.metadata.core import load_toml

    base = environ.get("APPDATA") if sys.platform == "win32" else environ.get("XDG_CONFIG_HOME")
    default = Path(base) if base else Path.home() / ".config"
    path = Path(environ.get("UV_CONFIG_FILE") or default / "uv" / "uv.toml")
    try:
        table = load_toml(str(path))
    except (OSError, ValueError):
        return {}
    # `uv pip`, which Hatch runs, prefers what stands in the table of that name.
    settings = {**table, **table.get("pip", {})}
    indexes = settings.pop("index", [])
    if indexes:
        named = [f"{each['name']}={each['url']}" if "name" in each else each["url"] for each in indexes]
        settings["default-index"] = [one for one, each in zip(named, indexes, strict=True) if each.get("default")]
        settings["index"] = [one for one, each in zip(named, indexes, strict=True) if not each.get("default")]
    return {
        variable: " ".join(map(str, value)) if isinstance(value, list) else str(value)
        for option, variable in _UV_VARIABLES.items()
        if (value := settings.get(option))
    }

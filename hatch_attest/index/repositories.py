"""Repositories by name: `main`, `test`, those of Hatch's config and of `.pypirc`, or a URL that a person gave."""

from __future__ import annotations

import configparser
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from hatch_attest.errors import ConfigurationError
from hatch_attest.index.endpoints import PYPI_UPLOAD, TEST_PYPI_UPLOAD
from hatch_attest.index.transport import NO_CERTIFICATES, Certificates
from hatch_attest.problems import hint

if TYPE_CHECKING:
    from pathlib import Path

_FIXED = {"main": PYPI_UPLOAD, "test": TEST_PYPI_UPLOAD}
# What `.pypirc` calls them (packaging.python.org/specifications/pypirc).
_PYPIRC_NAMES = {"main": "pypi", "test": "testpypi"}
_FIELDS = ("user", "auth", "ca-cert", "client-cert", "client-key")


@dataclass(frozen=True)
class Login:
    """A user and perhaps a secret, as some configuration has them; ``place`` says which, for output."""

    place: str
    user: str | None = None
    secret: str | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Repository:
    """Where to upload to.

    Attributes:
        name: as it was asked for; the URL itself where one was given.
        url: the upload URL, not checked here.
        logins: what Hatch's config and `.pypirc` say of credentials, in this order.
        certificates: what Hatch's config says of TLS.

    """

    name: str
    url: str
    logins: tuple[Login, ...] = ()
    certificates: Certificates = NO_CERTIFICATES


def find_repository(name: str, *, may_be_url: bool, hatch_index: Mapping[str, Any], pypirc: Path) -> Repository:
    """Resolve the option `repo`.

    Args:
        name: the option's value.
        may_be_url: whether whoever gave it may give a URL.
        hatch_index: the table ``[publish.index]`` of Hatch's config: repositories, and defaults for all of them.
        pypirc: the path of `.pypirc`, which need not exist.

    Raises:
        ConfigurationError: there is no such repository, or a configuration of it is malformed.

    """
    sections = _read_pypirc(pypirc)
    if "://" in name:
        if not may_be_url:
            raise ConfigurationError([f"repo: {name!r} is a URL; name a configured repository, or give it by --repo"])
        return _assemble(name, name, {}, hatch_index, sections)
    repositories = _hatch_repositories(hatch_index)
    if name in _FIXED:
        return _assemble(name, _FIXED[name], repositories.get(name, {}), hatch_index, sections)
    if name in repositories:
        return _assemble(name, str(repositories[name]["url"]), repositories[name], hatch_index, sections)
    for alias, section in _PYPIRC_NAMES.items():
        if name == section:
            return _assemble(name, _FIXED[alias], repositories.get(alias, {}), hatch_index, sections)
    if "repository" in sections.get(name, {}):
        return _assemble(name, sections[name]["repository"], {}, hatch_index, sections)
    known = [*_FIXED, *repositories, *(each for each, fields in sections.items() if "repository" in fields)]
    raise ConfigurationError(
        [f"repo: there is no repository {name!r}{hint(name, known)}; known are {', '.join(dict.fromkeys(known))}"]
    )


def _assemble(
    name: str,
    url: str,
    own: Mapping[str, Any],
    hatch_index: Mapping[str, Any],
    sections: Mapping[str, Mapping[str, str]],
) -> Repository:
    # As Hatch's own publisher: what stands in [publish.index] itself is a default for every repository.
    fields = {key: own.get(key, hatch_index.get(key)) for key in _FIELDS}
    logins = []
    if fields["user"] or fields["auth"]:
        logins.append(Login("Hatch's config", fields["user"], fields["auth"]))
    section = _pypirc_section(name, url, sections)
    if section is not None and {"username", "password"} & sections[section].keys():
        found = sections[section]
        logins.append(Login(f".pypirc, [{section}]", found.get("username"), found.get("password")))
    certificates = Certificates(fields["ca-cert"], fields["client-cert"], fields["client-key"])
    return Repository(name, url, tuple(logins), certificates)


def _hatch_repositories(hatch_index: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Read ``[publish.index.repos]``: a URL or a table for each name."""
    table = hatch_index.get("repos", {})
    problems = []
    repositories: dict[str, Mapping[str, Any]] = {}
    if not isinstance(table, Mapping):
        raise ConfigurationError(["publish.index.repos: must be a table"])
    for name, entry in table.items():
        place = f"publish.index.repos.{name}"
        if isinstance(entry, str):
            repositories[name] = {"url": entry}
        elif not isinstance(entry, Mapping):
            problems.append(f"{place}: must be a URL or a table")
        elif not isinstance(entry.get("url"), str) and name not in _FIXED:
            problems.append(f"{place}.url: missing")
        else:
            repositories[name] = entry
    if problems:
        raise ConfigurationError(problems)
    return repositories


def _pypirc_section(name: str, url: str, sections: Mapping[str, Mapping[str, str]]) -> str | None:
    """Return the section that speaks of this repository: by its name, else by its URL."""
    for each in (_PYPIRC_NAMES.get(name, name), name):
        fields = sections.get(each)
        # A section of this name that is about another URL would send its password to the wrong place.
        if fields is not None and _same_url(fields.get("repository", _default_url(each)), url):
            return each
    return next((each for each, fields in sections.items() if _same_url(fields.get("repository"), url)), None)


def _default_url(section: str) -> str | None:
    return next((_FIXED[alias] for alias, known in _PYPIRC_NAMES.items() if known == section), None)


def _same_url(left: str | None, right: str) -> bool:
    return left is not None and left.rstrip("/") == right.rstrip("/")


def _read_pypirc(path: Path) -> dict[str, dict[str, str]]:
    parser = configparser.RawConfigParser()
    try:
        parser.read_string(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (configparser.Error, OSError, UnicodeDecodeError):
        # `from None`: the parser's error quotes lines, and there are passwords in them.
        raise ConfigurationError([f"{path}: cannot be read as a .pypirc file"]) from None
    return {section: dict(parser.items(section)) for section in parser.sections()}

"""The publisher's options: flag, variable, `-o`, project's table, Hatch's config, default, in this order."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, cast

from hatch_attest.errors import ConfigurationError
from hatch_attest.problems import hint, not_one_of, unknown_keys

if TYPE_CHECKING:
    from collections.abc import Mapping

Mode = Literal["always", "auto", "never"]
Level = Literal["flag", "variable", "option", "project", "hatch", "default"]

PROJECT_TABLE = "tool.hatch.publish.attest"
HATCH_TABLE = "publish.attest"

_MODES = ("always", "auto", "never")
_STRINGS = ("repo", "json", "user", "auth", "ca-cert", "client-cert", "client-key")
_FLAGS = ("sign-missing", "interactive", "dry-run")
_KEYS = ("repo", "attestations", *_FLAGS, *(key for key in _STRINGS if key != "repo"))
_HATCH_KEYS = frozenset({"disable"})  # Hatch's own key of a publisher's table
_HOOK_KEYS = frozenset({"sigstore", "publisher", "predicates", "allow-public-log"})
_BOOLEANS = {"true": True, "1": True, "false": False, "0": False}
# What a person gave for this very run; tables are for every run.
_GIVEN: frozenset[Level] = frozenset({"flag", "variable", "option"})


class Flag(NamedTuple):
    """One of Hatch's own flags as click parsed it; ``variable`` is empty where it came from the command line."""

    value: str
    variable: str = ""


@dataclass(frozen=True)
class Setting:
    """A value and who decided it."""

    value: Any = field(repr=False)
    level: Level
    place: str


@dataclass(frozen=True)
class PublishOptions:
    """The options of one run of the publisher, all valid.

    Attributes:
        repo: ``main``, ``test``, the name of a configured repository, or a URL where ``given`` has it.
        attestations: ``always``, ``auto`` or ``never``.
        sign_missing: whether to sign what has no sidecar.
        interactive: whether that may happen through the browser.
        dry_run: stop before signing, token exchange and upload.
        json: the path of a machine-readable report, where one is wanted.
        user: who uploads.
        auth: the password or API token; a secret.
        ca_cert: the path of a CA bundle.
        client_cert: the path of a client certificate.
        client_key: the path of its private key.
        given: the keys that a flag, a variable or `-o` decided.
        decided: who decided each key that is not at its default, for output.

    """

    repo: str = "main"
    attestations: Mode = "always"
    sign_missing: bool = True
    interactive: bool = False
    dry_run: bool = False
    json: str | None = None
    user: str | None = None
    auth: str | None = field(default=None, repr=False)
    ca_cert: str | None = None
    client_cert: str | None = None
    client_key: str | None = None
    given: frozenset[str] = frozenset()
    decided: Mapping[str, str] = field(default_factory=dict)


def parse_publish_options(
    flags: Mapping[str, Flag],
    options: Mapping[str, str],
    project: Mapping[str, Any],
    hatch: Mapping[str, Any],
) -> PublishOptions:
    """Read the options from all their places, with every problem in them.

    Args:
        flags: Hatch's own flags and variables, by the key that they stand for.
        options: what `-o key=value` gave.
        project: the table ``[tool.hatch.publish.attest]``.
        hatch: the table ``[publish.attest]`` of Hatch's config.

    Raises:
        ConfigurationError: with every problem found.

    """
    problems = _key_problems(options, project, hatch)
    problems += _disagreements(flags, options)
    settings = {key: _decide(key, flags, options, project, hatch) for key in _KEYS}
    values = {key: _value(key, setting, problems) for key, setting in settings.items() if setting.level != "default"}
    problems += _secrets_and_urls(settings)
    if values.get("client-key") and not values.get("client-cert"):
        problems.append(f"{settings['client-key'].place}: needs a client certificate (client-cert) beside it")
    if problems:
        raise ConfigurationError(problems)
    fields: dict[str, Any] = {key.replace("-", "_"): value for key, value in values.items()}
    return PublishOptions(
        **fields,
        given=frozenset(key for key, setting in settings.items() if setting.level in _GIVEN),
        decided={key: settings[key].place for key in values},
    )


def _key_problems(options: Mapping[str, str], project: Mapping[str, Any], hatch: Mapping[str, Any]) -> list[str]:
    problems = [
        f"-o {key}: unknown option{_where_instead(key) or hint(key, _KEYS)}" for key in options if key not in _KEYS
    ]
    for table, path in ((project, PROJECT_TABLE), (hatch, HATCH_TABLE)):
        strange = {key: value for key, value in table.items() if key not in _HOOK_KEYS}
        problems += unknown_keys(strange, (*_KEYS, *_HATCH_KEYS), path, offer=_KEYS)
        problems += [f"{path}.{key}: unknown key{_where_instead(key)}" for key in table if key in _HOOK_KEYS]
    return problems


def _where_instead(key: str) -> str:
    return " (it belongs into the build hook's table, [tool.hatch.build.hooks.attest])" if key in _HOOK_KEYS else ""


def _disagreements(flags: Mapping[str, Flag], options: Mapping[str, str]) -> list[str]:
    return [
        f"-o {key}: disagrees with the flag --{key}; give one of them"
        for key, flag in flags.items()
        if not flag.variable and key in options and options[key] != flag.value
    ]


def _decide(
    key: str,
    flags: Mapping[str, Flag],
    options: Mapping[str, str],
    project: Mapping[str, Any],
    hatch: Mapping[str, Any],
) -> Setting:
    if key in flags:
        flag = flags[key]
        if flag.variable:
            return Setting(flag.value, "variable", flag.variable)
        return Setting(flag.value, "flag", f"--{key}")
    if key in options:
        return Setting(options[key], "option", f"-o {key}")
    if key in project:
        return Setting(project[key], "project", f"{PROJECT_TABLE}.{key}")
    if key in hatch:
        return Setting(hatch[key], "hatch", f"{HATCH_TABLE}.{key}")
    return Setting(None, "default", "")


def _value(key: str, setting: Setting, problems: list[str]) -> str | bool | None:
    """Return the value in its type, or note what is wrong with it; a secret is never quoted."""
    if key in _FLAGS:
        return _boolean(setting, problems)
    if key == "attestations":
        if setting.value not in _MODES:
            problems.append(not_one_of(setting.place, setting.value, _MODES))
        return cast("Mode", setting.value)
    if not isinstance(setting.value, str) or not setting.value.strip():
        problems.append(f"{setting.place}: must be a string that is not empty")
        return None
    return setting.value


def _boolean(setting: Setting, problems: list[str]) -> bool | None:
    if isinstance(setting.value, bool):
        return setting.value
    if setting.level == "option" and str(setting.value).lower() in _BOOLEANS:
        return _BOOLEANS[setting.value.lower()]
    problems.append(f"{setting.place}: must be true or false, not {setting.value!r}")
    return None


def _secrets_and_urls(settings: Mapping[str, Setting]) -> list[str]:
    """Keep out of the project's table what a repository's content must not decide."""
    problems = []
    repo, auth = settings["repo"], settings["auth"]
    if repo.level == "project" and isinstance(repo.value, str) and ("/" in repo.value or ":" in repo.value):
        problems.append(
            f"{repo.place}: must be the name of a repository, not a URL: where uploads and credentials go is not for "
            "a project's files to say; configure the URL in Hatch ([publish.index.repos]) or give it by --repo"
        )
    if auth.level == "project":
        problems.append(f"{auth.place}: a secret does not belong into a project's files; give it by HATCH_INDEX_AUTH")
    return problems

"""The project's configuration as its files have it, for whoever is not told by hatchling: the hook's one table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from hatch_attest.errors import ConfigurationError
from hatch_attest.options import HookOptions, parse_hook_options

if TYPE_CHECKING:
    from pathlib import Path

_HOOK = "attest"
# What the publisher reads from the hook's table; `sign` is the build's business.
_SHARED = ("sigstore", "publisher", "predicates", "allow-public-log")


def hook_options(root: Path, environ: Mapping[str, str]) -> HookOptions:
    """Read the build hook's options from `pyproject.toml` and `hatch.toml` in ``root``.

    A table of a target replaces the global one when that target is built. What the publisher reads must therefore be
    the same in all of them: there is one publisher and one Sigstore instance for a release.

    Args:
        root: the project's root directory; it may hold no project at all.
        environ: the environment, for the overrides.

    Raises:
        ConfigurationError: a file is no TOML, the tables disagree, or the options are wrong.

    """
    tables = _hook_tables(root)
    if not tables:
        return parse_hook_options({}, f"tool.hatch.build.hooks.{_HOOK}", environ)
    (path, table), *others = tables.items()
    problems = [
        f"{other}.{key}: differs from {path}.{key}; a release has one, so it must be the same in every table"
        for other, other_table in others
        for key in _SHARED
        if other_table.get(key) != table.get(key)
    ]
    if problems:
        raise ConfigurationError(problems)
    return parse_hook_options(table, path, environ)


def _hook_tables(root: Path) -> dict[str, Mapping[str, Any]]:
    """Return the hook's tables by their TOML path, the global one first, where there is one."""
    build, prefix = _build_table(root)
    found = {f"{prefix}.hooks.{_HOOK}": build.get("hooks", {}).get(_HOOK)}
    for target, table in build.get("targets", {}).items():
        if isinstance(table, Mapping):
            found[f"{prefix}.targets.{target}.hooks.{_HOOK}"] = table.get("hooks", {}).get(_HOOK)
    return {path: table for path, table in found.items() if isinstance(table, Mapping)}


def _build_table(root: Path) -> tuple[Mapping[str, Any], str]:
    """Return the build's table and its path: that of `hatch.toml`, where it has one, replaces `pyproject.toml`'s."""
    own = _load(root / "hatch.toml").get("build")
    if isinstance(own, Mapping):
        return own, "build"
    build: Any = _load(root / "pyproject.toml")
    for key in ("tool", "hatch", "build"):
        build = build.get(key, {}) if isinstance(build, Mapping) else {}
    return (build if isinstance(build, Mapping) else {}), "tool.hatch.build"


def _load(path: Path) -> Mapping[str, Any]:
    from hatchling.metadata.core import load_toml

    try:
        return load_toml(str(path))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:  # whichever TOML library it is, its errors are ValueErrors
        raise ConfigurationError([f"{path.name}: {error}"]) from error

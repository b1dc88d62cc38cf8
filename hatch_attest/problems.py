"""Wording of configuration problems that every table shares: unknown keys, values out of a set, near misses."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def unknown_keys(
    table: Mapping[str, Any], known: Sequence[str], table_path: str, *, offer: Sequence[str] = ()
) -> list[str]:
    """Return a problem for each key of ``table`` that is not ``known``, with the nearest of ``offer`` as a hint."""
    return [f"{table_path}.{key}: unknown key{hint(key, offer or known)}" for key in table if key not in known]


def not_one_of(place: str, value: object, values: Sequence[str]) -> str:
    """Return the problem of a value that is none of ``values``."""
    allowed = ", ".join(repr(each) for each in values)
    return f"{place}: must be one of {allowed}, not {value!r}{hint(value, values)}"


def hint(value: object, known: Sequence[str]) -> str:
    """Return `` (did you mean 'X'?)`` where ``value`` is nearly one of ``known``, else nothing."""
    if not isinstance(value, str):
        return ""
    begun = [each for each in known if value and each.startswith(value)]
    near = begun or difflib.get_close_matches(value, known, n=1, cutoff=0.6)
    return f" (did you mean {near[0]!r}?)" if near else ""

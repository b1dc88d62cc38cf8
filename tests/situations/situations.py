"""Situations of a release, each a function that prepares one; the tests run them all by one set of rules."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from tests.publishing import Job

Outcome = Literal["refused", "refused late", "accepted", "resumed"]
# Prepares the job; returns the arguments of `hatch publish -p attest`, if any.
Prepare = Callable[["Job"], Sequence[str] | None]


@dataclass(frozen=True)
class Situation:
    """One row of the table.

    Attributes:
        name: what the situation is, in words.
        outcome: ``refused`` (before any log entry, exchange or upload), ``refused late`` (it could not be known
            before, but no file went up), ``accepted``, or ``resumed`` (after what ``prepare`` saw fail).
        prepare: makes it.
        code: the catalogue's entry, where it is refused.
        said: words of the output.
        signed: how many log entries the run makes, where that matters.

    """

    name: str
    outcome: Outcome
    prepare: Prepare
    code: str = ""
    said: tuple[str, ...] = ()
    signed: int | None = None


ALL: list[Situation] = []


def refused(name: str, code: str, *said: str, late: bool = False, signed: int = 0) -> Callable[[Prepare], Prepare]:
    """Register a situation in which nothing may be uploaded."""
    return _register(name, "refused late" if late else "refused", code, said, signed)


def accepted(name: str, *said: str, signed: int | None = None) -> Callable[[Prepare], Prepare]:
    """Register a situation in which the release goes out in one run."""
    return _register(name, "accepted", "", said, signed)


def resumed(name: str, *said: str, signed: int | None = None) -> Callable[[Prepare], Prepare]:
    """Register a situation in which a run completes what another one, or a part of it, left."""
    return _register(name, "resumed", "", said, signed)


def _register(
    name: str, outcome: Outcome, code: str, said: tuple[str, ...], signed: int | None
) -> Callable[[Prepare], Prepare]:
    def register(prepare: Prepare) -> Prepare:
        ALL.append(Situation(name, outcome, prepare, code, said, signed))
        return prepare

    return register

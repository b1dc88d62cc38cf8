"""The matrix's tables: a line for each row, from its evidence."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.frontends.machine import SIGNING

if TYPE_CHECKING:
    import pytest

    from tests.frontends.machine import Machine, Outcome

CONSUMERS = "Consumers"
RELEASES = "Releases"

_EVIDENCE = ("requested (issuer, authority, log)", "written", "installed to build", "held", "remark")
COLUMNS = {
    CONSUMERS: ("front end", "layout", *_EVIDENCE),
    RELEASES: ("front end", "layout", "opted in", "named", *_EVIDENCE),
}


@dataclass
class Recorder:
    """Notes a row's line with its test's report, which also reaches the controller of pytest-xdist."""

    machine: Machine
    item: pytest.Item

    def __call__(self, table: str, outcome: Outcome, *, remark: str = "", **cells: str) -> None:
        """Note a line of ``table``.

        Args:
            table: a key of ``COLUMNS``.
            outcome: the evidence.
            remark: why the row is not as others are.
            cells: the first columns.

        """
        line = {
            "order": self.machine.number(),
            **{name.replace("_", " "): value for name, value in cells.items()},
            "requested (issuer, authority, log)": ", ".join(map(str, outcome.requests)),
            "written": _written(outcome.sidecars),
            "installed to build": _installed(outcome, self.machine),
            "remark": remark,
        }
        self.item.user_properties.append((table, line))
        versions = ", ".join(f"{name} {version}" for name, version in self.machine.versions().items())
        self.item.user_properties.append(("versions", versions))


def markdown(table: str, lines: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return the lines of a Markdown table, its columns aligned for a terminal."""
    columns = COLUMNS[table]
    cells = [list(columns), *([str(line.get(column, "")).replace("|", "\\|") for column in columns] for line in lines)]
    widths = [max(len(row[n]) for row in cells) for n in range(len(columns))]
    shown = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |" for row in cells
    ]
    return [shown[0], "|" + "|".join("-" * (width + 2) for width in widths) + "|", *shown[1:]]


def _written(sidecars: list[str]) -> str:
    if not sidecars:
        return "no sidecar"
    kinds = ["sdist" if ".tar.gz." in name else "wheel" for name in sidecars]
    return ", ".join(f"{kinds.count(kind)} {kind}" for kind in ("sdist", "wheel") if kind in kinds)


def _installed(outcome: Outcome, machine: Machine) -> str:
    if not outcome.built:
        return "no build was seen"
    beyond = outcome.installed - machine.light
    signing = beyond & SIGNING
    ours = ["hatch-attest"] if "hatch-attest" in beyond else []
    others = sorted(beyond - {"hatch-attest"}) if not signing else []
    libraries = [f"what signs ({len(beyond) - 1} more)"] if signing else []
    return " + ".join(["hatchling", *ours, *libraries, *others])

"""The matrix's machine, started once, and its two tables, printed at the end."""

from __future__ import annotations

import os
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.frontends.machine import Machine, Row
from tests.frontends.tables import COLUMNS, Recorder, markdown

if TYPE_CHECKING:
    from collections.abc import Iterator

# Where the tables are written as Markdown; without it, into pytest's temporary directory.
REPORT_VARIABLE = "HATCH_ATTEST_MATRIX_REPORT"


@pytest.fixture(scope="session")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """Front ends, caches, an index and a sandbox for the whole session."""
    with Machine(tmp_path_factory.mktemp("machine") / "m") as started:
        yield started


@pytest.fixture
def row(machine: Machine, tmp_path: Path) -> Row:
    """A directory and an environment for one row."""
    return Row(machine, tmp_path)


@pytest.fixture
def record(machine: Machine, request: pytest.FixtureRequest) -> Recorder:
    """Put a line into a table; it survives even if what the test asserts afterwards does not hold."""
    return Recorder(machine, request.node)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print the tables, and write them to a file."""
    tables = defaultdict(list)
    versions = ""
    for reports in terminalreporter.stats.values():
        for report in reports:
            for name, value in getattr(report, "user_properties", ()) if getattr(report, "when", "") == "call" else ():
                if name in COLUMNS:
                    tables[name].append({**value, "held": "yes" if report.passed else "NO"})
                elif name == "versions":
                    versions = value
    if not tables:
        return
    lines = [f"Front ends: {versions}", ""]
    for name in COLUMNS:
        if tables[name]:
            lines += [f"## {name}", "", *markdown(name, sorted(tables[name], key=lambda line: line["order"])), ""]
    terminalreporter.section("front ends")
    for line in lines:
        terminalreporter.write_line(line)
    named = os.environ.get(REPORT_VARIABLE)
    path = Path(named) if named else config._tmp_path_factory.getbasetemp() / "front-ends.md"  # type: ignore[attr-defined]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    terminalreporter.write_line(f"written to {path}")

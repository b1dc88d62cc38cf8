"""Prints the table of situations at the end of a run: every row under `-v`, else its sum."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Show what was uploaded and logged in each situation before it was known how it ends."""
    rows = [
        (report.nodeid.partition("[")[2].removesuffix("]"), dict(report.user_properties), report.outcome)
        for outcome in ("passed", "failed")
        for report in terminalreporter.stats.get(outcome, [])
        if getattr(report, "when", "") == "call" and "uploads" in dict(report.user_properties)
    ]
    if not rows:
        return
    terminalreporter.section("situations of a release")
    if terminalreporter.verbosity > 0:
        terminalreporter.write_line("uploads tried | log entries made | situation")
        for name, figures, outcome in rows:
            mark = "" if outcome == "passed" else "  <- FAILED"
            terminalreporter.write_line(f"{figures['uploads']:>7} | {figures['entries']:>7} | {name}{mark}")
    sums = Counter(name.partition(":")[0] for name, _, _ in rows)
    early = [figures for name, figures, _ in rows if name.startswith("refused:")]
    terminalreporter.write_line(
        f"{len(rows)} situations: " + ", ".join(f"{count} {outcome}" for outcome, count in sums.items())
    )
    terminalreporter.write_line(
        "of those refused beforehand: "
        f"{sum(figures['uploads'] for figures in early)} uploads tried, "
        f"{sum(figures['entries'] for figures in early)} log entries made"
    )

"""What a rehearsal shows: on a terminal, off it, and when a step fails."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from hatch_attest.errors import RehearsalError
from hatch_attest.rehearsal.report import Report, Step


def make(*, terminal: bool) -> tuple[Report, io.StringIO]:
    """A report of three steps, and what it prints."""
    output = io.StringIO()
    console = Console(file=output, force_terminal=terminal, width=60, color_system=None, highlight=False)
    return Report([Step("one", "this"), Step("two", "that"), Step("three", "more")], console), output


@pytest.mark.parametrize("terminal", [False, True], ids=["lines", "terminal"])
def test_each_step_is_told_as_it_is_done_and_all_of_them_at_the_end(*, terminal: bool) -> None:
    """Whoever waits sees what is done; whoever comes back sees what came of it."""
    report, output = make(terminal=terminal)
    for step in report.steps:
        with report.step(step.name):
            report.relay("a line of [a program]")
            step.outcome = "went [well]"
    during = output.getvalue()
    report.table()

    assert report.held
    assert during.count("  | a line of [a program]") == 3
    assert "two: that" in during
    ending = output.getvalue().removeprefix(during)
    assert ending.count("held") == 3
    assert ending.count("went [well]") == 3


@pytest.mark.parametrize("terminal", [False, True], ids=["lines", "terminal"])
@pytest.mark.parametrize(
    "error", [RehearsalError("rehearsal-nothing-built"), KeyboardInterrupt()], ids=["ours", "Ctrl-C"]
)
def test_a_step_that_fails_is_marked_and_those_after_it_were_not_reached(
    error: BaseException, *, terminal: bool
) -> None:
    """The exit status is made of it."""
    report, output = make(terminal=terminal)
    with report.step("one") as step:
        step.outcome = "done"
    with pytest.raises(type(error)), report.step("two"):
        raise error
    report.table()

    assert not report.held
    lines = [line for line in output.getvalue().splitlines() if line.startswith(("held", "FAILED", "not reached"))]
    assert [line.split()[0] for line in lines] == ["held", "FAILED", "not"]


def test_a_long_outcome_is_whole_on_a_narrow_terminal() -> None:
    """A file name that is cut off is none."""
    report, output = make(terminal=True)
    with report.step("one") as step:
        step.outcome = "x" * 200
    report.table()

    assert output.getvalue().count("x") == 400  # as it was done, and in the table

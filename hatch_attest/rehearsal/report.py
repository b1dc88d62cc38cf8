"""Report: what a rehearsal shows while it runs, and the table that it ends with; plain lines off a terminal."""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from hatch_attest.errors import AttestError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_NARROW = 100  # columns of a terminal's width that a line of the table may take off a terminal


@dataclass
class Step:
    """One step of the rehearsal.

    Attributes:
        name: one word.
        does: what it does, or the command that it runs.
        outcome: what came of it, in one line.
        held: whether it went as it should; None where it was not reached.
        seconds: how long it took.

    """

    name: str
    does: str
    outcome: str = ""
    held: bool | None = None
    seconds: float = 0.0


class Report:
    """Shows the steps as they are done and all of them at the end.

    Args:
        steps: what will be done, in order.
        console: where to; a console of rich's, which knows whether it is a terminal.

    """

    def __init__(self, steps: Sequence[Step], console: Console | None = None) -> None:
        self.steps = tuple(steps)
        self._console = console or Console(highlight=False)
        self._terminal = self._console.is_terminal

    @property
    def held(self) -> bool:
        """Whether every step was reached and went as it should."""
        return all(step.held for step in self.steps)

    def say(self, text: str = "", style: str = "") -> None:
        """Print one line as it is."""
        self._console.print(text, style=style, markup=False, soft_wrap=True)

    def relay(self, line: str) -> None:
        """Print a line of a program that the rehearsal runs."""
        self.say(f"  | {line}", "dim")

    @contextmanager
    def step(self, name: str) -> Iterator[Step]:
        """Do one step: time it, and set down whether it held. The outcome is for the caller to set.

        Raises:
            AttestError: what ended the step.

        """
        step = next(each for each in self.steps if each.name == name)
        self.say(f"{name}: {step.does}", "bold")
        start = time.monotonic()
        try:
            with self._console.status(f"{escape(name)} ..."):
                yield step
        except AttestError as error:
            step.held, step.outcome = False, error.what
            raise
        except BaseException:
            step.held, step.outcome = False, "interrupted"
            raise
        else:
            step.held = True
            self.say(f"  {step.outcome}")
        finally:
            step.seconds = time.monotonic() - start

    def table(self) -> None:
        """Print every step with its outcome."""
        self.say()
        if not self._terminal:
            for step in self.steps:
                self.say(f"{_word(step):<11}  {step.name:<8} {_seconds(step):>7}  {step.outcome}".rstrip())
            return
        table = Table(box=None, pad_edge=False, show_header=False)
        for _ in range(3):
            table.add_column(no_wrap=True)
        table.add_column(overflow="fold", max_width=max(_NARROW, self._console.width))
        for step in self.steps:
            style = {True: "green", False: "bold red", None: "dim"}[step.held]
            table.add_row(
                f"[{style}]{_word(step)}[/]", step.name, _seconds(step), escape(step.outcome)
            )  # fmt: skip
        self._console.print(table)


def _seconds(step: Step) -> str:
    return "" if step.held is None else f"{step.seconds:.1f} s"


def _word(step: Step) -> str:
    return {True: "held", False: "FAILED", None: "not reached"}[step.held]

"""Output: the few ways to say something, whoever owns the terminal (Hatch's application, or the command line)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from rich.console import RenderableType


class Display(Protocol):
    """What the gate needs of a terminal. Text is plain: nothing in it is markup."""

    @property
    def is_terminal(self) -> bool:
        """Whether a person watches, for whom tables and progress bars are."""

    def show(self, renderable: RenderableType) -> None:
        """Show a table, unless the user wants quiet."""

    def info(self, text: str) -> None:
        """Say a line, unless the user wants quiet."""

    def success(self, text: str) -> None:
        """Say a good line, unless the user wants quiet."""

    def warning(self, text: str) -> None:
        """Say what the user should know even when quiet."""


class ConsoleDisplay:
    """The terminal as it is: results on standard output, warnings on standard error."""

    def __init__(self) -> None:
        from rich.console import Console

        self._console = Console(markup=False, emoji=False, highlight=False)
        self._error = Console(markup=False, emoji=False, highlight=False, stderr=True)

    @property
    def is_terminal(self) -> bool:
        """Whether standard output is one."""
        return self._console.is_terminal

    def show(self, renderable: RenderableType) -> None:
        """Show a table."""
        self._console.print(renderable)

    def info(self, text: str) -> None:
        """Say a line."""
        self._console.print(text, soft_wrap=True)

    def success(self, text: str) -> None:
        """Say a good line."""
        self._console.print(text, style="bold cyan", soft_wrap=True)

    def warning(self, text: str) -> None:
        """Say what the user should know."""
        self._error.print(f"warning: {text}", style="bold yellow", soft_wrap=True)

"""What the suite shows at its end: tables, figures, and what could not be installed."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence


class Report:
    """Collects what the tests and fixtures found out; printed once, after the last test."""

    def __init__(self) -> None:
        self.missing: dict[str, str] = {}
        self.versions: dict[str, str] = {}
        self.uploaders: dict[str, str] = {}
        self.figures: dict[str, str] = {}
        self.tables: dict[str, list[list[str]]] = {}

    @contextmanager
    def timed(self, what: str) -> Iterator[None]:
        """Note the wall time of the block."""
        start = time.monotonic()
        yield
        self.figures[what] = f"{time.monotonic() - start:.1f} s"

    def table(self, title: str, header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
        """Add a table of text."""
        self.tables[title] = [list(header), *(list(row) for row in rows)]

    def lines(self) -> Iterator[str]:
        """Yield the report, line by line."""
        for title, table in self.tables.items():
            widths = [max(len(row[column]) for row in table) for column in range(len(table[0]))]
            yield f"{title}:"
            for row in table:
                yield "  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
            yield ""
        for title, entries in (
            ("uploaders", self.uploaders),
            ("versions", self.versions),
            ("figures", self.figures),
        ):
            yield from _entries(title, entries)
        yield from _entries("not installed, so did not judge", self.missing or {"nothing": "every judge was there"})


def _entries(title: str, entries: Mapping[str, str]) -> Iterator[str]:
    if not entries:
        return
    yield f"{title}:"
    for name, value in entries.items():
        yield f"  {name}: {value}"
    yield ""

"""Programs of a rehearsal: their lines, their status, and their end."""

from __future__ import annotations

import os
import socket
import sys
from typing import TYPE_CHECKING

import pytest

from hatch_attest.errors import RehearsalError
from hatch_attest.rehearsal import processes

if TYPE_CHECKING:
    from pathlib import Path


def test_each_line_is_shown_as_it_comes_and_the_status_is_returned(tmp_path: Path) -> None:
    """Whoever waits for a build wants to see it."""
    lines: list[str] = []
    script = "import sys; print('one', flush=True); print('zwei \\u2713', file=sys.stderr); sys.exit(3)"

    status = processes.run(
        [sys.executable, "-X", "utf8", "-c", script], directory=tmp_path, environ=os.environ, show=lines.append
    )

    assert lines == ["one", "zwei ✓"]
    assert status == 3


@pytest.mark.skipif(sys.platform == "win32", reason="process groups are POSIX's")
def test_an_interruption_ends_the_whole_tree(tmp_path: Path) -> None:
    """Hatch runs hatchling in a process of its own, which would go on building in a directory that is gone."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(30)
        port = server.getsockname()[1]
        grandchild = f"import socket; s = socket.create_connection(('127.0.0.1', {port})); s.recv(1)"
        child = f"import subprocess, sys; print(flush=True); subprocess.run([sys.executable, '-c', {grandchild!r}])"

        def interrupt(_: str) -> None:
            connections.append(server.accept()[0])  # the grandchild runs
            raise KeyboardInterrupt

        connections: list[socket.socket] = []
        with pytest.raises(KeyboardInterrupt):
            processes.run([sys.executable, "-c", child], directory=tmp_path, environ=os.environ, show=interrupt)

        with connections[0] as connection:
            connection.settimeout(30)
            assert connection.recv(1) == b""  # its end was closed by its death: it sends nothing


def test_a_program_that_is_not_there_is_named() -> None:
    """`hatch-attest sandbox -- htach build` is bad usage, not a traceback."""
    with pytest.raises(RehearsalError, match="no-such-program"):
        processes.run_attached(["no-such-program"], os.environ)

"""Processes: the programs that a rehearsal runs, whose output is shown as it comes and which end with it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

from hatch_attest.errors import RehearsalError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

_GRACE = 5  # seconds between asking a program to end and ending it


def run(command: Sequence[str], *, directory: Path, environ: Mapping[str, str], show: Callable[[str], None]) -> int:
    """Run a program to its end and return its exit status (negative: the signal that ended it).

    Whatever interrupts the wait ends the program, and all that it started.

    Args:
        command: the program and its arguments.
        directory: where it runs.
        environ: its whole environment.
        show: is given each line that it prints, on either stream.

    """
    with subprocess.Popen(  # noqa: S603 - the rehearsal's own commands
        command,
        cwd=directory,
        env=dict(environ),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
        errors="replace",
        start_new_session=sys.platform != "win32",
    ) as process:
        try:
            if process.stdout is not None:  # pragma: no branch - it is, with PIPE
                for line in process.stdout:
                    show(line.rstrip())
            return process.wait()
        except BaseException:
            _end(process)
            raise


def run_attached(command: Sequence[str], environ: Mapping[str, str]) -> int:
    """Run a program on this process's own terminal, and return its exit status as ``run`` does.

    Raises:
        RehearsalError: there is no such program.

    """
    program = shutil.which(command[0], path=environ.get("PATH")) or command[0]
    try:
        # It shares our process group: Ctrl-C reaches it by the terminal, and it may use the terminal as it likes.
        with subprocess.Popen([program, *command[1:]], env=dict(environ)) as process:  # noqa: S603 - the user's command
            try:
                return process.wait()
            except BaseException:
                process.terminate()
                with suppress(subprocess.TimeoutExpired):
                    process.wait(_GRACE)
                process.kill()
                raise
    except OSError as error:
        raise RehearsalError("sandbox-command", cause=error.strerror, command=command[0]) from error


def _end(process: subprocess.Popen[str]) -> None:
    """End the program's whole tree: Hatch starts hatchling, which may start a compiler."""
    if sys.platform == "win32":  # pragma: no cover - this suite's machines
        subprocess.run(["taskkill", "/T", "/F", "/PID", str(process.pid)], check=False, capture_output=True)  # noqa: S603, S607
        return
    for number in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, number)
        with suppress(subprocess.TimeoutExpired):
            process.wait(_GRACE)

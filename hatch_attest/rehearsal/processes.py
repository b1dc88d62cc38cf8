"""Processes: the programs that a rehearsal runs, whose output is shown as it comes and which end with it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from hatch_attest.errors import RehearsalError
from hatch_attest.signals import postponed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
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
    options = {
        "cwd": directory,
        "env": dict(environ),
        "stdin": subprocess.DEVNULL,
        "stdout": subprocess.PIPE,
        "stderr": subprocess.STDOUT,
        "encoding": "utf-8",
        "errors": "replace",
        # A group of its own, so that all of it can be ended.
        "start_new_session": sys.platform != "win32",
    }
    with _started(command, _end_tree, **options) as process:
        for line in process.stdout or ():
            show(line.rstrip())
        return process.wait()


def run_attached(command: Sequence[str], environ: Mapping[str, str]) -> int:
    """Run a program on this process's own terminal, and return its exit status as ``run`` does.

    Raises:
        RehearsalError: there is no such program.

    """
    program = shutil.which(command[0], path=environ.get("PATH")) or command[0]
    try:
        # It shares our process group: Ctrl-C reaches it by the terminal, and it may use the terminal as it likes.
        with _started([program, *command[1:]], _end, env=dict(environ)) as process:
            return process.wait()
    except OSError as error:
        raise RehearsalError("sandbox-command", cause=error.strerror, command=command[0]) from error


@contextmanager
def _started(
    command: Sequence[str], end: Callable[[subprocess.Popen[str]], None], **options: Any
) -> Iterator[subprocess.Popen[str]]:
    """Start a program, wait for its end, and end it where anything else comes first."""
    process: subprocess.Popen[str] | None = None
    try:
        with postponed():
            process = subprocess.Popen(command, **options)  # noqa: S603 - the rehearsal's commands, or the user's
        yield process
    except BaseException:
        if process is not None:
            end(process)
        raise
    finally:
        if process is not None and process.stdout is not None:
            process.stdout.close()


def _end(process: subprocess.Popen[str]) -> None:
    for ask in (process.terminate, process.kill):
        ask()
        with suppress(subprocess.TimeoutExpired):
            process.wait(_GRACE)


def _end_tree(process: subprocess.Popen[str]) -> None:
    """End all that the program started: Hatch starts hatchling, which may start a compiler."""
    if sys.platform == "win32":  # pragma: no cover - this suite's machines
        subprocess.run(["taskkill", "/T", "/F", "/PID", str(process.pid)], check=False, capture_output=True)  # noqa: S603, S607
        return
    for number in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, number)
        with suppress(subprocess.TimeoutExpired):
            process.wait(_GRACE)

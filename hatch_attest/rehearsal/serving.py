"""Serving: the sandbox by itself, around a command or until somebody ends it."""

from __future__ import annotations

import os
import sysconfig
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from hatch_attest.errors import AttestError
from hatch_attest.rehearsal import processes
from hatch_attest.rehearsal.distribution import make_wheel
from hatch_attest.rehearsal.subject import read_subject
from hatch_attest.rehearsal.surroundings import constrain, without_identities

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hatch_attest.sandbox import Sandbox


def run_in(sandbox: Sandbox, command: Sequence[str]) -> int:
    """Run a command in the sandbox's environment, on this terminal, and return its exit status.

    Builds that it starts get this hatch-attest, unless the user constrains them otherwise.

    Raises:
        RehearsalError: there is no such command.

    """
    play_project(sandbox)
    with tempfile.TemporaryDirectory(prefix="hatch-attest-") as directory:
        own = constrain(Path(directory), make_wheel(Path(directory)))
        # Hatch lies beside this program, in an environment that need not be activated.
        path = os.pathsep.join([os.environ.get("PATH", os.defpath), sysconfig.get_path("scripts")])
        environ = {**own, **without_identities(os.environ), "PATH": path, **sandbox.environment}
        return processes.run_attached(command, environ)


def serve(sandbox: Sandbox) -> NoReturn:
    """Say how to reach the sandbox, and let it serve until an exception ends this."""
    directory = sandbox.directory
    playing = play_project(sandbox)
    powershell = (
        f'(Get-Content "{directory / "environment.json"}" | ConvertFrom-Json).PSObject.Properties | '
        'ForEach-Object { Set-Item "env:$($_.Name)" $_.Value }'
    )
    lines = (
        f"A Sigstore, an OIDC issuer and a package index run on 127.0.0.1; their files are in {directory}.",
        playing,
        "In another terminal, set its environment and release as in CI (`hatch build`, `hatch publish -p attest`):",
        f"  sh:         . '{directory / 'environment.sh'}'",
        f"  PowerShell: {powershell}",
        f"Install from it: pip install --index-url {sandbox.index.simple_url} PROJECT",
        "Ctrl-C ends it.",
    )
    print("\n".join(lines), flush=True)  # noqa: T201 - the output of a command
    while True:
        threading.Event().wait(1)  # without a limit, Windows would not let Ctrl-C through


def play_project(sandbox: Sandbox) -> str:
    """Play the publisher of the project in the current directory, and register it with the index; say so."""
    try:
        subject = read_subject(Path.cwd())
    except AttestError as error:
        return f"The current directory is no project to publish ({error.what}): the index knows no Trusted Publisher."
    sandbox.issuer.identity = subject.identity(publishing=True)
    sandbox.index.add_publisher(subject.name, **subject.publisher.as_json())
    return f"It plays {subject.publisher}, the Trusted Publisher of {subject.name} on its index."

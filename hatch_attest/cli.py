"""The command `hatch-attest`: signing and verifying by hand, the sandbox, and the rehearsal of a release."""

from __future__ import annotations

import argparse
import io
import signal
import sys
import tempfile
import traceback
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import hatch_attest
from hatch_attest.errors import AttestError, ConfigurationError, redact
from hatch_attest.signals import Ended, end_on_signals

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


HELD, FAILED, USAGE = 0, 1, 2
_SIGNALLED = 128  # a shell's way to say that a signal, whose number is added, ended a program

# What an extra brings beyond the base, which has hatchling and packaging only: modules to look for.
_SIGNING = ("id", "pypi_attestations", "sigstore", "tenacity")
_PUBLISHING = (*_SIGNING, "rich", "twine")
_MODULES = {
    "publish": _PUBLISHING,
    "sandbox": (
        *_PUBLISHING, "cryptography", "hatch", "httpx", "jwt", "python_multipart", "starlette", "trustme", "uvicorn",
        "virtualenv",
    ),
}  # fmt: skip


class _Command(NamedTuple):
    """A subcommand: the extra that it needs, and what runs it."""

    extra: str
    run: Callable[[argparse.Namespace], int]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command.

    Args:
        arguments: of the command line; this process's own if not given.

    Returns:
        the exit status: 0 all held, 1 something did not, 2 bad usage or configuration; from `sandbox -- COMMAND` that
        of the command; 128 and a signal's number where one ended it.

    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # names may hold what the terminal cannot show
    parsed = _parse(list(sys.argv[1:] if arguments is None else arguments))
    command = _COMMANDS[parsed.command]
    absent = [name for name in _MODULES[command.extra] if find_spec(name) is None]
    if absent:
        return _refuse(
            f"`{parsed.command}` needs more than is installed ({', '.join(absent)}): "
            f'pip install "hatch-attest[{command.extra}]"'
        )
    end_on_signals()
    try:
        return command.run(parsed)
    except ConfigurationError as error:
        return _fail(parsed, error, str(error), USAGE)
    except AttestError as error:
        return _fail(parsed, error, str(error), FAILED)
    except Ended as ended:
        return _fail(parsed, ended, "ended before it was done", _SIGNALLED + ended.number)
    except Exception as error:  # noqa: BLE001 - nobody meets a traceback who did not ask for it
        words = redact(f"{type(error).__name__}: {error}")
        return _fail(parsed, error, f"unexpected {words}. Please report it, with the output of `-v`.", FAILED)


def _sign(parsed: argparse.Namespace) -> int:
    from hatch_attest.commands import run_sign

    return HELD if run_sign(parsed.files, Path.cwd(), interactive=parsed.interactive) else FAILED


def _verify(parsed: argparse.Namespace) -> int:
    from hatch_attest.commands import expected_signer, run_verify

    expected = expected_signer(parsed.repository, parsed.workflow, parsed.gitlab_project, parsed.email)
    return HELD if run_verify(parsed.files, Path.cwd(), expected=expected) else FAILED


def _rehearse(parsed: argparse.Namespace) -> int:
    from hatch_attest.rehearsal import rehearse

    try:
        return HELD if rehearse(parsed.project) else FAILED
    except ConfigurationError:
        raise
    except AttestError as error:  # what fails in a rehearsal is in its report; what comes out keeps it from starting
        return _fail(parsed, error, str(error), USAGE)


def _sandbox(parsed: argparse.Namespace) -> int:
    from hatch_attest.rehearsal.serving import run_in, serve
    from hatch_attest.sandbox import Sandbox

    with ExitStack() as stack:
        directory = parsed.directory or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="hatch-attest-")))
        sandbox = stack.enter_context(Sandbox(directory))
        if parsed.run:
            # Ctrl-C is for the command, which the terminal sends it to as well. (Not SIG_IGN: that would be inherited.)
            signal.signal(signal.SIGINT, lambda *_: None)
            status = run_in(sandbox, parsed.run)
            return status if status >= 0 else _SIGNALLED - status
        try:
            serve(sandbox)
        except Ended:  # which is how it is meant to end
            return HELD
    raise AssertionError  # pragma: no cover - it serves until it is ended


_COMMANDS = {
    "sign": _Command("publish", _sign),
    "verify": _Command("publish", _verify),
    "sandbox": _Command("sandbox", _sandbox),
    "rehearse": _Command("sandbox", _rehearse),
}


def _parse(arguments: list[str]) -> argparse.Namespace:
    # What follows `--` is the sandbox's command, whatever it looks like; argparse's own way differs between Pythons.
    command: list[str] = []
    if "sandbox" in arguments and "--" in arguments:
        position = arguments.index("--")
        arguments, command = arguments[:position], arguments[position + 1 :]
    parsed = _parser().parse_args(arguments)
    parsed.run = command
    return parsed


def _parser() -> argparse.ArgumentParser:
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument(
        "-v", "--verbose", action="store_true", default=argparse.SUPPRESS, help="show tracebacks of failures"
    )
    parser = argparse.ArgumentParser("hatch-attest", description=hatch_attest.__doc__, parents=[common])
    parser.add_argument("--version", action="version", version=f"hatch-attest {hatch_attest.__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def add(name: str, summary: str, more: str = "", usage: str | None = None) -> argparse.ArgumentParser:
        return commands.add_parser(
            name, help=summary, description=f"{summary[0].upper()}{summary[1:]}. {more}", usage=usage, parents=[common]
        )

    sign = add("sign", "sign what has no attestation yet", "Attestations that are there are verified.")
    sign.add_argument("--interactive", action="store_true", help="sign in through the browser, once for all files")
    verify = add("verify", "verify attestations as `hatch publish -p attest` does, without uploading")
    _add_identity(verify)
    for each in (sign, verify):
        each.add_argument("files", nargs="+", metavar="FILES", help="wheels, sdists, directories of them, or patterns")
    sandbox = add(
        "sandbox",
        "run an embedded Sigstore, OIDC issuer and package index on this machine",
        "With a COMMAND, run it in the sandbox's environment and end with it; without one, serve until interrupted.",
        "hatch-attest sandbox [-h] [-v] [--directory DIR] [-- COMMAND ...]",
    )
    sandbox.add_argument("--directory", type=Path, metavar="DIR", help="where its files are kept (default: removed)")
    rehearse = add(
        "rehearse",
        "rehearse a project's whole release on the sandbox",
        "On a copy of it: build, publish, install, verify as a consumer. Nothing of the project changes.",
    )
    rehearse.add_argument(
        "project", nargs="?", type=Path, default=Path(), metavar="PROJECT", help="its directory (default: this one)"
    )
    return parser


def _add_identity(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("who must have signed (default: the `publisher` of the project's hook table)")
    who = group.add_mutually_exclusive_group()
    who.add_argument("--repository", metavar="OWNER/NAME", help="a workflow of this repository on GitHub")
    who.add_argument("--gitlab-project", metavar="GROUP/NAME", help="a pipeline of this project on gitlab.com")
    who.add_argument("--email", metavar="ADDRESS", help="a person, or a service account of Google's")
    group.add_argument("--workflow", metavar="FILE", help="the workflow of --repository or --gitlab-project")


def _is_verbose(parsed: argparse.Namespace) -> bool:
    return getattr(parsed, "verbose", False)


def _fail(parsed: argparse.Namespace, error: BaseException, message: str, status: int) -> int:
    if _is_verbose(parsed):
        sys.stderr.write(redact("".join(traceback.format_exception(error))))
    sys.stderr.write(f"hatch-attest: {message}\n")
    return status


def _refuse(message: str) -> int:
    sys.stderr.write(f"hatch-attest: {message}\n")
    return USAGE

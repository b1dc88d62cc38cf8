"""`hatch-attest sign` and `hatch-attest verify`: the gate's parts without an upload."""

from __future__ import annotations

import os
from functools import partial
from typing import TYPE_CHECKING, Any

from hatch_attest.artifacts import collect, printable
from hatch_attest.display import ConsoleDisplay
from hatch_attest.errors import ArtifactError, AttestError, ConfigurationError
from hatch_attest.gate.evidence import (
    Evidence,
    check_writable,
    email_check,
    publisher_check,
    read_evidence,
    refuse_missing,
    sign_missing,
)
from hatch_attest.gate.holding import hold
from hatch_attest.gate.signers import find_signer
from hatch_attest.options import parse_hook_options
from hatch_attest.project import hook_options
from hatch_attest.report import Report, file_line, show, write_summary
from hatch_attest.sidecars import Predicate
from hatch_attest.trust import Trust, load_trust
from hatch_attest.verification import Verifier

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from hatch_attest.artifacts import Artifact
    from hatch_attest.display import Display
    from hatch_attest.gate.holding import Held
    from hatch_attest.options import TrustedPublisher
    from hatch_attest.report import State
    from hatch_attest.verification import Verified


def expected_signer(
    repository: str | None, workflow: str | None, gitlab_project: str | None, email: str | None
) -> TrustedPublisher | str | None:
    """Make of the command line's flags whom to expect: a publisher, an e-mail address, or nobody in particular.

    Raises:
        ConfigurationError: they do not fit together, or one is malformed.

    """
    if email is not None:
        if workflow is not None or "@" not in email:
            raise ConfigurationError(["--email: takes an e-mail address, and no --workflow beside it"])
        return email
    if repository is None and gitlab_project is None:
        if workflow is not None:
            raise ConfigurationError(["--workflow: needs --repository or --gitlab-project"])
        return None
    flag = "--repository" if repository is not None else "--gitlab-project"
    if workflow is None:
        raise ConfigurationError([f"{flag}: needs --workflow beside it, as the Trusted Publisher names it"])
    table: dict[str, Any] = (
        {"kind": "GitHub", "repository": repository, "workflow": workflow}
        if repository is not None
        else {"kind": "GitLab", "repository": gitlab_project, "workflow_filepath": workflow}
    )
    return parse_hook_options({"publisher": table}, flag, {}).publisher


def run_sign(
    files: Sequence[str],
    root: Path,
    *,
    interactive: bool = False,
    display: Display | None = None,
    environ: Mapping[str, str] = os.environ,
) -> bool:
    """Sign what has no attestation yet; what has one is verified.

    Args:
        files: files, directories and patterns.
        root: the project's root directory, for its configuration; it may hold no project.
        interactive: whether a person may log in through the browser, once for all files.
        display: where to say what.
        environ: the environment.

    Returns:
        True: everything is signed and holds.

    Raises:
        ConfigurationError: the configuration is wrong.
        AttestError: something could not be signed, or an attestation that is there does not hold.

    """
    display = display or ConsoleDisplay()
    hook = hook_options(root, environ)
    paths = _paths(files, root, display)
    trust = load_trust(hook.sigstore, root)
    verifier = Verifier(trust)
    check = publisher_check(hook.publisher)
    with hold(paths) as held:
        evidences = [read_evidence(each, verifier, check) for each in held]
        missing = [each for each in evidences if each.lacks(Predicate.PUBLISH)]
        if missing:
            check_writable(missing)
            new_signer = find_signer(
                trust,
                hook.publisher,
                environ,
                allow_public_log=hook.allow_public_log,
                interactive=interactive,
                for_pypi=False,
                refuse=partial(refuse_missing, missing),
            )
            for host in trust.token_hosts:
                display.info(f"the identity token goes to {host}, as {hook.sigstore} says")
            sign_missing(missing, new_signer(), verifier, check, lambda each: _say_signed(each, trust, display))
        report = _report("sign", evidences, trust)
    _finish(report, display, environ)
    return True


def run_verify(
    files: Sequence[str],
    root: Path,
    *,
    expected: TrustedPublisher | str | None = None,
    display: Display | None = None,
    environ: Mapping[str, str] = os.environ,
) -> bool:
    """Verify the attestations of each artifact as the publisher does, without an upload.

    Args:
        files: files, directories and patterns.
        root: the project's root directory, for its configuration; it may hold no project.
        expected: who must have signed: a Trusted Publisher, an e-mail address, or None for the configured publisher.
        display: where to say what.
        environ: the environment.

    Returns:
        whether every artifact has an attestation and all of them hold; each failure is said, not only the first.

    Raises:
        ConfigurationError: the configuration is wrong, or nobody is expected to have signed.
        AttestError: the files or the Sigstore instance's trust cannot be read.

    """
    display = display or ConsoleDisplay()
    hook = hook_options(root, environ)
    expected = expected or hook.publisher
    if expected is None:
        raise ConfigurationError(
            ["whom to expect is not known: give --repository, --gitlab-project or --email, or configure `publisher`"]
        )
    check = email_check(expected) if isinstance(expected, str) else publisher_check(expected)
    paths = _paths(files, root, display)
    trust = load_trust(hook.sigstore, root)
    verifier = Verifier(trust)
    failures: list[AttestError] = []
    with hold(paths) as held:
        evidences = [_verified(each, verifier, check, failures) for each in held]
        report = _report("verify", evidences, trust)
    report.identity = str(expected)
    for failure in failures:
        display.warning(str(failure))
        report.warnings.append(str(failure))
        report.fail(failure)
    _finish(report, display, environ)
    return not failures


def _verified(
    held: Held, verifier: Verifier, check: Callable[[Verified, Artifact], None], failures: list[AttestError]
) -> Evidence:
    """Climb the ladder with one artifact; no attestation at all never counts as verified."""
    try:
        evidence = read_evidence(held, verifier, check)
        if not evidence.verified:
            refuse_missing([evidence], "there is no sidecar beside it")
    except AttestError as error:
        failures.append(error)
        return Evidence(held)
    return evidence


def _paths(files: Sequence[str], root: Path, display: Display) -> tuple[Path, ...]:
    collection = collect(files, root)
    for path in collection.left_out:
        display.warning(f"{printable(path)} is neither a wheel nor an sdist, and is left out")
    if not collection.artifacts:
        raise ArtifactError("artifact-none")
    return collection.artifacts


def _say_signed(evidence: Evidence, trust: Trust, display: Display) -> None:
    made = evidence.signed[-1]
    display.success(
        f"signed {printable(evidence.artifact.name)} as {made.signer}; log {trust.log}, index {made.log_index}"
    )


def _report(command: str, evidences: Sequence[Evidence], trust: Trust) -> Report:
    lines = []
    for evidence in evidences:
        state: State = "signed" if evidence.signed else "verified" if evidence.found else "refused"
        line = file_line(evidence.artifact, state)
        line.attestations = evidence.lines(trust)
        lines.append(line)
    return Report(command, outcome="ok", log=trust.log, files=lines)


def _finish(report: Report, display: Display, environ: Mapping[str, str]) -> None:
    show(report, display)
    write_summary(report, environ)
    display.info(report.counts())

"""Rehearsal: the whole release of a copy of a project on an embedded sandbox, up to a consumer who verifies it."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from hatch_attest.errors import AttestError, RehearsalError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hatch_attest.artifacts import Artifact
    from hatch_attest.rehearsal.consumer import Consumer, Served
    from hatch_attest.rehearsal.copying import Copy
    from hatch_attest.rehearsal.report import Report, Step
    from hatch_attest.rehearsal.subject import Subject
    from hatch_attest.sandbox import Sandbox

# A space, as in many a user's path: what breaks on it shall break here. The directory is gone when the rehearsal ends.
_PREFIX = "hatch-attest rehearsal "
# Not `-m hatch`: that would look for Hatch's libraries in the project's root first, which may hold one of them.
_HATCH = "import sys; sys.path = [entry for entry in sys.path if entry]; from hatch.cli import main; main()"
_MADE_UP = "made up: the hook's table names no `publisher`"
_ADVICE = "Name your Trusted Publisher in the hook's table (key `publisher`), and the next rehearsal plays yours."


def rehearse(root: Path) -> bool:
    """Rehearse the release of the project at ``root``, show it, and return whether all of it held.

    Nothing of the project changes, and nothing is left behind: the temporary directory goes, and what was started ends.

    Raises:
        RehearsalError, ConfigurationError: there is no rehearsing this project as it is configured.

    """
    from hatch_attest.rehearsal.report import Report, Step
    from hatch_attest.rehearsal.subject import read_subject

    subject = read_subject(root.resolve())
    report = Report(
        [
            Step("copy", "the project as it is now, uncommitted changes included"),
            Step("sandbox", "a Sigstore, an OIDC issuer and a package index on 127.0.0.1"),
            Step("build", "hatch build"),
            Step("publish", "hatch publish -p attest -n"),
            Step("install", "pip install from that index, into a fresh environment"),
            Step("verify", "the provenance that the index serves, by the pypi_attestations library"),
            Step("tamper", "one bit turned in each file: the same library must refuse"),
        ]
    )
    report.say(f"Rehearsing the release of {subject.name} as {subject.publisher}", "bold")
    report.say("  (the `publisher` of the hook's table)" if subject.configured else f"  ({_MADE_UP})")
    failure = None
    try:
        with ExitStack() as stack:
            _Rehearsal(subject, report, stack).run()
    except AttestError as error:
        failure = error
    report.table()
    report.say()
    if failure is not None:
        report.say(str(failure), "red")
        report.say("Nothing was published anywhere, and the project is as it was.")
        return False
    report.say("All of it held. Nothing was published anywhere, and the project is as it was.", "green")
    if not subject.configured:
        report.say(_ADVICE)
    return True


class _Rehearsal:
    """One rehearsal, step by step.

    Args:
        subject: what is rehearsed.
        report: where it shows.
        stack: undoes what was set up.

    """

    def __init__(self, subject: Subject, report: Report, stack: ExitStack) -> None:
        self._subject = subject
        self._report = report
        self._stack = stack
        self._directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix=_PREFIX))).resolve()

    def run(self) -> None:
        """Do every step.

        Raises:
            AttestError: one did not hold; the report has which.

        """
        copy = self._copy()
        sandbox, environ = self._set_up()
        artifacts = self._build(copy, sandbox, environ)
        self._publish(copy, sandbox, environ)
        consumer = self._install(artifacts, sandbox, environ)
        served = self._verify(consumer, artifacts, sandbox)
        self._tamper(consumer, served, sandbox)

    def _copy(self) -> Copy:
        from hatch_attest.rehearsal.copying import copy_project

        with self._report.step("copy") as step:
            copy = copy_project(self._subject.root, self._directory / "work tree")
            kind = "of its git work tree, and its history" if copy.versioned else "(no git work tree: all but caches)"
            step.outcome = f"{_count(copy.files, 'file')} {kind}"
        return copy

    def _set_up(self) -> tuple[Sandbox, dict[str, str]]:
        from hatch_attest.rehearsal.distribution import make_wheel
        from hatch_attest.rehearsal.surroundings import make_surroundings
        from hatch_attest.sandbox import Sandbox

        with self._report.step("sandbox") as step:
            wheel = make_wheel(self._directory)
            environ = make_surroundings(os.environ, self._directory / "surroundings", wheel)
            sandbox = self._stack.enter_context(Sandbox(self._directory / "sandbox"))
            publisher = self._subject.publisher
            sandbox.index.add_publisher(self._subject.name, **publisher.as_json())
            step.outcome = f"running; builds get this hatch-attest, {wheel.name}"
        return sandbox, environ

    def _build(self, copy: Copy, sandbox: Sandbox, environ: Mapping[str, str]) -> list[Artifact]:
        from hatch_attest.sidecars import find_sidecars

        with self._report.step("build") as step:
            sandbox.issuer.identity = self._subject.identity(publishing=False)
            artifacts = self._built(step, copy, {**environ, **sandbox.environment})
            version = artifacts[0].version
            if version.local:
                # Off a tag, hatch-vcs and its like make such versions; a release is made on one.
                self._report.say(
                    f"  {version} is a version of no tag, which no index takes: again, as {version.public}"
                )
                shutil.rmtree(copy.root / "dist")
                pretended = {"SETUPTOOLS_SCM_PRETEND_VERSION": version.public}
                artifacts = self._built(step, copy, {**environ, **sandbox.environment, **pretended})
                if artifacts[0].version.local:
                    raise RehearsalError("rehearsal-local-version", version=version)
            unsigned = [each.name for each in artifacts if not find_sidecars(each.path)]
            step.outcome = f"{_count(len(artifacts), 'artifact')}, {len(artifacts) - len(unsigned)} signed"
            if unsigned:
                step.outcome += f"; left to the publisher: {', '.join(unsigned)}"
            return artifacts

    def _built(self, step: Step, copy: Copy, environ: Mapping[str, str]) -> list[Artifact]:
        from hatch_attest.artifacts import collect, read_artifact

        self._hatch(step, copy, environ)
        dist = copy.root / "dist"
        found = collect([str(dist)], copy.root).artifacts if dist.is_dir() else ()
        if not found:
            raise RehearsalError("rehearsal-nothing-built")
        return [read_artifact(path) for path in found]

    def _publish(self, copy: Copy, sandbox: Sandbox, environ: dict[str, str]) -> None:
        with self._report.step("publish") as step:
            sandbox.issuer.identity = self._subject.identity(publishing=True)
            self._hatch(step, copy, {**environ, **sandbox.environment})
            uploads = [each for each in sandbox.requests if each.service == "index" and each.path.endswith("/legacy/")]
            accepted = sum(each.status == 200 for each in uploads)  # noqa: PLR2004 - HTTP's OK
            step.outcome = f"{_count(accepted, 'file')} taken by the index, by Trusted Publishing, with attestations"

    def _install(self, artifacts: list[Artifact], sandbox: Sandbox, environ: dict[str, str]) -> Consumer:
        from hatch_attest.rehearsal.consumer import Consumer

        with self._report.step("install") as step:
            consumer = Consumer(self._directory / "consumer", environ, sandbox.index.simple_url, self._report.relay)
            first = artifacts[0]
            wheels = any(each.kind == "wheel" for each in artifacts)
            installed = consumer.install(first.project, first.version, wheels=wheels)
            if installed.digest not in {each.digest for each in artifacts}:
                raise RehearsalError("rehearsal-other-bytes", name=installed.name)
            step.outcome = f"{installed.name}, byte for byte what was built"
            if installed.dependencies:
                step.outcome += f" (its {_count(installed.dependencies, 'requirement')} left out)"
        return consumer

    def _verify(self, consumer: Consumer, artifacts: list[Artifact], sandbox: Sandbox) -> list[Served]:
        with self._report.step("verify") as step:
            served = consumer.fetch(artifacts[0].project, artifacts[0].version)
            if {(each.artifact.name, each.digest) for each in served} != {(a.name, a.digest) for a in artifacts}:
                raise RehearsalError("rehearsal-other-files")
            publisher = self._subject.publisher.as_json()
            for each, verdict in zip(served, consumer.judge(served, sandbox.trusted_root), strict=True):
                if not verdict.holds:
                    raise RehearsalError("rehearsal-refused", cause=verdict.reason, name=each.artifact.name)
                if {**publisher, **(verdict.publisher or {})} != publisher:
                    raise RehearsalError("rehearsal-other-publisher", name=each.artifact.name, stated=verdict.publisher)
                self._report.relay(f"{each.artifact.name}: {self._subject.publisher}")
            step.outcome = f"{_count(len(served), 'file')} verified, published by {self._subject.publisher}"
        return served

    def _tamper(self, consumer: Consumer, served: list[Served], sandbox: Sandbox) -> None:
        with self._report.step("tamper") as step:
            tampered = consumer.tamper(served)
            for each, verdict in zip(tampered, consumer.judge(tampered, sandbox.trusted_root), strict=True):
                if verdict.holds:
                    raise RehearsalError("rehearsal-tampered", name=each.artifact.name)
                self._report.relay(f"{each.artifact.name}: {verdict.reason}")
            step.outcome = f"{_count(len(tampered), 'file')} refused"

    def _hatch(self, step: Step, copy: Copy, environ: Mapping[str, str]) -> None:
        from hatch_attest.rehearsal import processes

        command = [sys.executable, "-c", _HATCH, *step.does.split()[1:]]
        status = processes.run(command, directory=copy.root, environ=environ, show=self._report.relay)
        if status:
            raise RehearsalError("rehearsal-command", command=step.does, status=status)


def _count(number: int, noun: str, nouns: str = "") -> str:
    return f"{number} {noun if number == 1 else nouns or f'{noun}s'}"

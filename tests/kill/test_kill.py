"""A release of twenty files, killed at random moments: one more run completes it, byte for byte."""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import random
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from pypi_attestations import Attestation

from tests.publishing import Job
from tests.sandbox.index_support import sdist, wheel

if TYPE_CHECKING:
    from collections.abc import Mapping
    from multiprocessing.context import BaseContext
    from multiprocessing.process import BaseProcess

    from hatch_attest.sandbox import Sandbox

RUNS = 30
FILES = 20
SEED = 20261124
PRELOAD = ["hatch.cli", "hatch_attest.publisher", "hatch_attest.gate.release", "hatch_attest.signing",
           "hatch_attest.verification", "pypi_attestations", "twine.package", "twine.repository"]  # fmt: skip

pytestmark = [
    pytest.mark.slow,
    pytest.mark.enable_socket,  # a fork server is spoken to over a Unix socket
    pytest.mark.skipif(sys.platform == "win32", reason="a server that forks needs fork"),
]


@pytest.fixture(scope="module")
def context() -> BaseContext:
    """Processes that are forked from one with everything imported: each starts at once, and dies alone."""
    made = multiprocessing.get_context("forkserver")
    made.set_forkserver_preload(PRELOAD)
    return made


def hatch_publish(root: str, environ: Mapping[str, str], output: str) -> None:
    """Be `hatch publish -p attest -n`, in a process of its own."""
    os.environ.clear()
    os.environ.update(environ)
    os.chdir(root)
    descriptor = os.open(output, os.O_CREAT | os.O_TRUNC | os.O_WRONLY)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    from hatch.cli import hatch

    hatch(["publish", "-p", "attest", "-n"], prog_name="hatch")


class Release:
    """One version's files, and the processes that publish them."""

    def __init__(self, number: int, job: Job, context: BaseContext) -> None:
        self.version = f"1.{number}"
        self.output = job.home / f"output {self.version}.txt"
        self._job = job
        self._context = context
        for path in job.dist.iterdir():
            path.unlink()
        tags = [f"cp3{10 + number % 4}-cp3{10 + number % 4}-manylinux_2_{glibc}_x86_64" for glibc in range(FILES - 1)]
        job.add(sdist(version=self.version), *(wheel(version=self.version, tag=tag) for tag in tags))

    def start(self) -> BaseProcess:
        """Start a process that publishes."""
        arguments = (str(self._job.root), self._job.environ, str(self.output))
        process: BaseProcess = self._context.Process(target=hatch_publish, args=arguments)  # type: ignore[attr-defined]
        process.start()
        return process

    def on_index(self) -> dict[str, str]:
        """What the index has of this version."""
        return {
            file.filename: file.sha256
            for file in self._job.sandbox.index.files("widget")
            if file.version == self.version
        }

    def artifacts(self) -> list[Path]:
        """The files in `dist`."""
        return [path for path in self._job.dist.iterdir() if path.name.endswith((".whl", ".tar.gz"))]

    def phase(self) -> str:
        """How far it got, for the record."""
        sidecars = len(list(self._job.dist.glob("*.attestation")))
        uploaded = len(self.on_index())
        if uploaded == FILES:
            return "after the last upload"
        if uploaded:
            return "between two uploads"
        if sidecars == FILES:
            return "between signing and the first upload"
        return "while signing" if sidecars else "before the first signature"


def test_a_release_killed_at_any_moment_is_completed_by_one_more_run(
    tmp_path: Path, sandbox: Sandbox, clean_environ: dict[str, str], context: BaseContext
) -> None:
    """A runner that dies, or a person with Ctrl-C, must not leave a release that nobody can complete."""
    sandbox.index.create_project("widget")
    sandbox.index.add_publisher("widget", repository="octo-org/widget", workflow="release.yml")
    private = tmp_path / "private"
    private.mkdir()
    job = Job(tmp_path / "widget", sandbox, {**clean_environ, "TMPDIR": str(private)})
    random_moments = random.Random(SEED)  # noqa: S311 - moments, not secrets
    moments = measure(sandbox, Release(0, job, context))
    phases: Counter[str] = Counter()
    for number in range(1, RUNS + 1):
        release = Release(number, job, context)
        entries, accepted = job.entries(), accepted_uploads(sandbox)
        kill_after(release.start(), sandbox, random_moments.randrange(moments), random_moments.uniform(0, 0.03))
        phases[release.phase()] += 1

        again = release.start()
        again.join(60)

        assert again.exitcode == 0, release.output.read_text(encoding="utf-8")
        assert release.on_index() == {
            path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in release.artifacts()
        }
        assert_provenance(job, release)
        # At most one signature, and one upload, was under way when it was killed.
        assert FILES <= job.entries() - entries <= FILES + 1
        assert FILES <= accepted_uploads(sandbox) - accepted <= FILES + 1
    print(f"\n{RUNS} releases of {FILES} files, killed: {dict(phases)}")
    assert len(phases) >= 3


def measure(sandbox: Sandbox, release: Release) -> int:
    """Publish once without a kill; returns how many requests that takes, those of the proof afterwards included."""
    before = len(sandbox.requests)
    process = release.start()
    process.join(60)
    assert process.exitcode == 0, release.output.read_text(encoding="utf-8")
    return len(sandbox.requests) - before


def kill_after(process: BaseProcess, sandbox: Sandbox, requests: int, seconds: float) -> None:
    """Kill a process so many requests and seconds after its start: requests are what its time is made of."""
    before = len(sandbox.requests)
    while process.is_alive() and len(sandbox.requests) - before < requests:
        process.join(0.001)
    process.join(seconds)
    process.kill()
    process.join()


def accepted_uploads(sandbox: Sandbox) -> int:
    return sum(
        (request.service, request.method, request.path, request.status) == ("index", "POST", "/legacy/", 200)
        for request in sandbox.requests
    )


def assert_provenance(job: Job, release: Release) -> None:
    """What the index serves must be what lies beside the files."""
    for file in job.sandbox.index.files("widget"):
        if file.version == release.version:
            assert file.provenance is not None
            (bundle,) = file.provenance["attestation_bundles"]
            sidecar = job.sidecar(job.dist / file.filename)
            mine = Attestation.model_validate_json(sidecar.read_bytes())
            assert [Attestation.model_validate(each) for each in bundle["attestations"]] == [mine]

"""The judges: other people's software, installed once, started for the session."""

from __future__ import annotations

import importlib.metadata
import json
import os
import re
import time
import uuid
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.judges import installs
from tests.judges.report import Report

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Iterator, Mapping

    from tests.judges.cases import Cases
    from tests.judges.pulp import Pulp, PulpIndex
    from tests.judges.real_sigstore import RealSigstore
    from tests.judges.workshop import JudgedSandbox

HERE = Path(__file__).parent
REPORT = pytest.StashKey[Report]()
START = time.monotonic()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test of this folder: the suite is opt-in."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.judges)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print what the judges said, and which of them could not be asked."""
    if report := config.stash.get(REPORT, None):
        report.figures["wall time of the suite"] = f"{time.monotonic() - START:.0f} s"
        for folder in sorted(installs.cache().glob("*-*")):
            size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
            report.figures[f"disk: {folder.name}"] = f"{size / 1e6:.0f} MB"
        terminalreporter.section("judges")
        for line in report.lines():
            terminalreporter.write_line(line)


@pytest.fixture(scope="session")
def report(pytestconfig: pytest.Config) -> Report:
    """Collect what is printed after the last test."""
    report = pytestconfig.stash.setdefault(REPORT, Report())
    for name in ("sigstore", "pypi-attestations", "twine", "uv", "hatch", "hatchling"):
        report.versions[name] = importlib.metadata.version(name)
    return report


def judge(report: Report, name: str, install: Callable[[], Path]) -> Path:
    """Install a judge, or skip by name whatever needs it."""
    try:
        with report.timed(f"installing {name}"):
            return install()
    except installs.Unavailable as error:
        report.missing[name] = str(error)
        pytest.skip(f"{name}: {error}")


def _memory(processes: Mapping[str, subprocess.Popen[Any]]) -> str:
    """Say how much memory services hold, in all and each (Linux)."""
    statuses = {name: Path(f"/proc/{process.pid}/status") for name, process in processes.items()}
    if not all(status.exists() for status in statuses.values()):
        return "not known"
    resident = {
        name: int(status.read_text(encoding="utf-8").partition("VmRSS:")[2].split()[0]) // 1024
        for name, status in statuses.items()
    }
    return f"{sum(resident.values())} MB ({', '.join(f'{name} {size}' for name, size in resident.items())})"


@pytest.fixture(scope="session")
def programs(report: Report) -> Path:
    """Return the folder of the programs that are built from Go modules."""
    folder = judge(report, "Sigstore's services and cosign", installs.go_programs)
    modules = (HERE / "sigstore" / "go.mod").read_text(encoding="utf-8")
    for module in ("sigstore/fulcio", "sigstore/rekor", "google/trillian", "google/certificate-transparency-go"):
        if found := re.search(rf"github\.com/{module} (v\S+)", modules):
            report.versions[module.partition("/")[2]] = found[1]
    report.versions["cosign"] = installs.COSIGN.partition("@")[2]
    return folder


@pytest.fixture(scope="session")
def node_modules(report: Report) -> Path:
    """Return the folder of sigstore-js and the script that calls it."""
    folder = judge(report, "sigstore-js", installs.node_modules)
    package = json.loads((HERE / "sigstore-js" / "package.json").read_text(encoding="utf-8"))
    report.versions |= package["dependencies"]
    return folder


@pytest.fixture(scope="session")
def real(programs: Path, report: Report, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealSigstore]:
    """Start the real Sigstore for the session."""
    from tests.judges.real_sigstore import RealSigstore

    with ExitStack() as stack:
        with report.timed("starting the real Sigstore"):
            sigstore = stack.enter_context(RealSigstore(programs, tmp_path_factory.mktemp("sigstore")))
        yield sigstore
        report.figures["memory of the real Sigstore"] = _memory(sigstore.processes)


@pytest.fixture(scope="session")
def cases(real: RealSigstore, tmp_path_factory: pytest.TempPathFactory) -> Cases:
    """Sign once with our signer on the real Sigstore, and tamper with the result in every way of the table."""
    from tests.judges.cases import Cases

    return Cases(real, tmp_path_factory.mktemp("cases"))


@pytest.fixture(scope="session")
def surroundings(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Return an environment without traces of this machine, where builds get this very hatch-attest."""
    from hatch_attest.rehearsal.distribution import make_wheel
    from hatch_attest.rehearsal.surroundings import make_surroundings

    directory = tmp_path_factory.mktemp("surroundings")
    return make_surroundings(os.environ, directory, make_wheel(directory))


@pytest.fixture
def judged(real: RealSigstore, tmp_path: Path) -> Iterator[JudgedSandbox]:
    """Start the sandbox's issuer and index beside the real Sigstore."""
    from tests.judges.workshop import JudgedSandbox

    with JudgedSandbox(tmp_path / "sandbox", real) as sandbox:
        yield sandbox


@pytest.fixture(scope="session")
def pulp(real: RealSigstore, report: Report, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pulp]:
    """Start Pulp, which trusts the real Sigstore's root."""
    from tests.judges.pulp import REQUIREMENTS, Pulp, environment, template

    venv = judge(report, "Pulp", environment)
    archive = judge(report, "PostgreSQL and Pulp's tables", lambda: template(venv))
    report.versions |= dict(requirement.split("==") for requirement in REQUIREMENTS)
    with ExitStack() as stack:
        with report.timed("starting Pulp"):
            pulp = stack.enter_context(Pulp(venv, archive, real, tmp_path_factory.mktemp("pulp")))
        yield pulp
        report.figures["memory of Pulp, without its database"] = _memory(pulp.processes)


@pytest.fixture
def pulp_index(pulp: Pulp) -> PulpIndex:
    """Make an index of the test's own."""
    return pulp.index(f"index-{uuid.uuid4().hex[:8]}")

"""What the hook costs whoever merely builds or installs a project: the plain layout against the same project without.

Run it from the project's root: ``python -m tests.benchmarks.consumer_cost [--rounds N]``. Every measure runs a real
process; the projects take turns, in every order, so that a busy moment of the machine hits all. Two ratios are there to
judge the hook's by: that of a build hook of another plugin that does nothing, which any plugin costs, and that of the
project without a hook to a second one without, which is noise.
"""

from __future__ import annotations

import argparse
import itertools
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if sys.platform != "win32":
    import resource

from tests.frontends.layouts import PLAIN, WITHOUT, Project
from tests.frontends.machine import Machine, Row, python_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Measure = Callable[[Row, Project], None]

_QUANTILES = 4
_NOTHING = """
from hatchling.builders.hooks.plugin.interface import BuildHookInterface
from hatchling.plugin import hookimpl


class NothingBuildHook(BuildHookInterface):
    PLUGIN_NAME = "nothing"


@hookimpl
def hatch_register_build_hook():
    return NothingBuildHook
"""


class Cost(NamedTuple):
    """What a run took, in seconds: on the clock, and of processors."""

    clock: float
    processor: float


def hatchling_build(row: Row, project: Project) -> None:
    """Build a wheel in a prepared environment, which holds what the project requires and no more."""
    python = python_of(row.machine.directory / project.root.parent.name)
    row.run(python, "-m", "hatchling", "build", "-t", "wheel", cwd=project.root)


def pip_install(row: Row, project: Project) -> None:
    """Install the project by pip, which makes an environment for the build from its cache."""
    options = ("install", "--quiet", "--force-reinstall", "--no-deps")
    row.run(python_of(row.directory / "venv"), "-m", "pip", *options, ".", cwd=project.root)


def uv_pip_install(row: Row, project: Project) -> None:
    """Install the project by uv, which makes an environment for the build from its cache."""
    options = ("pip", "install", "--quiet", "--reinstall", "--no-deps", "--python", str(row.directory / "venv"))
    row.run("uv", *options, ".", cwd=project.root)


MEASURES: dict[str, Measure] = {
    "hatchling build -t wheel": hatchling_build,
    "pip install .": pip_install,
    "uv pip install .": uv_pip_install,
}


def main() -> None:
    """Measure, and print a line for each measure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=21, help="rounds of each measure (default 21)")
    rounds = parser.parse_args().rounds
    # Beside the checkout's file system, not in memory: caches are linked from there.
    directory = Path(tempfile.mkdtemp(prefix="consumer-cost-"))
    try:
        with Machine(directory / "machine") as machine:
            nothing = _build_a_plugin_that_does_nothing(machine)
            for name, *plugin in (
                ("hook", machine.hatch_attest.as_uri()),
                ("empty", nothing.as_uri()),
                ("without",),
                ("again",),
            ):
                machine.install(name, "hatchling", *plugin)
            machine.packages.caching = "max-age=600, public"  # as PyPI says
            row = Row(machine, directory)
            row.venv()
            print(f"CPython {sys.version.split()[0]}, {sys.platform}, {os.cpu_count()} cores; {rounds} rounds")
            print(", ".join(f"{name} {version}" for name, version in machine.versions().items()))
            for label, measure in MEASURES.items():
                for line in _lines(label, _compare(row, measure, rounds)):
                    print(line, flush=True)
            assert row.outcome().requests == (0, 0, 0), "something was signed"
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _build_a_plugin_that_does_nothing(machine: Machine) -> Path:
    """Build a plugin with a hook of hatchling's bare interface, and offer it on the machine's index."""
    root = machine.directory / "nothing"
    (root / "hatch_nothing").mkdir(parents=True)
    (root / "hatch_nothing" / "__init__.py").write_text(_NOTHING, encoding="utf-8")
    (root / "pyproject.toml").write_text(
        '[build-system]\nrequires = ["hatchling"]\nbuild-backend = "hatchling.build"\n'
        '[project]\nname = "hatch-nothing"\nversion = "1.0"\ndependencies = ["hatchling"]\n'
        '[project.entry-points.hatch]\nnothing = "hatch_nothing"\n',
        encoding="utf-8",
    )
    build = [str(machine.backend), "-m", "hatchling", "build", "-t", "wheel"]
    subprocess.run(build, cwd=root, check=True, capture_output=True, timeout=60)
    (wheel,) = (root / "dist").glob("*.whl")
    machine.packages.add("hatch-nothing", wheel)
    return wheel


def _projects(directory: Path) -> dict[str, Project]:
    """Write the projects that are compared, each in a directory that is named as it."""
    empty = {"requires": '["hatchling", "hatch-nothing"]', "extra": "[tool.hatch.build.hooks.nothing]\n"}
    return {
        "hook": Project(directory / "hook" / "widget", PLAIN, probe=False),
        "empty": Project(directory / "empty" / "widget", WITHOUT, probe=False, **empty),
        "without": Project(directory / "without" / "widget", WITHOUT, probe=False),
        "again": Project(directory / "again" / "widget", WITHOUT, probe=False),
    }


def _compare(row: Row, measure: Measure, rounds: int) -> dict[str, list[Cost]]:
    """Return what each of the projects cost in each round."""
    projects = _projects(row.directory / measure.__name__)
    costs: dict[str, list[Cost]] = {name: [] for name in projects}
    for project in projects.values():
        measure(row, project)  # fills the caches
    for order in itertools.islice(itertools.cycle(itertools.permutations(projects)), rounds):
        for name in order:
            clock, processor = time.perf_counter(), _processor_seconds()
            measure(row, projects[name])
            costs[name].append(Cost(time.perf_counter() - clock, _processor_seconds() - processor))
    return costs


def _processor_seconds() -> float:
    """Return what all processes that have ended have used; other loads of the machine hardly touch it."""
    if sys.platform == "win32":
        return 0.0
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _lines(label: str, costs: dict[str, list[Cost]]) -> Iterator[str]:
    """Say the medians, and the ratios round by round: their median, and the middle half of them."""
    for field in Cost._fields:
        seconds = {name: [getattr(cost, field) for cost in each] for name, each in costs.items()}
        without = seconds["without"]
        if any(without):  # Windows does not tell what processors did
            yield (
                f"{label:24} {field:9} {statistics.median(without):.3f} s, with the hook "
                f"{statistics.median(seconds['hook']):.3f} s: ratio {_spread(seconds['hook'], without)}; "
                f"an empty hook {_spread(seconds['empty'], without)}; noise {_spread(seconds['again'], without)}"
            )


def _spread(numerators: list[float], denominators: list[float]) -> str:
    ratios = [one / other for one, other in zip(numerators, denominators, strict=True)]
    low, middle, high = statistics.quantiles(ratios, n=_QUANTILES)
    return f"{middle:.3f} ({low:.3f} to {high:.3f})"


if __name__ == "__main__":
    main()

"""Projects as their maintainers lay them out, each with a probe that notes what a build environment holds."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

RECOMMENDED = "recommended"
PLAIN = "plain"
WITHOUT = "without the hook"
LAYOUTS = (RECOMMENDED, PLAIN)

OPT_IN = "HATCH_BUILD_HOOK_ENABLE_ATTEST"

# The build requirements and the hook's table, as the README has them.
_REQUIRES = {RECOMMENDED: '["hatchling"]', PLAIN: '["hatchling", "hatch-attest"]', WITHOUT: '["hatchling"]'}
_HOOK = {
    RECOMMENDED: f"""
[tool.hatch.build.hooks.attest]
enable-by-default = false
dependencies = ["hatch-attest[sign]"]

[tool.hatch.envs.hatch-build.env-vars]
{OPT_IN} = "true"
""",
    PLAIN: "[tool.hatch.build.hooks.attest]\n",
    WITHOUT: "",
}

# hatchling runs it as the hook `custom` in whatever environment a front end made for the build. It is in the project,
# and so in its sdist and its repository: the evidence comes from inside, whoever builds it.
_PROBE = """
import json, os, sys, uuid
from importlib.metadata import distributions
from hatchling.builders.hooks.plugin.interface import BuildHookInterface
from hatchling.metadata.plugin.interface import MetadataHookInterface


class Dependencies(MetadataHookInterface):
    def update(self, metadata):
        metadata["dependencies"] = []


class Probe(BuildHookInterface):
    def initialize(self, version, build_data):
        self._note(version, build_data)
        if "JOB_TAG" in os.environ and self.target_name == "wheel":
            build_data["tag"] = os.environ["JOB_TAG"]

    def finalize(self, version, build_data, artifact_path):
        self._note(version, build_data, artifact_path)

    def _note(self, version, build_data, artifact=None):
        note = {
            "root": self.root,
            "target": self.target_name,
            "version": version,
            "artifact": artifact,
            "hooks": build_data["build_hooks"],
            "installed": {each.metadata["Name"]: each.version for each in distributions()},
        }
        with open(os.path.join(NOTES, uuid.uuid4().hex), "w", encoding="utf-8") as stream:
            json.dump(note, stream)
"""


@dataclass
class Project:
    """A project in a directory.

    Args:
        root: where it is written.
        layout: one of ``LAYOUTS``, or ``WITHOUT`` the hook.
        name: its name.
        requires: TOML of its build requirements; None for the layout's.
        extra: further TOML.
        probe: whether the probe is in it.
        content: what its module says, so that two builds can differ.

    """

    root: Path
    layout: str
    name: str = "widget"
    requires: str | None = None
    extra: str = ""
    probe: bool = True
    content: str = "def main() -> None: ...\n"
    notes: Path = field(init=False)

    def __post_init__(self) -> None:
        self.notes = self.root.with_name(f"{self.root.name} notes")
        self.notes.mkdir(parents=True)
        package = self.root / self.name.replace("-", "_")
        package.mkdir(parents=True)
        _write(package / "__init__.py", self.content)
        if self.probe:
            _write(self.root / "hatch_build.py", f"NOTES = {str(self.notes)!r}\n{_PROBE}")
        _write(self.root / "pyproject.toml", self._pyproject())

    @property
    def dist(self) -> Path:
        """Where builds go by default."""
        return self.root / "dist"

    def commit(self) -> str:
        """Make a git repository of it; return the URL by which an installer can have it."""
        for arguments in (["init", "--quiet"], ["add", "--all"], ["commit", "--quiet", "--message=All of it"]):
            identity = ["-c", "user.name=A. Maintainer", "-c", "user.email=maintainer@example.org"]
            subprocess.run(["git", *identity, *arguments], cwd=self.root, check=True, timeout=60)
        return f"git+{self.root.as_uri()}"

    def noted(self) -> list[dict[str, Any]]:
        """Return what the probe noted: one for each start and each end of a target's build."""
        return [json.loads(path.read_text(encoding="utf-8")) for path in self.notes.iterdir()]

    def _pyproject(self) -> str:
        return f"""
[build-system]
requires = {self.requires or _REQUIRES[self.layout]}
build-backend = "hatchling.build"

[project]
name = "{self.name}"
version = "1.0"
requires-python = ">=3.10"
dependencies = []

[project.scripts]
{self.name} = "{self.name.replace("-", "_")}:main"

{"[tool.hatch.build.hooks.custom]" if self.probe else ""}
{_HOOK[self.layout]}
{self.extra}
"""


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8", newline="\n")

"""Subject: the project under rehearsal, and whom it releases as."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hatch_attest.errors import RehearsalError
from hatch_attest.options import TrustedPublisher
from hatch_attest.project import hook_options

if TYPE_CHECKING:
    from pathlib import Path

    from hatch_attest.sandbox import GitHubIdentity, GitLabIdentity

_BACKEND = "hatchling.build"
# What the played identity is given where the configuration does not say.
_OWNER, _WORKFLOW, _REF = "octo-org", "release.yml", "refs/tags/rehearsal"


@dataclass(frozen=True)
class Subject:
    """A project that can be rehearsed.

    Attributes:
        root: its directory, with a ``pyproject.toml``.
        name: as it is written there.
        publisher: the Trusted Publisher to play.
        configured: whether the hook's table names it; if not, it is made up.

    """

    root: Path
    name: str
    publisher: TrustedPublisher
    configured: bool

    def identity(self, *, publishing: bool) -> GitHubIdentity | GitLabIdentity:
        """Return the CI job to play: one that builds names no environment, as the two jobs that we recommend."""
        from hatch_attest.sandbox import GitHubIdentity, GitLabIdentity

        publisher = self.publisher
        environment = publisher.environment if publishing else None
        if publisher.kind == "GitLab":
            return GitLabIdentity(publisher.repository, publisher.workflow, _REF, environment)
        return GitHubIdentity(publisher.repository, publisher.workflow, _REF, environment)


def read_subject(root: Path) -> Subject:
    """Read the project's configuration.

    Raises:
        RehearsalError: it is no project that hatchling builds, or its publisher cannot be played.
        ConfigurationError: the hook's table is wrong.

    """
    from hatchling.metadata.core import load_toml

    path = root / "pyproject.toml"
    if not path.is_file():
        raise RehearsalError("rehearsal-no-project", project=root)
    options = hook_options(root, {})
    configuration = load_toml(str(path))  # its syntax was checked a line above
    backend = configuration.get("build-system", {}).get("build-backend")
    name = configuration.get("project", {}).get("name")
    if backend != _BACKEND:
        raise RehearsalError("rehearsal-backend", project=root, backend=backend or "nothing that it names")
    if not isinstance(name, str):
        raise RehearsalError("rehearsal-no-name", project=root)
    if options.publisher is None:
        made_up = TrustedPublisher("GitHub", f"{_OWNER}/{name}", _WORKFLOW)
        return Subject(root, name, made_up, configured=False)
    if options.publisher.kind == "Google":
        raise RehearsalError("rehearsal-publisher", publisher=options.publisher)
    return Subject(root, name, options.publisher, configured=True)

"""A stand-in for PyPI on loopback: takes, refuses and serves files and attestations as PyPI does, in its words."""

from __future__ import annotations

import shutil
import tempfile
import time
import weakref
from pathlib import Path
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette

from hatch_attest.sandbox.index.accounts import Accounts
from hatch_attest.sandbox.index.attestations import AttestationDecision
from hatch_attest.sandbox.index.flags import Flags
from hatch_attest.sandbox.index.integrity import IntegrityApi
from hatch_attest.sandbox.index.publishers import make_publisher
from hatch_attest.sandbox.index.refusal import Refusal, answer_refusal
from hatch_attest.sandbox.index.simple import SimpleApi
from hatch_attest.sandbox.index.store import Store
from hatch_attest.sandbox.index.trusted_publishing import TrustedPublishing
from hatch_attest.sandbox.index.upload import FILE_SIZE_LIMIT, PROJECT_SIZE_LIMIT, UPLOAD_PATH, Uploads

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from hatch_attest.sandbox.index.publishers import Publisher
    from hatch_attest.sandbox.index.store import StoredFile

__all__ = ["Index"]

_OWNER = "sandbox"


class Index:
    """A package index.

    Serve ``app`` by uvicorn with ``http=hatch_attest.sandbox.index.reason.ReasonProtocol``: PyPI gives its reasons in
    the status line, where twine looks for them.

    Args:
        issuers: URL of an OIDC issuer to a function that gives its JWKS.
        trusted_root: the JSON of the Sigstore TrustedRoot that attestations are verified against.
        audience: what identity tokens must be made for.
        directory: where the files are kept; without one, in a temporary directory that ``close`` removes.
        clock: the time in seconds since the epoch, for the life of upload tokens.
        trusted_publishing: without it, the endpoints of Trusted Publishing are not there (404).
        integrity_api: without it, provenance is neither served nor linked.
        passwords: user to password: the index takes these besides tokens, and attestations with them, as Pulp does.
        file_size_limit: of one file, in bytes.
        project_size_limit: of all files of a project, in bytes.

    """

    def __init__(  # noqa: PLR0913 (a service's settings, all but two with a default)
        self,
        issuers: Mapping[str, Callable[[], dict[str, Any]]],
        trusted_root: Mapping[str, Any],
        audience: str = "hatch-attest-sandbox",
        *,
        directory: Path | None = None,
        clock: Callable[[], float] = time.time,
        trusted_publishing: bool = True,
        integrity_api: bool = True,
        passwords: Mapping[str, str] | None = None,
        file_size_limit: int = FILE_SIZE_LIMIT,
        project_size_limit: int = PROJECT_SIZE_LIMIT,
    ) -> None:
        self._remove: Callable[[], object] = lambda: None
        if directory is None:
            directory = Path(tempfile.mkdtemp(prefix="hatch-attest-index-"))
            self._remove = weakref.finalize(self, shutil.rmtree, directory, ignore_errors=True)
        self._store = Store(directory)
        self._accounts = Accounts(clock, passwords)
        #: PyPI's administrative switches; tests turn them.
        self.flags = Flags()
        #: Where the index is reached, set by whoever serves ``app``.
        self.simple_url = ""
        self.upload_url = ""
        self._trusted_publishing = TrustedPublishing(
            self._store, self._accounts, self.flags, issuers=issuers, audience=audience, upload_path=UPLOAD_PATH
        )
        uploads = Uploads(
            self._store,
            self._accounts,
            self.flags,
            AttestationDecision(trusted_root),
            file_size_limit=file_size_limit,
            project_size_limit=project_size_limit,
        )
        simple = SimpleApi(self._store, with_provenance=integrity_api)
        integrity = IntegrityApi(self._store, self.flags)
        #: The ASGI application.
        self.app = Starlette(
            routes=[
                *uploads.routes,
                *simple.routes,
                *(integrity.routes if integrity_api else []),
                *(self._trusted_publishing.routes if trusted_publishing else []),
            ],
            exception_handlers={Refusal: answer_refusal},
        )
        # A wrong path is wrong: PyPI redirects only where its routes say so.
        self.app.router.redirect_slashes = False

    def add_publisher(self, project: str, kind: str = "GitHub", **fields: str | None) -> Publisher:
        """Register a Trusted Publisher for a project; pending until its first token if the project does not exist.

        Args:
            project: its name.
            kind: ``GitHub``, ``GitLab``, ``Google`` or ``CircleCI``.
            fields: GitHub: ``repository``, ``workflow``, ``environment``, ``repository_owner_id`` (any if not given);
                GitLab: ``repository``, ``workflow_filepath``, ``environment``; Google: ``email``, ``sub``;
                CircleCI: ``org_id``, ``project_id``, ``pipeline_definition_id``.

        Raises:
            ValueError: there is no such kind or field, or PyPI would not register it.

        """
        publisher = make_publisher(kind, **fields)
        self._trusted_publishing.add_publisher(project, publisher, _OWNER)
        return publisher

    def add_token(self, user: str = _OWNER, projects: Iterable[str] | None = None) -> str:
        """Make an API token (``pypi-…``) of a user, for some projects or for all that the user may do."""
        return self._accounts.add_token(user, projects)

    def create_project(self, name: str, owner: str = _OWNER) -> None:
        """Register a project without files."""
        self._store.create_project(name, owner)

    def files(self, project: str) -> tuple[StoredFile, ...]:
        """List the accepted files of a project, by version and name."""
        return self._store.files(project)

    def path(self, file: StoredFile) -> Path:
        """Tell where the bytes of an accepted file lie."""
        return self._store.path(file)

    def delete_file(self, filename: str) -> None:
        """Delete a file, as its owner can on PyPI; its name stays taken."""
        self._store.delete(filename)

    def expire_tokens(self) -> None:
        """End the life of every minted upload token now."""
        self._accounts.expire_minted()

    def close(self) -> None:
        """Remove the temporary directory, if the index has made one; it goes with the index at the latest."""
        self._remove()

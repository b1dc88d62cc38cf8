"""The upload endpoint: the checks of PyPI's ``file_upload`` in its order (warehouse/forklift/legacy.py)."""

from __future__ import annotations

import hmac
import io
import threading
from dataclasses import asdict
from datetime import datetime, timezone
from hashlib import sha256
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import readme_renderer.rst
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile
from starlette.responses import Response
from starlette.routing import Route

from hatch_attest.sandbox.index.distribution import MIB, check_archive, check_filename, check_sdist, check_wheel
from hatch_attest.sandbox.index.metadata import check_form, parse_metadata
from hatch_attest.sandbox.index.refusal import Refusal, bad_request, forbidden
from hatch_attest.sandbox.index.store import Digests, DuplicateFileError, Project, StoredFile

if TYPE_CHECKING:
    from packaging.metadata import Metadata
    from starlette.datastructures import FormData
    from starlette.requests import Request

    from hatch_attest.sandbox.index.accounts import Accounts, Grant
    from hatch_attest.sandbox.index.attestations import AttestationDecision
    from hatch_attest.sandbox.index.flags import Flags
    from hatch_attest.sandbox.index.store import Store

UPLOAD_PATH = "/legacy/"
#: PyPI's default limits, in bytes.
FILE_SIZE_LIMIT = 100 * MIB
PROJECT_SIZE_LIMIT = 10 * 1024 * MIB

_GIB = 1024 * MIB
_MAX_FIELDS = 10_000
_MAX_FIELD_SIZE = 32 * MIB
_SDIST = "sdist"
# docutils keeps its registries for the whole process and does not guard them.
_RENDERING = threading.Lock()


class Uploads:
    """Accepts or refuses files.

    Args:
        file_size_limit: of one file, in bytes.
        project_size_limit: of all files of a project, in bytes.

    """

    def __init__(  # noqa: PLR0913 (what it works with, each once)
        self,
        store: Store,
        accounts: Accounts,
        flags: Flags,
        decision: AttestationDecision,
        *,
        file_size_limit: int = FILE_SIZE_LIMIT,
        project_size_limit: int = PROJECT_SIZE_LIMIT,
    ) -> None:
        self._store = store
        self._accounts = accounts
        self._flags = flags
        self._decision = decision
        self._file_size_limit = file_size_limit
        self._project_size_limit = project_size_limit

    @property
    def routes(self) -> list[Route]:
        """The endpoints."""
        return [
            Route(UPLOAD_PATH, self._answer, methods=["POST"]),
            Route(UPLOAD_PATH.rstrip("/"), _answer_missing_slash, methods=["POST"]),
        ]

    async def _answer(self, request: Request) -> Response:
        authorization = request.headers.get("authorization")
        async with request.form(max_fields=_MAX_FIELDS, max_part_size=_MAX_FIELD_SIZE) as form:
            # Verification takes long: beside the event loop, so that other requests are served meanwhile.
            await run_in_threadpool(self._accept, authorization, form)
        return Response(media_type="text/html")

    def _accept(self, authorization: str | None, form: FormData) -> None:
        """Check an upload and keep its file; one that is there already, byte for byte, is accepted without effect.

        Raises:
            Refusal: PyPI would not take it.

        """
        self._check_open()
        grant = self._accounts.identify(authorization)
        if form.get("protocol_version", "1") != "1":
            raise bad_request("Unknown protocol version.")
        for field in sorted(form):
            if field not in ("content", "gpg_signature") and isinstance(form[field], UploadFile):
                raise bad_request(f"{field}: Should not be a tuple.")
        check_form(form)
        metadata = parse_metadata(form)
        if "content" not in form:
            raise bad_request("Upload payload does not have a file.")
        project = self._project(grant, str(form["name"]))
        _check_description(metadata)
        filename, content = self._read(form, project)
        digests = Digests.of(content)
        _check_digests(form, digests)
        try:
            self._store.check_duplicate(filename, digests)
            self._check_place(form, project, metadata, filename)
            wheel_metadata = _check_content(filename, content, project.name, metadata)
            provenance = self._provenance(form, grant, filename, digests)
            file = StoredFile(
                project=metadata.name,
                version=str(metadata.version),
                filename=filename,
                filetype=str(form["filetype"]),
                size=len(content),
                digests=digests,
                uploaded_at=datetime.now(timezone.utc),
                uploaded_by=grant.kind,
                requires_python=None if metadata.requires_python is None else str(metadata.requires_python),
                metadata_sha256=None if wheel_metadata is None else sha256(wheel_metadata).hexdigest(),
                provenance=provenance,
            )
            self._store.add(file, content, wheel_metadata, owners=project.owners)
        except DuplicateFileError as error:
            if not error.identical:
                raise bad_request(_already_exists(filename, digests)) from error

    def _check_open(self) -> None:
        if self._flags.read_only:
            raise forbidden("Read-only mode: Uploads are temporarily disabled.")
        if self._flags.disallow_new_upload:
            raise forbidden(
                "New uploads are temporarily disabled."
                " See https://pypi.org/help/#admin-intervention for more information."
            )

    def _project(self, grant: Grant, name: str) -> Project:
        project = self._store.project(name)
        if project is None:
            if grant.user is None:
                raise bad_request(
                    "Non-user identities cannot create new projects. This was probably caused by successfully using a"
                    " pending publisher but specifying the project name incorrectly (either in the publisher or in"
                    " your project's metadata). Please ensure that both match."
                    " See: https://docs.pypi.org/trusted-publishers/troubleshooting/"
                )
            # Nothing is kept of a project whose upload is refused: PyPI's transaction is rolled back.
            project = Project(name=name, owners={grant.user})
        self._accounts.check_permission(grant, project)
        return project

    def _read(self, form: FormData, project: Project) -> tuple[str, bytes]:
        """Read the file itself, within the limits."""
        upload = form["content"]
        if not isinstance(upload, UploadFile):
            raise bad_request("Upload payload does not have a file.")
        filename = upload.filename or ""
        check_filename(filename, str(form["filetype"]))
        # A part without a content type is text (RFC 7578, section 4.4): so uv sends it, and so PyPI reads it.
        if (upload.content_type or "text/plain").startswith("image/"):
            raise bad_request("Invalid distribution file.")
        content = upload.file.read()
        if len(content) > self._file_size_limit:
            raise bad_request(
                f"File too large. Limit for project {project.name!r} is {self._file_size_limit // MIB} MB. See"
                " https://docs.pypi.org/project-management/storage-limits#requesting-a-file-size-limit-increase"
                " for more information."
            )
        if len(content) + sum(file.size for file in project.files) > self._project_size_limit:
            raise bad_request(
                f"Project size too large. Limit for project {project.name!r} total size is"
                f" {self._project_size_limit // _GIB} GB. See"
                " https://docs.pypi.org/project-management/storage-limits#requesting-a-project-size-limit-increase"
            )
        return filename, content

    def _check_place(self, form: FormData, project: Project, metadata: Metadata, filename: str) -> None:
        """Check that the release has room for this file."""
        if self._store.was_deleted(filename):
            raise bad_request(
                "This filename was previously used by a file that has since been deleted. Use a different version."
                " See https://pypi.org/help/#file-name-reuse for more information."
            )
        release = project.release(metadata.version)
        if form["filetype"] == _SDIST and any(file.filetype == _SDIST for file in release):
            raise bad_request("Only one sdist may be uploaded per release.")

    def _provenance(self, form: FormData, grant: Grant, filename: str, digests: Digests) -> dict[str, Any] | None:
        serialized = form.get("attestations")
        if not isinstance(serialized, str) or self._flags.disable_pep740:
            return None
        return self._decision.provenance(serialized, grant, filename, digests.sha256)


def _check_digests(form: FormData, digests: Digests) -> None:
    """Compare every digest that the client sent."""
    for algorithm, digest in asdict(digests).items():
        sent = form.get(f"{algorithm}_digest")
        if isinstance(sent, str) and sent and not hmac.compare_digest(sent.lower().encode(), digest.encode()):
            raise bad_request("The digest supplied does not match a digest calculated from the uploaded file.")


def _check_content(filename: str, content: bytes, project: str, metadata: Metadata) -> bytes | None:
    """Check the archive against name and metadata; gives the METADATA of a wheel."""
    check_archive(filename, content)
    if filename.endswith(".whl"):
        return check_wheel(filename, content, project, metadata)
    check_sdist(filename, content, project, metadata)
    return None


def _check_description(metadata: Metadata) -> None:
    """Check that a description in reStructuredText renders; those in other formats always do."""
    kind = metadata.description_content_type
    if not metadata.description or (kind is not None and not kind.startswith("text/x-rst")):
        return
    with _RENDERING:
        rendered = readme_renderer.rst.render(metadata.description, stream=io.StringIO())
    if rendered is not None:
        return
    what = f"for '{kind}'" if kind else "in the default format of reStructuredText"
    raise bad_request(
        f"The description failed to render {what}."
        " See https://pypi.org/help/#description-content-type for more information."
    )


def _already_exists(filename: str, digests: Digests) -> str:
    return (
        f"File already exists ({filename!r}, with blake2_256 hash {digests.blake2_256!r})."
        " See https://pypi.org/help/#file-name-reuse for more information."
    )


async def _answer_missing_slash(_request: Request) -> Response:
    message = (
        f"An upload was attempted to {UPLOAD_PATH.rstrip('/')} but the expected upload URL is {UPLOAD_PATH}"
        " (with a trailing slash)"
    )
    raise Refusal(HTTPStatus.PERMANENT_REDIRECT, message, location=UPLOAD_PATH)

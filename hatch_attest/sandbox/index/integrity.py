"""The Integrity API: the PEP 740 provenance of a file (warehouse/api/integrity.py)."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import quote

from packaging.utils import canonicalize_name
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from hatch_attest.sandbox.index.negotiation import choose
from hatch_attest.sandbox.index.refusal import not_found

if TYPE_CHECKING:
    from starlette.requests import Request

    from hatch_attest.sandbox.index.flags import Flags
    from hatch_attest.sandbox.index.store import Store, StoredFile

INTEGRITY_V1 = "application/vnd.pypi.integrity.v1+json"
_OFFERS = (INTEGRITY_V1, "application/json")


class IntegrityApi:
    """Serves the provenance objects that were made at upload."""

    def __init__(self, store: Store, flags: Flags) -> None:
        self._store = store
        self._flags = flags

    @property
    def routes(self) -> list[Route]:
        """The endpoint."""
        return [Route("/integrity/{project}/{version}/{filename}/provenance", self._answer, methods=["GET"])]

    async def _answer(self, request: Request) -> Response:
        file = self._find(**request.path_params)
        if file is None:
            raise not_found()
        kind = choose(request.headers.get("accept"), _OFFERS)
        if kind is None:
            return _message(HTTPStatus.NOT_ACCEPTABLE, "Request not acceptable")
        if self._flags.disable_pep740:
            return _message(HTTPStatus.FORBIDDEN, "Attestations temporarily disabled")
        if file.provenance is None:
            return _message(HTTPStatus.NOT_FOUND, f"No provenance available for {file.filename}")
        return JSONResponse(dict(file.provenance), media_type=kind, headers={"vary": "Accept"})

    def _find(self, project: str, version: str, filename: str) -> StoredFile | None:
        found = self._store.project(project)
        files = [] if found is None else found.release(version)
        return next((file for file in files if file.filename == filename), None)


def provenance_url(base: str, file: StoredFile) -> str:
    """Tell the address of a file's provenance."""
    return f"{base}/integrity/{canonicalize_name(file.project)}/{quote(file.version)}/{quote(file.filename)}/provenance"


def _message(status: HTTPStatus, message: str) -> Response:
    return JSONResponse({"message": message}, status_code=status)

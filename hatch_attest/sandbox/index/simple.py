"""The Simple API in HTML and JSON (PEP 503, 691, 700, 714, 740, 792), and the files themselves."""

from __future__ import annotations

from html import escape
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from packaging.utils import canonicalize_name
from packaging.version import Version
from starlette.responses import FileResponse, HTMLResponse, JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from hatch_attest.sandbox.index.integrity import provenance_url
from hatch_attest.sandbox.index.negotiation import choose

if TYPE_CHECKING:
    from starlette.requests import Request

    from hatch_attest.sandbox.index.store import Project, Store, StoredFile

API_VERSION = "1.4"
HTML_V1 = "application/vnd.pypi.simple.v1+html"
JSON_V1 = "application/vnd.pypi.simple.v1+json"
_OFFERS = ("text/html", HTML_V1, JSON_V1)
_METADATA_SUFFIX = ".metadata"


class SimpleApi:
    """What installers read.

    Args:
        with_provenance: whether the pages link to the Integrity API.

    """

    def __init__(self, store: Store, *, with_provenance: bool) -> None:
        self._store = store
        self._with_provenance = with_provenance

    @property
    def routes(self) -> list[Route]:
        """The endpoints."""
        return [
            Route("/simple", _redirect_to_slash, methods=["GET"]),
            Route("/simple/", self._answer_index, methods=["GET"]),
            Route("/simple/{name}", _redirect_to_slash, methods=["GET"]),
            Route("/simple/{name}/", self._answer_project, methods=["GET"]),
            Route("/packages/{path:path}", self._answer_file, methods=["GET"]),
        ]

    async def _answer_index(self, request: Request) -> Response:
        serial = self._store.serial
        projects = self._store.projects()
        kind = _choose(request)
        headers = {"x-pypi-last-serial": str(serial), "vary": "Accept"}
        if kind == JSON_V1:
            body = {
                "meta": {"api-version": API_VERSION, "_last-serial": serial},
                "projects": [{"name": project.name, "_last-serial": project.serial} for project in projects],
            }
            return JSONResponse(body, headers=headers, media_type=kind)
        links = "\n".join(
            f'    <a href="/simple/{project.normalized_name}/">{escape(project.name)}</a>' for project in projects
        )
        return HTMLResponse(_page("Simple index", links), headers=headers, media_type=kind)

    async def _answer_project(self, request: Request) -> Response:
        name = request.path_params["name"]
        project = self._store.project(name)
        if project is None:
            return PlainTextResponse("404 Not Found", status_code=HTTPStatus.NOT_FOUND)
        if name != project.normalized_name:
            location = f"/simple/{canonicalize_name(name)}/"
            return RedirectResponse(location, status_code=HTTPStatus.MOVED_PERMANENTLY)
        kind = _choose(request)
        headers = {"x-pypi-last-serial": str(project.serial), "vary": "Accept"}
        detail = self._detail(project, f"{request.url.scheme}://{request.url.netloc}")
        if kind == JSON_V1:
            return JSONResponse(detail, headers=headers, media_type=kind)
        return HTMLResponse(_detail_page(detail), headers=headers, media_type=kind)

    async def _answer_file(self, request: Request) -> Response:
        path = "/packages/" + request.path_params["path"]
        file = self._store.find(path)
        if file is not None:
            return FileResponse(self._store.path(file), media_type="application/octet-stream")
        file = self._store.find(path.removesuffix(_METADATA_SUFFIX))
        if file is not None and file.metadata_sha256 is not None:
            return FileResponse(self._store.metadata_path(file), media_type="binary/octet-stream")
        return PlainTextResponse("404 Not Found", status_code=HTTPStatus.NOT_FOUND)

    def _detail(self, project: Project, base: str) -> dict[str, Any]:
        files = self._store.files(project.name)
        return {
            "meta": {"api-version": API_VERSION, "_last-serial": project.serial},
            "name": project.normalized_name,
            "project-status": {"status": "active"},
            "versions": sorted({file.version for file in files}, key=Version),
            "alternate-locations": [],
            "files": [self._file(file, base) for file in files],
        }

    def _file(self, file: StoredFile, base: str) -> dict[str, Any]:
        metadata = {"sha256": file.metadata_sha256} if file.metadata_sha256 else False
        linked = self._with_provenance and file.provenance is not None
        return {
            "filename": file.filename,
            "url": base + quote(file.url_path),
            "hashes": {"sha256": file.sha256},
            "requires-python": file.requires_python,
            "size": file.size,
            "upload-time": file.uploaded_at.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
            "yanked": False,
            "data-dist-info-metadata": metadata,
            "core-metadata": metadata,
            "provenance": provenance_url(base, file) if linked else None,
        }


def _detail_page(detail: dict[str, Any]) -> str:
    title = f"Links for {detail['name']}"
    links = "\n".join(f"    {_link(file)}<br />" for file in detail["files"])
    status = '\n    <meta name="pypi:project-status" content="active">'
    return _page(title, f"    <h1>{escape(title)}</h1>\n{links}", status) + (
        f"<!--SERIAL {detail['meta']['_last-serial']}-->\n"
    )


def _link(file: dict[str, Any]) -> str:
    attributes = {"href": f"{file['url']}#sha256={file['hashes']['sha256']}"}
    if file["requires-python"]:
        attributes["data-requires-python"] = file["requires-python"]
    if file["core-metadata"]:
        digest = f"sha256={file['core-metadata']['sha256']}"
        attributes |= {"data-dist-info-metadata": digest, "data-core-metadata": digest}
    if file["provenance"]:
        attributes["data-provenance"] = file["provenance"]
    written = " ".join(f'{name}="{escape(value)}"' for name, value in attributes.items())
    return f"<a {written}>{escape(file['filename'])}</a>"


def _page(title: str, body: str, head: str = "") -> str:
    return (
        '<!DOCTYPE html>\n<html lang="en">\n  <head>\n'
        f'    <meta name="pypi:repository-version" content="{API_VERSION}">{head}\n'
        f"    <title>{escape(title)}</title>\n  </head>\n  <body>\n{body}\n  </body>\n</html>\n"
    )


def _choose(request: Request) -> str:
    return choose(request.headers.get("accept"), _OFFERS) or "text/html"


async def _redirect_to_slash(request: Request) -> Response:
    return RedirectResponse(f"{request.url.path}/", status_code=HTTPStatus.MOVED_PERMANENTLY)

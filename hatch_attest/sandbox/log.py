"""The transparency log: Rekor v1's entries, proofs, checkpoint and key, on a tree in memory.

What an entry must hold is in ``entries``; here are the tree, the log's own signatures, and the HTTP interface with
Rekor's statuses, codes and words (Rekor v1.5).
"""

from __future__ import annotations

import base64
import re
import secrets
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import rfc8785
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from hatch_attest.sandbox.bodies import NotJSONError, list_at, object_at, parse_object, text_at
from hatch_attest.sandbox.entries import KINDS, UnacceptableEntryError, canonical
from hatch_attest.sandbox.keys import LogKey
from hatch_attest.sandbox.merkle import Tree, leaf_hash

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from starlette.requests import Request

_ENTRIES = "/api/v1/log/entries"
_UUID = re.compile(r"([0-9a-fA-F]{64}|[0-9a-fA-F]{80})")
# Semantic versioning's own expression, as Rekor's schema has it.
_VERSION = re.compile(
    r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)"
    r"(?:-((?:0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*)(?:\.(?:0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*))*))?"
    r"(?:\+([0-9a-zA-Z-]+(?:\.[0-9a-zA-Z-]+)*))?"
)
_NO_CACHE = {
    "Cache-Control": "no-cache, no-store, no-transform, must-revalidate, private, max-age=0",
    "Expires": "Thu, 01 Jan 1970 00:00:00 GMT",
    "Pragma": "no-cache",
    "X-Accel-Expires": "0",
}
# go-openapi's codes of a failed validation, in the body beside HTTP 422.
_TYPE, _REQUIRED, _PATTERN, _MINIMUM, _MAX_ITEMS = 601, 602, 605, 609, 611
_MAX_QUERY = 10


@dataclass(frozen=True)
class Entry:
    """One entry of the log.

    Attributes:
        index: its place, from 0.
        uuid: the tree's identifier and the leaf's hash, 80 hexadecimal digits.
        body: the canonical body.
        integrated_time: when it was added, in whole seconds since the epoch.

    """

    index: int
    uuid: str
    body: bytes
    integrated_time: int


class RefusedError(Exception):
    """The request is refused; ``line_end`` because Rekor ends only some of its bodies so."""

    def __init__(self, status: int, message: str, *, code: int | None = None, line_end: bool = False) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.code = status if code is None else code
        self.line_end = line_end


class Log:
    """An append-only log.

    Args:
        name: what the checkpoint's first line and signature name; sigstore-js looks for it in the log's URL.
        clock: gives the time, in seconds since the epoch.

    Attributes:
        app: the ASGI application.
        entries: all entries, in order.

    """

    def __init__(self, name: str = "log.sandbox.invalid", *, clock: Callable[[], float] = time.time) -> None:
        self.name = name
        self.key = LogKey()
        self.tree_id = secrets.randbits(62)
        self.entries: list[Entry] = []
        self._clock = clock
        self._tree = Tree()
        self._by_leaf: dict[str, Entry] = {}
        self._lock = threading.Lock()
        self.app = Starlette(
            routes=[
                Route("/api/v1/log", self._info, methods=["GET"]),
                Route("/api/v1/log/publicKey", self._public_key, methods=["GET"]),
                Route("/api/v1/log/proof", self._proof, methods=["GET"]),
                Route(_ENTRIES, self._entries, methods=["GET", "POST"]),
                Route(f"{_ENTRIES}/retrieve", self._retrieve, methods=["POST"]),
                Route(f"{_ENTRIES}/retrieve/", self._retrieve, methods=["POST"]),
                Route(f"{_ENTRIES}/{{uuid}}", self._entry_by_uuid, methods=["GET"]),
                Route("/api/v1/index/retrieve", self._search, methods=["POST"]),
            ],
            exception_handlers={RefusedError: _refused, HTTPException: _no_route},
        )

    def checkpoint(self, size: int | None = None) -> str:
        """Return the signed checkpoint of the tree (a signed note), at its present or an earlier size."""
        size = len(self._tree) if size is None else size
        root = base64.b64encode(self._tree.root(size)).decode()
        text = f"{self.name} - {self.tree_id}\n{size}\n{root}\n"
        signature = base64.b64encode(self.key.key_id[:4] + self.key.sign(text.encode())).decode()
        return f"{text}\n\N{EM DASH} {self.name} {signature}\n"

    def _add(self, body: bytes) -> tuple[Entry, bool]:
        """Append an entry, unless an equal one is there; returns it, and whether it is new."""
        leaf = leaf_hash(body)
        with self._lock:
            known = self._by_leaf.get(leaf.hex())
            if known is not None:
                return known, False
            uuid = f"{self.tree_id:016x}{leaf.hex()}"
            entry = Entry(self._tree.append(leaf), uuid, body, int(self._clock()))
            self.entries.append(entry)
            self._by_leaf[leaf.hex()] = entry
            return entry, True

    def _answer(self, entry: Entry) -> dict[str, Any]:
        """Describe an entry, with the inclusion proof in the present tree."""
        with self._lock:
            size = len(self._tree)
            proof = {
                "checkpoint": self.checkpoint(size),
                "hashes": [node.hex() for node in self._tree.inclusion(entry.index, size)],
                "logIndex": entry.index,
                "rootHash": self._tree.root(size).hex(),
                "treeSize": size,
            }
        promised: dict[str, str | int] = {
            "body": base64.b64encode(entry.body).decode(),
            "integratedTime": entry.integrated_time,
            "logID": self.key.key_id.hex(),
            "logIndex": entry.index,
        }
        set_ = base64.b64encode(self.key.sign(rfc8785.dumps(promised))).decode()  # the signed entry timestamp
        return {entry.uuid: {**promised, "verification": {"inclusionProof": proof, "signedEntryTimestamp": set_}}}

    async def _entries(self, request: Request) -> Response:
        if request.method == "GET":
            return self._entry_by_index(request)
        proposed = _proposed(await _body(request, "proposedEntry"))
        entry, is_new = await run_in_threadpool(lambda: self._add(_canonical(proposed, to_insert=True)))
        location = {"Location": f"{_ENTRIES}/{entry.uuid}"}
        if not is_new:
            message = f"an equivalent entry already exists in the transparency log with UUID {entry.uuid}"
            return _json({"code": 409, "message": message}, 409, location)
        return _json(self._answer(entry), 201, {"ETag": entry.uuid, **location})

    def _entry_by_index(self, request: Request) -> Response:
        index = _int(request, "logIndex", minimum=0)
        entry = self._at(index)
        if entry is None:
            return Response(status_code=404, headers=_NO_CACHE)
        return _json(self._answer(entry), headers=_NO_CACHE)

    def _at(self, index: object) -> Entry | None:
        return self.entries[index] if isinstance(index, int) and 0 <= index < len(self.entries) else None

    async def _entry_by_uuid(self, request: Request) -> Response:
        uuid = request.path_params["uuid"]
        if not _UUID.fullmatch(uuid):
            raise RefusedError(422, f"entryUUID in path should match '^{_UUID.pattern}$'", code=_PATTERN)
        entry = self._find(uuid)
        if entry is None:
            return Response(status_code=404, headers=_NO_CACHE)
        return _json(self._answer(entry), headers=_NO_CACHE)

    def _find(self, uuid: str) -> Entry | None:
        """Find an entry by its UUID, with or without the tree's identifier."""
        entry = self._by_leaf.get(uuid[-64:].lower())
        return entry if entry is not None and entry.uuid.endswith(uuid.lower()) else None

    async def _retrieve(self, request: Request) -> Response:
        query = await _body(request, "entry")
        _check_query(query)
        found = [self._find(str(uuid)) for uuid in list_at(query, "entryUUIDs")]
        found += [self._at(index) for index in list_at(query, "logIndexes")]
        for proposed in list_at(query, "entries"):
            body = await run_in_threadpool(_canonical, _proposed(object_at(proposed)), to_insert=False)
            found.append(self._by_leaf.get(leaf_hash(body).hex()))
        return _json([self._answer(entry) for entry in found if entry is not None])

    async def _info(self, _request: Request) -> Response:
        with self._lock:
            size = len(self._tree)
            info = {
                "inactiveShards": None,
                "rootHash": self._tree.root(size).hex(),
                "signedTreeHead": self.checkpoint(size),
                "treeID": str(self.tree_id),
                "treeSize": size,
            }
        return _json(info, headers=_NO_CACHE)

    async def _public_key(self, _request: Request) -> Response:
        return Response(self.key.public_pem, media_type="application/x-pem-file", headers=_NO_CACHE)

    async def _proof(self, request: Request) -> Response:
        first = _int(request, "firstSize", minimum=1, default="1")
        last = _int(request, "lastSize", minimum=1)
        if first > last:
            message = f"firstSize({first}) must be less than lastSize({last})"
            raise RefusedError(400, message, line_end=True)
        tree_id = request.query_params.get("treeID") or str(self.tree_id)
        if tree_id != str(self.tree_id):
            raise RefusedError(400, f"no log range found for tree ID {tree_id}", line_end=True)
        with self._lock:
            size = len(self._tree)
            if last > size:
                message = f"the tree size requested({last}) was greater than what is currently observable({size})"
                raise RefusedError(400, message, line_end=True)
            hashes = [node.hex() for node in self._tree.consistency(first, last)]
            root = self._tree.root(last).hex()
        return _json({"hashes": hashes, "rootHash": root}, headers=_NO_CACHE)

    async def _search(self, _request: Request) -> Response:
        raise RefusedError(501, "Search Index API not enabled in this Rekor instance", line_end=True)


async def _body(request: Request, name: str) -> dict[str, Any]:
    """Read a JSON object from the request, as go-openapi's runtime does."""
    content_type = request.headers.get("content-type") or "application/octet-stream"
    media_type = content_type.partition(";")[0].strip().lower()
    if media_type != "application/json":
        message = f'unsupported media type "{media_type}", only [application/json] are allowed'
        raise RefusedError(415, message)
    raw = await request.body()
    if not raw:
        raise RefusedError(422, f"{name} in body is required", code=_REQUIRED)
    try:
        return parse_object(raw)
    except NotJSONError as error:
        # A bad request, but Rekor v1.5 calls it its own failure.
        raise RefusedError(500, str(error)) from error


def _int(request: Request, name: str, *, minimum: int, default: str = "") -> int:
    """Read a number from the query, as go-openapi's runtime does."""
    text = request.query_params.get(name) or default
    if not text:
        raise RefusedError(422, f"{name} in query is required", code=_REQUIRED)
    try:
        number = int(text)
    except ValueError as error:
        message = f'{name} in query must be of type int64: "{text}"'
        raise RefusedError(422, message, code=_TYPE) from error
    if number < minimum:
        raise RefusedError(422, f"{name} in query should be greater than or equal to {minimum}", code=_MINIMUM)
    return number


def _proposed(proposed: Mapping[str, Any]) -> Mapping[str, Any]:
    """Check the outer shape of a proposed entry, before its kind's rules."""
    kind = text_at(proposed, "kind")
    if not kind:
        raise RefusedError(422, "kind in body is required", code=_REQUIRED)
    if kind not in KINDS:
        raise RefusedError(422, f'invalid kind value: "{kind}"')
    for name in ("apiVersion", "spec"):
        if proposed.get(name) is None:
            raise RefusedError(422, f"{name} in body is required", code=_REQUIRED)
    if not _VERSION.fullmatch(text_at(proposed, "apiVersion")):
        raise RefusedError(422, f"apiVersion in body should match '^{_VERSION.pattern}$'", code=_PATTERN)
    return proposed


def _check_query(query: Mapping[str, Any]) -> None:
    """Check what entries are asked for."""
    for name in ("entries", "entryUUIDs", "logIndexes"):
        if len(list_at(query, name)) > _MAX_QUERY:
            raise RefusedError(422, f"{name} in body should have at most {_MAX_QUERY} items", code=_MAX_ITEMS)
    for position, uuid in enumerate(list_at(query, "entryUUIDs")):
        if not _UUID.fullmatch(str(uuid)):
            message = f"entryUUIDs.{position} in body should match '^{_UUID.pattern}$'"
            raise RefusedError(422, message, code=_PATTERN)


def _canonical(proposed: Mapping[str, Any], *, to_insert: bool) -> bytes:
    try:
        return canonical(proposed, to_insert=to_insert)
    except UnacceptableEntryError as error:
        raise RefusedError(400, f"error processing entry: {error}", line_end=True) from error


class _Line(JSONResponse):
    """A JSON body that ends with a newline, as Go's encoder writes it."""

    def render(self, content: Any) -> bytes:
        return super().render(content) + b"\n"


def _json(content: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    return _Line(content, status_code=status, headers=headers)


async def _refused(request: Request, error: Exception) -> Response:
    refused = cast("RefusedError", error)
    answer = _Line if refused.line_end else JSONResponse
    headers = _NO_CACHE if request.method == "GET" else None
    return answer({"code": refused.code, "message": refused.message}, refused.status, headers)


async def _no_route(request: Request, error: Exception) -> Response:
    refused = cast("HTTPException", error)
    method_not_allowed = 405
    if refused.status_code != method_not_allowed:
        return JSONResponse({"code": 404, "message": f"path {request.url.path} was not found"}, 404)
    allowed = ",".join(sorted(set(dict(refused.headers or {}).get("Allow", "").split(", ")) - {"HEAD"}))
    message = f"method {request.method} is not allowed, but [{allowed}] are"
    return JSONResponse({"code": 405, "message": message}, 405, {"Allow": allowed})

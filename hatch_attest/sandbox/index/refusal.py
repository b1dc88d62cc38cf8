"""Refusals in the form of PyPI's web framework: status line, HTML, JSON or plain text by the ``Accept`` header.

PyPI raises Pyramid's HTTP exceptions and puts the reason into the status line as well (warehouse/forklift/legacy.py,
``_exc_with_message``): twine shows the status line, uv the JSON body.
"""

from __future__ import annotations

import html
import json
from http import HTTPStatus
from typing import TYPE_CHECKING, cast

from starlette.responses import Response

from hatch_attest.sandbox.index.negotiation import choose
from hatch_attest.sandbox.index.reason import REASON_HEADER

if TYPE_CHECKING:
    from starlette.requests import Request

_EXPLANATIONS = {
    HTTPStatus.BAD_REQUEST: "The server could not comply with the request since it is either malformed or otherwise"
    " incorrect.",
    HTTPStatus.FORBIDDEN: "Access was denied to this resource.",
    HTTPStatus.NOT_FOUND: "The resource could not be found.",
    HTTPStatus.GONE: "This resource is no longer available. No forwarding address is given.",
    HTTPStatus.PERMANENT_REDIRECT: "The resource has been moved permanently.",
}


class Refusal(Exception):  # noqa: N818 (an answer of the service, not a failure of this program)
    """An HTTP answer other than success.

    Args:
        status: the HTTP status.
        detail: why, in PyPI's words.
        location: where a redirection leads.

    """

    def __init__(self, status: HTTPStatus, detail: str, *, location: str | None = None) -> None:
        super().__init__(f"{int(status)} {detail}")
        self.status = status
        self.detail = detail
        self.location = location


async def answer_refusal(request: Request, error: Exception) -> Response:
    """Turn a ``Refusal`` into the response that Pyramid makes of the same exception."""
    refusal = cast("Refusal", error)
    status_line = f"{int(refusal.status)} {refusal.detail}"
    explanation = _EXPLANATIONS.get(refusal.status, refusal.status.description)
    kind = choose(request.headers.get("accept"), ("text/html", "application/json", "text/plain"))
    if kind == "text/html":
        content = (
            f"<html>\n <head>\n  <title>{html.escape(status_line)}</title>\n </head>\n <body>\n"
            f"  <h1>{html.escape(status_line)}</h1>\n  {html.escape(explanation)}<br/><br/>\n"
            f"{html.escape(refusal.detail)}\n\n\n </body>\n</html>"
        )
    elif kind == "application/json":
        message = f"{explanation}\n\n\n{refusal.detail}\n\n"
        content = json.dumps({"message": message, "code": status_line, "title": refusal.status.phrase})
    else:
        kind = "text/plain"
        content = f"{status_line}\n\n{explanation}\n\n\n{refusal.detail}\n\n"
    headers = {REASON_HEADER: reason_phrase(refusal.detail)}
    if refusal.location is not None:
        headers["location"] = refusal.location
    return Response(content, status_code=int(refusal.status), headers=headers, media_type=kind)


def bad_request(detail: str) -> Refusal:
    """PyPI's refusal of an upload."""
    return Refusal(HTTPStatus.BAD_REQUEST, detail)


def forbidden(detail: str) -> Refusal:
    """PyPI's refusal of a credential."""
    return Refusal(HTTPStatus.FORBIDDEN, detail)


def not_found(detail: str = "Not Found") -> Refusal:
    """Nothing is there."""
    return Refusal(HTTPStatus.NOT_FOUND, detail)


def reason_phrase(detail: str) -> str:
    """Make a message fit for a status line: Latin-1 (as PyPI has it) on one line (as HTTP has it)."""
    return " ".join(detail.encode("iso-8859-1", "replace").decode("iso-8859-1").split())

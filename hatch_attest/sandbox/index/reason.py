"""Lets an ASGI application choose the reason phrase of the status line, which ASGI itself has no place for.

PyPI says why it refuses an upload in the status line, and twine prints nothing else. The application sets the header
``REASON_HEADER``; ``ReasonProtocol``, given to uvicorn as ``http=ReasonProtocol``, takes it out of the response and
into the status line. Under any other server the header is sent as it is and does no harm.
"""

from __future__ import annotations

from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

REASON_HEADER = "x-reason-phrase"
_RAW_REASON_HEADER = REASON_HEADER.encode("ascii")


class _ReasonConnection(h11.Connection):
    """An HTTP/1.1 connection that moves the reason from its header into the status line."""

    def send(self, event: Any) -> Any:
        return super().send(_with_reason(event) if isinstance(event, h11.Response) else event)


class ReasonProtocol(H11Protocol):
    """uvicorn's HTTP/1.1 protocol on such a connection."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        limit = self.config.h11_max_incomplete_event_size
        self.conn = _ReasonConnection(h11.SERVER, *([] if limit is None else [limit]))


def _with_reason(response: h11.Response) -> h11.Response:
    headers = list(response.headers.raw_items())
    reasons = [value for name, value in headers if name.lower() == _RAW_REASON_HEADER]
    if not reasons:
        return response
    return h11.Response(
        status_code=response.status_code,
        headers=[(name, value) for name, value in headers if name.lower() != _RAW_REASON_HEADER],
        reason=reasons[0],
    )

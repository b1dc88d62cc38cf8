"""Reading the JSON bodies of requests, whose shape nothing promises."""

from __future__ import annotations

import base64
import json
from typing import Any


class NotJSONError(ValueError):
    """A body is not what it must be; the words are this parser's, not those of the service that is played."""


def parse_object(text: str | bytes) -> dict[str, Any]:
    """Parse a JSON object.

    Raises:
        NotJSONError: it is something else.

    """
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise NotJSONError(str(error)) from error
    if not isinstance(value, dict):
        raise NotJSONError(f"a JSON object was expected, not {type(value).__name__}")
    return value


def object_at(body: object, *path: str) -> dict[str, Any]:
    """Return the JSON object at a path; what is not there is empty."""
    for name in path:
        body = body.get(name) if isinstance(body, dict) else None
    return body if isinstance(body, dict) else {}


def text_at(body: object, *path: str) -> str:
    """Return the string at a path of a JSON object; what is not there is empty, as in protobuf.

    Half a surrogate pair is replaced, as Go's parser does: there is no UTF-8 of it.
    """
    value = object_at(body, *path[:-1]).get(path[-1])
    return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace") if isinstance(value, str) else ""


def list_at(body: object, *path: str) -> list[Any]:
    """Return the list at a path of a JSON object; what is not there is empty."""
    value = object_at(body, *path[:-1]).get(path[-1])
    return value if isinstance(value, list) else []


def bytes_at(body: object, *path: str) -> bytes:
    """Return the bytes whose base64 is at a path of a JSON object; what is not there is empty.

    Raises:
        NotJSONError: it is no base64.

    """
    text = text_at(body, *path)
    try:
        return base64.b64decode(text, validate=True)
    except ValueError as error:
        raise NotJSONError(f'invalid value for bytes field {path[-1]}: "{text}"') from error

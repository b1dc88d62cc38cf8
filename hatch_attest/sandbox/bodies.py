"""Reading the JSON bodies of requests."""

from __future__ import annotations

import json
from typing import Any


class NotJSONError(ValueError):
    """A body is no JSON object; the words are this parser's, not those of the service's."""


def parse_object(text: str | bytes) -> dict[str, Any]:
    """Parse a JSON object.

    Raises:
        NotJSONError: it is something else.

    """
    try:
        value = json.loads(text)
    except ValueError as error:
        raise NotJSONError(str(error)) from error
    if not isinstance(value, dict):
        message = f"a JSON object was expected, not {type(value).__name__}"
        raise NotJSONError(message)
    return value

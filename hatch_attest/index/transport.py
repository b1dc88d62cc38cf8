"""Requests to an index: time-outs, bounded retries and answers, no redirects, credentials to one origin only."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

from hatch_attest.errors import IndexFailure
from hatch_attest.retries import reason_of, retried

if TYPE_CHECKING:
    from collections.abc import Mapping

    import requests

CONNECT_TIMEOUT = 10.0
READ_TIMEOUT = 30.0
_PASSING_STATUSES = frozenset({429, 500, 502, 503, 504})
_MAX_ANSWER = 64 << 20  # the largest project pages of PyPI's Simple API are some megabytes


class Certificates(NamedTuple):
    """How TLS is spoken: paths of a CA bundle, a client certificate and its key, each optional."""

    ca: str | None = None
    client: str | None = None
    key: str | None = None

    @property
    def client_pair(self) -> str | tuple[str, str] | None:
        """The client's certificate as ``requests`` takes it."""
        return (self.client, self.key) if self.client and self.key else self.client


NO_CERTIFICATES = Certificates()


class Answer(NamedTuple):
    """An answer, read to its end.

    ``body`` is bytes; ``content_type`` is without parameters, in lower case.
    """

    status: int
    reason: str
    content_type: str
    body: bytes

    def json(self) -> Any:
        """Return the body's JSON; None where it is none."""
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):
            return None


class Transport:
    """One session for everything that is asked of an index, besides uploads.

    Args:
        origin: the only scheme and host that credentials are sent to.
        certificates: how TLS is spoken.

    """

    def __init__(self, origin: str, certificates: Certificates) -> None:
        import requests

        self._origin = origin
        self._login: tuple[str, str] | None = None
        self._session = requests.Session()
        self._session.cert = certificates.client_pair
        self._verify: str | bool = certificates.ca or True

    def log_in(self, user: str, password: str) -> None:
        """Send these credentials with what is read from the origin from now on (an index that wants them to read)."""
        self._login = (user, password)

    def close(self) -> None:
        """Close the connections."""
        self._session.close()

    def get(self, url: str, accept: str) -> Answer:
        """Read a URL; an answer of any status but 429 and the 500s is returned as it is.

        Raises:
            IndexFailure: it cannot be reached, or stays broken.

        """
        return self._ask("GET", url, {"Accept": accept, "Cache-Control": "no-cache"}, None)

    def post_json(self, url: str, document: Mapping[str, Any], accept: str) -> Answer:
        """Post a JSON document, once: what it exchanges may hold only once.

        Raises:
            IndexFailure: it cannot be reached, or its answer was lost.

        """
        import requests

        try:
            return self._once("POST", url, {"Accept": accept}, document)
        except requests.RequestException as error:
            raise _unreachable(url, error) from error

    def _ask(self, method: str, url: str, headers: dict[str, str], document: Mapping[str, Any] | None) -> Answer:
        import requests

        class BrokenError(Exception):
            """An answer that may be another one in a moment."""

        def attempt() -> Answer:
            answer = self._once(method, url, headers, document)
            if answer.status in _PASSING_STATUSES:
                raise BrokenError(f"it answered {answer.status} {answer.reason}".strip())
            return answer

        try:
            return retried(attempt, passing=lambda error: isinstance(error, (BrokenError, requests.RequestException)))
        except BrokenError as error:
            raise IndexFailure("index-unreachable", cause=str(error), host=urlsplit(url).netloc) from error
        except requests.RequestException as error:
            raise _unreachable(url, error) from error

    def _once(self, method: str, url: str, headers: dict[str, str], document: Mapping[str, Any] | None) -> Answer:
        own = urlsplit(url)
        login = self._login if f"{own.scheme}://{own.netloc}" == self._origin else None
        with self._session.request(
            method,
            url,
            headers=headers,
            json=document,
            # A callable in any case: without one, requests takes a host's password from .netrc.
            auth=_with_login(login),
            timeout=(CONNECT_TIMEOUT, READ_TIMEOUT),
            allow_redirects=False,
            stream=True,
            # By request: a session's own setting yields to REQUESTS_CA_BUNDLE.
            verify=self._verify,
        ) as response:
            return _read(response)


def _with_login(login: tuple[str, str] | None) -> Any:
    def authorize(request: requests.PreparedRequest) -> requests.PreparedRequest:
        import requests

        return request if login is None else requests.auth.HTTPBasicAuth(*login)(request)

    return authorize


def _read(response: requests.Response) -> Answer:
    body = bytearray()
    for chunk in response.iter_content(1 << 16):
        body += chunk
        if len(body) > _MAX_ANSWER:
            raise IndexFailure("index-unreachable", cause="its answer has no end", host=urlsplit(response.url).netloc)
    content_type = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    return Answer(response.status_code, response.reason or "", content_type, bytes(body))


def _unreachable(url: str, error: requests.RequestException) -> IndexFailure:
    return IndexFailure("index-unreachable", cause=reason_of(error), host=urlsplit(url).netloc)

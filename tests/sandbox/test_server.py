"""The background thread serves, records, makes faults, and leaves nothing behind."""

from __future__ import annotations

import ssl
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import httpx
import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from hatch_attest.sandbox.server import Loopback, Request

if TYPE_CHECKING:
    from collections.abc import Iterator

    from starlette.requests import Request as StarletteRequest

    from hatch_attest.sandbox.server import Action


class Counter:
    """A service that counts."""

    def __init__(self) -> None:
        self.handled = 0
        routes = [Route("/{path:path}", self._answer, methods=["GET", "POST"])]
        self.app = Starlette(routes=routes)

    def _answer(self, _request: StarletteRequest) -> Response:
        self.handled += 1
        return PlainTextResponse(str(self.handled))


class Running:
    """A loopback with the counter on http and https, and a client that trusts it."""

    def __init__(self) -> None:
        self.loopback, self.counter = Loopback(), Counter()
        plain, secure = self.loopback.listen("counter"), self.loopback.listen("counter", tls=True)
        plain.app = secure.app = self.counter.app
        self.urls = {"http": plain.url, "https": secure.url}
        context = ssl.create_default_context(cadata=self.loopback.ca_pem.decode())
        self.client = httpx.Client(trust_env=False, timeout=30, verify=context)


@contextmanager
def run() -> Iterator[Running]:
    running = Running()
    with running.loopback, running.client:
        yield running


@pytest.fixture
def running() -> Iterator[Running]:
    with run() as running:
        yield running


@pytest.fixture(params=["http", "https"])
def scheme(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_every_request_is_recorded_in_order_with_its_answer_s_status(running: Running, scheme: str) -> None:
    """What was sent, and what was not, could not be asserted."""
    url = running.urls[scheme]
    running.client.get(f"{url}/a?secret=1")
    running.client.put(f"{url}/b", content=b"x")
    running.client.post(f"{url}/c", content=b"x")
    assert running.loopback.requests == [
        Request("counter", "GET", "/a", 200, answered=True),
        Request("counter", "PUT", "/b", 405, answered=True),
        Request("counter", "POST", "/c", 200, answered=True),
    ]


@pytest.mark.parametrize(("body", "content_type"), [("busy", None), (b"busy", None), ({"code": 1}, "application/json")])
def test_an_answer_can_be_replaced(body: object, content_type: str | None, running: Running, scheme: str) -> None:
    """A service's outage could not be rehearsed."""
    running.loopback.faults.add("counter", "POST", "/up", ("status", 503, body))
    answer = running.client.post(f"{running.urls[scheme]}/upload", content=b"x" * 100_000)
    assert answer.status_code == 503
    assert answer.headers.get("content-type") == content_type
    assert answer.json() == body if content_type else answer.content == b"busy"
    assert running.counter.handled == 0
    assert running.client.get(f"{running.urls[scheme]}/next").text == "1"


@pytest.mark.parametrize(("action", "handled", "status"), [("drop", 0, None), ("lose", 1, 200)])
def test_a_connection_can_break_before_or_after_the_service_handled_the_request(
    action: Action, handled: int, status: int | None, running: Running, scheme: str
) -> None:
    """A lost answer, after which a retry meets its own first try, could not be rehearsed."""
    running.loopback.faults.add("counter", "POST", "/", action)
    with pytest.raises(httpx.TransportError):
        running.client.post(f"{running.urls[scheme]}/", content=b"x" * 100_000)
    assert running.counter.handled == handled
    assert running.loopback.requests == [Request("counter", "POST", "/", status, answered=False)]
    assert running.client.post(f"{running.urls[scheme]}/").status_code == 200


def test_an_answer_can_be_late(running: Running) -> None:
    """A client's timeouts could not be tested."""
    running.loopback.faults.add("counter", "GET", "/slow", ("delay", 30))
    with pytest.raises(httpx.ReadTimeout):
        running.client.get(f"{running.urls['http']}/slow", timeout=0.05)
    running.loopback.faults.add("counter", "GET", "/slow", ("delay", 0.01))
    assert running.client.get(f"{running.urls['http']}/slow").status_code == 200


def test_a_fault_waits_and_is_used_up(running: Running) -> None:
    """A failure in the middle of a release could not be placed."""
    running.loopback.faults.add("counter", "GET", "/a", ("status", 500, ""), after=1, times=2)
    running.loopback.faults.add("counter", "GET", "/a", ("status", 502, ""), after=1)
    paths = ["/b", "/a1", "/a2", "/a3", "/a4", "/a5"]
    statuses = [running.client.get(running.urls["http"] + path).status_code for path in paths]
    assert statuses == [200, 200, 500, 500, 502, 200]
    running.loopback.faults.add("counter", "GET", "/", "drop")
    running.loopback.faults.clear()
    assert running.client.get(running.urls["http"]).status_code == 200


def test_a_fault_is_for_one_service_and_method(running: Running) -> None:
    """A fault of the log would hit the authority."""
    running.loopback.faults.add("other", "GET", "/", "drop")
    running.loopback.faults.add("counter", "post", "/", ("status", 500, ""))
    assert running.client.get(running.urls["http"]).status_code == 200
    assert running.client.post(running.urls["http"]).status_code == 500


@pytest.mark.parametrize("action", ["explode", ("status", 500), ("delay",), ("drop", 1)], ids=str)
def test_a_fault_that_does_not_exist_is_refused(action: Action) -> None:
    """A misspelt fault would let a test pass that tests nothing."""
    with pytest.raises(ValueError, match="no such fault"):
        Loopback().faults.add("counter", "GET", "/", action)


def test_nothing_is_left_of_a_stopped_loopback() -> None:
    """Each rehearsal in one process would leave threads and ports behind."""
    before = set(threading.enumerate())
    with run() as running:
        for url in running.urls.values():
            running.client.get(url)
        # Connections that nobody uses are still open here.
        started = time.monotonic()
        running.loopback.stop()
        assert time.monotonic() - started < 5
    for thread in set(threading.enumerate()) - before:
        thread.join(10)
        assert not thread.is_alive()
    with httpx.Client(trust_env=False) as client:
        for url in running.urls.values():
            with pytest.raises(httpx.ConnectError):
                client.get(url)


def test_the_end_does_not_wait_for_a_late_answer() -> None:
    """An interrupted rehearsal would hang."""
    with run() as running:
        running.loopback.faults.add("counter", "GET", "/", ("delay", 600))
        with pytest.raises(httpx.ReadTimeout):
            running.client.get(running.urls["http"], timeout=0.05)
        started = time.monotonic()
        running.loopback.stop()
        running.loopback.stop()
        assert time.monotonic() - started < 5


def test_a_listener_with_nothing_to_serve_fails_at_the_start_and_frees_its_port() -> None:
    """A half-started sandbox would hang its user."""
    before = threading.enumerate()
    loopback = Loopback()
    listener = loopback.listen("empty")
    with pytest.raises(ValueError, match="nothing to serve"), loopback:
        pass
    with httpx.Client(trust_env=False) as client, pytest.raises(httpx.ConnectError):
        client.get(listener.url)
    assert set(threading.enumerate()) <= set(before)


def test_https_is_certified_by_the_loopback_s_own_authority_alone(running: Running) -> None:
    """A client that does not check certificates would not be noticed."""
    assert running.client.get(running.urls["https"]).status_code == 200
    with httpx.Client(trust_env=False) as client, pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
        client.get(running.urls["https"])

"""Runs the sandbox's applications on 127.0.0.1 in one background thread, records requests, and makes faults.

One event loop serves all listeners. Each listener's socket is bound before anything is served, so that the services
can be told each other's URLs.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import socket
import ssl
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import trustme
import uvicorn
from starlette.responses import JSONResponse, Response
from uvicorn.protocols.http.h11_impl import H11Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import ASGIApp, Message, Receive, Scope, Send
    from typing_extensions import Self

_HOST = "127.0.0.1"
_ABORT = "hatch_attest.sandbox.abort"
# How long the thread may take to start, and running requests to end, in seconds.
_START_TIMEOUT = 30
_GRACE = 5

Action = str | tuple[Any, ...]


@dataclass
class Request:
    """One request that a service received.

    Attributes:
        service: the service's name, such as ``log``.
        method: the HTTP method.
        path: the path, without the query.
        status: the status of the answer that was sent, or lost on the way; ``None``: there is none (yet).
        answered: whether an answer went out.

    """

    service: str
    method: str
    path: str
    status: int | None = None
    answered: bool = False


@dataclass
class _Fault:
    service: str
    method: str
    path_prefix: str
    action: Action
    after: int
    times: int

    def matches(self, service: str, method: str, path: str) -> bool:
        return (self.service, self.method) == (service, method) and path.startswith(self.path_prefix)


class Faults:
    """What shall go wrong; a fault is used up after as many matching requests as it says."""

    def __init__(self) -> None:
        self._faults: list[_Fault] = []
        self._lock = threading.Lock()

    def add(  # noqa: PLR0913, PLR0917  # one call in a test says it all
        self, service: str, method: str, path_prefix: str, action: Action, after: int = 0, times: int = 1
    ) -> None:
        """Let matching requests fail.

        Args:
            service: the service's name.
            method: the HTTP method.
            path_prefix: how the path starts.
            action: ``("status", code, body)``: this answer instead of the service's, which never sees the request
                (a ``dict`` is sent as JSON); ``"drop"``: the connection is closed before the service sees the
                request; ``"lose"``: the service handles it, then the connection is closed without an answer;
                ``("delay", seconds)``: the service handles it so much later.
            after: how many matching requests pass before.
            times: how many fail then.

        Raises:
            ValueError: there is no such action.

        """
        name, arguments = (action, 0) if isinstance(action, str) else (action[0], len(action) - 1)
        if (name, arguments) not in {("status", 2), ("drop", 0), ("lose", 0), ("delay", 1)}:
            message = f"no such fault: {action!r}"
            raise ValueError(message)
        with self._lock:
            self._faults.append(_Fault(service, method.upper(), path_prefix, action, after, times))

    def clear(self) -> None:
        """Forget all faults."""
        with self._lock:
            self._faults.clear()

    def take(self, service: str, method: str, path: str) -> Action | None:
        """Return what shall be done to a request, if anything; the first fault that is due is used."""
        with self._lock:
            due: _Fault | None = None
            for fault in self._faults:
                if not fault.matches(service, method, path):
                    continue
                if fault.after > 0:
                    fault.after -= 1
                elif fault.times > 0 and due is None:
                    due = fault
            if due is None:
                return None
            due.times -= 1
            return due.action


class _Observer:
    """ASGI middleware around one service: records each request, and does to it what the faults say."""

    def __init__(self, service: str, app: ASGIApp, loopback: Loopback) -> None:
        self._service = service
        self._app = app
        self._loopback = loopback

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(self._service, scope["method"], scope["path"])
        self._loopback.requests.append(request)

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                # Before it is sent: whoever has the answer finds it recorded.
                request.status, request.answered = message["status"], True
            await send(message)

        async def lose(message: Message) -> None:
            if message["type"] == "http.response.start":
                request.status = message["status"]

        match self._loopback.faults.take(request.service, request.method, request.path):
            case ("status", status, body):
                response = JSONResponse(body, status) if isinstance(body, dict) else Response(body, status)
                await response(scope, receive, answer)
            case "drop":
                await _close(scope, receive)
            case "lose":
                await self._app(scope, receive, lose)
                await _close(scope, receive)
            case ("delay", seconds):
                await self._loopback.pause(seconds)
                await self._app(scope, receive, answer)
            case _:
                await self._app(scope, receive, answer)


async def _close(scope: Scope, receive: Receive) -> None:
    """Close the connection, and wait until the server knows: it would answer for an application that did not."""
    scope["extensions"][_ABORT]()
    while (await receive())["type"] != "http.disconnect":
        pass


def _breakable(protocol: type[H11Protocol]) -> type[H11Protocol]:
    """Give uvicorn's protocol a way for the application to break the connection off."""

    class BreakableProtocol(protocol):  # type: ignore[valid-type, misc]  # a class made from an argument
        def connection_made(self, transport: asyncio.Transport) -> None:
            super().connection_made(transport)
            app = self.app  # type: ignore[has-type]  # uvicorn leaves it without a type

            async def breakable(scope: Any, receive: Any, send: Any) -> None:
                scope.setdefault("extensions", {})[_ABORT] = transport.abort
                await app(scope, receive, send)

            self.app = breakable

    return BreakableProtocol


async def _end(servers: list[uvicorn.Server]) -> None:
    """Take no more connections, let running requests end, and close what is open.

    uvicorn's own shutdown() waits for clients that keep an idle connection, which over TLS can take half a minute.
    """
    states = [server.server_state for server in servers]
    for server in servers:
        for listening in server.servers:
            listening.close()
    for state in states:
        for connection in list(state.connections):
            connection.shutdown()
    tasks = [task for state in states for task in state.tasks]
    if tasks:
        await asyncio.wait(tasks, timeout=_GRACE)
    while connections := [connection for state in states for connection in state.connections]:
        for connection in connections:
            connection.transport.abort()
        await asyncio.sleep(0)


class Listener:
    """One bound port on 127.0.0.1.

    Attributes:
        service: the name under which its requests are recorded.
        url: where it is reached, without a slash at the end.
        app: what it serves; set it before the start.

    """

    def __init__(self, service: str, protocol: type[H11Protocol], context: ssl.SSLContext | None) -> None:
        self.service = service
        self.protocol = protocol
        self.context = context
        self.socket = socket.create_server((_HOST, 0))
        self.url = f"http{'s' if context else ''}://{_HOST}:{self.socket.getsockname()[1]}"
        self.app: ASGIApp | None = None


class Loopback:
    """Several services on loopback, in one background thread; a context manager.

    Attributes:
        requests: every request that any of them received, in order.
        faults: what shall go wrong.
        ca_pem: the certificate of the throw-away authority that certified the https listeners.

    """

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.faults = Faults()
        self._ca = trustme.CA()
        self._listeners: list[Listener] = []
        self._stopping = asyncio.Event()
        self._thread: threading.Thread | None = None
        self._stop: Callable[[], object] = lambda: None

    @property
    def ca_pem(self) -> bytes:
        """The CA's certificate, in PEM."""
        return self._ca.cert_pem.bytes()

    def listen(self, service: str, *, protocol: type[H11Protocol] = H11Protocol, tls: bool = False) -> Listener:
        """Bind a port for a service, before the start.

        Args:
            service: the name under which its requests are recorded.
            protocol: how uvicorn speaks HTTP there.
            tls: serve it as https.

        """
        listener = Listener(service, protocol, self._tls_context() if tls else None)
        self._listeners.append(listener)
        return listener

    def _tls_context(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        # The ssl module reads keys from files only: trustme writes one for that moment and removes it.
        self._ca.issue_cert(_HOST, "localhost").configure_cert(context)
        return context

    def start(self) -> None:
        """Serve; returns when every listener listens."""
        started: concurrent.futures.Future[None] = concurrent.futures.Future()
        self._thread = threading.Thread(target=self._run, args=(started,), name="hatch-attest sandbox", daemon=True)
        self._thread.start()
        started.result(_START_TIMEOUT)

    def stop(self) -> None:
        """End all connections and the thread, and free the ports; a second call does nothing."""
        if self._thread is not None:
            with contextlib.suppress(RuntimeError):  # the loop has ended by itself, after a failure
                self._stop()
            self._thread.join()
            self._thread = None
        for listener in self._listeners:
            listener.socket.close()

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    async def pause(self, seconds: float) -> None:
        """Wait so long, or until the end."""
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._stopping.wait(), seconds)

    def _run(self, started: concurrent.futures.Future[None]) -> None:
        try:
            asyncio.run(self._serve(started))
        except BaseException as error:
            if started.done():
                raise
            started.set_exception(error)

    async def _serve(self, started: concurrent.futures.Future[None]) -> None:
        loop = asyncio.get_running_loop()
        self._stop = lambda: loop.call_soon_threadsafe(self._stopping.set)
        servers = [uvicorn.Server(self._config(listener)) for listener in self._listeners]
        try:
            for server, listener in zip(servers, self._listeners, strict=True):
                # What uvicorn's serve() does, without its polling ten times a second for the end.
                server.lifespan = server.config.lifespan_class(server.config)
                await server.startup([listener.socket])
            started.set_result(None)
            await self._stopping.wait()
        finally:
            await _end([server for server in servers if server.started])

    def _config(self, listener: Listener) -> uvicorn.Config:
        if listener.app is None:
            message = f"nothing to serve at {listener.url}"
            raise ValueError(message)
        config = uvicorn.Config(
            _Observer(listener.service, listener.app, self),
            http=_breakable(listener.protocol),
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
        )
        config.load()
        config.ssl = listener.context
        return config

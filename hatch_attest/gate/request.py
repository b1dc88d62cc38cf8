"""The request for a release, and the place that it goes to."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hatch_attest.errors import GateError
from hatch_attest.index.endpoints import Endpoints, endpoints_of
from hatch_attest.index.files import IndexReader
from hatch_attest.index.repositories import Repository, find_repository
from hatch_attest.index.transport import Certificates, Transport

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hatch_attest.index.credentials import Ask
    from hatch_attest.options import HookOptions
    from hatch_attest.publish_options import PublishOptions


@dataclass(frozen=True)
class Request:
    """What is asked for.

    Attributes:
        root: the project's root directory.
        arguments: files, directories and patterns; the default is ``dist``.
        options: the publisher's.
        hook: the build hook's, where what both need stands.
        hatch_index: the table ``[publish.index]`` of Hatch's config.
        pypirc: the path of `.pypirc`.
        environ: the environment.
        ask: asks a person; None where nobody is to be asked.

    """

    root: Path
    arguments: Sequence[str]
    options: PublishOptions
    hook: HookOptions
    hatch_index: Mapping[str, Any]
    pypirc: Path
    environ: Mapping[str, str]
    ask: Ask | None = None


@dataclass(frozen=True)
class Place:
    """The index that the release goes to, and how it is spoken to."""

    repository: Repository
    endpoints: Endpoints
    certificates: Certificates
    transport: Transport
    reader: IndexReader


def find_place(request: Request) -> Place:
    """Resolve the option `repo`; nothing is requested.

    Raises:
        ConfigurationError: there is no such repository.
        IndexFailure: its URL is none to upload to.
        GateError: a certificate is missing.

    """
    options = request.options
    repository = find_repository(
        options.repo,
        may_be_url="repo" in options.given,
        hatch_index=request.hatch_index,
        pypirc=request.pypirc,
    )
    endpoints = endpoints_of(repository.url)
    configured = repository.certificates
    certificates = Certificates(
        _existing(options.ca_cert or configured.ca, request.root),
        _existing(options.client_cert or configured.client, request.root),
        _existing(options.client_key or configured.key, request.root),
    )
    transport = Transport(endpoints.origin, certificates)
    return Place(repository, endpoints, certificates, transport, IndexReader(transport, endpoints))


def _existing(path: str | None, root: Path) -> str | None:
    if path is None:
        return None
    absolute = root / Path(path).expanduser()
    if not absolute.exists():
        raise GateError("certificate-missing", name=path)
    return str(absolute)

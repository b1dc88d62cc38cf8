"""Uploads through twine: one file at a time, what was verified and nothing read again, with time-outs, tried once."""

from __future__ import annotations

import contextlib
import io
import json
import logging
from typing import TYPE_CHECKING, Any, NamedTuple

from hatch_attest.artifacts import printable
from hatch_attest.errors import IndexFailure
from hatch_attest.retries import reason_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    import requests
    from pypi_attestations import Attestation
    from twine.package import PackageFile

    from hatch_attest.artifacts import Artifact
    from hatch_attest.index.transport import Certificates

# Of one read or write without any progress, not of the whole upload (seconds). An index verifies before it answers.
CONNECT_TIMEOUT = 30.0
ANSWER_TIMEOUT = 180.0


class UploadAnswer(NamedTuple):
    """What came of one try.

    Attributes:
        status: the HTTP status; None where no answer came, and nobody knows whether the file arrived.
        reason: the index's own words, or why there is no answer; one line.
        location: where a redirect points.

    """

    status: int | None
    reason: str
    location: str = ""


def prepare(artifact: Artifact, copy: Path) -> PackageFile:
    """Read an artifact's metadata as twine sends it, and make sure that twine sees the bytes that were verified.

    Args:
        artifact: what was read and verified.
        copy: a file of the same name with the same bytes, which nobody else changes.

    Raises:
        IndexFailure: twine finds the distribution or its metadata invalid; an index would as well.

    """
    from twine.exceptions import TwineException
    from twine.package import PackageFile

    name = printable(artifact.name)
    try:
        package = PackageFile.from_filename(str(copy), None)
    except TwineException as error:
        raise IndexFailure("upload-metadata", cause=_one_line(str(error)), name=name) from error
    except (OSError, ValueError, KeyError, EOFError) as error:
        # What twine lets through for a broken archive (tarfile's and zipfile's errors are OSErrors or ValueErrors).
        raise IndexFailure("upload-metadata", cause=_one_line(str(error)), name=name) from error
    except Exception as error:
        raise IndexFailure("upload-metadata", cause=type(error).__name__, name=name) from error
    if package.sha2_digest != artifact.digest:
        raise IndexFailure("upload-changed", name=name)
    return package


def attach(package: PackageFile, attestations: Sequence[Attestation]) -> None:
    """Let the very attestations that were verified travel with the file, and no sidecar be read again."""
    package.attestations = [json.loads(each.model_dump_json()) for each in attestations]


class Uploader:
    """Uploads to one URL.

    Args:
        url: the upload URL.
        certificates: how TLS is spoken.
        show_progress: whether twine draws its bar.

    """

    def __init__(self, url: str, certificates: Certificates, *, show_progress: bool) -> None:
        from twine.repository import Repository

        self._show_progress = show_progress
        self._repository = Repository(url, None, None, disable_progress_bar=not show_progress)
        session = self._repository.session
        session.cert = certificates.client_pair
        for scheme in ("https://", "http://"):
            session.mount(scheme, _adapter(certificates.ca))

    def send(self, package: PackageFile, user: str, secret: str) -> UploadAnswer:
        """Send one file once; whether it arrived is for the caller to find out."""
        import requests

        self._repository.session.auth = (user, secret)
        try:
            with _quiet_twine(bar=self._show_progress):
                # One try, not five without a pause: what a lost answer means is decided between two tries.
                response = self._repository.upload(package, max_redirects=1)
        except requests.RequestException as error:
            return UploadAnswer(None, reason_of(error))
        finally:
            self._repository.session.auth = None
        reason = _reason(response)
        return UploadAnswer(response.status_code, reason, response.headers.get("Location", ""))

    def close(self) -> None:
        """Close the connections."""
        self._repository.close()


def _adapter(ca: str | None) -> Any:
    """Make an adapter with time-outs; it retries nothing but a connection that never stood."""
    from requests.adapters import HTTPAdapter
    from urllib3.util.retry import Retry

    class Adapter(HTTPAdapter):
        def send(self, request: Any, *args: Any, **kwargs: Any) -> requests.Response:
            kwargs["timeout"] = (CONNECT_TIMEOUT, ANSWER_TIMEOUT)
            if ca is not None:
                kwargs["verify"] = ca  # REQUESTS_CA_BUNDLE would win over the session's setting
            return super().send(request, *args, **kwargs)

    return Adapter(max_retries=Retry(total=None, connect=2, read=0, redirect=0, status=0, other=0, backoff_factor=0.5))


@contextlib.contextmanager
def _quiet_twine(*, bar: bool) -> Iterator[None]:
    """Keep twine to its bar: it warns of five tries, and there is one; without a bar, its caller says what goes on."""
    logger = logging.getLogger("twine")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with contextlib.nullcontext() if bar else contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        logger.setLevel(before)


def _reason(response: requests.Response) -> str:
    """Return the index's reason: PyPI puts it into the status line, others into the body."""
    words = _one_line(response.reason or "")
    if response.ok or len(words.split()) > 3:  # noqa: PLR2004 - a standard phrase has three words at most
        return words
    body = response.text if response.headers.get("Content-Type", "").startswith("text/plain") else ""
    with contextlib.suppress(ValueError, AttributeError):
        document = response.json()
        body = str(document.get("message") or document.get("detail") or body)
    return _one_line(body) or words


def _one_line(text: str) -> str:
    return " ".join(text.split())[:1000]

"""Delivery: one file after the other to the index, through lost answers, passing failures and expired tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hatch_attest.artifacts import printable
from hatch_attest.errors import AttestError, IndexFailure
from hatch_attest.gate.standing import is_there
from hatch_attest.retries import retried

if TYPE_CHECKING:
    from collections.abc import Callable

    from twine.package import PackageFile

    from hatch_attest.artifacts import Artifact
    from hatch_attest.gate.passage import Passage
    from hatch_attest.index.files import IndexReader
    from hatch_attest.index.upload import UploadAnswer, Uploader

_TOO_MANY, _CONFLICT, _FORBIDDEN, _UNAUTHORIZED = 429, 409, 403, 401
_PREFIX = "Invalid attestations supplied during upload: "

# PyPI's own words (facts of its code, warehouse/forklift and warehouse/attestations), and the entry that explains them.
_TRANSLATIONS = (
    ("Attestations are only supported when using Trusted Publishing", "upload-attestations-token"),
    ("Attestations are not currently supported with", "upload-attestations-kind"),
    ("Malformed attestations", "upload-attestations-malformed"),
    ("attestations per file are supported", "upload-attestations-many"),
    ("Could not verify the uploaded artifact", "upload-attestations-unverified"),
    ("Attestation with unsupported predicate type", "upload-attestations-predicate"),
    ("Multiple attestations for the same file", "upload-attestations-many"),
    ("This filename was previously used", "upload-name-used"),
    ("Only one sdist may be uploaded", "upload-second-sdist"),
    ("Non-user identities cannot create new projects", "upload-no-project"),
    ("OIDC scoped token is not valid for project", "upload-other-project"),
    ("project-scoped token is not valid for project", "upload-other-project"),
    ("isn't allowed to upload to project", "upload-other-project"),
    ("Invalid or non-existent authentication", "upload-credentials"),
    ("Username/Password authentication is no longer supported", "upload-password"),
    ("File too large", "upload-too-large"),
    ("Project size too large", "upload-too-large"),
    ("uploads are temporarily disabled", "upload-closed"),
)


class _Passing(Exception):  # noqa: N818 - it never leaves this room
    """A try that may succeed in a moment; it carries what was answered."""

    def __init__(self, answer: UploadAnswer) -> None:
        super().__init__(answer.reason)
        self.answer = answer


class Delivery:
    """Delivers files until each is known to be on the index, or known to be refused.

    Args:
        uploader: sends a file once.
        reader: tells what the index has, which decides after a failure.
        passage: the credentials.
        say: one line for the user.

    """

    def __init__(self, uploader: Uploader, reader: IndexReader, passage: Passage, say: Callable[[str], None]) -> None:
        self._uploader = uploader
        self._reader = reader
        self._passage = passage
        self._say = say

    def deliver(self, artifact: Artifact, package: PackageFile) -> None:
        """Upload one file.

        Raises:
            IndexFailure: the index refused it, in the catalogue's words and its own; or nobody knows.
            GateError: another file of this name was faster.

        """
        try:
            retried(lambda: self._try(artifact, package), passing=lambda error: isinstance(error, _Passing))
        except _Passing as error:
            raise self._gave_up(artifact, error.answer) from error

    def _try(self, artifact: Artifact, package: PackageFile) -> None:
        answer = self._uploader.send(package, *self._passage.login())
        if _is_expired(answer) and self._passage.renew():
            self._say("the upload token expired; exchanging the identity for another one")
            answer = self._uploader.send(package, *self._passage.login())
        status = answer.status
        if status is not None and status // 100 == 2:  # noqa: PLR2004
            return
        if status is None or status >= 500 or status == _TOO_MANY:  # noqa: PLR2004
            if not self._arrived(artifact):
                raise _Passing(answer)
            self._say(f"{printable(artifact.name)}: the answer was lost, the file is there")
            return
        if not (_says_exists(answer) and self._arrived(artifact)):
            raise _refusal(answer, artifact)

    def _arrived(self, artifact: Artifact) -> bool:
        """Say whether the index has the file after all; "no" also where it cannot be asked now.

        Raises:
            GateError: it has another file of this name.

        """
        try:
            return is_there(artifact, {artifact.project: self._reader.project(artifact.project)})
        except IndexFailure:
            return False

    def _gave_up(self, artifact: Artifact, answer: UploadAnswer) -> AttestError:
        cause = answer.reason if answer.status is None else f"{answer.status} {answer.reason}".strip()
        return IndexFailure("upload-unknown", cause=cause, name=printable(artifact.name))


def _is_expired(answer: UploadAnswer) -> bool:
    return answer.status in (_UNAUTHORIZED, _FORBIDDEN) and "expired" in answer.reason


def _says_exists(answer: UploadAnswer) -> bool:
    return answer.status == _CONFLICT or "already exist" in answer.reason.lower()


def _refusal(answer: UploadAnswer, artifact: Artifact) -> IndexFailure:
    """Translate an index's refusal: what it comes down to, with its own words as the cause."""
    name = printable(artifact.name)
    words = answer.reason.removeprefix(_PREFIX)
    if answer.location or (answer.status or 0) // 100 == 3:  # noqa: PLR2004
        return IndexFailure("upload-redirected", name=name)
    if _says_exists(answer):
        return IndexFailure("upload-exists", cause=words, name=name)
    code = next((code for start, code in _TRANSLATIONS if start in answer.reason), "upload-refused")
    return IndexFailure(code, cause=f"{answer.status} {words}".strip(), name=name)

"""What can fail: one root exception, and one catalogue of every failure that a user can meet.

Each entry of ``CATALOGUE`` has a code (stable, machine-readable, printed in reports), what failed (a template),
and the one thing to do about it. The cause is added where the failure is raised, in the words of the service or
library that refused.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True)
class Failure:
    """One row of the catalogue: ``what`` failed and the ``remedy``, both templates for ``str.format``."""

    what: str
    remedy: str


CATALOGUE: dict[str, Failure] = {
    # configuration: options.py
    "configuration": Failure("{count} in the configuration of hatch-attest", "Mend what is listed and run again."),
    # artifacts.py
    "artifact-unreadable": Failure("{name} cannot be read", "Build it again, or leave it out."),
    "artifact-not-a-file": Failure("{name} is named like an artifact but is no regular file", "Remove it from there."),
    "artifact-name": Failure(
        "{name} is not a valid file name of a wheel or an sdist", "Build it with a build backend; do not rename it."
    ),
}


class AttestError(Exception):
    """The root of everything that hatch-attest raises on purpose.

    Args:
        code: a key of ``CATALOGUE``.
        cause: why, in the words of the service or library that refused; one line is best.
        fields: what the templates of the catalogue's entry name.

    """

    def __init__(self, code: str, *, cause: str | None = None, **fields: Any) -> None:
        failure = CATALOGUE[code]
        self.code = code
        self.what = failure.what.format(**fields)
        self.remedy = failure.remedy.format(**fields)
        self.cause = cause
        super().__init__(str(self))

    def __str__(self) -> str:
        head = f"{self.what}: {self.cause.rstrip('.')}." if self.cause else f"{self.what}."
        return f"{head} {self.remedy}" if self.remedy else head


class ConfigurationError(AttestError):
    """The configuration is wrong; carries every problem found, each with its TOML path or variable."""

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        count = f"{len(problems)} problem{'s' if len(problems) != 1 else ''}"
        super().__init__("configuration", cause=None, count=count)

    def __str__(self) -> str:
        return "\n".join([f"{self.what}:", *(f"  - {problem}" for problem in self.problems)])


class ArtifactError(AttestError):
    """A file that was to be signed or published is not a readable wheel or sdist."""


class SidecarError(AttestError):
    """An attestation file is unreadable, too large, or not what PEP 740 says."""


class IdentityError(AttestError):
    """An identity is set up on this machine, but no usable token comes out of it."""


class TrustError(AttestError):
    """The Sigstore instance's trust (trusted root, signing configuration) cannot be had or used."""


class SigningError(AttestError):
    """Sigstore did not sign."""


class VerificationError(AttestError):
    """An attestation does not hold for its artifact."""


class IndexFailure(AttestError):
    """The package index refused, or cannot be reached."""


class GateError(AttestError):
    """Something that must hold before an upload does not."""

"""What can fail: one root exception, and one catalogue of every failure that a user can meet.

Each entry of ``CATALOGUE`` has a code (stable, machine-readable, printed in reports), what failed (a template),
and the one thing to do about it. The cause is added where the failure is raised, in the words of the service or
library that refused.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence


# JSON Web Tokens and PyPI's API tokens. They should never get here; if a service quotes one, it ends here.
_SECRETS = re.compile(r"eyJ[\w-]+\.[\w-]+(?:\.[\w-]*)?|pypi-[\w-]{16,}|(?i:bearer|basic) [\w.~+/=-]{8,}")


# What moves a terminal's cursor; services' words are shown, and must not play with what was shown before.
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def redact(text: str) -> str:
    """Return ``text`` fit for output: whatever looks like a token as ``***``, control characters escaped."""
    shown = _CONTROLS.sub(lambda found: ascii(found.group())[1:-1], text.encode("utf-8", "backslashreplace").decode())
    return _SECRETS.sub("***", shown)


@dataclass(frozen=True)
class Failure:
    """One row of the catalogue: ``what`` failed and the ``remedy``, both templates for ``str.format``."""

    what: str
    remedy: str


CATALOGUE: dict[str, Failure] = {
    # The configuration (options.py)
    "configuration": Failure("{count} in the configuration of hatch-attest", "Mend what is listed and run again."),
    # artifacts.py
    "artifact-unreadable": Failure("{name} cannot be read", "Build it again, or leave it out."),
    "artifact-missing": Failure(
        "{name}: there is no such file, and nothing matches it", "Build first, or correct the path."
    ),
    "artifact-not-a-file": Failure("{name} is named like an artifact but is no regular file", "Remove it from there."),
    "artifact-name": Failure(
        "{name} is not a valid file name of a wheel or an sdist", "Build it with a build backend; do not rename it."
    ),
    # sidecars.py
    "sidecar-not-a-file": Failure("{name} is no regular file", "Remove it, and sign again."),
    "sidecar-unreadable": Failure("{name} cannot be read", "Mend its permissions, or delete it and sign again."),
    "sidecar-unwritable": Failure(
        "{name} cannot be written", "The artifact itself is untouched; mend the cause and build again."
    ),
    "sidecar-unremovable": Failure("{name} no longer matches and cannot be removed", "Remove it by hand."),
    "sidecar-too-large": Failure(
        "{name} is larger than {limit} bytes, which no attestation is", "Delete it and sign again."
    ),
    "sidecar-not-json": Failure("{name} is not JSON", "Delete it and sign again."),
    "sidecar-schema": Failure("{name} is not an attestation as PEP 740 has it", "Delete it and sign again."),
    # identity.py
    "token-malformed": Failure(
        "The identity token of {source} is not an OIDC token", "Put in what the issuer gave, whole and unchanged."
    ),
    "token-audience": Failure(
        "The identity token of {source} is for the audience {stated}, not {audience}",
        "Ask the issuer for a token with the audience {audience}.",
    ),
    "token-expired": Failure(
        "The identity token of {source} expired {ago} s ago", "Get a fresh one right before it is used."
    ),
    "identity-broken": Failure(
        "{platform} has an identity set up, but gave no usable token", "In the workflow: {advice}."
    ),
    # trust.py
    "trust-config-unreadable": Failure(
        "The Sigstore trust configuration {name} cannot be read", "Correct the path; it starts at the project's root."
    ),
    "trust-config-malformed": Failure(
        "{name} is not a Sigstore ClientTrustConfig that can be used", "Get it again from whoever runs the instance."
    ),
    "trust-unreachable": Failure(
        "The trust of the Sigstore instance {name} could not be refreshed", "Try again in a while."
    ),
    "trust-unknown": Failure(
        "The trust of the Sigstore instance {name} could not be refreshed",
        "If it was never trusted here, run `sigstore --instance {name} trust-instance ROOT` first; else try again.",
    ),
    "trust-plain-http": Failure("{name} names {url}: an identity token must not travel over plain http", "Use https."),
    # signing.py
    "token-refused": Failure("The identity token of {source} cannot be used for Sigstore", "Get a fresh one."),
    "fulcio-refused": Failure(
        "The certificate authority {host} refused the identity", "Read its reason; nothing was signed or logged."
    ),
    "rekor-refused": Failure(
        "The transparency log {host} refused the entry for {name}",
        "Read its reason; it took nothing. If it is its own trouble, try again in a while.",
    ),
    "sigstore-no-json": Failure("{host} answered something else than JSON", "Try again in a while."),
    "sigstore-unreachable": Failure("{host} cannot be reached", "Try again in a while."),
    "artifact-changed": Failure(
        "{name} changed while it was signed", "Let one build at a time write there, and build again."
    ),
    "signing-refused": Failure("{name} could not be signed", "Try again; if it stays so, report it with `-v`."),
    # verification.py
    "attestation-malformed": Failure(
        "The attestation of {name} holds material that cannot be read", "Delete the sidecar and sign again."
    ),
    "attestation-statement": Failure(
        "The attestation of {name} holds no in-toto statement", "Delete the sidecar and sign again."
    ),
    "attestation-subjects": Failure(
        "The attestation of {name} is about {count} subjects; PyPI takes exactly one", "Sign each file on its own."
    ),
    "attestation-name": Failure(
        "The attestation beside {name} is about {stated}", "Put each sidecar beside its own artifact."
    ),
    "attestation-digest": Failure(
        "{name} is not the file that was signed: its SHA-256 is {digest}, the attestation is about {stated}",
        "If you rebuilt it, delete its sidecar and sign again; if you did not, find out who changed it.",
    ),
    "attestation-predicate": Failure(
        "The attestation of {name} has the predicate type {stated}, which PyPI does not know", "Delete it."
    ),
    "attestation-certificate": Failure(
        "The certificate in the attestation of {name} is not one of this Sigstore instance",
        "Verify against the instance that signed it (option `sigstore`).",
    ),
    "attestation-sct": Failure(
        "The certificate in the attestation of {name} is not in the certificate log",
        "Delete the sidecar and sign again.",
    ),
    "attestation-log": Failure(
        "The log entry in the attestation of {name} does not hold", "Delete the sidecar and sign again."
    ),
    "attestation-time": Failure(
        "The attestation of {name} was not made while its certificate was valid", "Delete the sidecar and sign again."
    ),
    "attestation-signature": Failure(
        "The signature in the attestation of {name} does not hold", "Delete the sidecar and sign again."
    ),
    "attestation-refused": Failure("The attestation of {name} does not hold", "Delete the sidecar and sign again."),
    "attestation-identity": Failure(
        "{name} was signed by {signer}, not by {publisher}", "Sign it in the workflow of the Trusted Publisher."
    ),
    "attestation-misnamed": Failure(
        "{name} holds a {stated} attestation, not the {expected} attestation that its name promises",
        "Delete it and sign again.",
    ),
    # Interactive identity (identity.py)
    "login-none": Failure(
        "The Sigstore instance has no login service", "Sign where an identity is at hand, such as a CI job."
    ),
    "login-failed": Failure("Nobody logged in at {url}", "Try again, and finish the login in the browser."),
    "identity-gone": Failure(
        "The certificate expired, and no fresh identity is to be had", "Run it again: what is signed stays signed."
    ),
    # index/: addresses and answers
    "index-url": Failure("{url} is no upload URL", "Give the full URL, such as https://upload.example.org/legacy/."),
    "index-url-credentials": Failure(
        "The upload URL holds credentials", "Take them out of it; give them by HATCH_INDEX_USER and HATCH_INDEX_AUTH."
    ),
    "index-url-pypi": Failure("{url} takes no uploads at PyPI", "For PyPI use {main}, for TestPyPI {test}."),
    "index-plain-http": Failure("{url}: credentials must not travel over plain http", "Use https."),
    "index-unreachable": Failure("The index at {host} cannot be reached", "Try again in a while."),
    "index-list": Failure(
        "The list of files of {project} at {host} cannot be read", "Try again; correct the upload URL if it stays so."
    ),
    "index-provenance": Failure("What {host} serves as the provenance of {name} is none", "Ask who runs the index."),
    # index/: Trusted Publishing
    "exchange-no-audience": Failure(
        "The index at {host} does not say for which audience identity tokens must be made", "Ask who runs the index."
    ),
    "exchange-foreign-audience": Failure(
        "The index at {host} wants an identity token for the audience {audience}, which is good elsewhere",
        "Nothing was sent. Do not publish there before whoever runs it has explained this.",
    ),
    "exchange-discovery": Failure(
        "The discovery of Trusted Publishing at {host} breaks the rules of PEP 807",
        "Nothing was sent. Ask who runs the index.",
    ),
    "exchange-malformed": Failure(
        "The index at {host} answered the exchange without a usable token", "Ask who runs the index."
    ),
    "exchange-invalid-publisher": Failure(
        "The index at {host} knows no Trusted Publisher like this job",
        "Compare repository, workflow and environment with the project's publishing settings there.",
    ),
    "exchange-pending-publisher": Failure(
        "The pending publisher at {host} names a project that exists already",
        "Add the publisher to that project, or correct the project's name.",
    ),
    "exchange-reused": Failure(
        "The index at {host} has taken this identity token before, and takes each once",
        "On GitLab a token is fixed for the job: run the job again, and it completes the release.",
    ),
    "exchange-not-enabled": Failure(
        "The index at {host} has switched off Trusted Publishing from this platform", "Try again later."
    ),
    "exchange-refused": Failure("The index at {host} refused the identity token", "Read its reason."),
    # index/: credentials and certificates
    "credentials-missing": Failure(
        "There are no credentials for the repository {repo}",
        "Set up Trusted Publishing, or give HATCH_INDEX_USER and HATCH_INDEX_AUTH.",
    ),
    "certificate-missing": Failure("There is no certificate {name}", "Correct the path."),
    # index/: uploads
    "upload-metadata": Failure("{name} has metadata that no index takes", "Correct the metadata and build it again."),
    "upload-changed": Failure("The copy of {name} changed while it was read", "Run it again, on a machine you trust."),
    "upload-unknown": Failure(
        "{name}: nobody knows whether the index has it",
        "Run the same command again in a while: it compares first, and completes the release.",
    ),
    "upload-refused": Failure("The index refused {name}", "Read its reason."),
    "upload-redirected": Failure(
        "The index sends the upload of {name} elsewhere, which is not followed", "Correct the upload URL."
    ),
    "upload-exists": Failure(
        "The index has a file like {name} already, and it is another one",
        "Raise the version: an index never replaces a file.",
    ),
    "upload-attestations-token": Failure(
        "The index refused the attestations of {name}, because the upload is not by Trusted Publishing",
        "Publish from the Trusted Publisher, or leave them out: attestations = 'never'.",
    ),
    "upload-attestations-kind": Failure(
        "The index takes no attestations from this kind of publisher ({name})",
        "Publish from GitHub Actions or GitLab CI, or leave them out: attestations = 'never'.",
    ),
    "upload-attestations-malformed": Failure(
        "The index cannot read the attestations of {name}", "Delete the sidecar and sign again."
    ),
    "upload-attestations-many": Failure(
        "The index takes one attestation of each kind, and two at most ({name})", "Delete those that are too many."
    ),
    "upload-attestations-unverified": Failure(
        "The index could not verify the attestations of {name}",
        "Compare the publisher in its message with the one that signed; sign and publish as the same one.",
    ),
    "upload-attestations-predicate": Failure(
        "The index does not know the kind of an attestation of {name}", "Delete that sidecar."
    ),
    "upload-name-used": Failure(
        "The index had a file named {name}, which was deleted; it never takes the name again", "Raise the version."
    ),
    "upload-second-sdist": Failure(
        "The index has another sdist of this release, and takes one ({name})", "Leave it out, or raise the version."
    ),
    "upload-no-project": Failure(
        "The project of {name} is not there, and a Trusted Publisher cannot create another one",
        "Correct the project's name in the pending publisher, or in the metadata.",
    ),
    "upload-other-project": Failure(
        "These credentials are not for the project of {name}", "Use those of this project, or of its owner."
    ),
    "upload-credentials": Failure("The index does not know these credentials ({name})", "Correct them."),
    "upload-password": Failure(
        "The index takes no passwords ({name})", "Set up Trusted Publishing, or use an API token (user __token__)."
    ),
    "upload-too-large": Failure("{name} is too large for the index", "Make it smaller, or ask for a higher limit."),
    "upload-closed": Failure("The index takes no uploads now ({name})", "Try again later."),
    # gate/: what must hold before an upload
    "artifact-none": Failure("There are no wheels and no sdists to publish", "Build first: hatch build."),
    "same-name": Failure("{one} and {other} have the same name, {name}", "Name one of them."),
    "no-room": Failure(
        "The artifacts cannot be copied into a private directory", "Make room, or point TMPDIR to where there is some."
    ),
    "trust-not-production": Failure(
        "{host} believes Sigstore's public instance only, and {name} is configured",
        "Set sigstore = 'production', or leave HATCH_ATTEST_SIGSTORE unset.",
    ),
    "trust-loopback": Failure(
        "The Sigstore instance {name} is a rehearsal's on this machine, and {host} is not",
        "Publish to an index on this machine, or set sigstore = 'production'.",
    ),
    "publisher-pull-request-target": Failure(
        "This job was started by pull_request_target, from which PyPI takes no upload",
        "Release from a push, a tag or a release.",
    ),
    "publisher-unsupported": Failure(
        "PyPI takes attestations from GitHub, GitLab and Google only, and this identity is of {issuer}",
        "Publish from one of them, or leave them out: attestations = 'never'.",
    ),
    "publisher-reusable-workflow": Failure(
        "This job runs in the reusable workflow {holds}, started by {started}: PyPI would take the token for the one, "
        "and refuse the attestations, which name the other",
        "Publish from a job in the workflow that is started, or leave them out: attestations = 'never'.",
    ),
    "publisher-other": Failure(
        "This job is {publisher}, and the configured publisher is {configured}",
        "Publish from there, or correct `publisher` in the build hook's table.",
    ),
    "publisher-environment": Failure(
        "This job runs in the environment {environment}, and the configured publisher names {wanted}",
        "Give the job `environment: {wanted}`, or correct `publisher` in the build hook's table.",
    ),
    "signing-identity": Failure(
        "The identity at hand is {identity}, and the attestations must be by {publisher}",
        "Sign in the workflow of the Trusted Publisher.",
    ),
    "private-repository": Failure(
        "{repository} is {visibility}, and signing would put its name into the public log {log}",
        "If it may be known, set allow-public-log = true in the build hook's table.",
    ),
    "interactive-pypi": Failure(
        "PyPI takes no attestations by a person", "Sign and publish from the Trusted Publisher's workflow."
    ),
    "attestations-need-trusted-publishing": Failure(
        "{host} takes attestations by Trusted Publishing only, and this upload is by {passage}",
        "Publish from the Trusted Publisher's workflow; or leave them out: attestations = 'auto' or 'never'.",
    ),
    "attestation-missing": Failure(
        "{names}: without an attestation", "Sign first, or publish where an identity is at hand."
    ),
    "there-other": Failure(
        "The index has {name} with the SHA-256 {listed}, and this one has {digest}",
        "Raise the version: an index never replaces a file.",
    ),
    "there-unknown": Failure(
        "The index has {name}, and does not say with which SHA-256",
        "Compare by hand, and leave it out if it is the same.",
    ),
    "second-sdist": Failure(
        "{name} would be a second sdist of its release, beside {other}; PyPI takes one", "Leave one of them out."
    ),
    "local-version": Failure(
        "{name} has a local version, which {host} does not take", "Build it from a tagged commit, or set the version."
    ),
    "linux-wheel": Failure(
        "{name} is for an unspecified Linux, which {host} does not take", "Repair it with auditwheel, then sign it."
    ),
    "password-pypi": Failure(
        "{host} takes no passwords", "Set up Trusted Publishing, or use an API token (user __token__)."
    ),
    # gate/: afterwards
    "proof": Failure(
        "What {host} serves is not what was sent", "Look at the project's page there; report it to whoever runs it."
    ),
    "report-unwritable": Failure("The report {name} cannot be written", "Correct the path; the run itself is done."),
    "not-installed": Failure(
        "Publishing needs more than is installed beside Hatch ({names})", 'pip install "hatch-attest[publish]".'
    ),
    "unexpected": Failure(
        "Something unexpected happened: {kind}", "Please report it, with the output of the same command under `-v`."
    ),
    # sandbox/
    "sandbox-start": Failure(
        "The sandbox cannot start in {directory}", "Give it a directory that can be written and try again."
    ),
    # rehearsal/
    "rehearsal-no-project": Failure("{project} holds no pyproject.toml", "Name the directory of a project."),
    "rehearsal-no-name": Failure(
        "The pyproject.toml in {project} names no project", "Add `name` to its [project] table."
    ),
    "rehearsal-backend": Failure(
        "The project in {project} is built by {backend}, not by hatchling.build",
        "Only projects that hatchling builds can be rehearsed.",
    ),
    "rehearsal-publisher": Failure(
        "The sandbox cannot play {publisher}", "It plays jobs of GitHub Actions and of GitLab CI; rehearse as one."
    ),
    "rehearsal-not-installed": Failure("hatch-attest runs without being installed", "Install it: pip install ."),
    "rehearsal-copy": Failure("{project} cannot be copied", "Mend the cause, or rehearse a fresh clone."),
    "rehearsal-nothing-built": Failure(
        "The build left no wheel and no sdist in dist", "Let `hatch build` write to dist, where `hatch publish` looks."
    ),
    "rehearsal-local-version": Failure(
        "The version {version} has a local part, which no index takes",
        "Rehearse a version as you release it, on its tag.",
    ),
    "rehearsal-command": Failure(
        "`{command}` ended with status {status}", "What it printed above says why; it would have failed so in CI."
    ),
    "rehearsal-nothing-served": Failure("The index serves no {project} {version}", "Report it, with this output."),
    "rehearsal-no-provenance": Failure("The index serves {name} without provenance", "Report it, with this output."),
    "rehearsal-other-bytes": Failure(
        "The index serves other bytes of {name} than were built", "Report it, with this output."
    ),
    "rehearsal-other-files": Failure("The index serves other files than were built", "Report it, with this output."),
    "rehearsal-other-publisher": Failure(
        "The provenance of {name} names {stated} as its publisher", "Report it, with this output."
    ),
    "rehearsal-refused": Failure("The provenance of {name} does not hold", "Report it, with this output."),
    "rehearsal-tampered": Failure("{name} was changed, and its provenance still holds", "Report it, with this output."),
    "sandbox-command": Failure("{command} cannot be run", "Correct the command that follows `--`."),
    "rehearsal-index": Failure("The sandbox's index does not answer at {url}", "Report it, with this output."),
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
        self.what = redact(failure.what.format(**fields))
        self.remedy = redact(failure.remedy.format(**fields))
        self.cause = redact(cause) if cause else None
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


class IndexFailure(AttestError):  # noqa: N818 - IndexError is Python's own
    """The package index refused, or cannot be reached."""


class SandboxError(AttestError):
    """The sandbox cannot do its part."""


class GateError(AttestError):
    """Something that must hold before an upload does not."""


class RehearsalError(AttestError):
    """A rehearsal cannot be made, or something in it did not hold."""

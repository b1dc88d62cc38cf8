"""The report of a run: what was done with each file, as a table, plain lines, Markdown or JSON."""

from __future__ import annotations

import json
import os
import secrets
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from hatch_attest.artifacts import printable
from hatch_attest.errors import AttestError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hatch_attest.artifacts import Artifact
    from hatch_attest.display import Display

# What became of a file, or of an attestation of it.
State = Literal[
    "verified",
    "refused",
    "signed",
    "would upload",
    "would sign and upload",
    "uploaded",
    "there already",
    "not uploaded",
]


@dataclass
class AttestationLine:
    """One attestation in a report."""

    predicate: str
    signer: str
    log: str
    log_index: int
    signed_at: str
    made: Literal["found", "signed"]


@dataclass
class FileLine:
    """One file in a report; ``proof`` is what the index served afterwards."""

    name: str
    project: str
    version: str
    kind: str
    sha256: str
    size: int
    state: State
    attestations: list[AttestationLine] = field(default_factory=list)
    proof: str = ""


@dataclass
class Report:
    """What a run found and did.

    Attributes:
        command: ``publish``, ``sign`` or ``verify``.
        outcome: ``ok``, ``failed``, or ``dry run``.
        repository: the option's value; empty without an index.
        upload_url: the index; empty without one.
        identity: who publishes, or who was expected.
        credentials: where they came from, never what they are.
        mode: of the option `attestations`.
        log: the transparency log's host.
        files: in order of upload.
        notes: the forecast and whatever else is worth a line.
        warnings: what a person should look at.
        commands: what a consumer runs to verify.
        failure: code and message of what ended the run, if anything did.

    """

    command: str
    outcome: str = "failed"
    repository: str = ""
    upload_url: str = ""
    identity: str = ""
    credentials: str = ""
    mode: str = ""
    log: str = ""
    files: list[FileLine] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)
    failure: dict[str, str] | None = None

    def fail(self, error: AttestError) -> None:
        """Note what ended the run."""
        self.outcome = "failed"
        self.failure = {"code": error.code, "message": str(error)}

    def as_json(self) -> str:
        """Return the machine-readable report; its keys are part of the contract."""
        return json.dumps({"version": 1, **asdict(self)}, indent=2, ensure_ascii=False) + "\n"

    def counts(self) -> str:
        """Say in one line how many files are in which state."""
        states: dict[str, int] = {}
        for file in self.files:
            states[file.state] = states.get(file.state, 0) + 1
        return ", ".join(f"{count} {state}" for state, count in states.items()) or "no files"


def file_line(artifact: Artifact, state: State = "not uploaded") -> FileLine:
    """Begin the line of an artifact."""
    return FileLine(
        name=printable(artifact.name),
        project=artifact.project,
        version=str(artifact.version),
        kind=artifact.kind,
        sha256=artifact.digest,
        size=artifact.size,
        state=state,
    )


def show(report: Report, display: Display) -> None:
    """Show the files: a table on a terminal, plain lines elsewhere."""
    if not report.files:
        return
    if display.is_terminal:
        display.show(_table(report))
    else:
        for file in report.files:
            display.info(_plain(file))
    for note in report.notes:
        display.info(note)
    for command in report.commands:
        display.info(f"verify it as a consumer: {command}")


def write_json(report: Report, path: Path) -> None:
    """Write the machine-readable report, whole or not at all.

    Raises:
        AttestError: the file system refused.

    """
    temporary = path.with_name(f".attest-{secrets.token_hex(8)}.tmp")
    try:
        temporary.write_text(report.as_json(), encoding="utf-8")
        temporary.replace(path)
    except OSError as error:
        raise AttestError("report-unwritable", cause=error.strerror, name=path) from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def write_summary(report: Report, environ: Mapping[str, str]) -> None:
    """Append Markdown to GitHub's job summary, where there is one; a summary that cannot be written is no failure."""
    path = environ.get("GITHUB_STEP_SUMMARY")
    if not path or not report.files:
        return
    with suppress(OSError), Path(path).open("a", encoding="utf-8") as stream:
        stream.write(markdown(report) + os.linesep)


def markdown(report: Report) -> str:
    """Return the report as GitHub-flavoured Markdown."""
    lines = [f"### hatch-attest: {report.command}, {report.outcome}", ""]
    if report.upload_url:
        lines += [f"Index: {_code(report.upload_url)}  ", f"Identity: {_code(report.identity or 'none')}", ""]
    lines += ["| file | state | attestations | signed by | index serves |", "|---|---|---|---|---|"]
    for file in report.files:
        predicates = ", ".join(f"{each.predicate} ({each.made})" for each in file.attestations) or "none"
        signers = ", ".join(dict.fromkeys(each.signer for each in file.attestations))
        cells = (_code(file.name), file.state, predicates, _code(signers) if signers else "", file.proof)
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    lines += ["", *(f"- {note}" for note in report.notes), *(f"- **Warning**: {each}" for each in report.warnings)]
    if report.failure:
        lines += ["", f"**Failed** ({report.failure['code']}): {report.failure['message']}"]
    for command in report.commands:
        lines += ["", "```console", command, "```"]
    return "\n".join(lines) + "\n"


def _code(text: str) -> str:
    return f"`{text.replace('`', chr(39))}`"


def _plain(file: FileLine) -> str:
    parts = [f"{file.name}: {file.state}"]
    parts += [
        f"{each.predicate} attestation {each.made}, by {each.signer} (log {each.log}, index {each.log_index})"
        for each in file.attestations
    ]
    if file.proof:
        parts.append(f"index: {file.proof}")
    return "; ".join(parts)


def _table(report: Report) -> Any:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, title=None, pad_edge=False)
    for column in ("file", "state", "attestations", "signed by", "index serves"):
        table.add_column(column, overflow="fold")
    for file in report.files:
        attestations = "\n".join(f"{each.predicate} ({each.made}, {each.log_index})" for each in file.attestations)
        signers = "\n".join(dict.fromkeys(each.signer for each in file.attestations))
        table.add_row(*(Text(cell) for cell in (file.name, file.state, attestations or "none", signers, file.proof)))
    return table

"""Core metadata as an upload form carries it, validated by ``packaging`` and by PyPI's own rules.

The rules and words are those of warehouse/forklift/metadata.py and forms.py. Not checked: e-mail addresses.
"""

from __future__ import annotations

import re
import sys
import typing
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

from packaging.metadata import InvalidMetadata, Metadata, RawMetadata
from packaging.requirements import InvalidRequirement, Requirement
from trove_classifiers import classifiers as known_classifiers
from trove_classifiers import deprecated_classifiers

from hatch_attest.sandbox.index.refusal import bad_request

if sys.version_info >= (3, 11):
    from builtins import ExceptionGroup
else:
    from packaging.metadata import ExceptionGroup

if TYPE_CHECKING:
    from collections.abc import Iterator

    from starlette.datastructures import FormData

SUPPORTED_METADATA_VERSIONS = frozenset({"1.0", "1.1", "1.2", "2.1", "2.2", "2.3", "2.4", "2.5"})
EXTENSIONS = {"sdist": (".zip", ".tar.gz"), "bdist_wheel": (".whl",)}

_SPECIFICATION = "https://packaging.python.org/specifications/core-metadata"
_PROJECT_NAME = re.compile(r"^([A-Z0-9]|[A-Z0-9][A-Z0-9._-]*[A-Z0-9])$", re.IGNORECASE)
# What RFC 3986 allows nowhere; non-ASCII letters pass, as they do on PyPI.
_NO_URL_CHARACTER = re.compile(r'[\s<>"{}|\\^`]')
_SHA256 = re.compile(r"^[A-F0-9]{64}$", re.IGNORECASE)
_FIRST = ("metadata-version", "name", "version")
_SUMMARY_LIMIT = 512
_LABEL_LIMIT = 32
_SHOWN_LIMIT = 60
# Form fields that are spelled in the singular though they repeat.
_FORM_NAMES = {
    "platforms": "platform",
    "supported_platforms": "supported_platform",
    "license_files": "license_file",
    "import_names": "import_name",
    "import_namespaces": "import_namespace",
}


def check_form(form: FormData) -> None:
    """Check the fields that describe the upload itself.

    Raises:
        Refusal: one of them is wrong.

    """
    name = _text(form, "name")
    if not name:
        raise bad_request(_invalid_field("Name", name, "This field is required."))
    if not _PROJECT_NAME.match(name):
        message = "Start and end with a letter or numeral containing only ASCII numeric and '.', '_' and '-'."
        raise bad_request(_invalid_field("Name", name, message))
    filetype = _text(form, "filetype")
    if filetype not in EXTENSIONS:
        message = "Use a known file type." if filetype else "This field is required."
        raise bad_request(f"Invalid value for filetype. Error: {message}")
    for field, algorithm in (("sha256_digest", "SHA256"), ("blake2_256_digest", "BLAKE2")):
        if _text(form, field) and not _SHA256.match(_text(form, field)):
            message = f"Use a valid, hex-encoded, {algorithm} message digest."
            raise bad_request(f"Invalid value for {field}. Error: {message}")
    if filetype == "sdist" and _text(form, "pyversion") not in ("", "source"):
        raise bad_request("Error: Use 'source' as Python version for an sdist.")
    if filetype != "sdist" and not _text(form, "pyversion"):
        raise bad_request("Error: Python version is required for binary distribution uploads.")
    if not any(_text(form, field) for field in ("md5_digest", "sha256_digest", "blake2_256_digest")):
        raise bad_request("Error: Include at least one message digest.")


def parse_metadata(form: FormData) -> Metadata:
    """Read the core metadata out of an upload form.

    Raises:
        Refusal: it is invalid, or PyPI does not take it.

    """
    try:
        metadata = Metadata.from_raw(_raw_metadata(form))
    except ExceptionGroup as group:
        invalid = [error for error in group.exceptions if isinstance(error, InvalidMetadata)]
        raise bad_request(_describe(invalid)) from group
    problems = list(_problems(metadata))
    if problems:
        raise bad_request(_describe(problems))
    return metadata


def _raw_metadata(form: FormData) -> RawMetadata:
    raw: dict[str, Any] = {}
    for field, hint in typing.get_type_hints(RawMetadata).items():
        name = _FORM_NAMES.get(field, field)
        # distutils wrote UNKNOWN where it knew nothing; PyPI reads that as nothing.
        values = [value for value in form.getlist(name) if isinstance(value, str) and value.strip() != "UNKNOWN"]
        if not values or values == [""]:
            continue
        if field == "keywords":
            raw[field] = [keyword.strip() for keyword in values[0].split(",")]
        elif field == "project_urls":
            raw[field] = {label.strip(): url.strip() for label, _, url in (value.partition(",") for value in values)}
        elif hint is str:
            raw[field] = values[0]
        else:
            raw[field] = values
        if len(values) > 1 and (hint is str or field == "keywords"):
            raise bad_request(f"{name!r} has invalid data. See {_SPECIFICATION} for more information.")
    return cast("RawMetadata", raw)


def _problems(metadata: Metadata) -> Iterator[InvalidMetadata]:
    """Give what PyPI refuses beyond the specification."""
    if metadata.metadata_version not in SUPPORTED_METADATA_VERSIONS:
        yield InvalidMetadata("metadata-version", f"{metadata.metadata_version!r} is not a valid metadata version")
    if metadata.version.local:
        message = f"The use of local versions in '{metadata.version}' is not allowed."
        yield InvalidMetadata("version", message)
    if metadata.summary and len(metadata.summary) > _SUMMARY_LIMIT:
        yield InvalidMetadata("summary", f"'summary' field must be {_SUMMARY_LIMIT} characters or less.")
    yield from _classifier_problems(metadata)
    yield from _url_problems(metadata)
    yield from _requirement_problems(metadata)
    if metadata.license and metadata.license_expression:
        message = "License is deprecated when License-Expression is present. Only License-Expression should be present."
        yield InvalidMetadata("license", message)


def _classifier_problems(metadata: Metadata) -> Iterator[InvalidMetadata]:
    given = set(metadata.classifiers or [])
    for classifier in sorted(given - known_classifiers - deprecated_classifiers.keys()):
        yield InvalidMetadata("classifier", f"{classifier!r} is not a valid classifier.")
    for classifier in sorted(given & deprecated_classifiers.keys()):
        successors = deprecated_classifiers[classifier]
        advice = f", use one of {successors} instead." if successors else "."
        yield InvalidMetadata("classifier", f"The classifier {classifier!r} has been deprecated{advice}")


def _url_problems(metadata: Metadata) -> Iterator[InvalidMetadata]:
    for field, url in (("home-page", metadata.home_page), ("download-url", metadata.download_url)):
        if url is not None and not _is_url(url):
            yield InvalidMetadata(field, f"{url!r} is not a valid url.")
    for label, url in (metadata.project_urls or {}).items():
        if not label:
            yield InvalidMetadata("project-url", "Must have a label")
        elif len(label) > _LABEL_LIMIT:
            yield InvalidMetadata("project-url", f"{label!r} must be {_LABEL_LIMIT} characters or less.")
        elif not url:
            yield InvalidMetadata("project-url", "Must have a URL")
        elif not _is_url(url):
            yield InvalidMetadata("project-url", f"{url!r} is not a valid url")


def _requirement_problems(metadata: Metadata) -> Iterator[InvalidMetadata]:
    for requirement in metadata.requires_dist or []:
        if requirement.url is not None:
            yield InvalidMetadata("requires-dist", f"Can't have direct dependency: {requirement}")
    for field, texts in (("provides-dist", metadata.provides_dist), ("obsoletes-dist", metadata.obsoletes_dist)):
        yield from (problem for text in texts or [] for problem in _requirement_text_problems(field, text))


def _requirement_text_problems(field: str, text: str) -> Iterator[InvalidMetadata]:
    try:
        requirement = Requirement(text)
    except InvalidRequirement as error:
        yield InvalidMetadata(field, f"{text!r} is invalid: {error}")
        return
    if requirement.url is not None:
        yield InvalidMetadata(field, f"Can't have direct dependency: {text!r}")


def _is_url(text: str) -> bool:
    """Tell whether PyPI would take it for a URL of the web (RFC 3986; the host may be missing)."""
    try:
        parts = urlsplit(text)
        port_is_valid = parts.port is None or parts.port >= 0
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and port_is_valid and _NO_URL_CHARACTER.search(text) is None


def _describe(problems: list[InvalidMetadata]) -> str:
    """Say the one problem that PyPI says: of the most telling field, its first."""
    fields = [problem.field for problem in problems]
    chosen = next((field for field in _FIRST if field in fields), min(fields))
    message = str(problems[fields.index(chosen)])
    return f"{message}{'' if message.endswith('.') else '.'} See {_SPECIFICATION} for more information."


def _invalid_field(field: str, value: str, message: str) -> str:
    shown = f"{value[:30]}...{value[-30:]}" if len(value) > _SHOWN_LIMIT else value
    return f"{shown!r} is an invalid value for {field}. Error: {message} See {_SPECIFICATION} for more information."


def _text(form: FormData, field: str) -> str:
    value = form.get(field)
    return value if isinstance(value, str) else ""

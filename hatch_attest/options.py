"""What users configure: the hook's table, its overrides from the environment, and every problem in them at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, cast

from hatch_attest.errors import ConfigurationError
from hatch_attest.problems import not_one_of, unknown_keys

Sign = Literal["auto", "always", "never"]

PUBLISH = "publish"
SLSA = "slsa"

# hatchling's own keys of a hook table; it reads and checks them itself.
_HATCHLING_KEYS = frozenset(
    {"enable-by-default", "dependencies", "require-runtime-dependencies", "require-runtime-features"}
)
_HOOK_KEYS = ("sign", "sigstore", "publisher", "predicates", "allow-public-log")
_SIGN_VALUES = ("auto", "always", "never")

# The keys of each kind of Trusted Publisher, as PyPI's Integrity API spells them; True where they are required.
_PUBLISHER_KEYS: dict[str, dict[str, bool]] = {
    "GitHub": {"repository": True, "workflow": True, "environment": False},
    "GitLab": {"repository": True, "workflow_filepath": True, "environment": False},
    "Google": {"email": True},
}


@dataclass(frozen=True)
class TrustedPublisher:
    """A Trusted Publisher, as PyPI's Integrity API and PEP 751's ``attestation-identities`` name it.

    Attributes:
        kind: ``GitHub``, ``GitLab`` or ``Google``.
        repository: ``owner/name``; empty for Google.
        workflow: the workflow's file name (GitHub) or path (GitLab); empty for Google.
        environment: the environment that the publishing job runs in, where one is named.
        email: the service account's address; for Google only.

    """

    kind: str
    repository: str = ""
    workflow: str = ""
    environment: str | None = None
    email: str = ""

    def __str__(self) -> str:
        if self.kind == "Google":
            return f"Google {self.email}"
        environment = f" (environment {self.environment})" if self.environment else ""
        return f"{self.kind} {self.repository} {self.workflow}{environment}"

    def as_json(self) -> dict[str, str]:
        """Return the object of the Integrity API (``publisher`` of an attestation bundle)."""
        if self.kind == "Google":
            return {"kind": self.kind, "email": self.email}
        workflow = "workflow_filepath" if self.kind == "GitLab" else "workflow"
        fields = {"kind": self.kind, "repository": self.repository, workflow: self.workflow}
        return {**fields, "environment": self.environment} if self.environment else fields


@dataclass(frozen=True)
class Override:
    """An option that the environment decided, to be named in the output."""

    key: str
    variable: str
    value: str


@dataclass(frozen=True)
class HookOptions:
    """The options of the build hook, all valid.

    Attributes:
        sign: ``auto``, ``always`` or ``never``.
        sigstore: ``production``, ``staging``, a path from the project's root, or the URL of a trusted instance.
        publisher: the Trusted Publisher that the project releases as, where it is configured.
        predicates: which attestations to make.
        allow_public_log: whether a private repository's name may enter a public log.
        overrides: what came from the environment.

    """

    sign: Sign = "auto"
    sigstore: str = "production"
    publisher: TrustedPublisher | None = None
    predicates: tuple[str, ...] = (PUBLISH,)
    allow_public_log: bool = False
    overrides: tuple[Override, ...] = ()


def parse_hook_options(table: Mapping[str, Any], table_path: str, environ: Mapping[str, str]) -> HookOptions:
    """Read the build hook's table and its overrides ``HATCH_ATTEST_SIGN`` and ``HATCH_ATTEST_SIGSTORE``.

    Args:
        table: the hook's table, as hatchling hands it over.
        table_path: where it stands, for messages (``tool.hatch.build.hooks.attest``).
        environ: the environment.

    Raises:
        ConfigurationError: with every problem found.

    """
    problems: list[str] = []
    problems += unknown_keys(table, (*_HOOK_KEYS, *_HATCHLING_KEYS), table_path, offer=_HOOK_KEYS)
    merged = dict(table)
    overrides = []
    where = dict.fromkeys(_HOOK_KEYS, table_path)
    for key, variable in (("sign", "HATCH_ATTEST_SIGN"), ("sigstore", "HATCH_ATTEST_SIGSTORE")):
        if value := environ.get(variable):
            merged[key] = value
            overrides.append(Override(key, variable, value))
    named = {override.key: override.variable for override in overrides}
    places = {key: named.get(key, f"{path}.{key}") for key, path in where.items()}

    sign = merged.get("sign", "auto")
    if sign not in _SIGN_VALUES:
        problems.append(not_one_of(places["sign"], sign, _SIGN_VALUES))
    sigstore = merged.get("sigstore", "production")
    if not isinstance(sigstore, str) or not sigstore.strip():
        problems.append(
            f"{places['sigstore']}: must be 'production', 'staging', the path of a ClientTrustConfig file or the URL "
            f"of a trusted instance, not {sigstore!r}"
        )
    publisher = _parse_publisher(merged.get("publisher"), places["publisher"], problems)
    predicates = _parse_predicates(merged.get("predicates", [PUBLISH]), places["predicates"], problems)
    allow_public_log = merged.get("allow-public-log", False)
    if not isinstance(allow_public_log, bool):
        problems.append(f"{places['allow-public-log']}: must be true or false, not {allow_public_log!r}")
    if problems:
        raise ConfigurationError(problems)
    return HookOptions(
        sign=cast("Sign", sign),
        sigstore=sigstore,
        publisher=publisher,
        predicates=predicates,
        allow_public_log=allow_public_log,
        overrides=tuple(overrides),
    )


def _parse_publisher(value: object, place: str, problems: list[str]) -> TrustedPublisher | None:
    if value is None:
        return None
    if not isinstance(value, Mapping):
        problems.append(f"{place}: must be a table such as {{kind = 'GitHub', repository = ..., workflow = ...}}")
        return None
    kind = value.get("kind")
    if not isinstance(kind, str) or kind not in _PUBLISHER_KEYS:
        problems.append(not_one_of(f"{place}.kind", kind, tuple(_PUBLISHER_KEYS)))
        return None
    keys = _PUBLISHER_KEYS[kind]
    before = len(problems)
    problems += unknown_keys(value, ("kind", *keys), place)
    for key, required in keys.items():
        if key not in value:
            if required:
                problems.append(f"{place}.{key}: missing; a {kind} publisher needs it")
        elif not isinstance(value[key], str) or not value[key].strip():
            problems.append(f"{place}.{key}: must be a string that is not empty, not {value[key]!r}")
        elif problem := _bad_publisher_value(kind, key, value[key]):
            problems.append(f"{place}.{key}: {problem}")
    if len(problems) > before:
        return None
    return TrustedPublisher(
        kind=kind,
        repository=value.get("repository", ""),
        workflow=value.get("workflow_filepath" if kind == "GitLab" else "workflow", ""),
        environment=value.get("environment"),
        email=value.get("email", ""),
    )


def _bad_publisher_value(kind: str, key: str, value: str) -> str | None:
    if key == "repository" and (value.count("/") < 1 or (kind == "GitHub" and value.count("/") != 1) or ":" in value):
        return f"must be owner/name, not {value!r}"
    if key == "workflow" and ("/" in value or not value.endswith((".yml", ".yaml"))):
        # warehouse/oidc/forms/github.py asks for the file name alone, with one of these endings.
        return f"must be the file name alone of a workflow (release.yml), not {value!r}"
    if key == "email" and "@" not in value:
        return f"must be the e-mail address of a service account, not {value!r}"
    return None


def _parse_predicates(value: object, place: str, problems: list[str]) -> tuple[str, ...]:
    if not isinstance(value, list) or not value or not all(isinstance(each, str) for each in value):
        problems.append(f"{place}: must be a list of strings that is not empty, such as ['publish'], not {value!r}")
        return ()
    for each in value:
        if each == SLSA:
            problems.append(f"{place}: 'slsa' is not built yet; only 'publish' is")
        elif each != PUBLISH:
            problems.append(not_one_of(place, each, (PUBLISH,)))
    if len(set(value)) != len(value):
        problems.append(f"{place}: names the same predicate twice")
    return tuple(value)

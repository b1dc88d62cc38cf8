"""What a signing certificate says of an identity: Fulcio's extensions 1.3.6.1.4.1.57264.1.x and the alternative name.

The tables follow Fulcio's documents "oid-info" and "oidc" and its production configuration: each extension is a claim
or a template of claims.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote

from cryptography import x509

from hatch_attest.sandbox.ct import der
from hatch_attest.sandbox.identities import GITHUB, GITLAB, GOOGLE, SIGSTORE

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_ARC = "1.3.6.1.4.1.57264.1"
_UTF8_STRING = 0x0C

# Extensions 1 to 6 are deprecated, with the value's bytes for content; later ones are DER UTF8Strings.
_LAST_RAW = 6

_NAMES = {
    2: "GithubWorkflowTrigger",
    3: "GithubWorkflowSHA",
    4: "GithubWorkflowName",
    5: "GithubWorkflowRepository",
    6: "GithubWorkflowRef",
    9: "BuildSignerURI",
    10: "BuildSignerDigest",
    11: "RunnerEnvironment",
    12: "SourceRepositoryURI",
    13: "SourceRepositoryDigest",
    14: "SourceRepositoryRef",
    15: "SourceRepositoryIdentifier",
    16: "SourceRepositoryOwnerURI",
    17: "SourceRepositoryOwnerIdentifier",
    18: "BuildConfigURI",
    19: "BuildConfigDigest",
    20: "BuildTrigger",
    21: "RunInvocationURI",
    22: "SourceRepositoryVisibilityAtSigning",
    23: "DeploymentEnvironment",
}


@dataclass(frozen=True)
class _Workflow:
    """How the tokens of one CI system become a certificate: names of claims, or templates of them as Go has them."""

    defaults: Mapping[str, str]
    alternative_name: str
    extensions: Mapping[int, str]


_WORKFLOWS = {
    GITHUB: _Workflow(
        defaults={"url": "https://github.com", "environment": ""},
        alternative_name="{{ .url }}/{{ .job_workflow_ref }}",
        extensions={
            2: "event_name",
            3: "sha",
            4: "workflow",
            5: "repository",
            6: "ref",
            9: "{{ .url }}/{{ .job_workflow_ref }}",
            10: "job_workflow_sha",
            11: "runner_environment",
            12: "{{ .url }}/{{ .repository }}",
            13: "sha",
            14: "ref",
            15: "repository_id",
            16: "{{ .url }}/{{ .repository_owner }}",
            17: "repository_owner_id",
            18: "{{ .url }}/{{ .workflow_ref }}",
            19: "workflow_sha",
            20: "event_name",
            21: "{{ .url }}/{{ .repository }}/actions/runs/{{ .run_id }}/attempts/{{ .run_attempt }}",
            22: "repository_visibility",
            23: "environment",
        },
    ),
    GITLAB: _Workflow(
        defaults={"url": "https://gitlab.com", "environment": ""},
        alternative_name="https://{{ .ci_config_ref_uri }}",
        extensions={
            9: "https://{{ .ci_config_ref_uri }}",
            10: "ci_config_sha",
            11: "runner_environment",
            12: "{{ .url }}/{{ .project_path }}",
            13: "sha",
            14: 'refs/{{if eq .ref_type "branch"}}heads/{{ else }}tags/{{end}}{{ .ref }}',
            15: "project_id",
            16: "{{ .url }}/{{ .namespace_path }}",
            17: "namespace_id",
            18: "https://{{ .ci_config_ref_uri }}",
            19: "ci_config_sha",
            20: "pipeline_source",
            21: "{{ .url }}/{{ .project_path }}/-/jobs/{{ .job_id }}",
            22: "project_visibility",
            23: "environment",
        },
    ),
}
_REFERENCE = re.compile(r'\{\{ \.(\w+) \}\}|\{\{if eq \.(\w+) "(\w+)"\}\}(.*?)\{\{ else \}\}(.*?)\{\{end\}\}')
_ADDRESS = re.compile(r"[!-?A-~]+@[!-?A-~]+")
_EMAIL_ISSUERS = frozenset({GOOGLE, SIGSTORE})


class UnacceptableClaimsError(Exception):
    """The token is genuine, but it is no identity that a certificate can be issued for.

    Args:
        message: Fulcio's words where they are its own; ``None`` where Fulcio only says that the token is bad.

    """

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or "unacceptable claims")
        self.message = message


@dataclass(frozen=True)
class Principal:
    """Who a certificate is for.

    Attributes:
        name: what a proof of possession signs.
        alternative_name: the certificate's only subject alternative name.
        extensions: Fulcio's own, in their order.

    """

    name: str
    alternative_name: x509.GeneralName
    extensions: tuple[x509.UnrecognizedExtension, ...]


def known_issuer(url: str) -> bool:
    """Tell whether certificates are issued for the tokens of an issuer."""
    return url in _WORKFLOWS or url in _EMAIL_ISSUERS


def principal(claims: Mapping[str, object]) -> Principal:
    """Read the verified claims of a token of a known issuer.

    Raises:
        UnacceptableClaimsError: one is missing, or the e-mail address is not verified.

    """
    workflow = _WORKFLOWS.get(str(claims["iss"]))
    return _person(claims) if workflow is None else _job(workflow, claims)


def _person(claims: Mapping[str, object]) -> Principal:
    email = claims.get("email")
    verified = claims.get("email_verified") in (True, "true")  # some providers write it as text
    if not isinstance(email, str) or not _ADDRESS.fullmatch(email) or not verified:
        raise UnacceptableClaimsError
    issuer: object = claims["iss"]
    if issuer == SIGSTORE:
        federated = claims.get("federated_claims")
        issuer = federated.get("connector_id") if isinstance(federated, dict) else None
        if not isinstance(issuer, str):
            raise UnacceptableClaimsError
    return Principal(email, x509.RFC822Name(email), tuple(_extensions(str(issuer), {}, str(claims["sub"]))))


def _job(workflow: _Workflow, claims: Mapping[str, object]) -> Principal:
    issuer, subject = str(claims["iss"]), str(claims["sub"])
    values = {**workflow.defaults, **{name: str(value) for name, value in claims.items()}}
    uri = _fill(workflow.alternative_name, values, "SubjectAlternativeName", issuer)
    # As Go's url.URL does: a certificate's URI is ASCII.
    name = x509.UniformResourceIdentifier(quote(uri, safe="!#$%&'()*+,/:;=?@[]~"))
    filled = {
        number: _fill(template, values, _NAMES[number], issuer) for number, template in workflow.extensions.items()
    }
    return Principal(subject, name, tuple(_extensions(issuer, filled, subject)))


def _fill(template: str, values: Mapping[str, str], name: str, issuer: str) -> str:
    """Return a claim, or a template with the claims filled in; where one is missing, Go's or Fulcio's words say so."""

    def value(match: re.Match[str]) -> str:
        group = 1 if match[1] else 2
        claim = match[group]
        if claim not in values:
            where = f'template: :1:{match.start(group) - 1}: executing "" at <.{claim}>'
            raise UnacceptableClaimsError(f'{where}: map has no entry for key "{claim}"')
        if match[1]:
            return values[claim]
        return match[4] if values[claim] == match[3] else match[5]

    if "{{" in template:
        return _REFERENCE.sub(value, template)
    if template not in values:
        detail = json.dumps({"ExtensionName": name, "Issuer": issuer}, indent="\t")
        raise UnacceptableClaimsError(f"value <{template}> not present in either claims or defaults. {detail}")
    return values[template]


def _extensions(issuer: str, values: Mapping[int, str], subject: str) -> Iterator[x509.UnrecognizedExtension]:
    """Order them by number; an empty value is left out."""
    for number, value in sorted({1: issuer, 8: issuer, 24: subject, **values}.items()):
        if value:
            content = value.encode() if number <= _LAST_RAW else der(_UTF8_STRING, value.encode())
            yield x509.UnrecognizedExtension(x509.ObjectIdentifier(f"{_ARC}.{number}"), content)

"""Verifiers of other people's, each run as its own program on a case; a verdict is the exit code and the last words.

Each trusts the Sigstore instance whose folder it is given, which holds ``trust_config.json`` and ``trusted_root.json``.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from sigstore._internal.tuf import DEFAULT_TUF_URL  # the name of its cache folder follows from it

from tests.judges import installs
from tests.judges.cases import PREDICATE, SAN, SIGNER

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tests.judges.cases import Case


@dataclass(frozen=True)
class Verdict:
    """What a program made of a case."""

    accepted: bool
    words: str


def sigstore_python(case: Case, instance: Path) -> Verdict:
    """Run ``sigstore verify identity`` on the bundle."""
    return _run(
        case,
        *(sys.executable, "-m", "sigstore", "--trust-config", instance / "trust_config.json", "verify", "identity"),
        *("--bundle", case.bundle, "--cert-identity", SAN, "--cert-oidc-issuer", SIGNER.issuer, case.artifact),
    )


def pypi_attestations(case: Case, instance: Path) -> Verdict:
    """Run ``pypi-attestations verify attestation`` on the sidecar."""
    command = (sys.executable, "-m", "pypi_attestations", "verify", "attestation", "--offline")
    return _run(case, *command, "--identity", SAN, case.artifact, env=as_production(instance))


def pypi_policy(case: Case, instance: Path) -> Verdict:
    """Run ``pypi-attestations verify pypi`` on the provenance: the publisher's policy, as PyPI itself applies it."""
    return _run(
        case,
        *(sys.executable, "-m", "pypi_attestations", "verify", "pypi", "--offline"),
        *("--repository", f"https://github.com/{SIGNER.repository}"),
        *("--provenance-file", case.provenance, case.artifact),
        env=as_production(instance),
    )


def sigstore_js(case: Case, instance: Path) -> Verdict:
    """Run sigstore-js on the bundle; it does not see the artifact."""
    script = installs.node_modules() / "verify.mjs"
    return _run(case, "node", script, case.bundle, instance / "trusted_root.json", SAN, SIGNER.issuer)


def cosign(case: Case, instance: Path) -> Verdict:
    """Run ``cosign verify-blob-attestation`` (sigstore-go) on bundle and artifact."""
    return _run(
        case,
        *(installs.go_programs() / "cosign", "verify-blob-attestation", "--bundle", case.bundle),
        *("--trusted-root", instance / "trusted_root.json", "--type", PREDICATE),
        *("--certificate-identity", SAN, "--certificate-oidc-issuer", SIGNER.issuer, case.artifact),
        env={"HOME": str(instance)},
    )


def hatch_attest(case: Case, instance: Path) -> Verdict:
    """Run our own ``hatch-attest verify`` on the sidecar, to be seen beside the others."""
    return _run(
        case,
        *(sys.executable, "-m", "hatch_attest", "verify"),
        *("--repository", SIGNER.repository, "--workflow", SIGNER.workflow, case.artifact),
        env={"HATCH_ATTEST_SIGSTORE": str(instance / "trust_config.json")},
    )


VERIFIERS: dict[str, Callable[[Case, Path], Verdict]] = {
    "sigstore-python": sigstore_python,
    "pypi-attestations": pypi_attestations,
    "PyPI's policy": pypi_policy,
    "sigstore-js": sigstore_js,
    "cosign": cosign,
    "hatch-attest": hatch_attest,
}


def as_production(instance: Path) -> dict[str, str]:
    """Return an environment where sigstore-python, offline, takes this instance for the production instance."""
    cache = instance / "cache"
    folder = cache / "sigstore-python" / "tuf" / quote(DEFAULT_TUF_URL, safe="")
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(instance / "trusted_root.json", folder)
    shutil.copy(instance / "signing_config.json", folder / "signing_config.v0.2.json")
    return {"XDG_CACHE_HOME": str(cache), "XDG_DATA_HOME": str(instance / "data")}


def _run(case: Case, *command: str | Path, env: Mapping[str, str] | None = None) -> Verdict:
    done = subprocess.run(
        [str(word) for word in command],
        env={**os.environ, "COLUMNS": "1000", **(env or {})},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    words = _last_words(done.stdout + done.stderr)
    return Verdict(done.returncode == 0, words.replace(f"{case.artifact.parent}{os.sep}", ""))


def _last_words(output: str) -> str:
    """Return the last line that says something: no hints where to read on, no decoration of a logger."""
    lines = [re.sub(r"^(\[[\d:]+\])?\s*(ERROR)?|\S+\.py:\d+\s*$", "", line).strip() for line in output.splitlines()]
    said = [line for line in lines if line and not line.startswith(("For detailed", "For further"))]
    return said[-1] if said else ""

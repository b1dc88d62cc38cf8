"""Verifiers of other people's, each run as its own program on a case; a verdict is the exit code and the last words."""

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

from tests.judges.cases import PREDICATE, SAN, SIGNER

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tests.judges.cases import Case
    from tests.judges.real_sigstore import RealSigstore


@dataclass(frozen=True)
class Verdict:
    """What a program made of a case."""

    accepted: bool
    words: str


def sigstore_python(real: RealSigstore) -> Callable[[Case], Verdict]:
    """Return ``sigstore verify identity`` on the bundle."""

    def verify(case: Case) -> Verdict:
        return _run(
            case,
            *(sys.executable, "-m", "sigstore", "--trust-config", real.trust_config, "verify", "identity"),
            *("--bundle", case.bundle, "--cert-identity", SAN, "--cert-oidc-issuer", SIGNER.issuer, case.artifact),
        )

    return verify


def pypi_attestations(real: RealSigstore) -> Callable[[Case], Verdict]:
    """Return ``pypi-attestations verify attestation`` on the sidecar."""
    env = offline_production(real)

    def verify(case: Case) -> Verdict:
        command = (sys.executable, "-m", "pypi_attestations", "verify", "attestation", "--offline")
        return _run(case, *command, "--identity", SAN, case.artifact, env=env)

    return verify


def pypi_provenance(real: RealSigstore) -> Callable[[Case], Verdict]:
    """Return ``pypi-attestations verify pypi`` on the provenance: the publisher's policy, as PyPI itself applies it."""
    env = offline_production(real)

    def verify(case: Case) -> Verdict:
        return _run(
            case,
            *(sys.executable, "-m", "pypi_attestations", "verify", "pypi", "--offline"),
            *(
                "--repository",
                f"https://github.com/{SIGNER.repository}",
                "--provenance-file",
                case.provenance,
                case.artifact,
            ),
            env=env,
        )

    return verify


def sigstore_js(real: RealSigstore, node_modules: Path) -> Callable[[Case], Verdict]:
    """Return sigstore-js on the bundle; it does not see the artifact."""

    def verify(case: Case) -> Verdict:
        trusted_root = real.directory / "trusted_root.json"
        return _run(case, "node", node_modules / "verify.mjs", case.bundle, trusted_root, SAN, SIGNER.issuer)

    return verify


def cosign(real: RealSigstore, programs: Path) -> Callable[[Case], Verdict]:
    """Return ``cosign verify-blob-attestation`` (sigstore-go) on bundle and artifact."""

    def verify(case: Case) -> Verdict:
        return _run(
            case,
            *(programs / "cosign", "verify-blob-attestation", "--bundle", case.bundle),
            *("--trusted-root", real.directory / "trusted_root.json", "--type", PREDICATE),
            *("--certificate-identity", SAN, "--certificate-oidc-issuer", SIGNER.issuer, case.artifact),
            env={"HOME": str(real.directory)},
        )

    return verify


def hatch_attest(real: RealSigstore) -> Callable[[Case], Verdict]:
    """Return our own ``hatch-attest verify`` on the sidecar, to be seen beside the others."""
    env = {"HATCH_ATTEST_SIGSTORE": str(real.trust_config)}

    def verify(case: Case) -> Verdict:
        return _run(case, sys.executable, "-m", "hatch_attest", "verify", case.artifact, env=env)

    return verify


def offline_production(real: RealSigstore) -> dict[str, str]:
    """Return an environment where sigstore-python's cache of production's trusted root holds the one of `real`."""
    cache = real.directory / "cache"
    folder = cache / "sigstore-python" / "tuf" / quote(DEFAULT_TUF_URL, safe="")
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(real.directory / "trusted_root.json", folder)
    return {"XDG_CACHE_HOME": str(cache), "XDG_DATA_HOME": str(real.directory / "data")}


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

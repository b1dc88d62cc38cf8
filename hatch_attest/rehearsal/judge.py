"""The judge: a process of its own that asks the unmodified pypi_attestations library about a release's provenance.

``python -m hatch_attest.rehearsal.judge CASES VERDICTS ROOT DIRECTORY`` reads a JSON list of ``{"artifact",
"provenance"}`` (paths) and writes a JSON list of ``{"holds", "publisher", "reason"}`` in the same order.

``Attestation.verify`` of that library knows Sigstore's public instances only, and offline takes their trusted root from
sigstore's cache. Here that cache is a private one, below DIRECTORY, with the trusted root ROOT in it.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any


def main() -> None:
    """Judge the cases of the file that the command line names."""
    cases, verdicts, trusted_root, directory = map(Path, sys.argv[1:])
    _believe(trusted_root, directory)
    listed = json.loads(cases.read_text(encoding="utf-8"))
    judged = [_judge(Path(case["artifact"]), Path(case["provenance"])) for case in listed]
    verdicts.write_text(json.dumps(judged), encoding="utf-8")


def _believe(trusted_root: Path, directory: Path) -> None:
    """Put the trusted root where sigstore looks for that of its public instance; never into a user's own cache."""
    from sigstore._internal.tuf import DEFAULT_TUF_URL, _get_dirs

    _, targets = _get_dirs(DEFAULT_TUF_URL)
    if directory not in targets.parents:
        sys.exit(f"sigstore's cache would be {targets}, which is not the rehearsal's: update platformdirs")
    targets.mkdir(parents=True, exist_ok=True)
    (targets / "trusted_root.json").write_bytes(trusted_root.read_bytes())


def _judge(artifact: Path, provenance: Path) -> dict[str, Any]:
    from pydantic import ValidationError
    from pypi_attestations import AttestationError, Distribution, Provenance

    try:
        bundles = Provenance.model_validate_json(provenance.read_bytes()).attestation_bundles
        distribution = Distribution.from_file(artifact)
        for bundle in bundles:
            for attestation in bundle.attestations:
                attestation.verify(bundle.publisher, distribution, offline=True)
    except (AttestationError, ValidationError) as error:
        return {"holds": False, "publisher": None, "reason": str(error).splitlines()[0]}
    # Nothing attested is nothing verified, whatever a loop over it says.
    if not any(bundle.attestations for bundle in bundles):
        return {"holds": False, "publisher": None, "reason": "the provenance holds no attestation"}
    publisher = bundles[0].publisher.model_dump(mode="json", exclude_none=True)
    return {"holds": True, "publisher": publisher, "reason": None}


if __name__ == "__main__":
    main()

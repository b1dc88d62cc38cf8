"""Other people's verifiers on what we signed, good and tampered with: each cell is a program's own verdict."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.judges.cases import Case, Cases
    from tests.judges.real_sigstore import RealSigstore
    from tests.judges.report import Report
    from tests.judges.verifiers import Verdict

VERIFIERS = ("sigstore-python", "pypi-attestations", "PyPI's policy", "sigstore-js", "cosign", "hatch-attest")
# What a statement must say is the business of PEP 740; Sigstore's own tools ask for the digest at most, sigstore-js for
# nothing (npm compares the digest itself).
SIGSTORES_OWN = {"sigstore-python", "sigstore-js", "cosign"}
ACCEPTED_BY: dict[str, set[str]] = {
    "good": set(VERIFIERS),
    "flipped artifact byte": {"sigstore-js"},
    "flipped statement byte": set(),
    "foreign certificate": set(),
    "removed inclusion proof": set(),
    "expired certificate": set(),
    "wrong subject name": SIGSTORES_OWN,
    "two subjects": SIGSTORES_OWN,
    "another workflow": set(),
}
Verdicts = dict[tuple[str, str], "Verdict"]


@pytest.fixture(scope="module")
def verdicts(report: Report) -> Iterator[Verdicts]:
    """Collect the verdicts for the table."""
    verdicts: Verdicts = {}
    yield verdicts
    given = [name for name in VERIFIERS if any(verifier == name for _, verifier in verdicts)]
    marks = {key: "accepts" if verdict.accepted else "refuses" for key, verdict in verdicts.items()}
    report.table(
        "verdicts",
        ["case", *given],
        ([case, *(marks.get((case, verifier), "-") for verifier in given)] for case in ACCEPTED_BY),
    )
    report.table(
        "refusals, in the verifiers' own words",
        ["case", "verifier", "words"],
        ([*key, verdict.words[:160]] for key, verdict in sorted(verdicts.items()) if not verdict.accepted),
    )


@pytest.fixture(scope="module", params=VERIFIERS)
def verifier(
    request: pytest.FixtureRequest, real: RealSigstore, programs: Path
) -> tuple[str, Callable[[Case], Verdict]]:
    """Return each verifier, with its name."""
    from tests.judges import verifiers

    makers: dict[str, Callable[[], Callable[[Case], Verdict]]] = {
        "sigstore-python": lambda: verifiers.sigstore_python(real),
        "pypi-attestations": lambda: verifiers.pypi_attestations(real),
        "PyPI's policy": lambda: verifiers.pypi_provenance(real),
        "sigstore-js": lambda: verifiers.sigstore_js(real, request.getfixturevalue("node_modules")),
        "cosign": lambda: verifiers.cosign(real, programs),
        "hatch-attest": lambda: verifiers.hatch_attest(real),
    }
    return request.param, makers[request.param]()


@pytest.mark.parametrize("case", ACCEPTED_BY)
def test_a_verifier_takes_what_holds_and_refuses_what_was_tampered_with(
    case: str, verifier: tuple[str, Callable[[Case], Verdict]], cases: Cases, verdicts: Verdicts
) -> None:
    """Broken if another program does not take our attestation, or if a forgery would pass as ours."""
    name, verify = verifier
    verdict = verdicts[case, name] = verify(cases.cases[case])
    assert verdict.accepted == (name in ACCEPTED_BY[case]), verdict.words

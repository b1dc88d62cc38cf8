"""Other people's verifiers on what we signed, good and tampered with: each cell is a program's own verdict."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from hatch_attest.sandbox import Sandbox

if TYPE_CHECKING:
    from collections.abc import Iterator

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


@pytest.fixture(scope="module")
def sandbox_case(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Case]:
    """Sign on a sandbox; its files lie beside the artifact."""
    from tests.judges import cases
    from tests.judges.real_sigstore import write_parts

    with Sandbox(tmp_path_factory.mktemp("sandbox")) as sandbox:
        write_parts(sandbox.directory, sandbox.trust_config())
        case = cases.Case(sandbox.directory / cases.NAME)
        case.artifact.write_bytes(cases.WHEEL.content)
        cases.sign(case, sandbox.directory / "trust_config.json", sandbox.issuer.token("sigstore"))
        yield case


@pytest.fixture(params=VERIFIERS)
def verifier(request: pytest.FixtureRequest) -> str:
    """Return each verifier's name, once it is installed."""
    if request.param == "sigstore-js":
        request.getfixturevalue("node_modules")
    return str(request.param)


@pytest.mark.parametrize("case", ACCEPTED_BY)
def test_a_verifier_takes_what_holds_and_refuses_what_was_tampered_with(
    case: str, verifier: str, cases: Cases, real: RealSigstore, verdicts: Verdicts
) -> None:
    """Broken if another program does not take our attestation, or if a forgery would pass as ours."""
    from tests.judges.verifiers import VERIFIERS as VERIFY

    verdict = verdicts[case, verifier] = VERIFY[verifier](cases.cases[case], real.directory)
    assert verdict.accepted == (verifier in ACCEPTED_BY[case]), verdict.words


@pytest.mark.usefixtures("programs")
def test_a_verifier_takes_what_the_sandbox_signed(verifier: str, sandbox_case: Case) -> None:
    """Broken if a rehearsal's attestations are such as no other program would take."""
    from tests.judges.verifiers import VERIFIERS as VERIFY

    verdict = VERIFY[verifier](sandbox_case, sandbox_case.artifact.parent)
    assert verdict.accepted, verdict.words

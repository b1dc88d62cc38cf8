"""Indexes that verify: the sandbox's, which must be as strict as PyPI, and Pulp, whose code nobody of us wrote."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
import pytest

from tests.judges.test_verifiers import ACCEPTED_BY

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.judges.cases import Case, Cases
    from tests.judges.pulp import PulpIndex
    from tests.judges.report import Report
    from tests.judges.workshop import JudgedSandbox

# Pulp leaves it to its administrators who may upload, and does not look at who signed.
ACCEPTED = {"the sandbox's index": {"good"}, "Pulp": {"good", "another workflow"}}


@pytest.fixture(params=ACCEPTED)
def upload(request: pytest.FixtureRequest) -> Callable[[Case], str]:
    """Return what uploads a case to each index, and gives back the refusal; empty where there is none."""
    upload: Callable[[Case], str] = request.getfixturevalue("to_pulp" if request.param == "Pulp" else "to_sandbox")
    return upload


@pytest.fixture
def to_sandbox(judged: JudgedSandbox) -> Callable[[Case], str]:
    """Upload to the sandbox's index, by Trusted Publishing."""
    from tests.judges.cases import upload_form
    from tests.judges.workshop import minted_token, secure_client

    judged.index.add_publisher("widget", repository="octo-org/widget", workflow="release.yml")
    auth = ("__token__", minted_token(judged))

    def upload(case: Case) -> str:
        files = {"content": (case.artifact.name, case.artifact.read_bytes())}
        with secure_client(judged) as client:
            answer = client.post(judged.index.upload_url, data=upload_form(case), files=files, auth=auth)
        assert answer.is_success == bool(judged.index.files("widget"))
        return "" if answer.is_success else f"{answer.status_code} {answer.reason_phrase}"

    return upload


@pytest.fixture
def to_pulp(pulp_index: PulpIndex) -> Callable[[Case], str]:
    """Upload to Pulp, whose refusal may come in a task only, after it took the upload."""
    from tests.judges.cases import upload_form
    from tests.judges.pulp import PASSWORD, USER

    def upload(case: Case) -> str:
        files = {"content": (case.artifact.name, case.artifact.read_bytes())}
        answer = httpx.post(
            pulp_index.upload_url, data=upload_form(case), files=files, auth=(USER, PASSWORD), trust_env=False
        )
        failed = pulp_index.pulp.failed_tasks()
        assert bool(failed or answer.is_error) != bool(pulp_index.files("widget"))
        return "; ".join(failed) if answer.is_success else f"{answer.status_code} {answer.text}"

    return upload


@pytest.fixture(scope="module")
def refusals(report: Report) -> Iterator[dict[tuple[str, str], str]]:
    """Collect the indexes' refusals for the table."""
    refusals: dict[tuple[str, str], str] = {}
    yield refusals
    verdicts = {
        key: f"refuses: {words.rpartition('failed: ')[2][:100]}" if words else "accepts"
        for key, words in refusals.items()
    }
    rows = [[case, *(verdicts.get((case, index), "-") for index in ACCEPTED)] for case in ACCEPTED_BY]
    report.table("what indexes make of the same", ["case", *ACCEPTED], rows)


@pytest.mark.parametrize("case", ACCEPTED_BY)
def test_an_index_takes_what_holds_and_refuses_what_was_tampered_with(
    case: str,
    upload: Callable[[Case], str],
    cases: Cases,
    refusals: dict[tuple[str, str], str],
    request: pytest.FixtureRequest,
) -> None:
    """Broken if an index would take a forgery, or would not take our attestation."""
    index = request.node.callspec.params["upload"]
    refusal = refusals[case, index] = upload(cases.cases[case])
    assert (not refusal) == (case in ACCEPTED[index]), refusal

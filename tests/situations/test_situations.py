"""The table of situations: each refused, resumed or accepted as it should be, and nothing irrevocable too early."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING

import pytest

from hatch_attest.errors import CATALOGUE
from tests.publishing import Job, Run
from tests.situations import artifacts, configuration, identities, indexes  # noqa: F401 - they register situations
from tests.situations.situations import ALL, Situation

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from hatch_attest.sandbox import Sandbox

# What an index says only when it is asked to exchange the token; nothing is uploaded by then.
REFUSED_BY_EXCHANGE = {
    "exchange-invalid-publisher",
    "exchange-malformed",
    "exchange-not-enabled",
    "exchange-refused",
}
# Three parts of base64 as in a JSON Web Token; PyPI's tokens.
SECRETS = re.compile(r"eyJ[\w-]+\.|pypi-[\w-]{16}")


@pytest.fixture
def job(tmp_path: Path, sandbox: Sandbox, clean_environ: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Job:
    """A job that may publish `widget`, in a path with a space and other letters, with little patience."""
    monkeypatch.setattr("hatch_attest.retries._FIRST_WAIT", 0.01)
    monkeypatch.setattr("hatch_attest.gate.proof.PATIENCE", 0.2)
    sandbox.index.add_publisher("widget", repository="octo-org/widget", workflow="release.yml")
    return Job(tmp_path / "my prøject", sandbox, clean_environ)


def test_there_are_at_least_forty_situations() -> None:
    """The table is a promise; a registration that is lost would go unnoticed."""
    assert len(ALL) >= 40
    assert len({situation.name for situation in ALL}) == len(ALL)


@pytest.mark.parametrize("situation", ALL, ids=[f"{each.outcome}: {each.name}" for each in ALL])
def test_the_situation_ends_as_it_should(
    situation: Situation, job: Job, record_property: Callable[[str, object], None]
) -> None:
    """Whoever publishes must be able to rely on it: an upload and a log entry cannot be taken back."""
    arguments = situation.prepare(job) or []
    before = (job.uploads(), job.entries(), job.exchanges())
    present = job.on_index()

    run = job.publish(*arguments)

    uploads, entries, exchanges = (now - then for now, then in zip(counts(job), before, strict=True))
    record_property("uploads", uploads)
    record_property("entries", entries)
    assert not SECRETS.search(run.output)
    assert "Traceback" not in run.output
    for words in situation.said:
        assert words in run.output
    if situation.outcome.startswith("refused"):
        assert_refused(situation, run)
        assert job.on_index() == present
        assert entries == (situation.signed or 0)
        if situation.outcome == "refused":
            assert (uploads, exchanges) == (0, int(situation.code in REFUSED_BY_EXCHANGE))
    else:
        assert run.code == 0, run.output
        assert job.on_index() == {
            path.name: hashlib.sha256(path.read_bytes()).hexdigest()
            for path in job.dist.iterdir()
            if path.name.endswith((".whl", ".tar.gz"))
        }
        assert set(run.states.values()) <= {"uploaded", "there already"}
        if situation.signed is not None:
            assert entries == situation.signed


def counts(job: Job) -> tuple[int, int, int]:
    return job.uploads(), job.entries(), job.exchanges()


def assert_refused(situation: Situation, run: Run) -> None:
    assert run.code == 1, run.output
    assert situation.code in CATALOGUE
    assert run.report["outcome"] == "failed"
    assert run.report["failure"]["code"] == situation.code, run.output
    assert set(run.states.values()) <= {"not uploaded", "there already"}

"""The index in other shapes than PyPI's: with passwords, as Pulp has them, and with PyPI's switches turned."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from hatch_attest.sandbox.index import Index
from tests.sandbox.index_support import sdist, sign, started, wheel, whole_sandbox

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hatch_attest.sandbox import Sandbox
    from tests.sandbox.index_support import Site

GOOD = wheel()


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """One sandbox for all."""
    with whole_sandbox(tmp_path_factory.mktemp("sandbox")) as (sandbox, _):
        yield sandbox


@pytest.fixture
def pulp(sandbox: Sandbox) -> Iterator[Site]:
    """An index that takes a name and a password, and has no Trusted Publishing."""
    index = Index({}, sandbox.trusted_root, trusted_publishing=False, passwords={"admin": "s3cret-word"})
    with started(index) as site:
        yield site


def test_a_password_brings_attestations_whoever_signed(sandbox: Sandbox, pulp: Site) -> None:
    """Broken: uploads to Pulp and the like could not be tested."""
    response = pulp.upload(GOOD, "s3cret-word", user="admin", attestations=sign(sandbox, GOOD))
    assert response.status_code == 200
    provenance = pulp.get(f"/integrity/widget/1.0/{GOOD.filename}/provenance").json()
    [bundle] = provenance["attestation_bundles"]
    assert bundle["publisher"] == {"kind": "Pulp User", "prn": "prn:auth.user:admin"}
    assert len(bundle["attestations"]) == 1


def test_a_password_does_not_make_a_false_attestation_true(sandbox: Sandbox, pulp: Site) -> None:
    """Broken: where the identity is not asked for, nothing would be verified at all."""
    response = pulp.upload(GOOD, "s3cret-word", user="admin", attestations=sign(sandbox, wheel(RECORD=b"other")))
    assert response.status_code == 400
    assert response.reason_phrase.endswith("subject does not match distribution digest")


@pytest.mark.parametrize(("user", "word"), [("admin", "wrong"), ("nobody", "s3cret-word"), ("admin", "")])
def test_a_wrong_password_is_refused(pulp: Site, user: str, word: str) -> None:
    """Broken: any password would do."""
    response = pulp.upload(GOOD, word, user=user)
    assert response.status_code == 403
    assert response.reason_phrase.startswith("Invalid or non-existent authentication information.")


def test_tokens_are_taken_beside_passwords(pulp: Site) -> None:
    """Broken: an index has either; this one would lose the other."""
    assert pulp.upload(GOOD, pulp.index.add_token("admin")).status_code == 200
    assert pulp.upload(sdist(), "s3cret-word", user="admin").status_code == 200


@pytest.mark.parametrize(
    ("flag", "words"),
    [
        ("read_only", "Read-only mode: Uploads are temporarily disabled."),
        (
            "disallow_new_upload",
            (
                "New uploads are temporarily disabled."
                " See https://pypi.org/help/#admin-intervention for more information."
            ),
        ),
    ],
)
def test_uploads_can_be_switched_off_as_by_pypis_administrators(sandbox: Sandbox, flag: str, words: str) -> None:
    """Broken: PyPI's answers in an incident could not be played."""
    with started(Index({}, sandbox.trusted_root)) as site:
        token = site.index.add_token()
        setattr(site.index.flags, flag, True)
        response = site.upload(GOOD, token)
        assert (response.status_code, response.reason_phrase) == (403, words)
        setattr(site.index.flags, flag, False)
        assert site.upload(GOOD, token).status_code == 200

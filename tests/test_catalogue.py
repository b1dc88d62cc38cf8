"""The catalogue of failures: every text is what was agreed, and every entry is raised somewhere."""

from __future__ import annotations

import os
import re
import string
from pathlib import Path

import pytest

import hatch_attest
from hatch_attest.errors import CATALOGUE, AttestError, ConfigurationError, redact

SNAPSHOT = Path(__file__).parent / "snapshots" / "catalogue.txt"
SOURCES = sorted(Path(hatch_attest.__file__).parent.rglob("*.py"))
# Set it to write the snapshot anew; then read the difference.
UPDATE = "HATCH_ATTEST_UPDATE_SNAPSHOTS"


def fields(code: str) -> dict[str, str]:
    """Fill each template's fields with their own names."""
    failure = CATALOGUE[code]
    names = {
        name for text in (failure.what, failure.remedy) for _, name, _, _ in string.Formatter().parse(text) if name
    }
    return {name: f"<{name}>" for name in names}


def text(code: str) -> str:
    return f"{code}\n    {AttestError(code, cause='<cause>', **fields(code))}\n"


def test_every_text_is_the_one_that_was_agreed() -> None:
    """People search for these texts, and documentation quotes them: a change must be seen by whoever reviews it."""
    rendered = "".join(map(text, CATALOGUE))
    if os.environ.get(UPDATE):
        SNAPSHOT.parent.mkdir(exist_ok=True)
        SNAPSHOT.write_text(rendered, encoding="utf-8")

    assert rendered == SNAPSHOT.read_text(encoding="utf-8"), (
        f"if it is meant so: {UPDATE}=1 pytest {Path(__file__).name}"
    )


@pytest.mark.parametrize("code", CATALOGUE)
def test_each_entry_says_what_failed_and_what_to_do(code: str) -> None:
    """A failure without a way out leaves the user alone; a sentence that ends twice looks careless."""
    failure = CATALOGUE[code]

    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", code)
    assert failure.what
    assert not failure.what.endswith(".")
    assert failure.remedy.endswith(".")


def test_nothing_in_the_catalogue_is_dead() -> None:
    """An entry that nothing raises is a promise that nobody keeps."""
    code = "".join(path.read_text(encoding="utf-8") for path in SOURCES if path.name != "errors.py")
    quoted = set(re.findall(r'"([a-z0-9-]+)"', code))

    assert {entry for entry in CATALOGUE if entry not in quoted} - {"configuration"} == set()


def test_several_problems_are_listed_one_a_line() -> None:
    """Whoever mends a configuration wants all of it at once."""
    error = ConfigurationError(["a: wrong", "b: missing"])

    assert str(error) == "2 problems in the configuration of hatch-attest:\n  - a: wrong\n  - b: missing"


@pytest.mark.parametrize(
    "secret",
    [
        "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ4In0.c2ln",
        "pypi-AgEIcHlwaS5vcmcCJDAwMDA",
        "Bearer abcdefghijkl",
        "basic dXNlcjpwdw==",
    ],
)
def test_a_secret_in_a_cause_is_not_repeated(secret: str) -> None:
    """A service may quote what it was sent; CI's log is public."""
    error = AttestError("exchange-refused", cause=f"the token {secret} is bad", host="h")

    assert secret not in str(error)
    assert "***" in redact(secret)

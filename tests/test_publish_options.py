"""The publisher's options: their order, their types, and what a project's files may not decide."""

from __future__ import annotations

import pytest

from hatch_attest.errors import ConfigurationError
from hatch_attest.publish_options import Flag, PublishOptions, parse_publish_options


def test_without_anything_the_defaults_hold() -> None:
    """The defaults are the contract's: signed, attached, to PyPI."""
    assert parse_publish_options({}, {}, {}, {}) == PublishOptions()
    assert PublishOptions().repo == "main"
    assert PublishOptions().attestations == "always"
    assert PublishOptions().sign_missing


PLACES = [
    ({"repo": Flag("flag")}, "flag"),
    ({"repo": Flag("variable", "HATCH_INDEX_REPO")}, "variable"),
    ({}, "option"),
]


@pytest.mark.parametrize(("flags", "expected"), PLACES)
def test_flag_then_variable_then_option(flags: dict[str, Flag], expected: str) -> None:
    """Whoever types a flag means this run, whatever is set elsewhere."""
    options = {} if expected == "flag" else {"repo": "option"}
    parsed = parse_publish_options(flags, options, {"repo": "project"}, {"repo": "hatch"})

    assert parsed.repo == expected
    assert parsed.given == {"repo"}


def test_the_projects_table_wins_over_hatchs_config() -> None:
    """A project knows where it is released; a person's machine-wide config does not."""
    parsed = parse_publish_options({}, {}, {"attestations": "auto"}, {"attestations": "never", "user": "me"})

    assert (parsed.attestations, parsed.user) == ("auto", "me")
    assert parsed.given == frozenset()
    assert parsed.decided == {
        "attestations": "tool.hatch.publish.attest.attestations",
        "user": "publish.attest.user",
    }


@pytest.mark.parametrize(
    ("text", "value"), [("true", True), ("True", True), ("1", True), ("false", False), ("FALSE", False), ("0", False)]
)
def test_an_option_says_true_and_false_in_words(text: str, *, value: bool) -> None:
    """`-o` has strings only."""
    assert parse_publish_options({}, {"dry-run": text}, {}, {}).dry_run is value


@pytest.mark.parametrize(
    ("options", "project", "hatch", "problem"),
    [
        ({"dry-run": ""}, {}, {}, "-o dry-run: must be true or false, not ''"),
        ({"dry-run": "maybe"}, {}, {}, "-o dry-run: must be true or false, not 'maybe'"),
        ({}, {"dry-run": "true"}, {}, "tool.hatch.publish.attest.dry-run: must be true or false, not 'true'"),
        ({"attestations": "Always"}, {}, {}, "-o attestations: must be one of"),
        ({"attestation": "always"}, {}, {}, "-o attestation: unknown option (did you mean 'attestations'?)"),
        ({"sigstore": "staging"}, {}, {}, "-o sigstore: unknown option (it belongs into the build hook's table"),
        ({}, {"repo": "https://example.org/legacy/"}, {}, "must be the name of a repository, not a URL"),
        ({}, {"repo": "example.org/legacy"}, {}, "must be the name of a repository, not a URL"),
        ({}, {"auth": "hunter2"}, {}, "a secret does not belong into a project's files"),
        ({}, {"json": 7}, {}, "tool.hatch.publish.attest.json: must be a string"),
        ({}, {}, {"client-key": "key.pem"}, "publish.attest.client-key: needs a client certificate"),
        ({"repo": " "}, {}, {}, "-o repo: must be a string that is not empty"),
    ],
)
def test_a_mistake_is_named_with_its_place(
    options: dict[str, str], project: dict[str, object], hatch: dict[str, object], problem: str
) -> None:
    """Whoever mends it must find it."""
    with pytest.raises(ConfigurationError) as caught:
        parse_publish_options({}, options, project, hatch)

    assert len(caught.value.problems) == 1
    assert problem in caught.value.problems[0]
    assert "hunter2" not in str(caught.value)


def test_hatchs_own_key_passes() -> None:
    """`disable` is Hatch's to read."""
    assert parse_publish_options({}, {}, {"disable": True}, {"disable": False}) == PublishOptions()


def test_a_flag_and_an_option_that_agree_are_fine() -> None:
    """Only a contradiction is a mistake."""
    assert parse_publish_options({"repo": Flag("test")}, {"repo": "test"}, {}, {}).repo == "test"


def test_secrets_do_not_show() -> None:
    """Options end up in logs and tracebacks."""
    parsed = parse_publish_options({"auth": Flag("hunter2")}, {}, {}, {})

    assert parsed.auth == "hunter2"
    assert "hunter2" not in repr(parsed)

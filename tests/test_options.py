"""The hook's table: every problem at once, each with its place."""

from __future__ import annotations

from typing import Any

import pytest

from hatch_attest.errors import ConfigurationError
from hatch_attest.options import HookOptions, TrustedPublisher, parse_hook_options

PATH = "tool.hatch.build.hooks.attest"


def parse(table: dict[str, Any], **environ: str) -> HookOptions:
    return parse_hook_options(table, PATH, environ)


def problems(table: dict[str, Any], **environ: str) -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        parse(table, **environ)
    return list(caught.value.problems)


def test_an_empty_table_means_the_defaults() -> None:
    """The recommended table has no keys of ours."""
    assert parse({}) == HookOptions("auto", "production", None, ("publish",), False, ())


def test_keys_of_hatchling_pass() -> None:
    """They stand in the same table."""
    table = {
        "enable-by-default": False,
        "dependencies": ["hatch-attest[sign]"],
        "require-runtime-dependencies": True,
        "require-runtime-features": ["x"],
    }
    assert parse(table) == HookOptions()


@pytest.mark.parametrize(
    ("table", "publisher"),
    [
        (
            {"kind": "GitHub", "repository": "o/n", "workflow": "release.yml"},
            TrustedPublisher("GitHub", "o/n", "release.yml"),
        ),
        (
            {"kind": "GitHub", "repository": "o/n", "workflow": "release.yml", "environment": "pypi"},
            TrustedPublisher("GitHub", "o/n", "release.yml", "pypi"),
        ),
        (
            {"kind": "GitLab", "repository": "group/sub/n", "workflow_filepath": ".gitlab-ci.yml"},
            TrustedPublisher("GitLab", "group/sub/n", ".gitlab-ci.yml"),
        ),
        ({"kind": "Google", "email": "a@b.c"}, TrustedPublisher("Google", email="a@b.c")),
    ],
)
def test_a_publisher_is_spelled_as_the_integrity_api_spells_it(
    table: dict[str, str], publisher: TrustedPublisher
) -> None:
    """Users copy it from there, and it must come out as it went in."""
    parsed = parse({"publisher": table}).publisher
    assert parsed == publisher
    assert parsed is not None
    assert parsed.as_json() == table


def test_all_problems_come_at_once_with_their_places() -> None:
    """One error for each run costs a run for each error."""
    found = problems(
        {
            "sgin": "auto",
            "sign": "allways",
            "sigstore": "",
            "publisher": {"kind": "GitHub", "repository": "nameonly", "workflow": ".github/workflows/r.yml", "env": 1},
            "predicates": ["publish", "slsa", "publsh"],
            "allow-public-log": "yes",
        }
    )
    assert found == [
        f"{PATH}.sgin: unknown key (did you mean 'sign'?)",
        f"{PATH}.sign: must be one of 'auto', 'always', 'never', not 'allways' (did you mean 'always'?)",
        (
            f"{PATH}.sigstore: must be 'production', 'staging', the path of a ClientTrustConfig file or the URL of a "
            "trusted instance, not ''"
        ),
        f"{PATH}.publisher.env: unknown key (did you mean 'environment'?)",
        f"{PATH}.publisher.repository: must be owner/name, not 'nameonly'",
        (
            f"{PATH}.publisher.workflow: must be the file name alone of a workflow (release.yml), not "
            "'.github/workflows/r.yml'"
        ),
        f"{PATH}.predicates: 'slsa' is not built yet; only 'publish' is",
        f"{PATH}.predicates: must be one of 'publish', not 'publsh' (did you mean 'publish'?)",
        f"{PATH}.allow-public-log: must be true or false, not 'yes'",
    ]


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        ({"publisher": "octo/widget"}, "must be a table"),
        ({"publisher": {"kind": ["GitHub"]}}, "publisher.kind: must be one of"),
        ({"publisher": {"kind": "Github"}}, "did you mean 'GitHub'?"),
        ({"publisher": {"kind": "CircleCI"}}, "must be one of 'GitHub', 'GitLab', 'Google'"),
        ({"publisher": {"kind": "GitHub", "repository": "o/n"}}, "publisher.workflow: missing"),
        ({"publisher": {"kind": "Google", "email": "someone"}}, "must be the e-mail address"),
        ({"predicates": []}, "must be a list of strings that is not empty"),
        ({"predicates": "publish"}, "must be a list of strings"),
        ({"predicates": ["publish", "publish"]}, "names the same predicate twice"),
        ({"sign": True}, "must be one of"),
        ({"sign": ["auto"]}, "must be one of"),
    ],
)
def test_a_bad_value_is_refused_with_what_it_must_be(table: dict[str, Any], expected: str) -> None:
    """A value that is silently ignored is the worst kind."""
    assert any(expected in problem for problem in problems(table))


def test_the_environment_overrides_the_table_and_is_named() -> None:
    """A value from nowhere would be a riddle."""
    options = parse({"sign": "never"}, HATCH_ATTEST_SIGN="always", HATCH_ATTEST_SIGSTORE="staging")
    assert (options.sign, options.sigstore) == ("always", "staging")
    assert [(each.key, each.variable) for each in options.overrides] == [
        ("sign", "HATCH_ATTEST_SIGN"),
        ("sigstore", "HATCH_ATTEST_SIGSTORE"),
    ]
    assert problems({}, HATCH_ATTEST_SIGN="yes")[0].startswith("HATCH_ATTEST_SIGN: must be one of")

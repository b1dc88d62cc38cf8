"""From an identity token to an upload token as on PyPI: which tokens are exchanged, which are refused in what words."""

from __future__ import annotations

import hashlib
import time
from typing import TYPE_CHECKING, Any

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from hatch_attest.sandbox import GitHubIdentity, GitLabIdentity, GoogleIdentity
from hatch_attest.sandbox.index import Index
from tests.sandbox.index_support import AUDIENCE, PUBLISHER, sdist, started, wheel, whole_sandbox

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hatch_attest.sandbox import Sandbox
    from tests.sandbox.index_support import Site

NO_PUBLISHER = "valid token, but no corresponding publisher ({})"
NOT_FOUND = NO_PUBLISHER.format("Publisher with matching claims was not found")
WORKFLOW = "octo-org/widget/.github/workflows/release.yml"


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """One sandbox, for its issuer's keys."""
    with whole_sandbox(tmp_path_factory.mktemp("sandbox")) as (sandbox, _):
        yield sandbox


@pytest.fixture
def site(sandbox: Sandbox) -> Iterator[Site]:
    """An index with one project, whose publisher is the identity that the sandbox plays."""
    with started(Index(sandbox.issuer.issuers(), sandbox.trusted_root)) as site:
        site.index.create_project("widget")
        site.index.add_publisher("widget", **PUBLISHER)
        yield site


def _error(response: httpx.Response) -> tuple[str, str]:
    assert response.status_code == 422
    body = response.json()
    assert body["message"] == "Token request failed"
    [error] = body["errors"]
    return error["code"], error["description"]


def test_the_identity_of_the_publisher_gets_an_upload_token(sandbox: Sandbox, site: Site) -> None:
    """Broken: the first step of every upload from a CI platform."""
    assert site.get("/_/oidc/audience").json() == {"audience": AUDIENCE}
    before = int(time.time())
    answer = site.mint(sandbox.issuer.token(AUDIENCE)).json()
    assert answer.keys() == {"success", "token", "expires"}
    assert answer["success"] is True
    assert answer["token"].startswith("pypi-")
    assert before + 900 <= answer["expires"] <= time.time() + 900
    assert site.upload(wheel(), answer["token"]).status_code == 200


MALFORMED: dict[str, tuple[Any, str]] = {
    "no JSON": (b"token", "1 validation error for TokenPayload"),
    "no token": ({}, "1 validation error for TokenPayload"),
    "a number": ({"token": 0}, "1 validation error for TokenPayload"),
    "no JWT": ({"token": "not-a-jwt"}, "malformed JWT"),
}


@pytest.mark.parametrize(("body", "words"), MALFORMED.values(), ids=MALFORMED.keys())
def test_what_is_no_token_is_an_invalid_payload(site: Site, body: Any, words: str) -> None:
    """Broken: a client's mistake would be a server error."""
    sent: dict[str, Any] = {"content": body} if isinstance(body, bytes) else {"json": body}
    code, description = _error(site.client.post(f"{site.url}/_/oidc/mint-token", **sent))
    assert code == "invalid-payload"
    assert description.startswith(words)


# Each row: what the token claims otherwise (None: not at all), the code, the description.
CLAIMS: dict[str, tuple[dict[str, Any], str, str]] = {
    "no issuer": ({"iss": None}, "invalid-payload", "malformed JWT"),
    "other issuer": ({"iss": "https://ci.example"}, "invalid-payload", "unknown trusted publishing issuer"),
    "a person": ({"iss": "https://oauth2.sigstore.dev/auth"}, "invalid-payload", "unknown trusted publishing issuer"),
    "key of another issuer": ({"iss": "https://gitlab.com"}, "invalid-token", "malformed or invalid token"),
    "audience sigstore": ({"aud": "sigstore"}, "invalid-token", "malformed or invalid token"),
    "two audiences": ({"aud": [AUDIENCE, "sigstore"]}, "invalid-token", "malformed or invalid token"),
    "expired": ({"exp": 1_000_000}, "invalid-token", "malformed or invalid token"),
    "no end": ({"exp": None}, "invalid-token", "malformed or invalid token"),
    "not yet": ({"nbf": 9_999_999_999}, "invalid-token", "malformed or invalid token"),
    "issued in the future": ({"iat": 9_999_999_999}, "invalid-token", "malformed or invalid token"),
    "other repository": ({"repository": "octo-org/gadget"}, "invalid-publisher", NOT_FOUND),
    "other workflow": (
        {"job_workflow_ref": "octo-org/widget/.github/workflows/test.yml@refs/tags/v1"},
        "invalid-publisher",
        NOT_FOUND,
    ),
    "no workflow": (
        {"job_workflow_ref": "release"},
        "invalid-publisher",
        NO_PUBLISHER.format("Could not job extract workflow filename from OIDC claims"),
    ),
    "reusable workflow of another repository": (
        {"job_workflow_ref": "octo-org/shared/.github/workflows/release.yml@refs/heads/main"},
        "invalid-publisher",
        NO_PUBLISHER.format(
            f"The job_workflow_ref claim does not match, expecting one of ['{WORKFLOW}@{'a' * 40}',"
            f" '{WORKFLOW}@refs/tags/v1'], got 'octo-org/shared/.github/workflows/release.yml@refs/heads/main'"
        ),
    ),
    "empty workflow ref": (
        {"job_workflow_ref": ""},
        "invalid-publisher",
        NO_PUBLISHER.format("Could not job extract workflow filename from OIDC claims"),
    ),
    "other subject": (
        {"sub": "repo:octo-org/gadget:ref:refs/tags/v1"},
        "invalid-publisher",
        NO_PUBLISHER.format("Check failed for required claim 'sub'"),
    ),
    "other owner": (
        {"repository_owner": "mallory"},
        "invalid-publisher",
        NO_PUBLISHER.format("Check failed for required claim 'repository_owner'"),
    ),
    "no event": ({"event_name": None}, "invalid-publisher", NO_PUBLISHER.format("Missing claim 'event_name'")),
    "no ref and sha": (
        {"ref": "", "sha": ""},
        "invalid-publisher",
        NO_PUBLISHER.format("The ref and sha claims are empty"),
    ),
    "pull_request_target": (
        {"event_name": "pull_request_target"},
        "invalid-publisher",
        NO_PUBLISHER.format("Publishing from a workflow invoked via 'pull_request_target' is not supported."),
    ),
}


@pytest.mark.parametrize(("claims", "code", "description"), CLAIMS.values(), ids=CLAIMS.keys())
def test_a_token_that_does_not_fit_is_refused(
    sandbox: Sandbox, site: Site, claims: dict[str, Any], code: str, description: str
) -> None:
    """Broken: an identity that PyPI refuses would get an upload token here, or hear another reason."""
    assert _error(site.mint(sandbox.issuer.token(AUDIENCE, **claims))) == (code, description)


def test_a_workflow_ref_by_commit_fits(sandbox: Sandbox, site: Site) -> None:
    """Broken: a deployment, whose token names the commit in place of the ref, would be refused."""
    token = sandbox.issuer.token(AUDIENCE, ref="", job_workflow_ref=f"{WORKFLOW}@{'a' * 40}")
    assert site.mint(token).status_code == 200


def test_a_token_signed_by_another_key_is_refused(sandbox: Sandbox, site: Site) -> None:
    """Broken: anybody could write a token."""
    genuine = sandbox.issuer.token(AUDIENCE)
    claims = jwt.decode(genuine, options={"verify_signature": False})
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    for key_id in (jwt.get_unverified_header(genuine)["kid"], "other"):
        forged = jwt.encode(claims, key, algorithm="RS256", headers={"kid": key_id})
        assert _error(site.mint(forged)) == ("invalid-token", "malformed or invalid token")
    unsigned = jwt.encode(claims, "", algorithm="none")
    assert _error(site.mint(unsigned)) == ("invalid-token", "malformed or invalid token")


def test_a_token_is_exchanged_once(sandbox: Sandbox, site: Site) -> None:
    """Broken: a stolen token could be exchanged again."""
    token = sandbox.issuer.token(AUDIENCE)
    assert site.mint(token).status_code == 200
    assert _error(site.mint(token)) == ("invalid-reuse-token", "invalid token: already used")


def test_a_refused_token_is_not_used_up(sandbox: Sandbox, site: Site) -> None:
    """Broken: after the publisher is registered, the same job could not go on."""
    token = sandbox.issuer.token(AUDIENCE, job_workflow_ref="octo-org/widget/.github/workflows/new.yml@refs/tags/v1")
    assert _error(site.mint(token))[0] == "invalid-publisher"
    site.index.add_publisher("widget", repository="octo-org/widget", workflow="new.yml")
    assert site.mint(token).status_code == 200


def test_repository_names_are_looked_up_as_written_as_on_pypi(sandbox: Sandbox, site: Site) -> None:
    """Broken: a publisher registered in other letter case would be found, which PyPI's look-up does not."""
    token = sandbox.issuer.token(AUDIENCE, identity=GitHubIdentity(repository="Octo-Org/Widget"))
    assert _error(site.mint(token)) == ("invalid-publisher", NOT_FOUND)


def test_the_owner_may_be_pinned_by_its_number(sandbox: Sandbox, site: Site) -> None:
    """Broken: whoever takes a deleted account's name could publish."""
    site.index.create_project("pinned")
    site.index.add_publisher(
        "pinned", repository="octo-org/pinned", workflow="release.yml", repository_owner_id="12345"
    )
    good = GitHubIdentity(repository="octo-org/pinned")
    assert site.mint(sandbox.issuer.token(AUDIENCE, identity=good)).status_code == 200
    token = sandbox.issuer.token(AUDIENCE, identity=good, repository_owner_id="666")
    assert _error(site.mint(token)) == ("invalid-publisher", NOT_FOUND)


def test_an_environment_is_demanded_where_the_publisher_names_one(sandbox: Sandbox, site: Site) -> None:
    """Broken: a job outside of the protected environment could mint."""
    site.index.create_project("guarded")
    site.index.add_publisher("guarded", repository="octo-org/guarded", workflow="release.yml", environment="PyPI")

    def mint(environment: str | None) -> httpx.Response:
        identity = GitHubIdentity(repository="octo-org/guarded", environment=environment)
        return site.mint(sandbox.issuer.token(AUDIENCE, identity=identity))

    assert mint("pypi").status_code == 200
    assert mint("PYPI").status_code == 200
    assert _error(mint(None)) == ("invalid-publisher", NOT_FOUND)
    assert _error(mint("testing")) == ("invalid-publisher", NOT_FOUND)


def test_the_publisher_with_the_environment_comes_before_the_one_without(sandbox: Sandbox, site: Site) -> None:
    """Broken: a token would be for another project's publisher than on PyPI."""
    for project, environment in (("general", None), ("special", "pypi")):
        site.index.create_project(project)
        site.index.add_publisher(project, repository="octo-org/both", workflow="release.yml", environment=environment)
    for environment, allowed, refused in (("pypi", "special", "general"), ("other", "general", "special")):
        identity = GitHubIdentity(repository="octo-org/both", environment=environment)
        token = site.upload_token(sandbox.issuer.token(AUDIENCE, identity=identity))
        assert site.upload(wheel(allowed), token).status_code == 200
        assert site.upload(wheel(refused), token).status_code == 403


def test_one_publisher_may_serve_several_projects(sandbox: Sandbox, site: Site) -> None:
    """Broken: a repository with several projects could upload one of them only."""
    site.index.create_project("gadget")
    site.index.add_publisher("gadget", **PUBLISHER)
    site.index.add_publisher("gadget", **PUBLISHER)
    token = site.upload_token(sandbox.issuer.token(AUDIENCE))
    assert [site.upload(wheel(name), token).status_code for name in ("widget", "gadget")] == [200, 200]


def test_a_pending_publisher_becomes_the_project_at_its_first_token(sandbox: Sandbox) -> None:
    """Broken: the first release of a project would need a project before."""
    with started(Index(sandbox.issuer.issuers(), sandbox.trusted_root)) as site:
        site.index.add_publisher("widget", **PUBLISHER)
        assert site.get("/simple/widget/").status_code == 404
        token = site.upload_token(sandbox.issuer.token(AUDIENCE))
        assert site.get("/simple/widget/").status_code == 200
        assert site.upload(wheel(), token).status_code == 200
        assert site.mint(sandbox.issuer.token(AUDIENCE)).status_code == 200


def test_a_pending_publisher_ends_when_somebody_else_makes_the_project(sandbox: Sandbox) -> None:
    """Broken: a pending publisher could take over a project."""
    with started(Index(sandbox.issuer.issuers(), sandbox.trusted_root)) as site:
        site.index.add_publisher("widget", **PUBLISHER)
        site.index.create_project("Widget", owner="mallory")
        token = sandbox.issuer.token(AUDIENCE)
        assert _error(site.mint(token)) == ("invalid-pending-publisher", "valid token, but project already exists")
        assert _error(site.mint(token)) == ("invalid-publisher", NOT_FOUND)


def test_a_publisher_is_pending_for_one_project_only(sandbox: Sandbox) -> None:
    """Broken: PyPI refuses the second registration, a rehearsal of a workspace would not show it."""
    index = Index(sandbox.issuer.issuers(), sandbox.trusted_root)
    index.add_publisher("widget", **PUBLISHER)
    index.add_publisher("Widget", **PUBLISHER)
    with pytest.raises(ValueError, match="pending for 'widget' already"):
        index.add_publisher("gadget", **PUBLISHER)


def test_a_replayed_token_is_no_pending_publisher_either(sandbox: Sandbox, site: Site) -> None:
    """Broken: a used token would make a project."""
    token = sandbox.issuer.token(AUDIENCE)
    assert site.mint(token).status_code == 200
    site.index.add_publisher("novelty", repository="octo-org/widget", workflow="release.yml", environment="pypi")
    claims = jwt.decode(token, options={"verify_signature": False})
    replayed = sandbox.issuer.token(AUDIENCE, jti=claims["jti"], environment="pypi")
    assert _error(site.mint(replayed)) == ("invalid-reuse-token", "invalid token: already used")
    assert site.get("/simple/novelty/").status_code == 404


GITLAB: dict[str, tuple[dict[str, Any], tuple[str, str] | None]] = {
    "fits": ({}, None),
    "other project": ({"project_path": "octo-org/gadget"}, ("invalid-publisher", NOT_FOUND)),
    "other file": (
        {"ci_config_ref_uri": "gitlab.com/octo-org/widget//other.yml@refs/tags/v1"},
        ("invalid-publisher", NOT_FOUND),
    ),
    "no file": (
        {"ci_config_ref_uri": "gitlab.com/octo-org/widget"},
        ("invalid-publisher", NO_PUBLISHER.format("Could not extract workflow filename from OIDC claims")),
    ),
    "file of another ref": (
        {"ci_config_ref_uri": "gitlab.com/octo-org/widget//.gitlab-ci.yml@refs/heads/main"},
        (
            "invalid-publisher",
            NO_PUBLISHER.format(
                "The ci_config_ref_uri claim does not match, expecting one of"
                f" ['gitlab.com/octo-org/widget//.gitlab-ci.yml@{'a' * 40}',"
                " 'gitlab.com/octo-org/widget//.gitlab-ci.yml@refs/tags/v1'],"
                " got 'gitlab.com/octo-org/widget//.gitlab-ci.yml@refs/heads/main'"
            ),
        ),
    ),
    "empty sha": (
        {"sha": ""},
        ("invalid-publisher", NO_PUBLISHER.format("The ref_path and sha claims are empty")),
    ),
    "no sha": ({"sha": None}, ("invalid-publisher", NO_PUBLISHER.format("Missing claim 'sha'"))),
    "other subject": (
        {"sub": "project_path"},
        ("invalid-publisher", NO_PUBLISHER.format("Check failed for required claim 'sub'")),
    ),
}


@pytest.mark.parametrize(("claims", "error"), GITLAB.values(), ids=GITLAB.keys())
def test_gitlab_identities_are_matched_as_on_pypi(
    sandbox: Sandbox, site: Site, claims: dict[str, Any], error: tuple[str, str] | None
) -> None:
    """Broken: GitLab's pipelines would be let in, or kept out, otherwise than on PyPI."""
    site.index.add_publisher("widget", "GitLab", repository="octo-org/widget", workflow_filepath=".gitlab-ci.yml")
    response = site.mint(sandbox.issuer.token(AUDIENCE, identity=GitLabIdentity(), **claims))
    if error is None:
        assert response.status_code == 200
    else:
        assert _error(response) == error


def test_environments_of_gitlab_are_compared_as_written(sandbox: Sandbox, site: Site) -> None:
    """Broken: GitLab distinguishes "Release" and "release", and so does PyPI."""
    site.index.add_publisher("widget", "GitLab", repository="octo-org/widget", environment="release")

    def mint(environment: str | None) -> httpx.Response:
        return site.mint(sandbox.issuer.token(AUDIENCE, identity=GitLabIdentity(environment=environment)))

    assert mint("release").status_code == 200
    assert _error(mint("Release")) == (
        "invalid-publisher",
        NO_PUBLISHER.format("Check failed for optional claim 'environment'"),
    )
    assert _error(mint(None)) == ("invalid-publisher", NOT_FOUND)


def test_google_identities_are_matched_by_verified_address_and_subject(sandbox: Sandbox, site: Site) -> None:
    """Broken: another service account, or an unverified address, would be let in."""
    identity = GoogleIdentity()
    site.index.add_publisher("widget", "Google", email=identity.email)
    site.index.create_project("special")
    site.index.add_publisher("special", "Google", email=identity.email, sub="117")
    assert site.mint(sandbox.issuer.token(AUDIENCE, identity=identity)).status_code == 200
    token = site.upload_token(sandbox.issuer.token(AUDIENCE, identity=identity, sub="117"))
    assert site.upload(wheel("special"), token).status_code == 200
    assert site.upload(wheel(), token).status_code == 403
    unverified = sandbox.issuer.token(AUDIENCE, identity=identity, email_verified=False)
    assert _error(site.mint(unverified)) == (
        "invalid-publisher",
        NO_PUBLISHER.format("Check failed for required claim 'email_verified'"),
    )
    other = sandbox.issuer.token(AUDIENCE, identity=identity, email="other@example.com")
    assert _error(site.mint(other)) == ("invalid-publisher", NOT_FOUND)


def test_the_token_of_a_google_identity_may_be_exchanged_again(sandbox: Sandbox, site: Site) -> None:
    """Broken: PyPI checks `jti` for GitHub and GitLab only."""
    site.index.add_publisher("widget", "Google", email=GoogleIdentity().email)
    token = sandbox.issuer.token(AUDIENCE, identity=GoogleIdentity())
    assert [site.mint(token).status_code for _ in range(2)] == [200, 200]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (
            {"kind": "Jenkins"},
            "unknown kind of Trusted Publisher 'Jenkins', known are GitHub, GitLab, Google, CircleCI",
        ),
        ({"repository": "octo-org/widget"}, "missing 1 required positional argument: 'workflow'"),
        ({**PUBLISHER, "worklow": "x"}, "unexpected keyword argument 'worklow'"),
    ],
)
def test_a_wrong_registration_is_an_error_at_once(site: Site, arguments: dict[str, str], words: str) -> None:
    """Broken: a misspelt field of a test would be ignored silently."""
    with pytest.raises(ValueError, match=words):
        site.index.add_publisher("widget", **arguments)


def test_services_can_be_switched_off_as_by_pypis_administrators(sandbox: Sandbox, site: Site) -> None:
    """Broken: a client could not be tested against a refusal that PyPI gives in an incident."""
    site.index.flags.disallowed_services.add("github")
    words = ("not-enabled", "github trusted publishing functionality not enabled")
    assert _error(site.mint(sandbox.issuer.token(AUDIENCE))) == words
    assert site.get("/_/oidc/audience").status_code == 200
    site.index.flags.disallow_oidc = True
    response = site.get("/_/oidc/audience")
    assert (response.status_code, response.json()) == (
        403,
        {"message": "Trusted publishing functionality not enabled"},
    )


# Discovery: draft PEP 807, as it is now and, under a hashed path, as it was before python/peps#4791.
DISCOVERY = "/.well-known/pytp?discover=%2Flegacy%2F"
FIRST_DISCOVERY = f"/.well-known/pytp/{hashlib.sha256(b'/legacy/').hexdigest()}"
DISCOVERY_TYPE = "application/vnd.pypi.pytp.v1+json"


@pytest.mark.parametrize("accept", [None, DISCOVERY_TYPE, "*/*"])
def test_the_endpoints_are_discovered_by_the_upload_path(site: Site, accept: str | None) -> None:
    """Broken: clients for other indexes than PyPI would not find Trusted Publishing."""
    response = site.get(DISCOVERY, accept)
    assert (response.status_code, response.headers["content-type"]) == (200, DISCOVERY_TYPE)
    assert response.json() == {
        "audience-endpoint": f"{site.url}/_/oidc/audience",
        "token-mint-endpoint": f"{site.url}/_/oidc/mint-token",
        "features": ["multi-use-token"],
        "default-features": ["multi-use-token"],
    }


def test_the_endpoints_are_discovered_by_the_hash_as_well(site: Site) -> None:
    """Broken: clients of the first draft would not find Trusted Publishing."""
    response = site.get(FIRST_DISCOVERY, DISCOVERY_TYPE)
    assert (response.status_code, response.headers["content-type"]) == (200, DISCOVERY_TYPE)
    assert response.json() == {
        "audience-endpoint": f"{site.url}/_/oidc/audience",
        "mint-token-endpoint": f"{site.url}/_/oidc/mint-token",
    }


@pytest.mark.parametrize("path", ["/.well-known/pytp", "/.well-known/pytp?discover=%2Fother%2F"])
def test_no_other_upload_path_is_discovered(site: Site, path: str) -> None:
    """Broken: a client would be sent to the endpoints of another index on the host."""
    response = site.get(path)
    assert (response.status_code, response.headers["content-type"]) == (404, "application/problem+json")
    assert response.json() == {"status": 404, "title": "Not Found"}


def test_no_other_hash_is_discovered(site: Site) -> None:
    """Broken: likewise, for clients of the first draft, which wants no body."""
    response = site.get(f"/.well-known/pytp/{hashlib.sha256(b'/other/').hexdigest()}")
    assert (response.status_code, response.content) == (404, b"")


@pytest.mark.parametrize("path", [DISCOVERY, FIRST_DISCOVERY])
def test_another_type_is_not_acceptable_to_discovery(site: Site, path: str) -> None:
    """Broken: the draft wants 406."""
    assert site.get(path, "text/html").status_code == 406


def test_an_index_without_trusted_publishing_offers_none_of_it(sandbox: Sandbox) -> None:
    """Broken: the way without Trusted Publishing could not be tested."""
    index = Index(sandbox.issuer.issuers(), sandbox.trusted_root, trusted_publishing=False)
    with started(index) as site:
        assert site.get(DISCOVERY).status_code == 404
        assert site.get(FIRST_DISCOVERY).status_code == 404
        assert site.get("/_/oidc/audience").status_code == 404
        assert site.mint(sandbox.issuer.token(AUDIENCE)).status_code == 404
        assert site.upload(sdist(), index.add_token()).status_code == 200

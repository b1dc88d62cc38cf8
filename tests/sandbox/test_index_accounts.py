"""Who may upload to the sandbox's index, and how it refuses the others: PyPI's status and words."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

import pytest

from hatch_attest.sandbox.index import Index
from tests.sandbox.index_support import AUDIENCE, PUBLISHER, sdist, started, wheel, whole_sandbox

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hatch_attest.sandbox import Sandbox
    from tests.sandbox.index_support import Site

NOBODY = (
    "Invalid or non-existent authentication information. See https://pypi.org/help/#invalid-auth for more information."
)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Sandbox, Site]]:
    """One sandbox for all: each test has projects of its own."""
    with whole_sandbox(tmp_path_factory.mktemp("sandbox")) as both:
        yield both


@pytest.fixture
def sandbox(shared: tuple[Sandbox, Site]) -> Sandbox:
    """The shared sandbox."""
    return shared[0]


@pytest.fixture
def site(shared: tuple[Sandbox, Site]) -> Site:
    """Its index."""
    return shared[1]


@pytest.mark.parametrize(
    "authorization",
    [
        None,
        "Basic",
        "Basic !!!",
        "Basic " + base64.b64encode(b"\xff\xfe").decode(),
        "Basic " + base64.b64encode(b"__token__:pypi-nonesuch").decode(),
        "Basic " + base64.b64encode(b"__token__").decode(),
        "Bearer pypi-nonesuch",
        "Digest abc",
    ],
)
def test_who_is_nobody_is_refused(site: Site, authorization: str | None) -> None:
    """Broken: an upload without a credential, or with a false one, would pass or fail otherwise than on PyPI."""
    headers = {} if authorization is None else {"authorization": authorization}
    response = site.client.post(f"{site.url}/legacy/", data=wheel().form(), headers=headers)
    assert (response.status_code, response.reason_phrase) == (403, NOBODY)


def test_a_password_is_refused_with_the_way_out(site: Site) -> None:
    """Broken: an index like PyPI would take passwords, which PyPI does not."""
    response = site.upload(wheel(), "secret", user="somebody")
    assert (response.status_code, response.reason_phrase) == (
        403,
        (
            "Username/Password authentication is no longer supported."
            " Migrate to API Tokens or Trusted Publishers instead. See https://pypi.org/help/#apitoken and https://pypi.org/help/#trusted-publishers"
        ),
    )


def test_a_token_may_come_as_a_bearer_or_with_white_space(site: Site) -> None:
    """Broken: what PyPI reads as a token would be refused."""
    token = site.index.add_token()
    assert site.upload(wheel("accounts-bearer"), f" {token}\n").status_code == 200
    response = site.client.post(
        f"{site.url}/legacy/",
        data=sdist("accounts-bearer").form(),
        files={"content": (sdist("accounts-bearer").filename, sdist("accounts-bearer").content)},
        headers={"authorization": f"Bearer {token}"},
    )
    assert response.status_code == 200


def test_a_token_for_one_project_is_refused_for_another(site: Site) -> None:
    """Broken: the scope of a token would mean nothing; a refused upload would leave a project behind."""
    token = site.index.add_token(projects=["accounts.one"])
    assert site.upload(wheel("accounts-one"), token).status_code == 200
    response = site.upload(wheel("accounts-two"), token)
    assert (response.status_code, response.reason_phrase) == (
        403,
        "Invalid API Token: project-scoped token is not valid for project: 'accounts-two'",
    )
    assert site.get("/simple/accounts-two/").status_code == 404


def test_a_user_who_does_not_own_the_project_is_refused(site: Site) -> None:
    """Broken: anybody could upload to a project that exists."""
    site.index.create_project("accounts-owned", owner="mallory")
    response = site.upload(wheel("accounts-owned"), site.index.add_token("alice"))
    assert (response.status_code, response.reason_phrase) == (
        403,
        (
            "The user 'alice' isn't allowed to upload to project 'accounts-owned'."
            " See https://pypi.org/help/#project-name for more information."
        ),
    )
    assert site.upload(wheel("accounts-owned"), site.index.add_token("mallory")).status_code == 200


def test_an_expired_upload_token_is_refused(sandbox: Sandbox, site: Site) -> None:
    """Broken: a long upload would never meet the end of its token in a test."""
    site.index.add_publisher("accounts-expired", workflow="expired.yml", repository="octo-org/widget")
    token = site.upload_token(
        sandbox.issuer.token(AUDIENCE, job_workflow_ref="octo-org/widget/.github/workflows/expired.yml@refs/tags/v1")
    )
    assert site.upload(wheel("accounts-expired"), token).status_code == 200
    site.index.expire_tokens()
    response = site.upload(sdist("accounts-expired"), token)
    assert (response.status_code, response.reason_phrase) == (403, "Invalid API Token: token is expired")


def test_an_upload_token_ends_by_itself_after_fifteen_minutes(sandbox: Sandbox) -> None:
    """Broken: PyPI's tokens would live longer or shorter here."""
    now = [1_000_000.0]
    index = Index(sandbox.issuer.issuers(), sandbox.trusted_root, clock=lambda: now[0])
    with started(index) as site:
        index.add_publisher("widget", **PUBLISHER)
        answer = site.mint(sandbox.issuer.token(AUDIENCE)).json()
        assert answer["expires"] == 1_000_900
        now[0] += 899
        assert site.upload(wheel(), answer["token"]).status_code == 200
        now[0] += 1
        assert site.upload(sdist(), answer["token"]).reason_phrase == "Invalid API Token: token is expired"


@pytest.mark.parametrize("body", [b"", b"{}", b'{"token": 1}', b'{"token": "pypi-nonesuch"}'])
def test_burning_tells_nothing(site: Site, body: bytes) -> None:
    """Broken: the endpoint would tell whether a token is good."""
    response = site.client.post(f"{site.url}/_/oidc/burn-token", content=body)
    assert (response.status_code, response.json()) == (202, {"message": "Accepted", "errors": []})


def test_a_burnt_upload_token_is_unknown_but_an_api_token_is_not_burnt(sandbox: Sandbox) -> None:
    """Broken: a client that burns its token after the upload, as uv does, would leave it usable."""
    with started(Index(sandbox.issuer.issuers(), sandbox.trusted_root)) as site:
        site.index.add_publisher("widget", **PUBLISHER)
        minted, lasting = site.upload_token(sandbox.issuer.token(AUDIENCE)), site.index.add_token()
        for token in (minted, lasting):
            assert site.client.post(f"{site.url}/_/oidc/burn-token", json={"token": token}).status_code == 202
        response = site.upload(wheel(), minted)
        assert (response.status_code, response.reason_phrase) == (403, NOBODY)
        assert site.upload(wheel(), lasting).status_code == 200


def test_an_upload_token_is_for_the_projects_of_its_publisher_only(sandbox: Sandbox) -> None:
    """Broken: one Trusted Publisher could upload to another's project, or make new ones."""
    with started(Index(sandbox.issuer.issuers(), sandbox.trusted_root)) as site:
        site.index.add_publisher("widget", **PUBLISHER)
        site.index.create_project("gadget")
        token = site.upload_token(sandbox.issuer.token(AUDIENCE))
        response = site.upload(wheel("gadget"), token)
        assert (response.status_code, response.reason_phrase) == (
            403,
            (
                "Invalid API Token: OIDC scoped token is not valid for project 'gadget',"
                " project-scoped token is not valid for project: 'gadget'"
            ),
        )
        response = site.upload(wheel("novelty"), token)
        assert (response.status_code, response.reason_phrase) == (
            400,
            (
                "Non-user identities cannot create new projects. This was probably caused by successfully using a"
                " pending publisher but specifying the project name incorrectly (either in the publisher or in your"
                " project's metadata). Please ensure that both match."
                " See: https://docs.pypi.org/trusted-publishers/troubleshooting/"
            ),
        )


def test_no_credential_is_kept_or_shown(sandbox: Sandbox) -> None:
    """Broken: a dump of the index's state would give away tokens and passwords."""
    index = Index(sandbox.issuer.issuers(), sandbox.trusted_root, passwords={"admin": "s3cret-word"})
    index.add_publisher("widget", **PUBLISHER)
    with started(index) as site:
        tokens = [index.add_token(), site.upload_token(sandbox.issuer.token(AUDIENCE)), "s3cret-word"]
        state = repr(vars(index)) + repr(vars(index._accounts)) + repr(vars(index._trusted_publishing))
    for token in tokens:
        assert token not in state

"""The issuers give the tokens of the played identity, to those who ask as real clients do."""

from __future__ import annotations

import asyncio
import base64
import gc
import hashlib
import re
import secrets
import webbrowser
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx
import id as id_library
import jwt
import pytest
from sigstore.oidc import IdentityError, IdentityToken
from sigstore.oidc import Issuer as SigstoreIssuer

from hatch_attest.sandbox import EmailIdentity, GitHubIdentity, GitLabIdentity, GoogleIdentity, Sandbox
from hatch_attest.sandbox.identities import GITHUB, GITLAB, GOOGLE, SIGSTORE
from hatch_attest.sandbox.issuer import Issuer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from hatch_attest.sandbox.identities import Identity

PATHS = {GITHUB: "github", GITLAB: "gitlab", GOOGLE: "google", SIGSTORE: "auth"}
IDENTITIES = [GitHubIdentity(), GitLabIdentity(), GoogleIdentity(), EmailIdentity()]


def claims_of(token: str) -> dict[str, Any]:
    return dict(jwt.decode(token, options={"verify_signature": False}))


@pytest.fixture
def client() -> Iterator[httpx.Client]:
    with httpx.Client(trust_env=False, timeout=30) as client:
        yield client


@pytest.fixture
def as_job(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Callable[[Identity], None]:
    """Give this process the environment of a job."""

    def play(identity: Identity) -> None:
        sandbox.issuer.identity = identity
        for name in ("GITHUB_ACTIONS", "GITLAB_CI", "CIRCLECI", "BUILDKITE", "GOOGLE_SERVICE_ACCOUNT_NAME"):
            monkeypatch.delenv(name, raising=False)
        for name, value in sandbox.environment.items():
            monkeypatch.setenv(name, value)

    return play


@pytest.mark.parametrize("identity", IDENTITIES, ids=lambda it: type(it).__name__)
def test_a_token_is_verified_by_the_keys_that_its_issuer_publishes(
    identity: Identity, shared_sandbox: Sandbox, client: httpx.Client
) -> None:
    """No service could tell a real token from a forged one."""
    base = f"{shared_sandbox.issuer.base_url}/{PATHS[identity.issuer]}"
    document = client.get(f"{base}/.well-known/openid-configuration").json()
    assert document["issuer"] == identity.issuer
    keys = jwt.PyJWKSet.from_dict(client.get(document["jwks_uri"]).json())
    token = shared_sandbox.issuer.token("sigstore", identity=identity)
    key = keys[jwt.get_unverified_header(token)["kid"]]
    claims = jwt.decode(token, key, algorithms=["RS256"], audience="sigstore", issuer=identity.issuer)
    assert claims["exp"] - claims["iat"] == identity.lifetime


@pytest.mark.parametrize("identity", IDENTITIES, ids=lambda it: type(it).__name__)
def test_sigstore_takes_a_token_for_what_it_says(identity: Identity, shared_sandbox: Sandbox) -> None:
    """sigstore-python would refuse the identity before it asks any service."""
    token = IdentityToken(shared_sandbox.issuer.token("sigstore", identity=identity))
    assert token.issuer == identity.issuer
    assert token.federated_issuer == (identity.connector if isinstance(identity, EmailIdentity) else identity.issuer)


def test_a_token_of_github_has_the_claims_of_the_real_one(shared_sandbox: Sandbox) -> None:
    """PyPI requires that it knows every claim that it needs; Fulcio too."""
    claims = claims_of(shared_sandbox.issuer.token("pypi", identity=GitHubIdentity(environment="pypi")))
    # GitHub's "OpenID Connect reference", an example of a token.
    assert claims.keys() == {
        "actor",
        "actor_id",
        "aud",
        "base_ref",
        "environment",
        "event_name",
        "exp",
        "head_ref",
        "iat",
        "iss",
        "job_workflow_ref",
        "job_workflow_sha",
        "jti",
        "nbf",
        "ref",
        "ref_protected",
        "ref_type",
        "repository",
        "repository_id",
        "repository_owner",
        "repository_owner_id",
        "repository_visibility",
        "run_attempt",
        "run_id",
        "run_number",
        "runner_environment",
        "sha",
        "sub",
        "workflow",
        "workflow_ref",
        "workflow_sha",
    }
    assert claims["sub"] == "repo:octo-org/widget:environment:pypi"
    assert claims["nbf"] < claims["iat"] < claims["exp"]


@pytest.mark.parametrize(
    ("identity", "claims"),
    [
        (GitHubIdentity(), {"environment": None, "sub": "repo:octo-org/widget:ref:refs/tags/v1", "ref_type": "tag"}),
        (GitHubIdentity(ref="refs/heads/main"), {"ref_type": "branch", "ref": "refs/heads/main"}),
        (GitHubIdentity(event_name="pull_request"), {"sub": "repo:octo-org/widget:pull_request"}),
        (GitHubIdentity(workflow_name="Publish"), {"workflow": "Publish"}),
        (
            GitHubIdentity(job_workflow_ref="octo-org/ci/.github/workflows/p.yml@main"),
            {
                "job_workflow_ref": "octo-org/ci/.github/workflows/p.yml@main",
                "workflow_ref": "octo-org/widget/.github/workflows/release.yml@refs/tags/v1",
            },
        ),
        (GitLabIdentity(), {"environment": None, "ref": "v1", "ref_path": "refs/tags/v1", "ref_type": "tag"}),
        (GitLabIdentity(environment="pypi"), {"environment": "pypi", "environment_protected": "false"}),
        (GitLabIdentity(ref="refs/heads/a/b"), {"ref": "a/b", "ref_type": "branch"}),
        (GoogleIdentity(email="a@b.example", subject="7"), {"email": "a@b.example", "sub": "7", "nbf": None}),
        (EmailIdentity(verified=False), {"email_verified": False}),
    ],
)
def test_a_token_says_what_the_identity_is(
    identity: Identity, claims: dict[str, object], shared_sandbox: Sandbox
) -> None:
    """A situation could not be rehearsed, because its claim is another."""
    token = claims_of(shared_sandbox.issuer.token("sigstore", identity=identity))
    assert {name: token.get(name) for name in claims} == claims


def test_a_claim_can_be_replaced_added_and_left_out(shared_sandbox: Sandbox) -> None:
    """The refusals of the services could not be provoked."""
    claims = claims_of(shared_sandbox.issuer.token("sigstore", sha="b" * 40, jti=None, new=1))
    assert (claims["sha"], claims["new"]) == ("b" * 40, 1)
    assert "jti" not in claims


def test_the_id_library_gets_a_new_token_from_github_at_each_request(
    sandbox: Sandbox, as_job: Callable[[Identity], None]
) -> None:
    """A job on GitHub Actions finds its identity through this endpoint alone."""
    as_job(GitHubIdentity(environment="pypi"))
    tokens = [id_library.detect_credential(audience) for audience in ("sigstore", "sigstore", "pypi")]
    claims = [claims_of(token) for token in tokens if token is not None]
    assert [it["aud"] for it in claims] == ["sigstore", "sigstore", "pypi"]
    assert len({it["jti"] for it in claims}) == 3
    assert {it["environment"] for it in claims} == {"pypi"}
    assert sandbox.count("issuer", "GET", "/github/idtoken") == 3


def test_the_id_library_finds_the_fixed_tokens_of_a_job_on_gitlab(
    sandbox: Sandbox, as_job: Callable[[Identity], None]
) -> None:
    """GitLab hands its tokens over in variables, one for each audience, the same for the whole job."""
    as_job(GitLabIdentity())
    for audience in ("sigstore", "hatch-attest-sandbox"):
        first, again = id_library.detect_credential(audience), id_library.detect_credential(audience)
        assert first is not None
        assert first == again
        assert claims_of(first)["aud"] == audience
    assert sandbox.environment["SIGSTORE_ID_TOKEN"] == id_library.detect_credential("sigstore")
    sandbox.issuer.identity = GitLabIdentity(job_id="223")
    assert claims_of(sandbox.environment["SIGSTORE_ID_TOKEN"])["job_id"] == "223"


@pytest.mark.parametrize("authorization", [None, "bearer", "bearer wrong", "basic {token}", "{token}"])
def test_github_s_token_is_refused_to_whoever_is_not_the_job(
    authorization: str | None, shared_sandbox: Sandbox, client: httpx.Client
) -> None:
    """Any process on the machine could get the identity."""
    url = shared_sandbox.environment["ACTIONS_ID_TOKEN_REQUEST_URL"]
    token = shared_sandbox.environment["ACTIONS_ID_TOKEN_REQUEST_TOKEN"]
    headers = {} if authorization is None else {"Authorization": authorization.format(token=token)}
    assert client.get(url, headers=headers).status_code == 401


def test_github_gives_no_token_while_another_is_played(sandbox: Sandbox, client: httpx.Client) -> None:
    """A left-over request of an earlier job would get the identity of the present one."""
    headers = {"Authorization": f"bearer {sandbox.environment['ACTIONS_ID_TOKEN_REQUEST_TOKEN']}"}
    url = sandbox.environment["ACTIONS_ID_TOKEN_REQUEST_URL"]
    sandbox.issuer.identity = GoogleIdentity()
    assert client.get(url, headers=headers).status_code == 404


@pytest.fixture
def sigstores_unclosed_socket() -> Iterator[None]:
    """Collect sigstore's redirect server, which it does not close, where its warning is ignored."""
    yield
    gc.collect()


def browse(url: str) -> bool:
    """Follow the redirects as a browser does."""
    with httpx.Client(trust_env=False, timeout=30, follow_redirects=True) as browser:
        assert "authentication successful" in browser.get(url).text
    return True


@pytest.mark.usefixtures("sigstores_unclosed_socket")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize(
    ("identity", "email"),
    [(GitHubIdentity(), "octocat@example.com"), (EmailIdentity(email="mona@example.com"), "mona@example.com")],
    ids=["a job is played", "a person is played"],
)
def test_sigstore_s_own_client_signs_a_person_in_through_the_browser(
    identity: Identity, email: str, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Interactive signing could not be tested but with a person."""
    sandbox.issuer.identity = identity
    monkeypatch.setattr(webbrowser, "open", browse)
    token = SigstoreIssuer(sandbox.issuer.login_url).identity_token()
    assert (token.identity, token.issuer) == (email, SIGSTORE)
    assert token.federated_issuer == "https://github.com/login/oauth"


@pytest.mark.usefixtures("sigstores_unclosed_socket")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_sigstore_s_own_client_takes_a_code_that_is_typed_in(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], client: httpx.Client
) -> None:
    """On a machine without a browser the code is copied by hand."""

    def copy_by_hand(_prompt: str) -> str:
        (link,) = re.findall(r"http://\S+", capsys.readouterr().err)
        return client.get(link).text

    monkeypatch.setattr("builtins.input", copy_by_hand)
    token = SigstoreIssuer(sandbox.issuer.login_url).identity_token(force_oob=True)
    assert token.identity == "octocat@example.com"


@pytest.mark.usefixtures("sigstores_unclosed_socket")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_sigstore_s_own_client_fails_where_the_login_service_is_broken(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """How interactive signing fails could not be tested."""
    sandbox.faults.add("issuer", "POST", "/auth/token", ("status", 503, "down"))
    monkeypatch.setattr(webbrowser, "open", browse)
    with pytest.raises(IdentityError, match="503"):
        SigstoreIssuer(sandbox.issuer.login_url).identity_token()


class Login:
    """The authorization-code flow, step by step."""

    def __init__(self, sandbox: Sandbox, client: httpx.Client) -> None:
        self.base = sandbox.issuer.login_url
        self.client = client
        self.verifier = secrets.token_urlsafe(32)
        self.redirect_uri = "http://localhost:1/auth/callback"

    def authorize(self, **changes: str | None) -> httpx.Response:
        """Ask for a code, as sigstore-python's browser does, but for the changes; None leaves a parameter out."""
        digest = hashlib.sha256(self.verifier.encode()).digest()
        query = {
            "response_type": "code",
            "client_id": "sigstore",
            "scope": "openid email",
            "redirect_uri": self.redirect_uri,
            "code_challenge": base64.urlsafe_b64encode(digest).rstrip(b"=").decode(),
            "code_challenge_method": "S256",
            "state": "s",
            **changes,
        }
        kept = {name: value for name, value in query.items() if value is not None}
        return self.client.get(f"{self.base}/authorize?{urlencode(kept)}")

    def code(self) -> str:
        """Return a new code."""
        (code,) = parse_qs(urlsplit(self.authorize().headers["location"]).query)["code"]
        return code

    def exchange(self, code: str, **changes: str) -> httpx.Response:
        """Ask for the token that a code stands for."""
        form = {
            "grant_type": "authorization_code",
            "redirect_uri": self.redirect_uri,
            "code": code,
            "code_verifier": self.verifier,
            **changes,
        }
        return self.client.post(f"{self.base}/token", data=form, auth=("sigstore", ""))


@pytest.fixture
def login(shared_sandbox: Sandbox, client: httpx.Client) -> Login:
    return Login(shared_sandbox, client)


def test_a_code_is_exchanged_once(login: Login) -> None:
    """A code that was seen on its way could be used again."""
    code = login.code()
    answer = login.exchange(code)
    assert claims_of(answer.json()["access_token"])["aud"] == "sigstore"
    assert answer.headers["cache-control"] == "no-store"
    again = login.exchange(code)
    assert (again.status_code, again.json()) == (400, {"error": "invalid_grant"})


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"code_verifier": "another"}, "invalid_grant"),
        ({"redirect_uri": "http://localhost:2/auth/callback"}, "invalid_grant"),
        ({"grant_type": "password"}, "unsupported_grant_type"),
    ],
    ids=str,
)
def test_a_code_is_no_use_to_whoever_did_not_ask_for_it(changes: dict[str, str], error: str, login: Login) -> None:
    """PKCE would protect nothing (RFC 7636, section 4.6)."""
    answer = login.exchange(login.code(), **changes)
    assert (answer.status_code, answer.json()) == (400, {"error": error})
    assert login.exchange("another").json() == {"error": "invalid_grant"}


def test_a_code_is_for_the_client_that_asked(login: Login) -> None:
    """Another application on the machine could take it over."""
    form = {"grant_type": "authorization_code", "code": login.code(), "code_verifier": login.verifier}
    form |= {"redirect_uri": login.redirect_uri, "client_id": "another"}
    for authorization in (None, "Basic %%%", "Bearer x"):
        headers = {} if authorization is None else {"Authorization": authorization}
        assert login.client.post(f"{login.base}/token", data=form, headers=headers).status_code == 400


def test_a_code_expires() -> None:
    """A code that nobody fetched would stay good for ever."""
    now = [1_800_000_000.0]
    issuer = Issuer("http://issuer", clock=lambda: now[0])
    verifier, redirect_uri = "v" * 43, "urn:ietf:wg:oauth:2.0:oob"
    query = {
        "response_type": "code",
        "client_id": "sigstore",
        "scope": "openid",
        "redirect_uri": redirect_uri,
        "code_challenge": base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode(),
        "code_challenge_method": "S256",
    }
    form = {"grant_type": "authorization_code", "code_verifier": verifier, "redirect_uri": redirect_uri}

    async def status_after(seconds: float) -> int:
        transport = httpx.ASGITransport(issuer.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://issuer") as client:
            code = (await client.get("/auth/authorize", params=query)).text
            now[0] += seconds
            answer = await client.post("/auth/token", data={**form, "code": code, "client_id": "sigstore"})
            return answer.status_code

    assert asyncio.run(status_after(60)) == 200
    assert asyncio.run(status_after(61)) == 400


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"code_challenge": None}, "invalid_request"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"scope": "email"}, "invalid_scope"),
    ],
    ids=str,
)
def test_a_flow_without_its_protections_is_refused_at_the_client(
    changes: dict[str, str | None], error: str, login: Login
) -> None:
    """A client that forgot PKCE would work in the sandbox."""
    location = login.authorize(**changes).headers["location"]
    assert location.startswith(f"{login.redirect_uri}?")
    assert parse_qs(urlsplit(location).query) == {"error": [error], "state": ["s"]}


@pytest.mark.parametrize(
    "changes",
    [
        {"client_id": "another"},
        {"redirect_uri": "https://evil.example/callback"},
        {"redirect_uri": "http://evil.example/callback"},
        {"redirect_uri": None},
    ],
    ids=str,
)
def test_a_code_is_sent_to_this_machine_only(changes: dict[str, str | None], login: Login) -> None:
    """The login service would be an open redirect that hands codes to strangers."""
    answer = login.authorize(**changes)
    assert answer.status_code == 400
    assert "location" not in answer.headers


def test_no_private_key_leaves_the_process(sandbox: Sandbox) -> None:
    """The sandbox's authority would outlive it on disk."""
    sandbox.issuer.token("sigstore")
    for path in sandbox.directory.iterdir():
        assert "PRIVATE" not in path.read_text(encoding="utf-8")
    (key,) = cast("list[dict[str, str]]", sandbox.issuer.jwks()["keys"])
    assert key.keys() == {"kty", "n", "e", "kid", "use", "alg", "key_ops"}

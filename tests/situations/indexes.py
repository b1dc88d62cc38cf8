"""Situations of the index: hostile, broken, or with a part of the release already."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hatch_attest.sandbox import GitLabIdentity
from tests.sandbox.index_support import sdist, wheel
from tests.situations.artifacts import signed_release
from tests.situations.identities import plays
from tests.situations.situations import accepted, refused, resumed

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.publishing import Job

LEGACY, MINT, AUDIENCE, DISCOVERY = "/legacy/", "/_/oidc/mint-token", "/_/oidc/audience", "/.well-known/pytp"


def answer(job: Job, path: str, body: object, *, method: str = "GET", status: int = 200, times: int = 99) -> None:
    """Let the index answer something else."""
    job.sandbox.faults.add("index", method, path, ("status", status, body), times=times)


# --- A hostile index -----------------------------------------------------------------------------------------------

for _audience in ("sigstore", "pypi", "testpypi", "PyPI ", "sts.amazonaws.com"):

    @refused(
        f"an index that wants a token for the audience {_audience!r}", "exchange-foreign-audience", "good elsewhere"
    )
    def _(job: Job, audience: str = _audience) -> None:
        job.add_release()
        answer(job, AUDIENCE, {"audience": audience})


@refused("an index that names no audience", "exchange-no-audience")
def _(job: Job) -> None:
    job.add_release()
    answer(job, AUDIENCE, {"audience": ""})


def discovers(job: Job, **endpoints: str) -> None:
    """Let discovery name other endpoints."""
    job.add_release()
    base = job.sandbox.index.upload_url.removesuffix(LEGACY)
    answer(job, DISCOVERY, {"audience-endpoint": base + AUDIENCE, "token-mint-endpoint": base + MINT, **endpoints})


@refused("discovery sends the token to another host", "exchange-discovery", "at another host")
def _(job: Job) -> None:
    discovers(job, **{"token-mint-endpoint": "https://evil.example.org/mint"})


@refused("discovery sends the token over plain http", "exchange-discovery")
def _(job: Job) -> None:
    discovers(job, **{"token-mint-endpoint": "http://127.0.0.1.example.org/mint"})


@refused("discovery hides another host behind a user's name", "exchange-discovery")
def _(job: Job) -> None:
    discovers(job, **{"token-mint-endpoint": "https://127.0.0.1@evil.example.org/mint"})


@refused("discovery names no endpoint", "exchange-discovery", "token-mint-endpoint is missing")
def _(job: Job) -> None:
    job.add_release()
    answer(job, DISCOVERY, {"audience-endpoint": job.sandbox.index.upload_url.removesuffix(LEGACY) + AUDIENCE})


@refused("the exchange redirects the identity token", "exchange-refused", "307")
def _(job: Job) -> None:
    signed_release(job)
    job.sandbox.faults.add("index", "POST", MINT, ("status", 307, ""), times=9)


@refused("the exchange answers without a token", "exchange-malformed")
def _(job: Job) -> None:
    signed_release(job)
    answer(job, MINT, {"success": True, "token": "two\nlines"}, method="POST")


@refused("the index redirects an upload", "upload-redirected", late=True)
def _(job: Job) -> None:
    signed_release(job)
    answer(job, LEGACY, "", method="POST", status=307)


# --- What the index has already ------------------------------------------------------------------------------------


@refused("the index has another file of this name", "there-other", "Raise the version")
def _(job: Job) -> None:
    job.add_release()
    assert job.publish().code == 0
    for path in job.dist.iterdir():
        path.unlink()
    job.add(sdist(), wheel(RECORD=b"widget/__init__.py,,\nwidget-1.0.dist-info/RECORD,,\n\n"))


@refused("the index has another sdist of this release", "second-sdist", "widget-1.0.tar.gz")
def _(job: Job) -> None:
    path = job.add_release()[0]
    assert job.publish().code == 0
    for each in job.dist.iterdir():
        each.unlink()
    path.with_name("Widget-1.0.tar.gz").write_bytes(sdist().content)


@accepted("all files are there already", "2 there already", signed=0)
def _(job: Job) -> None:
    job.add_release()
    assert job.publish().code == 0


@resumed("a part of the files is there already", "is on 127.0.0.1", "1 uploaded", signed=1)
def _(job: Job) -> list[str]:
    paths = job.add_release()
    assert job.publish(str(paths[0])).code == 0
    return ["dist"]


@refused("the index cannot be reached", "index-unreachable", "Try again")
def _(job: Job) -> None:
    signed_release(job)
    job.sandbox.faults.add("index", "GET", "/", "drop", times=99)


@refused("the list of files cannot be read", "index-unreachable", "503")
def _(job: Job) -> None:
    signed_release(job)
    answer(job, "/simple/", "", status=503)


@refused("the list of files is none", "index-list", "PEP 691")
def _(job: Job) -> None:
    signed_release(job)
    answer(job, "/simple/", {"message": "hello"})


@accepted("the list of files fails in passing", signed=0)
def _(job: Job) -> None:
    signed_release(job)
    answer(job, "/simple/", "", status=502, times=2)


@accepted("the list of files wants credentials", "nothing is compared", signed=0)
def _(job: Job) -> None:
    signed_release(job)
    answer(job, "/simple/", "", status=401)


# --- Uploads that do not go smoothly -------------------------------------------------------------------------------


@resumed("an upload fails in passing", "2 uploaded", signed=0)
def _(job: Job) -> None:
    signed_release(job)
    answer(job, LEGACY, "", method="POST", status=503, times=2)


@resumed("an upload is asked to wait", "2 uploaded", signed=0)
def _(job: Job) -> None:
    signed_release(job)
    answer(job, LEGACY, "", method="POST", status=429, times=1)


@resumed("the connection breaks before an upload arrives", "2 uploaded", signed=0)
def _(job: Job) -> None:
    signed_release(job)
    job.sandbox.faults.add("index", "POST", LEGACY, "drop")


@resumed("the answer to an upload is lost", "the answer was lost, the file is there", "2 uploaded", signed=0)
def _(job: Job) -> None:
    signed_release(job)
    job.sandbox.faults.add("index", "POST", LEGACY, "lose")


@resumed("the answer to an upload is lost, and the list cannot be read then", "2 uploaded", signed=0)
def _(job: Job) -> None:
    signed_release(job)
    job.sandbox.faults.add("index", "POST", LEGACY, "lose")
    job.sandbox.faults.add("index", "GET", "/simple/", ("status", 503, ""), after=1, times=3)


@resumed("the answer to an exchange is lost", "2 uploaded", signed=0)
def _(job: Job) -> None:
    signed_release(job)
    job.sandbox.faults.add("index", "POST", MINT, "lose")


@resumed("the upload token expires between two files", "the upload token expired", "3 uploaded", signed=0)
def _(job: Job) -> None:
    signed_release(job, 3)
    on_request(job, "POST", LEGACY, job.sandbox.index.expire_tokens)


def on_request(job: Job, method: str, path: str, call: Callable[[], Any]) -> None:
    """Let something happen once, right after the first such request was handled."""
    application = job.sandbox.index.app

    class Middleware:
        def __init__(self, app: Any) -> None:
            self.app = app
            self.pending = True

        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            await self.app(scope, receive, send)
            if self.pending and scope["type"] == "http" and (scope["method"], scope["path"]) == (method, path):
                self.pending = False
                call()

    application.add_middleware(Middleware)


@resumed("the index fails in the middle of a release of five", "3 there already, 2 uploaded", signed=0)
def _(job: Job) -> None:
    signed_release(job, 5)
    job.sandbox.faults.add("index", "POST", LEGACY, ("status", 503, ""), after=3, times=3)
    failed = job.publish()
    assert failed.code == 1
    assert failed.report["failure"]["code"] == "upload-unknown"
    assert "3 of 5 files were uploaded before this; run the same command again" in failed.output


@resumed("a GitLab job whose token was used runs again", "1 there already, 1 uploaded", signed=0)
def _(job: Job) -> None:
    job.add_release()
    job.sandbox.index.create_project("widget")
    job.sandbox.index.add_publisher("widget", "GitLab", repository="octo-org/widget")
    plays(job, GitLabIdentity())
    on_request(job, "POST", LEGACY, job.sandbox.index.expire_tokens)
    failed = job.publish()
    assert failed.report["failure"]["code"] == "exchange-reused"
    assert "run the job again" in failed.output
    plays(job, GitLabIdentity(job_id="333"))


@resumed("a file changes while the release goes out", "2 uploaded", signed=0)
def _(job: Job) -> None:
    _, path = signed_release(job)
    kept = path.read_bytes()
    on_request(job, "POST", MINT, lambda: path.write_bytes(b"something else"))
    on_request(job, "GET", "/integrity/widget/1.0/widget-1.0.tar.gz/provenance", lambda: path.write_bytes(kept))


@refused("the file's name was used before", "upload-name-used", "Raise the version", late=True)
def _(job: Job) -> None:
    signed_release(job)
    assert job.publish().code == 0
    for file in list(job.on_index()):
        job.sandbox.index.delete_file(file)


@refused("another project's Trusted Publisher", "upload-no-project", late=True)
def _(job: Job) -> None:
    job.add(sdist(name="gadget"), wheel(name="gadget"))
    job.sign()


@refused("the index takes no uploads now", "upload-closed", "Try again later", late=True)
def _(job: Job) -> None:
    signed_release(job)
    job.sandbox.index.flags.disallow_new_upload = True


@refused("Trusted Publishing is switched off for GitHub", "exchange-not-enabled")
def _(job: Job) -> None:
    job.add_release()
    job.sandbox.index.flags.disallowed_services.add("github")


@accepted("the index does not serve attestations now", "does not serve attestations now", signed=0)
def _(job: Job) -> None:
    signed_release(job)
    job.sandbox.index.flags.disable_pep740 = True
